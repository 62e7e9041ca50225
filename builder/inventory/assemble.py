"""What was read of a tree → its inventory: who owns what, and which answers count.

Rules D3, D4, G2, P1, P2, X1 and X2 of builder/scan/__init__.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from builder.inventory.doubles import Doubles
from builder.inventory.found import Package
from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.inventory.osrelease import contradiction, distribution_of
from builder.inventory.ownership import Ownership
from builder.inventory.purl import component_purl
from builder.inventory.system import SystemPackage, system_packages
from builder.inventory.tree import DEBIAN_VERSION, OS_RELEASE, Answer, Tree

_MAX_NOTES = 100
_KINDS = {kind: number for number, kind in enumerate(ComponentKind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    """One package in one place."""

    package: Package
    evidence: tuple[str, ...]
    layer: int | None
    files: int = 0
    owner: str = ""


def assemble(tree: Tree, owners: dict[str, str] | None = None) -> Inventory:
    """Make the inventory; fills ``owners`` (path → package) where it is given.

    Several packages may list one path; then the last one has it.
    """
    os_release = next((tree.kept[path] for path in OS_RELEASE if path in tree.kept), None)
    distribution = distribution_of(os_release, tree.kept.get(DEBIAN_VERSION))
    installed, notes = system_packages(tree)
    ownership = Ownership(tree, installed)
    answers = list(_counting(tree, installed, distribution))
    others, other_notes = _others(answers, ownership, Doubles(installed))
    sightings = [*(_system(one, ownership) for one in installed), *others]
    if owners is not None:
        owners.update(ownership.names())
    doubt = contradiction(distribution, tree.kept.get(DEBIAN_VERSION))
    return Inventory(
        distribution=distribution,
        components=_components(sightings, distribution),
        unowned_elf=tuple(sorted(_unowned(tree, answers, ownership))),
        elf_files=len(tree.elf),
        files=len(tree.regular),
        notes=_notes([*tree.notes, *notes, *other_notes], doubt),
    )


def _counting(
    tree: Tree, installed: Iterable[SystemPackage], distribution: Distribution | None
) -> Iterator[Answer]:
    """Give the answers that count: lock files do in a folder that is no root file system."""
    source_folder = distribution is None and not any(installed)
    answers = [one for several in tree.answers.values() for one in several if source_folder or not one.lock]
    superfluous = {path for one in answers for path in one.found.instead_of}
    return (one for one in answers if one.path not in superfluous)


def _system(one: SystemPackage, ownership: Ownership) -> _Sighting:
    return _Sighting(
        package=one.package,
        evidence=one.evidence,
        layer=one.layer,
        files=ownership.files_of(one),
    )


def _others(
    answers: Iterable[Answer], ownership: Ownership, doubles: Doubles
) -> tuple[list[_Sighting], list[str]]:
    """Everything that is no entry of a system database, without what the distribution answers for."""
    sightings: list[_Sighting] = []
    notes: list[str] = []
    for answer in answers:
        owner = ownership.owner_of(answer.path)
        answered = owner is not None and owner.is_vendored(answer.path)
        if not answered and not answer.found.owned:
            notes += (f"{answer.path}: {note}" for note in answer.found.notes)
        for package in answer.found.packages if not answer.found.owned else ():
            owned = owner is not None and (answered or package.program or package.origin)
            if not owned and not doubles.has(package, answer.path):
                name = owner.package.name if owner is not None else ""
                sightings.append(
                    _Sighting(package=package, evidence=(answer.path,), layer=answer.layer, owner=name)
                )
    return sightings, notes


def _unowned(tree: Tree, answers: Iterable[Answer], ownership: Ownership) -> Iterator[str]:
    """ELF files of nobody: in no file list, brought along by no package, and not saying what they are."""
    claimed = {path for answer in answers for path in answer.found.claims}
    speaking = {
        answer.path
        for answer in answers
        if any(one.kind is not ComponentKind.GENERIC for one in answer.found.packages)
    }
    for path in tree.elf:
        known = ownership.owner_of(path) is not None or path in speaking or path in claimed
        if not known and not _is_below(path, claimed):
            yield path


def _is_below(path: str, claimed: set[str]) -> bool:
    at = path.rfind("/")
    while at > 0:
        if path[: at + 1] in claimed:
            return True
        at = path.rfind("/", 0, at)
    return False


def _components(sightings: Iterable[_Sighting], distribution: Distribution | None) -> tuple[Component, ...]:
    """Make one component of all places of a package."""
    groups: dict[tuple[object, ...], list[_Sighting]] = {}
    for one in sightings:
        package = one.package
        key = (package.kind, package.name, package.version, package.architecture)
        source = (package.source_name, package.source_version) if package.kind.is_system else None
        groups.setdefault((*key, source, package.modularity), []).append(one)
    made = (_component(group, distribution) for group in groups.values())
    return tuple(sorted(made, key=_order))


def _component(group: list[_Sighting], distribution: Distribution | None) -> Component:
    first = group[0].package
    layers = [one.layer for one in group if one.layer is not None]
    # Places of one package in order, those of several too: the order of the tree means nothing.
    evidence = (path for one in sorted(group, key=lambda one: one.evidence) for path in one.evidence)
    component = Component(
        kind=first.kind,
        name=first.name,
        version=first.version,
        architecture=first.architecture,
        source_name=first.source_name or first.name,
        source_version=first.source_version or first.version,
        purl="",
        evidence=tuple(dict.fromkeys(evidence)),
        files=max(one.files for one in group),
        modularity=first.modularity,
        layer=min(layers, default=None),
        development=all(one.package.development for one in group),
        claimed=all(one.package.claimed for one in group),
        owner=next((one.owner for one in sorted(group, key=lambda one: one.owner) if one.owner), ""),
    )
    return replace(component, purl=component_purl(component, distribution, first.namespace))


def _order(component: Component) -> tuple[object, ...]:
    return (
        _KINDS[component.kind],
        component.name,
        component.version,
        component.architecture,
        component.source_version,
        component.evidence,
    )


def _notes(notes: Iterable[str], doubt: str | None) -> tuple[str, ...]:
    each = sorted(notes)
    if doubt is not None:
        each.insert(0, doubt)
    if len(each) > _MAX_NOTES:
        each[_MAX_NOTES:] = [f"and {len(each) - _MAX_NOTES} more of the same kinds"]
    return tuple(each)
