"""Cut a small OSV export of one Debian release out of a whole one: ``tests/data/osv/Debian/all.zip``.

    python -m tests.support.make_osv_cut FULL.zip tests/data/osv/Debian STATUS… --release 13

Each STATUS is a dpkg status file; the cut speaks of every source package in them, also of those without
an advisory. ``coverage.json`` beside it says so, and rootlet takes nothing else as judged. The same input
gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from builder.inventory.dpkg import parse_status

_KEPT = ("id", "modified", "upstream", "aliases", "severity")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LICENCE = (
    "facts only (CVE, package, version, urgency) from Debian changelogs and the security tracker; no prose"
)
_EXCLUDES = [
    "source packages that are not listed in sources",
    "releases that are not listed in releases",
    "holes that no changelog names: a package without an advisory here is not proven to be without one",
]


def sources_of(statuses: Iterable[Path]) -> frozenset[str]:
    """Every source package that the status files name."""
    return frozenset(
        entry.source.name
        for path in statuses
        for entry in parse_status(path.read_text(encoding="utf-8"), path=str(path)).entries
    )


def cut_records(archive: zipfile.ZipFile, sources: frozenset[str], release: str) -> Iterator[dict[str, Any]]:
    """Records of these sources in that release, without what they say of others; sorted by id."""
    for name in sorted(archive.namelist()):
        record = json.loads(archive.read(name))
        affected = [
            _short(one)
            for one in record.get("affected", [])
            if one["package"]["ecosystem"] == f"Debian:{release}" and one["package"]["name"] in sources
        ]
        if affected:
            yield {**{key: record[key] for key in _KEPT if key in record}, "affected": affected}


def _short(affected: dict[str, Any]) -> dict[str, Any]:
    # What rootlet takes for granted is left out: a fix is "resolved", no urgency is "not yet assigned".
    status = affected.get("database_specific", {}).get("status", "resolved")
    urgency = affected.get("ecosystem_specific", {}).get("urgency", "not yet assigned")
    kept = {
        "package": {key: affected["package"][key] for key in ("ecosystem", "name")},
        "ranges": affected["ranges"],
    }
    if status != "resolved":
        kept["database_specific"] = {"status": status}
    if urgency != "not yet assigned":
        kept["ecosystem_specific"] = {"urgency": urgency}
    return kept


def write_cut(full: Path, folder: Path, sources: frozenset[str], release: str) -> None:
    """Write ``all.zip`` and ``coverage.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(full) as archive:
        records = list(cut_records(archive, sources, release))
    with zipfile.ZipFile(folder / "all.zip", "w") as target:
        for record in records:
            member = zipfile.ZipInfo(f"{record['id']}.json", _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(member, json.dumps(record, separators=(",", ":")), compresslevel=9)
    coverage = {
        "date": max(record["modified"] for record in records)[:10],
        "source": "OSV records made from Debian's changelogs and security tracker",
        "licence": _LICENCE,
        "records": len(records),
        "releases": [release],
        "excludes": _EXCLUDES,
        "sources": sorted(sources),
    }
    (folder / "coverage.json").write_text(json.dumps(coverage, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and write the cut."""
    parser = argparse.ArgumentParser(description="Cut a small OSV export of one Debian release.")
    parser.add_argument("full", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("statuses", type=Path, nargs="+")
    parser.add_argument("--release", default="13")
    arguments = parser.parse_args()
    write_cut(arguments.full, arguments.folder, sources_of(arguments.statuses), arguments.release)


if __name__ == "__main__":
    main()
