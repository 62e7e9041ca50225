"""A read-only tree of files with their owners, and look-ups that never leave it.

Paths inside a sysroot or an image are ``str``: absolute, normalised, ``/`` between names, no trailing
slash ("/" is the root). Names that are not UTF-8 carry surrogate escapes. Nothing here is executed and
no path of a sysroot is ever given to the machine's file system: bytes are reached through ``Content``.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError, ResolutionError

MAX_LINKS = 40
"""As the kernel: a look-up that crosses more symbolic links than this is a loop (path_resolution(7))."""


class Kind(enum.Enum):
    """What a path is. Device nodes, sockets and pipes have no place in an image."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes of a regular file: ``size`` bytes at ``offset`` of the machine's file ``store``.

    ``sha256`` (hex) is checked by whoever copies the bytes; "" where it is not known beforehand
    (a file of the user's own folder).
    """

    store: Path
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One path of the tree. ``mode`` has the permission bits with setuid, setgid and sticky.

    ``package`` owns the path ("" for nobody). ``hardlink`` is the first name of the same file inside
    its package ("" when this is the first or only name); such a node carries the same ``content``.
    ``user`` and ``group`` are the names that the archive gave beside the numbers, or "".
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    mtime: int = 0
    content: Content | None = None
    target: str = ""
    hardlink: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One unpacked binary package and its control data.

    ``control`` is the control paragraph as the package carries it (no Status line); ``md5sums`` maps
    absolute paths *as packaged* (before /usr is merged) to hex MD5; ``conffiles`` likewise absolute.
    ``nodes`` are the package's paths as packaged. ``scripts`` holds maintainer scripts by name, and debconf's
    questions as "templates".
    """

    name: str
    version: str
    architecture: str
    source_name: str
    source_version: str
    control: str
    md5sums: Mapping[str, str]
    conffiles: tuple[str, ...]
    nodes: tuple[Node, ...]
    scripts: Mapping[str, str]
    newest: int
    """Newest modification time (seconds since the epoch) of the package's files."""
    alone: bool = False
    """Taken for single files, without what it depends on."""
    purl: str = ""
    """Package URL, of a package of another system than dpkg: it is recorded by that alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Result of following a path: where it ends and the links crossed on the way, in order.

    ``path`` is canonical (no link in it). ``node`` is None when nothing is there or the links loop;
    ``loop`` tells the two apart.
    """

    path: str
    node: Node | None
    links: tuple[Node, ...] = ()
    loop: bool = False


class Sysroot:
    """A tree of nodes. Immutable after construction; later layers are added with :meth:`overlay`."""

    def __init__(self, nodes: Iterable[Node], packages: Iterable[Package] = ()) -> None:
        self._nodes: dict[str, Node] = {}
        self.packages: Mapping[str, Package] = {package.name: package for package in packages}
        for node in nodes:
            _place(self._nodes, node)
        _add_missing_parents(self._nodes)

    @property
    def own_packages(self) -> Mapping[str, Package]:
        """The packages that were asked for here: not those of trees that lie below this one."""
        return self.packages

    def overlay(self, nodes: Iterable[Node]) -> Sysroot:
        """A new sysroot with ``nodes`` laid over this one (they replace what is at their paths)."""
        merged = Sysroot((), self.packages.values())
        merged._nodes = dict(self._nodes)
        for node in nodes:
            merged._nodes[node.path] = node
        _add_missing_parents(merged._nodes)
        return merged

    def get(self, path: str) -> Node | None:
        """The node at exactly ``path``; links are not followed."""
        return self._nodes.get(path)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def lookup(self, path: str, *, base: str = "/") -> Lookup:
        """Follow ``path`` (relative ones from ``base``) as the kernel would in a chroot of this tree.

        ``..`` at the root stays at the root; absolute link targets start at the root of the tree.
        """
        pending = [name for name in path.split("/") if name][::-1]
        if not path.startswith("/"):
            pending += [name for name in base.split("/") if name][::-1]
        nodes = self._nodes
        here = ""
        crossed: list[Node] = []
        while pending:
            name = pending.pop()
            if name in (".", ".."):
                if here in nodes and nodes[here].kind is not Kind.DIRECTORY:
                    return Lookup(path=_tail(f"{here}/{name}", pending), node=None, links=tuple(crossed))
                here = here if name == "." else here.rpartition("/")[0]
                continue
            here_child = f"{here}/{name}"
            node = nodes.get(here_child)
            if node is None:
                return Lookup(path=_tail(here_child, pending), node=None, links=tuple(crossed))
            if node.kind is not Kind.SYMLINK:
                here = here_child
                continue
            crossed.append(node)
            if len(crossed) > MAX_LINKS:
                return Lookup(path=here_child, node=None, links=tuple(crossed), loop=True)
            if node.target.startswith("/"):
                here = ""
            pending += [part for part in node.target.split("/") if part][::-1]
        final = here or "/"
        return Lookup(path=final, node=nodes.get(final), links=tuple(crossed))

    def children(self, path: str) -> tuple[str, ...]:
        """Names directly inside the folder ``path`` (exact, links not followed), sorted."""
        return self._by_parent.get(path, ())

    def below(self, path: str) -> Iterator[Node]:
        """Every node under the folder ``path`` (not itself), depth first in sorted order."""
        pending = [f"{path.rstrip('/')}/{name}" for name in reversed(self.children(path))]
        while pending:  # no recursion: a package may nest folders deeper than Python nests calls
            child = self.get(pending.pop())
            if child is None:
                continue
            yield child
            if child.kind is Kind.DIRECTORY:
                pending += (f"{child.path}/{name}" for name in reversed(self.children(child.path)))

    def glob(self, pattern: str) -> tuple[Node, ...]:
        """Nodes whose path matches ``pattern``: ``*`` and ``?`` inside a name, ``**`` over folders."""
        if not any(letter in pattern for letter in "*?["):
            node = self.lookup_exact(pattern)
            return (node,) if node is not None else ()
        fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]
        start = self.lookup(fixed or "/")
        matches = glob_pattern(pattern).fullmatch
        prefix = "" if start.path == "/" else start.path
        found = (
            node
            for node in self.below(start.path)
            if matches(node.path if start.path == fixed else (fixed + node.path[len(prefix) :]))
        )
        return tuple(found)

    def lookup_exact(self, path: str) -> Node | None:
        """The node at ``path`` with links followed in its folder but not in its last name."""
        folder, _, name = path.rstrip("/").rpartition("/")
        parent = self.lookup(folder or "/")
        return self._nodes.get(f"{parent.path.rstrip('/')}/{name}" if name else "/")

    @functools.cached_property
    def _by_parent(self) -> Mapping[str, tuple[str, ...]]:
        return children_by_parent(self._nodes)


def children_by_parent(paths: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Folder → the names in it, sorted."""
    names: dict[str, list[str]] = {}
    for path in paths:
        if path != "/":
            parent, _, name = path.rpartition("/")
            names.setdefault(parent or "/", []).append(name)
    return {parent: tuple(sorted(children)) for parent, children in names.items()}


def read_content(content: Content) -> bytes:
    """The bytes, verified. BuildError when they are short or not the ones that were stored."""
    with content.store.open("rb") as stream:
        payload = os.pread(stream.fileno(), content.size, content.offset)
    if len(payload) != content.size or (
        content.sha256 and hashlib.sha256(payload).hexdigest() != content.sha256
    ):
        raise BuildError(
            f"{content.store} is damaged: the bytes at {content.offset} are not the ones that were stored",
            hint="remove that file; rootlet fetches the package again",
        )
    return payload


_GLOB_TOKEN = re.compile(
    r"(?P<deep>\*\*/)|(?P<all>\*\*)|(?P<star>\*)|(?P<one>\?)|\[(?P<not>!?)(?P<set>[^\]/]+)\]"
)


@functools.lru_cache(maxsize=512)
def glob_pattern(pattern: str) -> re.Pattern[str]:
    """``pattern`` as an expression for ``fullmatch``: ``**`` crosses folders; ``*`` and ``?`` do not."""
    pieces: list[str] = []
    end = 0
    for match in _GLOB_TOKEN.finditer(pattern):
        pieces += [re.escape(pattern[end : match.start()]), _glob_token(match)]
        end = match.end()
    return re.compile("".join([*pieces, re.escape(pattern[end:])]), re.DOTALL)


def _glob_token(match: re.Match[str]) -> str:
    if match["set"]:
        return _glob_set(match["set"], negated=bool(match["not"]))
    return {"deep": "(?:[^/]+/)*", "all": ".*", "star": "[^/]*", "one": "[^/]"}[str(match.lastgroup)]


def _glob_set(text: str, *, negated: bool) -> str:
    # Like every one-letter token it never matches "/", not even by a range; a range backwards is empty.
    pieces = []
    for match in re.finditer(r"(.)-(.)|(.)", text, re.DOTALL):
        low, high, single = match.groups()
        if single:
            pieces.append(re.escape(single))
        elif low <= high:
            pieces.append(f"{re.escape(low)}-{re.escape(high)}")
    if not pieces:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(pieces)}]"


def _tail(path: str, pending: list[str]) -> str:
    return "/".join([path, *reversed(pending)])


def _place(nodes: dict[str, Node], node: Node) -> None:
    present = nodes.get(node.path)
    if present is None or (present.package == node.package):
        nodes[node.path] = node
        return
    if present.kind is Kind.DIRECTORY and node.kind is Kind.DIRECTORY:
        return
    if _same_file(present, node):
        return
    raise ResolutionError(
        f"{node.path} comes from {present.package or 'the recipe'} ({present.kind.value}) "
        f"and from {node.package or 'the recipe'} ({node.kind.value}), and they differ",
        hint="take one of the two packages out of the recipe",
    )


def _same_file(one: Node, other: Node) -> bool:
    if one.kind is not other.kind:
        return False
    if one.kind is Kind.SYMLINK:
        return one.target == other.target
    return (
        one.content is not None
        and other.content is not None
        and one.content.sha256 == other.content.sha256 != ""
    )


def _add_missing_parents(nodes: dict[str, Node]) -> None:
    for path in list(nodes):
        parent = path.rpartition("/")[0] or "/"
        while parent not in nodes:
            nodes[parent] = Node(path=parent, kind=Kind.DIRECTORY, mode=0o755)
            parent = parent.rpartition("/")[0] or "/"
