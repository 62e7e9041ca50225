"""OSV records, exports and advisories for tests."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.recipe.model import Severity
from builder.scan import store
from builder.scan.ecosystems import ECOSYSTEMS
from builder.scan.match import scan_inventory
from builder.scan.model import Advisory, DatabaseMeta, Finding, Signal
from builder.scan.osv import read_record
from builder.scan.record import parse_record

MODIFIED = "2026-11-01T00:00:00Z"


def record(
    identity: str,
    package: str = "openssl",
    fixed: str | None = "3.5.1-1",
    *,
    release: str = "13",
    **fields: Any,
) -> dict[str, Any]:
    """One record; ``fixed`` None means that nothing mends it."""
    events: list[dict[str, str]] = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed is not None else [])]
    return {
        "id": identity,
        "modified": MODIFIED,
        "upstream": [identity.removeprefix("DEBIAN-")],
        "affected": [
            {
                "package": {"ecosystem": f"Debian:{release}", "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "ecosystem_specific": {"urgency": "not yet assigned"},
            }
        ],
        **fields,
    }


def advisories(payload: bytes, ecosystem: str = "Debian") -> tuple[Advisory, ...]:
    """What a record says of an ecosystem, as the database gives it back."""
    found = read_record(parse_record(payload), ECOSYSTEMS[ecosystem])
    if found is None:
        return ()
    header, entries = found
    whole = (header.id, " ".join(header.names), store._summary(header), header.vector, header.score)
    return tuple(store._advisory((*whole, *entry)) for entry in entries)


def export(records: Iterable[object]) -> bytes:
    """An ``all.zip``; members that are bytes go in as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, one in enumerate(records):
            archive.writestr(f"{number}.json", one if isinstance(one, bytes) else json.dumps(one))
    return stream.getvalue()


def write_export(
    folder: Path, records: Iterable[object], coverage: object = None, *, ecosystem: str = "Debian"
) -> Path:
    """``folder/Debian/all.zip``, with a ``coverage.json`` where one is given; gives ``folder``."""
    (folder / ecosystem).mkdir(parents=True, exist_ok=True)
    (folder / ecosystem / "all.zip").write_bytes(export(records))
    if coverage is not None:
        (folder / ecosystem / "coverage.json").write_text(json.dumps(coverage))
    return folder


def advisory(
    identity: str,
    *events: tuple[str, str],
    package: str = "openssl",
    names: tuple[str, ...] = (),
    status: str = "resolved",
    severity: Severity = Severity.UNKNOWN,
    release: str = "13",
) -> Advisory:  # fmt: skip
    """One advisory with one range of ``events``."""
    return Advisory(
        id=identity,
        names=names,
        release=release,
        package=package,
        status=status,
        severity=severity,
        ranges=(events,) if events else (),
    )


def component(name: str = "libssl3t64", version: str = "3.5.0-1", source: str = "openssl") -> Component:
    """One installed package whose source has the same version."""
    return Component(
        kind=ComponentKind.DEB,
        name=name,
        version=version,
        architecture="amd64",
        source_name=source,
        source_version=version,
        purl=f"pkg:deb/debian/{name}@{version}",
        evidence=(),
        files=1,
    )


TRIXIE = Distribution(id="debian", version="13", pretty_name="Debian GNU/Linux 13 (trixie)")


def inventory(components: Iterable[Component] = (), **changes: Any) -> Inventory:
    """A tidy inventory of trixie with ten files, two of them ELF; ``changes`` replace single fields."""
    fields: Mapping[str, Any] = {
        "distribution": TRIXIE,
        "components": tuple(components),
        "unowned_elf": (),
        "elf_files": 2,
        "files": 10,
        "notes": (),
    }
    return Inventory(**{**fields, **changes})


NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
META = DatabaseMeta(
    ecosystem="Debian",
    source="http://mirror.test/Debian/all.zip",
    etag="",
    sha256="",
    fetched=NOW - dt.timedelta(hours=5),
    newest=NOW - dt.timedelta(days=9),
    live=True,
    records=10,
    refused=0,
    advisories=10,
    releases=("12", "13"),
    size=1000,
    coverage=None,
)


class Source:
    """Vulnerability data in memory: ``advisories`` are of the ecosystem of ``meta`` (None: there is none)."""

    def __init__(
        self,
        *advisories: Advisory,
        meta: DatabaseMeta | None = META,
        signals: Mapping[str, Signal] | None = None,
    ) -> None:
        self._advisories = advisories
        self._meta = meta
        self._signals = signals or {}

    def metas(self, ecosystem: str) -> tuple[DatabaseMeta, ...]:
        meta = self._meta
        return (meta,) if meta is not None and meta.ecosystem == ecosystem else ()

    def advisories_for(
        self, ecosystem: str, releases: tuple[str, ...], packages: Iterable[str]
    ) -> tuple[Advisory, ...]:
        assert self.metas(ecosystem)
        wanted, known = set(packages), {*releases, ""}
        return tuple(one for one in self._advisories if one.package in wanted and one.release in known)

    def signals(self, cves: Iterable[str]) -> dict[str, Signal]:
        return {cve: self._signals[cve] for cve in cves if cve in self._signals}


def match(components: Iterable[Component], advisories: Iterable[Advisory]) -> tuple[Finding, ...]:
    """The findings of packages of trixie."""
    source = Source(*advisories)
    return scan_inventory(inventory(components), source, subject="x", now=NOW).findings
