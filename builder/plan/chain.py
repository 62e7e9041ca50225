"""Chains of reasons: from what the recipe says to one path of an image. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.plan.contents import Contents, Place
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind

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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One path and why it is there.

    ``links`` were crossed from the path that was asked for to ``place``. ``chain`` starts at the path that
    the recipe or rootlet asks for and ends at ``place``; it is ``place`` alone where no reasons are known.
    """

    place: Place
    links: tuple[Place, ...] = ()
    chain: tuple[Place, ...]


def explain(contents: Contents, path: str) -> tuple[Explanation, ...]:
    """Why ``path`` is there; for a link, then why what it leads to is. Empty when nothing is there."""
    place = contents.find(path)
    if place is None:
        return ()
    folder = contents.tree.lookup(path.rstrip("/").rpartition("/")[0] or "/")
    found = [_explanation(contents, place, (node.path for node in folder.links))]
    if place.kind is Kind.SYMLINK:
        led = contents.tree.lookup(place.path)
        target = contents.places.get(led.path) if led.node is not None else None
        if target is not None:
            found.append(_explanation(contents, target, (node.path for node in led.links)))
    return tuple(found)


def _explanation(contents: Contents, place: Place, links: Iterable[str]) -> Explanation:
    crossed = tuple(contents.places[link] for link in links if link in contents.places)
    return Explanation(place=place, links=crossed, chain=chain(place.path, contents.places))


def chain(path: str, places: Mapping[str, Place]) -> tuple[Place, ...]:
    """The paths from the first one, which no other path asked for, to ``path``.

    A record that contradicts itself (a cycle, a subject that is not there) ends the chain early.
    """
    steps: list[Place] = []
    seen: set[str] = set()
    here = places.get(path)
    while here is not None and here.path not in seen:
        seen.add(here.path)
        steps.append(here)
        here = _asked_by(here, places)
    return tuple(reversed(steps))


def origin(chain: tuple[Place, ...]) -> str:
    """What asked for the first path of a chain, in words; "" where nobody knows."""
    reason = chain[0].reason if chain else None
    if reason is None:
        return ""
    return _WORDS.get(reason.kind, "rootlet: {subject}").replace("{subject}", reason.subject)


def _asked_by(place: Place, places: Mapping[str, Place]) -> Place | None:
    reason = place.reason
    if reason is None:
        return None
    if reason.kind in _OF_A_FILE and reason.subject.startswith("/"):
        return places.get(reason.subject)
    if reason.kind in _OF_A_PACKAGE:
        return spokesman(reason.subject, places)
    return None


def spokesman(package: str, places: Mapping[str, Place]) -> Place | None:
    """The file for whose sake ``package`` is in the image: the one with the shortest chain.

    Chains that lead through packages are not followed here, so that two packages cannot wait for each other.
    """
    owned = [
        place
        for place in places.values()
        if place.package == package and place.kind is not Kind.DIRECTORY and place.reason is not None
    ]
    own = [place for place in owned if not _speaks_of_a_package(place.reason)]
    return min(own or owned, key=lambda place: (_length(place, places), place.path), default=None)


def _speaks_of_a_package(reason: Reason | None) -> bool:
    return reason is not None and reason.kind in _OF_A_PACKAGE and not reason.subject.startswith("/")


def _length(place: Place, places: Mapping[str, Place]) -> int:
    seen: set[str] = set()
    here: Place | None = place
    while here is not None and here.path not in seen:
        seen.add(here.path)
        reason = here.reason
        of_a_file = reason is not None and reason.kind in _OF_A_FILE
        here = places.get(reason.subject) if reason is not None and of_a_file else None
    return len(seen)
