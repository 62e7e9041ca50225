"""What is in an image, built or planned, by rootlet or by others: every path with what is known of it."""

from __future__ import annotations

import difflib
import os.path
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.inventory.purl import component_purl
from builder.plan.model import ImagePlan, PlannedPackage
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind, Node, Sysroot, glob_pattern

_MANY = 20_000
"""Names that are compared letter by letter for the nearest one; among more only equal names are."""
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One path. ``reason`` is None where nobody has written it down, ``package`` "" where none is known.

    ``size`` in bytes, 0 for folders, links and second names. ``layer`` is an index of ``Contents.layers``.
    """

    path: str
    kind: Kind
    size: int = 0
    target: str = ""
    package: str = ""
    reason: Reason | None = None
    layer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """A layer as it lies: ``digest`` of its blob (of its tar in a docker-archive, which has no blobs).

    ``size`` in bytes as it lies. Both are "" and None for a layer that is not written yet.
    """

    digest: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """An image by path. ``subject`` is how it was named; ``layers`` lowest first, empty for a root folder.

    ``recorded`` says whether its reasons are known: rootlet made it, or would. ``tree`` has the same paths
    and follows links; it has no bytes.
    """

    subject: str
    places: Mapping[str, Place]
    layers: tuple[LayerFacts, ...]
    inventory: Inventory
    recorded: bool
    tree: Sysroot
    listed: Mapping[str, str]
    """Paths that were asked for when it was read and that a file list names: path → package."""

    def component(self, package: str) -> Component | None:
        """The package of this name that is installed in it."""
        return next((one for one in self.inventory.components if one.name == package), None)

    def find(self, path: str) -> Place | None:
        """What is at ``path``: links are followed in its folder, not in its last name."""
        node = self.tree.lookup_exact(path)
        return self.places.get(node.path) if node is not None else None

    def glob(self, pattern: str) -> tuple[Place, ...]:
        """The paths that ``pattern`` matches, sorted: ``**`` crosses folders; ``*`` and ``?`` do not."""
        matches = glob_pattern(pattern).fullmatch
        return tuple(self.places[path] for path in sorted(self.places) if matches(path))

    def below(self, folder: str) -> Iterator[Place]:
        """Everything inside ``folder`` and its folders."""
        prefix = f"{folder.rstrip('/')}/"
        return (place for path, place in self.places.items() if path.startswith(prefix) and path != prefix)

    def of_package(self, package: str) -> tuple[Place, ...]:
        """The files and links that ``package`` owns, sorted."""
        owned = (place for place in self.places.values() if place.package == package)
        return tuple(sorted((one for one in owned if one.kind is not Kind.DIRECTORY), key=_path_of))


def make_contents(
    subject: str,
    places: Iterable[Place],
    inventory: Inventory,
    *,
    layers: tuple[LayerFacts, ...],
    recorded: bool,
    listed: Mapping[str, str] | None = None,
) -> Contents:
    """Contents with their tree."""
    by_path = {place.path: place for place in places}
    nodes = (_node(place) for place in by_path.values())
    return Contents(
        subject=subject,
        places=by_path,
        layers=layers,
        inventory=inventory,
        recorded=recorded,
        tree=Sysroot(nodes),
        listed=listed or {},
    )


def planned_contents(plan: ImagePlan, *, subject: str, ground: Sysroot | None = None) -> Contents:
    """What an image of ``plan`` would hold. ``ground``: the files of its base, its lowest layer."""
    first = int(ground is not None)
    own = (
        Place(
            path=entry.path,
            kind=entry.kind,
            size=entry.size,
            target=entry.target,
            package=entry.package,
            reason=entry.reason,
            layer=number,
        )
        for number, layer in enumerate(plan.layers, first)
        for entry in layer.entries
    )
    reason = Reason(ReasonKind.BASE, plan.base.words if plan.base is not None else "")
    below = (_below(node, reason) for node in ground) if ground is not None else iter(())
    layers = tuple(LayerFacts() for _ in range(first + len(plan.layers)))
    return make_contents(subject, (*below, *own), _inventory(plan), layers=layers, recorded=True)


def _below(node: Node, reason: Reason) -> Place:
    return Place(
        path=node.path,
        kind=node.kind,
        size=node.content.size if node.content is not None and not node.hardlink else 0,
        target=node.target,
        package=node.package,
        reason=reason,
    )


def is_glob(path: str) -> bool:
    """Whether ``path`` has a letter that means more than itself in a pattern."""
    return not _WILD.isdisjoint(path)


def nearest(path: str, places: Iterable[str]) -> tuple[str, ...]:
    """Up to three of ``places`` that someone who asked for ``path`` may have meant, best first."""
    name = path.rstrip("/").rpartition("/")[2]
    by_name: dict[str, str] = {}
    for place in sorted(places):
        last = place.rpartition("/")[2]
        if last not in by_name or _shared(place, path) > _shared(by_name[last], path):
            by_name[last] = place
    if name in by_name:
        return (by_name[name],)
    if not name or len(by_name) > _MANY:
        return ()
    return tuple(by_name[close] for close in difflib.get_close_matches(name, by_name, n=3, cutoff=0.75))


def _shared(one: str, other: str) -> int:
    return len(os.path.commonpath((one, other)))


def _node(place: Place) -> Node:
    return Node(path=place.path, kind=place.kind, mode=0, target=place.target, package=place.package)


def _path_of(place: Place) -> str:
    return place.path


def _inventory(plan: ImagePlan) -> Inventory:
    name, _, version = plan.distribution.rpartition("-")
    distribution = (
        Distribution(id=name or version, version=version if name else "", pretty_name=plan.distribution)
        if plan.distribution
        else None
    )
    return Inventory(
        distribution=distribution,
        components=tuple(_component(package, distribution) for package in plan.packages),
        unowned_elf=(),
        elf_files=0,
        files=sum(entry.kind is Kind.FILE for layer in plan.layers for entry in layer.entries),
        notes=(),
    )


def _component(package: PlannedPackage, distribution: Distribution | None) -> Component:
    component = Component(
        kind=ComponentKind.DEB,
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        source_name=package.source_name,
        source_version=package.source_version,
        purl="",
        evidence=(),
        files=package.files,
    )
    return replace(component, purl=component_purl(component, distribution))
