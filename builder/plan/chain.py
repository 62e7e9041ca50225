"""Chains of reasons: from what the recipe says to one path of an image. Pure.

A record of reasons may be hostile: cycles end, chains are cut after ``MAX_STEPS`` paths, and all work is
linear in the number of paths.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.plan.contents import Contents, Place
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind

MAX_STEPS = 200
"""Paths of the longest chain that is followed; real ones have fewer than twenty."""

_OF_A_PACKAGE = frozenset(
    {ReasonKind.METADATA, ReasonKind.COPYRIGHT, ReasonKind.CONFIGURED, ReasonKind.RULE, ReasonKind.DLOPEN}
)
"""Reasons that speak of a package in the image, which is there for a reason of its own."""
_OF_A_FILE = frozenset(
    {
        *(ReasonKind.NEEDED, ReasonKind.INTERPRETER, ReasonKind.SHEBANG, ReasonKind.PARENT),
        *(ReasonKind.LINK, ReasonKind.LINK_TARGET, ReasonKind.RULE, ReasonKind.DLOPEN),
    }
)
"""Reasons that speak of another path of the image."""
_WORDS: Mapping[ReasonKind, str] = {
    ReasonKind.ENTRYPOINT: "the recipe's {subject}",
    ReasonKind.PAYLOAD: 'the recipe\'s packages = ["{subject}"]',
    ReasonKind.SAME_SOURCE: 'the recipe\'s packages = ["{subject}"]',
    ReasonKind.SETTINGS: 'the recipe\'s packages = ["{subject}"]',
    ReasonKind.LIBRARY: 'the recipe\'s [runtime] libraries = ["{subject}"]',
    ReasonKind.KEEP: 'the recipe\'s [runtime] keep = ["{subject}"]',
    ReasonKind.FEATURE: 'the recipe\'s [runtime] features = ["{subject}"]',
    ReasonKind.INSTALL: "the recipe's [[install]] of {subject}",
    ReasonKind.RECIPE: "the recipe's {subject}",
    ReasonKind.SYSTEM: "rootlet: what every image has",
    ReasonKind.ACCOUNTS: "rootlet: what every image has",
    ReasonKind.CACHE: "rootlet: what every image has that loads shared objects",
    ReasonKind.BASE: "the recipe's [image] base = {subject}",
}
_LOST = "rootlet: no more is written down about {subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One path and why it is there.

    ``links`` were crossed from the path that was asked for to ``place``. ``chain`` starts at the path that
    the recipe or rootlet asks for and ends at ``place``; it is ``place`` alone where no reasons are known.
    """

    place: Place
    links: tuple[Place, ...] = ()
    chain: tuple[Place, ...]


class Chains:
    """The chains of one image; what they share is found once."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places

    def explanation(self, place: Place, links: Iterable[str]) -> Explanation:
        """Why ``place`` is there, to which the paths of ``links`` led."""
        crossed = tuple(self._places[link] for link in links if link in self._places)
        return Explanation(place=place, links=crossed, chain=self.of(place.path))

    def of(self, path: str) -> tuple[Place, ...]:
        """The paths from the first one, which no other path asked for, to ``path``.

        A record that contradicts itself (a cycle, a subject that is not there) ends the chain early.
        """
        steps: list[Place] = []
        seen: set[str] = set()
        here = self._places.get(path)
        while here is not None and here.path not in seen and len(steps) < MAX_STEPS:
            seen.add(here.path)
            steps.append(here)
            here = self._asked_by(here)
        return tuple(reversed(steps))

    def spokesman(self, package: str) -> Place | None:
        """The file for whose sake ``package`` is in the image: the one with the shortest chain of files.

        A file that is there for no other reason than the package itself speaks only when no other can.
        """
        return self._spokesmen.get(package)

    @functools.cached_property
    def _spokesmen(self) -> Mapping[str, Place]:
        lengths = _lengths(self._places)
        found: dict[str, tuple[tuple[bool, int, str], Place]] = {}
        for place in self._places.values():
            if place.package and place.kind is not Kind.DIRECTORY and place.reason is not None:
                rank = (_speaks_of_a_package(place.reason), lengths[place.path], place.path)
                if place.package not in found or rank < found[place.package][0]:
                    found[place.package] = (rank, place)
        return {package: place for package, (_, place) in found.items()}

    def _asked_by(self, place: Place) -> Place | None:
        file = _file_of(place, self._places)
        reason = place.reason
        if file is not None or reason is None or not _speaks_of_a_package(reason):
            return file
        return self.spokesman(reason.subject)


def explain(contents: Contents, chains: Chains, path: str) -> tuple[Explanation, ...]:
    """Why ``path`` is there; for a link, then why what it leads to is. Empty when nothing is there."""
    place = contents.find(path)
    if place is None:
        return ()
    tree = contents.tree
    folder = tree.lookup(path.rstrip("/").rpartition("/")[0] or "/")
    found = [chains.explanation(place, (node.path for node in folder.links))]
    if place.kind is Kind.SYMLINK:
        led = tree.lookup(place.path)
        target = contents.places.get(led.path) if led.node is not None else None
        if target is not None:
            found.append(chains.explanation(target, (node.path for node in led.links)))
    return tuple(found)


def origin(chain: tuple[Place, ...]) -> str:
    """What asked for the first path of a chain, in words; "" where nobody knows."""
    reason = chain[0].reason if chain else None
    if reason is None:
        return ""
    if reason.kind is ReasonKind.RULE and "=" in reason.subject:
        return f"the recipe's [config] env {reason.subject}"
    return _WORDS.get(reason.kind, _LOST).replace("{subject}", reason.subject)


def _file_of(place: Place, places: Mapping[str, Place]) -> Place | None:
    """The other path that ``place`` is there for."""
    reason = place.reason
    if reason is None or reason.kind not in _OF_A_FILE or not reason.subject.startswith("/"):
        return None
    return places.get(reason.subject)


def _speaks_of_a_package(reason: Reason) -> bool:
    return reason.kind in _OF_A_PACKAGE and not reason.subject.startswith("/")


def _lengths(places: Mapping[str, Place]) -> dict[str, int]:
    """How many files each path's chain has, up to the first that no file asked for."""
    lengths: dict[str, int] = {}
    for start in places.values():
        climbed: dict[str, None] = {}
        here: Place | None = start
        while here is not None and here.path not in lengths and here.path not in climbed:
            climbed[here.path] = None
            here = _file_of(here, places)
        length = lengths.get(here.path, 0) if here is not None else 0
        for path in reversed(climbed):
            length += 1
            lengths[path] = length
    return lengths
