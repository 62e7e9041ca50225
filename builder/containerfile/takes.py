"""Commands that copy exactly the plan's files out of unpacked packages, a reason above each group.

A folder that is taken whole, for one reason, is one word; everything else is named path by path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.containerfile.origins import Origin, Taken, folders_of
from builder.containerfile.quote import shell_word
from builder.containerfile.script import Command, comment
from builder.sysroot import Kind, Node

IMAGE = "/image"
"""Folder of the collecting stage that becomes the image."""
_FEW = 6
"""Paths that are named one by one although their folder is taken whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Commands by origin; folders of the image that must be there before, and that are there afterwards."""

    commands: tuple[Command, ...]
    before: frozenset[str]
    after: frozenset[str]


def take(taken: Iterable[Taken], made: frozenset[str]) -> Taking:
    """Copy ``taken``.

    ``made`` are the paths of all the image's folders: a folder is copied whole only when all in it are among
    them.
    """
    by_origin: dict[str, list[Taken]] = {}
    for one in taken:
        by_origin.setdefault(one.origin.folder, []).append(one)
    commands: list[Command] = []
    before: set[str] = set()
    after: set[str] = set()
    for folder in sorted(by_origin):
        some = by_origin[folder]
        commands += _of_origin(some[0].origin, some, made)
        for one in some:
            after |= parents(one.entry.path)
            _, target, below = one.places
            before.add(target if below else target.rpartition("/")[0])
    return Taking(commands=tuple(commands), before=frozenset(before - {""}), after=frozenset(after))


def _of_origin(origin: Origin, some: Sequence[Taken], made: frozenset[str]) -> Iterator[Command]:
    groups: dict[tuple[str, str], list[Taken]] = {}
    renamed: list[Taken] = []
    for one in some:
        source, target, below = one.places
        if below:
            groups.setdefault((source, target), []).append(one)
        else:
            renamed.append(one)
    title = comment(origin.words)
    for (source, target), members in groups.items():
        start = f"env -C {shell_word(source)} cp -a --parents -t {shell_word(IMAGE + target)}"
        words = _words(origin, source[len(origin.folder) :], members, made)
        yield Command(start=start, words=tuple(words), comments=title)
        title = ()
    for one in renamed:
        source, target, _ = one.places
        command = f"cp -a {shell_word(source)} {shell_word(IMAGE + target)}"
        yield Command(start=command, comments=(*title, *comment(str(one.entry.reason))))
        title = ()


def _words(origin: Origin, prefix: str, members: Sequence[Taken], made: frozenset[str]) -> Iterator[str]:
    """The paths below the folder, each group of one reason with the reason above it."""
    reasons: dict[str, list[Taken]] = {}
    for one in members:
        reasons.setdefault(str(one.entry.reason), []).append(one)
    for reason, group in reasons.items():
        whole = _whole_folders(origin, prefix, group, made) if origin.known else {}
        yield from (f"# {line}" for line in comment(reason))
        yield from map(shell_word, sorted(dict.fromkeys(_shortened(one, whole) for one in group)))


def _shortened(one: Taken, whole: Mapping[str, str]) -> str:
    """The path below the group's folders, or of the highest whole folder that it is in."""
    return whole.get(one.node.path.rpartition("/")[0], one.places[2])


def _whole_folders(
    origin: Origin, prefix: str, members: Sequence[Taken], made: frozenset[str]
) -> dict[str, str]:
    """Folders of the origin that the group takes with everything in them → the word for the highest one."""
    target = members[0].places[1]
    counts = _complete(folders_of(origin.nodes), {one.node.path for one in members}, (prefix, target), made)
    found: dict[str, str] = {}
    for folder in counts:
        highest = folder
        while (parent := highest.rpartition("/")[0]) in counts:
            highest = parent
        if counts[highest] > _FEW:
            found[folder] = highest[len(prefix) + 1 :]
    return found


def _complete(
    children: Mapping[str, list[Node]], members: set[str], places: tuple[str, str], made: frozenset[str]
) -> dict[str, int]:
    """Folders of which nothing is left behind → how many files and links they hold.

    ``places``: the folder of the origin that is copied from, and the folder of the image copied to.
    """
    prefix, target = places
    counts: dict[str, int] = {}
    for folder in sorted(children, key=len, reverse=True):
        if not folder.startswith(f"{prefix}/"):
            continue
        held = [
            counts.get(node.path, 0) * (target + node.path[len(prefix) :] in made)
            if node.kind is Kind.DIRECTORY
            else node.path in members
            for node in children[folder]
        ]
        if all(held):
            counts[folder] = sum(held)
    return counts


def parents(path: str) -> set[str]:
    """The folders above a path, without the root."""
    found = set()
    while path := path.rpartition("/")[0]:
        found.add(path)
    return found
