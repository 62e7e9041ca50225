"""Trees packed into one file each: uncompressed bytes, then an index of them, then where the index starts.

    <folder>/<key>.packed     bytes of the files | index (JSON) | its offset, its SHA-256, a magic

A tree is written once and read as it is asked for. Files appear whole by a rename, so that several processes
may use one folder; one that is damaged or of another format counts as absent. What nobody opened for a month
is swept away (builder/sources/debian/sweep.py).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from builder.errors import BuildError, MachineError
from builder.files import atomic_write
from builder.sources.rows import Row, node_of, package_of, package_row, path_of, row_of
from builder.sysroot import Content, Kind, Node, Package, Sysroot, children_by_parent

FOLDER = "trees"
"""The folder of the cache where every source keeps what it packed; keys start with the source's type."""

_MAGIC = b"rootlet-packed-1"
_FOOTER = struct.Struct(f">Q32s{len(_MAGIC)}s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A packed tree. ``about`` is what its maker wrote beside it, ``newest`` the time of its newest file."""

    tree: Sysroot
    about: Mapping[str, Any]
    newest: int


class PackedTrees:
    """The folder of packed trees. A key is made of everything that its tree follows from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the tree of ``key`` (letters, digits, "-", "_" and ".") is kept."""
        return self.folder / f"{key}.packed"

    def open(self, key: str) -> Packed | None:
        """The tree, or None when it is not here whole."""
        path = self.path(key)
        try:
            index = _read_index(path)
            _mark_used(path)
        except OSError:
            return None
        return None if index is None else _packed(index, path)

    def written(self, key: str) -> Packed:
        """The tree that was just packed. MachineError when something took it away."""
        packed = self.open(key)
        if packed is None:
            raise MachineError(
                f"{self.path(key)} was written and cannot be read again",
                hint=f"look whether something else writes to {self.folder}",
            )
        return packed

    @contextlib.contextmanager
    def pack(self, key: str, what: str = "the tree") -> Iterator[Packer]:
        """Make the tree of ``key``, ``what`` in errors: whole when the block ends well, else not at all.

        MachineError when the disk refuses: an OSError inside the block is taken for that.
        """
        path = self.path(key)
        try:
            with atomic_write(path, durable=False) as stream:
                packer = Packer(stream, path, what)
                yield packer
                packer.finish()
        except OSError as error:
            raise MachineError(
                f"{path} could not be written: {error.strerror or error}",
                hint="free some space, or make the cache folder writable",
            ) from error


class Packer:
    """Takes the paths of one tree, in any order. ``about`` may hold whatever JSON can say."""

    def __init__(self, stream: BinaryIO, path: Path, what: str) -> None:
        self._stream = stream
        self._path = path
        self._what = what
        self._nodes = {"/": Node(path="/", kind=Kind.DIRECTORY, mode=0o755)}
        self._packages: dict[str, Package] = {}
        self._size = 0
        self.about: dict[str, Any] = {}

    @property
    def size(self) -> int:
        """Bytes of files so far."""
        return self._size

    @property
    def paths(self) -> int:
        """Paths so far, the root among them."""
        return len(self._nodes)

    def get(self, path: str) -> Node | None:
        """What was added at ``path``."""
        return self._nodes.get(path)

    def own(self, package: Package) -> None:
        """Add a package that paths name as their owner. Its ``nodes`` are left out."""
        self._packages[package.name] = package

    def add(self, node: Node, chunks: Iterable[bytes] = ()) -> Node:
        """Add a path; a file's bytes are ``chunks``. A hard link to a file that was added is that file.

        BuildError when the path is there already and not both are folders; of two folders the last counts.
        """
        present = self._nodes.get(node.path)
        if present is not None and not present.kind is node.kind is Kind.DIRECTORY:
            raise BuildError(
                f"{self._what} has {node.path} twice: {present.kind.value} and {node.kind.value}"
            )
        if node.kind is Kind.FILE:
            first = self._nodes.get(node.hardlink) if node.hardlink else None
            if (
                first is not None and first.content is not None
            ):  # one file: what the archive says of its second name counts nowhere
                node = replace(first, path=node.path, hardlink=node.hardlink)
            else:
                node = replace(node, content=self._write(chunks))
        self._nodes[node.path] = node
        return node

    def _write(self, chunks: Iterable[bytes]) -> Content:
        digest = hashlib.sha256()
        start = self._size
        for chunk in chunks:
            digest.update(chunk)
            self._stream.write(chunk)
            self._size += len(chunk)
        return Content(store=self._path, offset=start, size=self._size - start, sha256=digest.hexdigest())

    def finish(self) -> None:
        """Write the index. BuildError when a path lies below something that is no folder."""
        _add_parents(self._nodes, self._what)
        index = {
            "about": self.about,
            "newest": max((one.mtime for one in self._nodes.values() if one.kind is Kind.FILE), default=0),
            "packages": [package_row(package) for package in self._packages.values()],
            "nodes": [row_of(node) for _, node in sorted(self._nodes.items())],
        }
        body = json.dumps(index, separators=(",", ":")).encode()
        self._stream.write(body)
        self._stream.write(_FOOTER.pack(self._size, hashlib.sha256(body).digest(), _MAGIC))


class PackedSysroot(Sysroot):
    """The tree of an index; a node is made when it is first asked for."""

    def __init__(self, rows: Iterable[Row], store: Path, packages: Iterable[Package]) -> None:
        super().__init__((), packages)
        self._nodes = self._rows = _Rows(rows, store)

    def overlay(self, nodes: Iterable[Node]) -> Sysroot:
        """A new sysroot with ``nodes`` laid over this one."""
        return Sysroot(self, self.packages.values()).overlay(nodes)

    def __iter__(self) -> Iterator[Node]:
        return (self._rows[path] for path in self._rows.rows)

    def __len__(self) -> int:
        return len(self._rows.rows)

    @functools.cached_property
    def _by_parent(self) -> Mapping[str, tuple[str, ...]]:
        return children_by_parent(self._rows.rows)


class _Rows(dict[str, Node]):
    """Nodes by path, made of their rows when they are asked for."""

    def __init__(self, rows: Iterable[Row], store: Path) -> None:
        super().__init__()
        self._store = store
        self.rows = {path_of(row): row for row in rows}

    def __missing__(self, path: str) -> Node:
        node = self[path] = node_of(self.rows[path], self._store)
        return node

    def __contains__(self, path: object) -> bool:
        return path in self.rows

    def get(self, path: str, default: Any = None) -> Any:
        """Give the node at ``path``, or ``default``."""
        return self[path] if path in self.rows else default


def _read_index(path: Path) -> dict[str, Any] | None:
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size < _FOOTER.size:
            return None
        stream.seek(size - _FOOTER.size)
        start, digest, magic = _FOOTER.unpack(stream.read(_FOOTER.size))
        if magic != _MAGIC or start > size - _FOOTER.size:
            return None
        stream.seek(start)
        body = stream.read(size - _FOOTER.size - start)
    if hashlib.sha256(body).digest() != digest:
        return None
    index: dict[str, Any] = json.loads(body)
    return index


def _packed(index: Mapping[str, Any], path: Path) -> Packed:
    rows: list[Row] = index["nodes"]
    packages = (package_of(row, ()) for row in index["packages"])
    return Packed(tree=PackedSysroot(rows, path, packages), about=index["about"], newest=index["newest"])


def _mark_used(path: Path) -> None:
    """Show the sweeper that somebody still wants this tree."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _add_parents(nodes: dict[str, Node], what: str) -> None:
    for path in list(nodes):
        parent = path.rpartition("/")[0] or "/"
        while (above := nodes.get(parent)) is None:
            nodes[parent] = Node(path=parent, kind=Kind.DIRECTORY, mode=0o755)
            parent = parent.rpartition("/")[0] or "/"
        if above.kind is not Kind.DIRECTORY:
            raise BuildError(f"{what} has {path} below {above.path}, which is a {above.kind.value}")
