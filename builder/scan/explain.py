"""Why a vulnerable package is in an image, and what takes the finding away.

Images of rootlet's carry the reason of every file (builder/plan/reasons.py): the record is kept as the files
pass by on their way to the inventory. Of other images only the places are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from builder.inventory.files import TreeFile
from builder.inventory.model import Component
from builder.plan.chain import Chains, origin
from builder.plan.contents import Place
from builder.plan.reasons import MAX_RECORD, RECORD, reasons_from_json
from builder.reason import ReasonKind
from builder.scan.model import Finding, ScanReport
from builder.sysroot import Kind

_BY_CHOICE = frozenset({ReasonKind.FEATURE, ReasonKind.KEEP, ReasonKind.LIBRARY, ReasonKind.INSTALL})
"""Reasons that are a line of the recipe which can be taken out without taking the program out."""
_NO_FIX = "no fix yet"


@dataclass(slots=True)
class RecordKeeper:
    """Keeps the record of reasons while the files of a tree pass by; one is for one tree.

    ``base`` is what the image says that it started from, "" for nothing: it brought what has no reason.
    """

    base: str = ""
    record: bytes | None = None

    def follow(self, files: Iterable[TreeFile]) -> Iterator[TreeFile]:
        """Give the same files."""
        for file in files:
            if file.path == RECORD:
                self.record = file.read(MAX_RECORD + 1) if file.kind is Kind.FILE else None
            yield file

    def explain(self, report: ScanReport) -> ScanReport:
        """The report with its findings explained. BuildError when the record is damaged."""
        if not report.findings:
            return report
        known = (
            reasons_from_json(self.record, f"{RECORD} of {report.subject}") if self.record is not None else {}
        )
        places = {
            path: Place(path=path, kind=Kind.FILE, package=one.package, reason=one.reason)
            for path, one in known.items()
        }
        base = self.base if self.record is not None else ""
        explainer = _Explainer(report.inventory.components, places, base)
        return replace(report, findings=tuple(explainer.explained(one) for one in report.findings))


class _Explainer:
    """The components and reasons of one tree; each package is looked up once."""

    def __init__(self, components: Iterable[Component], places: Mapping[str, Place], base: str) -> None:
        self._base = base
        self._components = {(one.purl, one.version): one for one in components}
        self._is_ours = bool(places)
        self._chains = Chains(places)
        self._places = places
        self._known: dict[str, tuple[Place, ...]] = {}

    def explained(self, finding: Finding) -> Finding:
        component = self._components.get((finding.purl, finding.version))
        chain = self._chain(finding, component)
        evidence = component.evidence[0] if component is not None and component.evidence else ""
        first = origin(chain)
        if not first and self._base:
            because: tuple[str, ...] = (f"the base {self._base}",)
        else:
            because = (first, *(one.path for one in chain)) if first else ()
        return replace(
            finding,
            place=chain[-1].path if chain else evidence,
            because=because,
            mend=_mend(finding, component, chain, is_ours=self._is_ours, base=self._base),
        )

    def _chain(self, finding: Finding, component: Component | None) -> tuple[Place, ...]:
        if not self._is_ours:
            return ()
        owner = finding.package if component is None or component.kind.is_system else component.owner
        if owner:
            if owner not in self._known:
                speaker = self._chains.spokesman(owner)
                self._known[owner] = self._chains.of(speaker.path) if speaker is not None else ()
            return self._known[owner]
        evidence = component.evidence if component is not None else ()
        there = next((path for path in evidence if path in self._places), None)
        return self._chains.of(there) if there is not None else ()


def _mend(
    finding: Finding, component: Component | None, chain: tuple[Place, ...], *, is_ours: bool, base: str
) -> str:
    is_system = component is None or component.kind.is_system
    if finding.fixed:
        if not is_system:
            return f"update {finding.package} to {finding.fixed}"
        if base and not chain:
            return f"take a newer base, or name {finding.package} in the recipe to have {finding.fixed}"
        if is_ours:
            return f"rebuild: {finding.source_name} {finding.fixed} has the fix"
        return f"take a newer base, or upgrade {finding.package} to {finding.fixed}"
    reason = chain[0].reason if chain else None
    if reason is not None and reason.kind in _BY_CHOICE:
        return f"{_NO_FIX}; without {origin(chain)} the package would not be there"
    return _NO_FIX
