"""Inventory and advisories to findings. Pure. What one version of one package comes to is in holes.py."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from builder.inventory.model import Component, Distribution, Inventory
from builder.scan.ecosystems import Target, ecosystem_of, target_of
from builder.scan.gaps import data_gaps, incomparable, tree_gaps
from builder.scan.holes import Hole, Sought, holes_of
from builder.scan.lifetimes import end_of_support
from builder.scan.merge import groups
from builder.scan.model import Advisory, DatabaseMeta, DatabaseSummary, Finding, ScanReport, Signal

_NUMBERS = re.compile(r"([0-9]+)")

Rows = Mapping[str, Mapping[str, list[Advisory]]]
"""Package → vulnerability → advisories."""
Doubt = tuple[str, str, str]
"""Package, version and the advisory that it cannot be compared with."""


class AdvisorySource(Protocol):
    """Vulnerability data: :class:`builder.scan.database.Database`, or a test's own."""

    def metas(self, ecosystem: str) -> tuple[DatabaseMeta, ...]:
        """Where the data of ``ecosystem`` comes from; () when there is none."""

    def advisories_for(
        self, ecosystem: str, releases: tuple[str, ...], packages: Iterable[str]
    ) -> tuple[Advisory, ...]:
        """Give every advisory of these packages in ``releases``, and those that name no release."""

    def signals(self, cves: Iterable[str]) -> Mapping[str, Signal]:
        """What is known of exploits of these CVEs."""


def scan_inventory(
    inventory: Inventory, source: AdvisorySource, *, subject: str, now: dt.datetime
) -> ScanReport:
    """Match an inventory with vulnerability data. ``now`` (UTC) dates the data; nothing is raised.

    What could not be judged is said in ``unscannable``: a report without findings is clean only when that
    is empty.
    """
    targets = {one: target_of(one, inventory.distribution) for one in inventory.components}
    metas = {name: source.metas(name) for name in _wanted(inventory.distribution, targets)}
    doubts: list[Doubt] = []
    findings = tuple(_findings(targets, _look_up(targets, source, metas), doubts))
    return ScanReport(
        subject=subject,
        inventory=inventory,
        findings=_signalled(tuple(sorted(findings, key=_order)), source),
        databases=tuple(_summary(meta, now) for found in metas.values() for meta in found),
        unscannable=(
            *tree_gaps(inventory),
            *data_gaps(inventory, targets, metas, now),
            *incomparable(doubts),
        ),
        supported_until=end_of_support(inventory.distribution) if inventory.distribution else None,
    )


def _wanted(distribution: Distribution | None, targets: Mapping[Component, Target | None]) -> list[str]:
    system = ecosystem_of(distribution) if distribution is not None else None
    names = [] if system is None else [system[0].name]
    names += sorted({target.ecosystem.name for target in targets.values() if target is not None})
    return list(dict.fromkeys(names))


def _look_up(
    targets: Mapping[Component, Target | None],
    source: AdvisorySource,
    metas: Mapping[str, tuple[DatabaseMeta, ...]],
) -> dict[str, Rows]:
    """For each ecosystem everything that is said of the packages that are there."""
    wanted: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for target in targets.values():
        if target is not None and metas[target.ecosystem.name]:
            names = wanted.setdefault((target.ecosystem.name, target.releases), set())
            names.update(name for name, _ in target.names)
    found: dict[str, Rows] = {}
    for (ecosystem, releases), names in wanted.items():
        by_package: dict[str, list[Advisory]] = {}
        for row in source.advisories_for(ecosystem, releases, sorted(names)):
            by_package.setdefault(row.package, []).append(row)
        found[ecosystem] = {name: groups(rows) for name, rows in by_package.items()}
    return found


def _findings(
    targets: Mapping[Component, Target | None], rows: Mapping[str, Rows], doubts: list[Doubt]
) -> Iterator[Finding]:
    known: dict[Sought, tuple[Hole, ...]] = {}  # packages of one source have the same holes
    for component, target in targets.items():
        if target is None or target.ecosystem.name not in rows:
            continue
        seen: set[str] = set()
        for name, version in target.names:
            sought = Sought(target.ecosystem, name, version, component.modularity)
            if sought not in known:
                known[sought] = tuple(holes_of(sought, rows[target.ecosystem.name].get(name, {})))
            for hole in known[sought]:
                if hole.doubt:
                    doubts.append((component.name, version, hole.doubt))
                elif hole.id not in seen:  # a package has a vulnerability once, under whichever name
                    seen.add(hole.id)
                    yield _finding(component, sought, hole)


def _finding(component: Component, sought: Sought, hole: Hole) -> Finding:
    return Finding(
        id=hole.id,
        aliases=hole.aliases,
        ecosystem=sought.ecosystem.name,
        package=component.name,
        version=component.version,
        architecture=component.architecture,
        purl=component.purl,
        source_name=component.source_name,
        source_version=sought.version,
        fixed=hole.fixed,
        status=hole.status,
        severity=hole.severity,
        score=hole.score,
        vector=hole.vector,
        summary=hole.summary,
    )


def _signalled(findings: tuple[Finding, ...], source: AdvisorySource) -> tuple[Finding, ...]:
    signals = source.signals(cve for finding in findings for cve in _cves(finding))
    return tuple(_with_signals(finding, signals) for finding in findings) if signals else findings


def _cves(finding: Finding) -> list[str]:
    return [one for one in (finding.id, *finding.aliases) if one.startswith("CVE-")]


def _with_signals(finding: Finding, signals: Mapping[str, Signal]) -> Finding:
    found = [signals[cve] for cve in _cves(finding) if cve in signals]
    scores = [signal.epss for signal in found if signal.epss is not None]
    if not found:
        return finding
    return replace(finding, kev=any(signal.kev for signal in found), epss=max(scores, default=None))


def _order(finding: Finding) -> tuple[int, tuple[tuple[int, str], ...], str, str, str]:
    return (-finding.severity, natural(finding.id), finding.package, finding.architecture, finding.version)


@functools.lru_cache(maxsize=65536)
def natural(identity: str) -> tuple[tuple[int, str], ...]:
    """Make a key that sorts CVE-2024-999 before CVE-2024-10000."""
    return tuple((len(part) if part.isdecimal() else 0, part) for part in _NUMBERS.split(identity))


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
