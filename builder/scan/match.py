"""Inventory and advisories to findings. Pure. Rules D1, D2, D5 to D9, O1 and X1 of this room."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from builder.dpkg.version import version_key
from builder.inventory.model import Component, Distribution, Inventory
from builder.scan.model import Advisory, DatabaseMeta, DatabaseSummary, Finding, ScanReport

ECOSYSTEMS: Mapping[str, str] = {"debian": "Debian"}
"""os-release ID → OSV ecosystem. A derivative has versions of its own: it is not matched as its parent."""

_CLOCK_SKEW = 86400
_SHOWN = 5
_NUMBERS = re.compile(r"([0-9]+)")
_LOWEST = "0"


class AdvisorySource(Protocol):
    """Vulnerability data: :class:`builder.scan.database.Database`, or a test's own."""

    def meta(self, ecosystem: str) -> DatabaseMeta | None:
        """Where the data of ``ecosystem`` comes from; None when there is none."""

    def advisories_for(self, ecosystem: str, release: str, packages: Iterable[str]) -> tuple[Advisory, ...]:
        """Give every advisory of these source packages in ``release``."""


def scan_inventory(
    inventory: Inventory, source: AdvisorySource, *, subject: str, now: dt.datetime
) -> ScanReport:
    """Match an inventory with vulnerability data. ``now`` (UTC) dates the data; nothing is raised.

    What could not be judged is said in ``unscannable``: a report without findings is clean only when that
    is empty.
    """
    distribution = inventory.distribution
    ecosystem = ECOSYSTEMS.get(distribution.id, "") if distribution is not None else ""
    meta = source.meta(ecosystem) if ecosystem else None
    advisories: tuple[Advisory, ...] = ()
    if distribution is not None and meta is not None:
        names = sorted({component.source_name for component in inventory.components})
        advisories = source.advisories_for(ecosystem, release_of(distribution), names)
    return ScanReport(
        subject=subject,
        inventory=inventory,
        findings=match(inventory.components, advisories),
        database=_summary(meta, now) if meta is not None else None,
        unscannable=(*_tree_gaps(inventory), *_data_gaps(inventory, meta, now)),
    )


def release_of(distribution: Distribution) -> str:
    """Give the release as the ecosystem writes it: Debian's major number (rule D4)."""
    return distribution.version.partition(".")[0]


def match(components: Iterable[Component], advisories: Iterable[Advisory]) -> tuple[Finding, ...]:
    """Every vulnerability of every component, each once, worst first (then by id, package, architecture)."""
    by_source: dict[str, list[Advisory]] = {}
    for advisory in advisories:
        by_source.setdefault(advisory.package, []).append(advisory)
    groups = {name: _groups(rows) for name, rows in by_source.items()}
    findings = (
        finding
        for component in components
        for identity, rows in groups.get(component.source_name, {}).items()
        if (finding := _finding(component, identity, rows)) is not None
    )
    return tuple(sorted(findings, key=_order))


def affects(advisory: Advisory, version: str) -> bool:
    """Whether ``version`` is one that the advisory speaks of (OSV schema, "Evaluation")."""
    return version in advisory.versions or any(_inside(events, version) for events in advisory.ranges)


def fixed_in(advisory: Advisory, version: str) -> str:
    """Give the lowest version above ``version`` that mends it, "" when none is known."""
    here = version_key(version)
    later = [
        fixed
        for events in advisory.ranges
        for kind, fixed in events
        if kind == "fixed" and version_key(fixed) > here
    ]
    return min(later, key=version_key, default="")


def _inside(events: Sequence[tuple[str, str]], version: str) -> bool:
    here = version_key(version)
    match events:
        case (("introduced", "0"), ("fixed", at)):  # nearly all of them
            return here < version_key(at)
    inside = False
    for kind, at in sorted(events, key=_event_order):
        if kind == "introduced":
            inside = inside or at == _LOWEST or here >= version_key(at)
        elif here > version_key(at) or (kind == "fixed" and here == version_key(at)):
            inside = False
    return inside


def _event_order(event: tuple[str, str]) -> tuple[bool, object, bool]:
    # "introduced 0" is below every version, "0~rc1" included; at one version a fix comes before a new hole.
    kind, at = event
    return (not (kind == "introduced" and at == _LOWEST), version_key(at), kind == "introduced")


def _groups(rows: Iterable[Advisory]) -> dict[str, list[Advisory]]:
    """Advisories of one package by the vulnerability they speak of: aliases are merged (O1)."""
    groups: dict[str, list[Advisory]] = {}
    for row in rows:
        for identity in _identities(row):
            groups.setdefault(identity, []).append(row)
    return {identity: _decisive_release(group) for identity, group in groups.items()}


def _identities(row: Advisory) -> tuple[str, ...]:
    own = row.id.removeprefix("DEBIAN-")
    cves = tuple(name for name in (own, *row.names) if name.startswith("CVE-"))
    return tuple(dict.fromkeys(cves)) or (min((own, *row.names)),)


def _decisive_release(group: list[Advisory]) -> list[Advisory]:
    # A record that names no release speaks for those that have no word of their own.
    return [row for row in group if row.release] or group


def _finding(component: Component, identity: str, rows: list[Advisory]) -> Finding | None:
    version = component.source_version
    hits = [row for row in _decisive(rows) if affects(row, version)]
    if not hits:
        return None
    notes = [row for row in rows if not _is_order(row)] or hits
    return Finding(
        id=identity,
        aliases=_aliases(identity, rows),
        package=component.name,
        version=component.version,
        architecture=component.architecture,
        purl=component.purl,
        source_name=component.source_name,
        source_version=version,
        fixed=max((fixed_in(row, version) for row in hits), key=version_key),
        status=notes[0].status,
        severity=max(row.severity for row in rows),
        summary=next((row.summary for row in rows if row.summary), ""),
    )


def _decisive(rows: list[Advisory]) -> list[Advisory]:
    """Let a DSA or DLA override the tracker's note on the CVE; of several the highest fix counts (D7)."""
    orders = [row for row in rows if _is_order(row)]
    if not orders:
        return rows
    return [
        max(orders, key=lambda row: max((version_key(at) for at in _fixes(row)), default=version_key("0~")))
    ]


def _is_order(row: Advisory) -> bool:
    return row.id.startswith(("DSA-", "DLA-"))


def _fixes(row: Advisory) -> list[str]:
    return [at for events in row.ranges for kind, at in events if kind == "fixed"]


def _aliases(identity: str, rows: Iterable[Advisory]) -> tuple[str, ...]:
    # A DSA names many CVEs: they are its contents, not other names of this one.
    names = {row.id for row in rows}
    for row in rows:
        if len(_identities(row)) == 1:
            names.update(row.names)
    return tuple(sorted(names - {identity}))


def _order(finding: Finding) -> tuple[int, list[tuple[int, str]], str, str, str]:
    return (-finding.severity, natural(finding.id), finding.package, finding.architecture, finding.version)


def natural(identity: str) -> list[tuple[int, str]]:
    """Make a key that sorts CVE-2024-999 before CVE-2024-10000."""
    return [(len(part) if part.isdecimal() else 0, part) for part in _NUMBERS.split(identity)]


def _tree_gaps(inventory: Inventory) -> tuple[str, ...]:
    gaps = [*inventory.notes]
    if not inventory.files:
        gaps.append("the tree holds no file at all")
    if inventory.elf_files and not inventory.components:
        gaps.append(f"no package is recorded, but there are {_counted(inventory.elf_files, 'ELF file')}")
    elif inventory.unowned_elf:
        count = _counted(len(inventory.unowned_elf), "ELF file")
        gaps.append(f"no package owns {count}: {_some(inventory.unowned_elf)}")
    return tuple(gaps)


def _data_gaps(inventory: Inventory, meta: DatabaseMeta | None, now: dt.datetime) -> tuple[str, ...]:
    distribution = inventory.distribution
    if distribution is None:
        wanting = inventory.components or inventory.elf_files
        return ("no distribution: neither os-release nor debian_version says which",) if wanting else ()
    if meta is None:
        return (f"there is no vulnerability data for {distribution}",)
    gaps: list[str] = []
    if release_of(distribution) not in meta.releases:
        gaps.append(f"the vulnerability data of {meta.source} says nothing of {distribution}")
    if (now - meta.date).total_seconds() < -_CLOCK_SKEW:
        gaps.append(
            f"the vulnerability data is dated in the future ({meta.date:%Y-%m-%d}): its age is unknown"
        )
    if meta.coverage is not None:
        outside = sorted({one.source_name for one in inventory.components} - meta.coverage)
        if outside:
            count = _counted(len(outside), "source package")
            gaps.append(f"the vulnerability data is a partial cut without {count}: {_some(outside)}")
    return tuple(gaps)


def _summary(meta: DatabaseMeta, now: dt.datetime) -> DatabaseSummary:
    return DatabaseSummary(
        ecosystem=meta.ecosystem,
        source=meta.source,
        date=meta.date,
        age=max(0, int((now - meta.date).total_seconds())),
        records=meta.records,
        refused=meta.refused,
        partial=meta.coverage is not None,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
