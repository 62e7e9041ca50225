"""Where the bytes of a plan's entries lie while an image is built: a folder of a stage, and a path in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.plan.model import Entry
from builder.sysroot import Content, Kind, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A folder of the collecting stage that holds the tree of a package or of another source.

    ``folder`` is absolute there, ``words`` say what it is. ``nodes`` are its paths, absolute inside it;
    ``known`` says that they are all of them, so that whole folders may be copied.
    """

    folder: str
    words: str
    nodes: tuple[Node, ...] = field(repr=False)
    known: bool = True
    links: bool = True
    """Whether links are copied too, and not made anew."""
    modes: bool = True
    """Whether files have the modes of their nodes while the image is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An entry whose bytes, or link, are the node ``node`` of ``origin``."""

    entry: Entry
    origin: Origin
    node: Node

    @property
    def places(self) -> tuple[str, str, str]:
        """Folder to copy from, folder of the image to copy to, and the path below both ("" for none)."""
        source, target = self.node.path.split("/")[1:], self.entry.path.split("/")[1:]
        same = 0
        while same < min(len(source), len(target)) and source[-1 - same] == target[-1 - same]:
            same += 1
        cut = len(source) - same, len(target) - same
        folder = "/".join((self.origin.folder, *source[: cut[0]]))
        return folder, "".join(f"/{name}" for name in target[: cut[1]]), "/".join(source[cut[0] :])


def match(entries: Iterable[Entry], origins: Iterable[Origin]) -> tuple[list[Taken], list[Entry]]:
    """Part entries into those that an origin has, as file or link, and the rest."""
    index = _Index(origins)
    taken, rest = [], []
    for entry in entries:
        found = index.find(entry)
        if found is None:
            rest.append(entry)
        else:
            taken.append(found)
    return taken, rest


class _Index:
    """Files by where their bytes are stored, links by path and target."""

    def __init__(self, origins: Iterable[Origin]) -> None:
        self._files: dict[tuple[Path, int, int], list[tuple[Origin, Node]]] = {}
        self._links: dict[tuple[str, str], tuple[Origin, Node]] = {}
        for origin in origins:
            for node in origin.nodes:
                if node.content is not None:
                    self._files.setdefault(_key(node.content), []).append((origin, node))
                elif node.kind is Kind.SYMLINK and origin.links:
                    self._links.setdefault((node.path, node.target), (origin, node))

    def find(self, entry: Entry) -> Taken | None:
        """The best node for an entry: the one whose name is most like the entry's own."""
        if entry.hardlink:
            return None
        candidates = list(self._candidates(entry))
        if not candidates:
            return None
        origin, node = max(candidates, key=lambda one: _likeness(one[1].path, entry.path))
        return Taken(entry=entry, origin=origin, node=node)

    def _candidates(self, entry: Entry) -> Iterator[tuple[Origin, Node]]:
        if isinstance(entry.content, Content):
            yield from self._files.get(_key(entry.content), ())
        elif entry.kind is Kind.SYMLINK and entry.package:
            for path in (entry.path, entry.path.removeprefix("/usr")):  # before /usr was merged
                found = self._links.get((path, entry.target))
                if found is not None:
                    yield found


def _key(content: Content) -> tuple[Path, int, int]:
    return content.store, content.offset, content.size


def _likeness(one: str, other: str) -> int:
    """How many letters at the end are the same."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def folders_of(nodes: Iterable[Node]) -> Mapping[str, list[Node]]:
    """Nodes by the folder that they lie in directly."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(node.path.rpartition("/")[0], []).append(node)
    return found
