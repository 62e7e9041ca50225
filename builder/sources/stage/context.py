"""What a stage gets to work on: files of this machine or of another source, with their checksums.

The checksum of a file is remembered by everything the kernel says of it, so that an unchanged folder is only
looked at; the key of a stage has contents and modes, never times.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from builder.errors import ResolutionError
from builder.files import IN_PROGRESS, names_in, read_checked, write_checked
from builder.recipe.source_model import StageCopy
from builder.sources.stage.ignore import FILES, Ignore, read_lines
from builder.sources.supply import SourceTree
from builder.sysroot import Content, Kind, Node

_FORMAT = 1
_CHUNK = 1 << 20
_FOLDER_MODE, _FILE_MODE, _PROGRAM_MODE = 0o755, 0o644, 0o755
_YOUNG_NS = 2 * 10**9
"""A file that changed so shortly before it was read may change again without another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Nodes to lay into a stage, folders before what is in them, and the key of all of it."""

    nodes: tuple[Node, ...]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where copies come from. ``folder``: the recipe's. ``written``: what the build writes, never copied."""

    folder: Path
    memory: Path
    trees: Mapping[str, SourceTree]
    written: tuple[Path, ...] = ()


def gather(copies: tuple[StageCopy, ...], around: Surroundings) -> Context:
    """Find everything that is copied. ResolutionError for what is not there or cannot be read."""
    nodes: list[Node] = []
    key = hashlib.sha256()
    for copy in copies:
        found = _from_source(copy, around.trees) if copy.source else _from_folder(copy, around)
        for node in found:
            nodes.append(node)
            key.update(_words(node))
        key.update(b"\xff")
    return Context(nodes=tuple(nodes), key=key.hexdigest())


def paths_of(copies: tuple[StageCopy, ...], folder: Path, written: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every path of this machine that copies look at: whether one changed is seen without reading it.

    Of folders their names count, not their times: outputs that are made beside the files change those.
    """
    for copy in copies:
        if copy.context is not None and copy.context.is_dir():
            yield from (folder / name for name in FILES)
            yield from _inside(copy, copy.context, folder, written)
        elif copy.context is not None:
            yield copy.context


def _inside(copy: StageCopy, root: Path, folder: Path, written: tuple[Path, ...]) -> Iterator[Path]:
    outputs = _names_of_outputs(root, written)
    for place in {root, *outputs}:
        yield names_in(place, *sorted(outputs.get(place, ())))
    for path, status in _walk(root, _ignore(copy, root, folder), written):
        if not stat.S_ISDIR(status.st_mode):
            yield path
        elif path not in outputs:
            yield names_in(path)


def _names_of_outputs(root: Path, written: tuple[Path, ...]) -> dict[Path, set[str]]:
    """Folder of a context → the names in it that lead to outputs, or are outputs."""
    found: dict[Path, set[str]] = {}
    top = Path(os.path.abspath(root))  # noqa: PTH100 (text, no links followed)
    for output in written:
        path = Path(os.path.abspath(output))  # noqa: PTH100 (as above)
        while path != top and path.is_relative_to(top):
            found.setdefault(root / path.parent.relative_to(top), set()).add(path.name)
            path = path.parent
    return found


def _words(node: Node) -> bytes:
    content = node.content.sha256 if node.content is not None else ""
    words = [node.path, node.kind.value, node.mode, node.uid, node.gid, node.target, node.hardlink, content]
    return json.dumps([*words, [(name, value.hex()) for name, value in node.xattrs]]).encode()


def _from_folder(copy: StageCopy, around: Surroundings) -> Iterator[Node]:
    root = copy.context
    if root is None:
        return
    try:
        status = root.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield from _parents(copy.dest if copy.into else _parent(copy.dest))
            to = f"{copy.dest.rstrip('/')}/{root.name}" if copy.into else copy.dest
            with _Checksums(around.memory, root) as sums:
                yield _node(root, to, status, sums)
            return
        yield from _parents(copy.dest)
        ignore = _ignore(copy, root, around.folder)
        with _Checksums(around.memory, root) as sums:
            top = os.fspath(root)
            for path, status in _walk(root, ignore, around.written):
                relative = os.fspath(path)[len(top) :].lstrip("/")
                yield _node(path, f"{copy.dest.rstrip('/')}/{relative}", status, sums)
    except OSError as error:
        raise ResolutionError(
            f"{error.filename or root} cannot be copied into a stage: {error.strerror}",
            hint="paths of copy start at the recipe's folder",
        ) from error


def _ignore(copy: StageCopy, root: Path, folder: Path) -> Ignore:
    """The ignore file of the folder that is copied, else that of the recipe's folder around it."""
    own = read_lines(root) if root.is_dir() else None
    if own is not None:
        return Ignore((*own, *copy.ignore))
    above = read_lines(folder) or ()
    base, top = os.path.abspath(folder), os.path.abspath(root)  # noqa: PTH100 (text, no links followed)
    if not above or top == base:
        return Ignore((*above, *copy.ignore))
    if not top.startswith(base + "/"):
        return Ignore(copy.ignore)
    return _Shifted(Ignore(above), top[len(base) + 1 :], Ignore(copy.ignore))


class _Shifted(Ignore):
    """Patterns of a folder further up, then those of the copy itself."""

    def __init__(self, above: Ignore, prefix: str, own: Ignore) -> None:
        super().__init__(())
        self._above, self._prefix, self._own = above, prefix, own

    def __call__(self, path: str) -> bool:
        return self._above(f"{self._prefix}/{path}") or self._own(path)

    def whole(self, folder: str) -> bool:
        return self._above.whole(f"{self._prefix}/{folder}") or self._own.whole(folder)


def _walk(root: Path, ignore: Ignore, written: tuple[Path, ...]) -> Iterator[tuple[Path, os.stat_result]]:
    """Every path below ``root``, sorted, folders before what is in them."""
    absent = {os.path.abspath(path) for path in written}  # noqa: PTH100 (text, no links followed)
    absent |= _only_outputs(absent)
    pending: list[tuple[str, str]] = [(os.fspath(root), "")]
    while pending:
        folder, relative = pending.pop()
        if relative:
            status = os.lstat(folder)
            if not ignore(relative):
                yield Path(folder), status
            if not stat.S_ISDIR(status.st_mode):
                continue
        with os.scandir(folder) as scan:
            names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan)
        for name, is_folder in reversed(names):
            path = f"{folder}/{name}"
            inner = f"{relative}/{name}" if relative else name
            if name.startswith(IN_PROGRESS) or os.path.abspath(path) in absent:  # noqa: PTH100 (as above)
                continue
            if ignore.whole(inner) if is_folder else ignore(inner):
                continue
            pending.append((path, inner))


def _only_outputs(written: set[str]) -> set[str]:
    """Folders that hold outputs and nothing else: they were made for them."""
    found: set[str] = set()
    for path in sorted(written):
        parent = os.path.dirname(path)  # noqa: PTH120 (text)
        while parent not in found and _holds_only(parent, written | found):
            found.add(parent)
            parent = os.path.dirname(parent)  # noqa: PTH120 (text)
    return found


def _holds_only(folder: str, known: set[str]) -> bool:
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names, not paths)
    except OSError:
        return False
    return all(name.startswith(IN_PROGRESS) or f"{folder}/{name}" in known for name in names)


def _node(path: Path, to: str, status: os.stat_result, sums: _Checksums) -> Node:
    if stat.S_ISLNK(status.st_mode):
        return Node(path=to, kind=Kind.SYMLINK, mode=0o777, target=str(path.readlink()))
    if stat.S_ISDIR(status.st_mode):
        return Node(path=to, kind=Kind.DIRECTORY, mode=_FOLDER_MODE)
    if not stat.S_ISREG(status.st_mode):
        raise ResolutionError(
            f"{path} is neither file, folder nor link, and cannot be copied into a stage",
            hint="add it to .dockerignore or to ignore",
        )
    content = Content(store=path.absolute(), offset=0, size=status.st_size, sha256=sums.of(path, status))
    mode = _PROGRAM_MODE if status.st_mode & stat.S_IXUSR else _FILE_MODE
    return Node(path=to, kind=Kind.FILE, mode=mode, content=content)


def _parents(folder: str) -> Iterator[Node]:
    """The folder itself; what is above it is made with it."""
    if folder != "/":
        yield Node(path=folder, kind=Kind.DIRECTORY, mode=_FOLDER_MODE)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


@dataclass(slots=True)
class _Checksums:
    """SHA-256 of files below ``root``, remembered in a file of ``folder``."""

    folder: Path
    root: Path
    _known: dict[str, list[Any]] = field(default_factory=dict)
    _new: dict[str, list[Any]] = field(default_factory=dict)
    _start: int = 0
    _changed: bool = False

    def __enter__(self) -> Self:
        body = read_checked(self._path)
        if body is not None:
            plain = json.loads(body)
            if plain[0] == _FORMAT:
                self._known = plain[1]
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and (self._changed or self._new.keys() != self._known.keys()):
            write_checked(self._path, json.dumps([_FORMAT, self._new]).encode())

    @property
    def _path(self) -> Path:
        name = hashlib.sha256(os.fsencode(self.root.absolute())).hexdigest()[:32]
        return self.folder / f"{name}.json"

    def of(self, path: Path, status: os.stat_result) -> str:
        """Give the checksum in hex."""
        name = os.fspath(path)
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._known.get(name)
        if known is not None and known[:-1] == stamp:
            self._new[name] = known
            return str(known[-1])
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            now = os.fstat(stream.fileno())
        if not self._is_young(now, path):
            self._new[name] = [*stamp, digest.hexdigest()]
            self._changed = True
        return digest.hexdigest()

    def _is_young(self, status: os.stat_result, path: Path) -> bool:
        # Compared with a file that was written just now: clocks of file servers are not this machine's.
        if not self._start:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".now-{os.getpid()}-{path.stat().st_ino}"
            probe.touch()
            self._start = probe.stat().st_mtime_ns
            probe.unlink()
        return max(status.st_mtime_ns, status.st_ctime_ns) > self._start - _YOUNG_NS


def _from_source(copy: StageCopy, trees: Mapping[str, SourceTree]) -> Iterator[Node]:
    tree = trees[copy.source].tree
    found = tree.lookup(copy.path)
    if found.node is None:
        raise ResolutionError(
            f"{copy.path} is not in the source {copy.source}, from which a stage copies it",
            hint="correct the path in copy",
        )
    if found.node.kind is not Kind.DIRECTORY:
        yield from _parents(copy.dest if copy.into else _parent(copy.dest))
        name = copy.path.rpartition("/")[2]
        yield _moved(found.node, f"{copy.dest.rstrip('/')}/{name}" if copy.into else copy.dest)
        return
    yield from _parents(copy.dest)
    top = found.path.rstrip("/")
    for node in tree.below(found.path):
        yield _moved(node, f"{copy.dest.rstrip('/')}/{node.path[len(top) + 1 :]}")


def _moved(node: Node, path: str) -> Node:
    content = node.content
    if content is not None and not content.sha256:
        content = Content(store=content.store, offset=content.offset, size=content.size, sha256=_sum(content))
    return Node(
        path=path,
        kind=node.kind,
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        content=content,
        target=node.target,
        xattrs=node.xattrs,
    )


def _sum(content: Content) -> str:
    digest, left = hashlib.sha256(), content.size
    with content.store.open("rb") as stream:
        stream.seek(content.offset)
        while left and (chunk := stream.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
