"""OSV records, exports and advisories for tests."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.recipe.model import Severity
from builder.scan.model import Advisory

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


def export(records: Iterable[object]) -> bytes:
    """An ``all.zip``; members that are bytes go in as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, one in enumerate(records):
            archive.writestr(f"{number}.json", one if isinstance(one, bytes) else json.dumps(one))
    return stream.getvalue()


def write_export(folder: Path, records: Iterable[object], coverage: object = None) -> Path:
    """``folder/Debian/all.zip``, with a ``coverage.json`` where one is given; gives ``folder``."""
    (folder / "Debian").mkdir(parents=True, exist_ok=True)
    (folder / "Debian/all.zip").write_bytes(export(records))
    if coverage is not None:
        (folder / "Debian/coverage.json").write_text(json.dumps(coverage))
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
