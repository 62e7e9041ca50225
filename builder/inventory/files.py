"""What the inventory needs of each path of a tree, and the walker of a real folder that gives it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.errors import ScanError
from builder.inventory.content import FilePart, Readable
from builder.sysroot import Kind

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeFile(Protocol):
    """One path of a tree. The image reader and :func:`walk_root` give these."""

    @property
    def path(self) -> str:
        """Absolute, normalised path in the tree (as builder/sysroot.py says)."""

    @property
    def kind(self) -> Kind:
        """Regular file (hard links too), directory or symbolic link."""

    @property
    def target(self) -> str:
        """Text of a symbolic link, "" for the rest."""

    @property
    def size(self) -> int:
        """Bytes of a regular file (-1 where nobody knows), 0 for the rest."""

    @property
    def mode(self) -> int:
        """Permission bits with setuid, setgid and sticky."""

    @property
    def layer(self) -> int | None:
        """Number of the image's layer that it is in, 0 for the lowest; None outside of images."""

    def read(self, limit: int) -> bytes:
        """At most the first ``limit`` bytes of a regular file; OSError when it cannot be read."""

    def content(self) -> AbstractContextManager[Readable]:
        """All bytes of a regular file, any part of them; OSError when it cannot be read."""


@dataclass(frozen=True, slots=True)
class RootFile:
    """A path of a folder on this machine."""

    path: str
    kind: Kind
    target: str
    size: int
    place: str
    """Where it is on this machine; never built from a link's target."""
    problem: OSError | None = None
    mode: int = 0

    @property
    def layer(self) -> None:
        """None: a folder has no layers."""
        return

    @contextlib.contextmanager
    def content(self) -> Iterator[Readable]:
        """Open the file; no link is followed. OSError when it cannot be read."""
        if self.problem is not None:
            raise self.problem
        descriptor = os.open(self.place, _OPEN)
        try:
            status = os.fstat(descriptor)
            yield FilePart(descriptor, status.st_size if stat.S_ISREG(status.st_mode) else 0)
        finally:
            os.close(descriptor)

    def read(self, limit: int) -> bytes:
        """Give the first bytes; no link is followed, and no pipe that took the file's place is waited for."""
        if self.problem is not None:
            raise self.problem
        descriptor = os.open(self.place, _OPEN)
        try:
            return os.read(descriptor, limit) if limit < _CHUNK else _read(descriptor, limit)
        finally:
            os.close(descriptor)

    def chunks(self) -> Iterator[bytes]:
        """Give all the bytes in pieces; no link is followed."""
        if self.problem is not None:
            raise self.problem
        descriptor = os.open(self.place, _OPEN)
        try:
            while piece := os.read(descriptor, 16 * _CHUNK):
                yield piece
        finally:
            os.close(descriptor)


_CHUNK = 65536
_KERNEL = ("/dev", "/proc", "/sys")


def walk_root(folder: Path) -> Iterator[TreeFile]:
    """Every path of a root folder, in no particular order; no link is followed, so nothing outside is read.

    Device nodes, pipes and sockets are left out. A folder that may not be listed is given as a file that
    cannot be read, so that whoever reads the tree learns that a part is missing. Of ``/dev``, ``/proc`` and
    ``/sys`` where the kernel shows itself (mounted, in the root of a machine that runs) only the folder is
    given. ScanError when ``folder`` itself is not a folder that can be listed.
    """
    top = os.fspath(folder)
    try:
        os.scandir(top).close()
    except OSError as error:
        raise ScanError(
            f"{top} could not be scanned: {error.strerror}",
            hint="give a folder that holds a root file system",
        ) from error
    pending = [""]
    while pending:
        path = pending.pop()
        for file in _folder(top, path):
            if file.kind is Kind.DIRECTORY and not (file.path in _KERNEL and os.path.ismount(file.place)):
                pending.append(file.path)
            yield file


def _folder(top: str, path: str) -> Iterator[RootFile]:
    # Opened without following a link: a folder that was swapped for one meanwhile leads nowhere.
    flags = _OPEN | os.O_DIRECTORY if path else os.O_RDONLY | os.O_DIRECTORY
    try:
        folder = os.open(top + path, flags)
    except OSError as error:
        yield RootFile(path or "/", Kind.FILE, "", -1, top + path, problem=error)
        return
    try:
        with os.scandir(folder) as entries:
            files = [_file(folder, entry, path, top + path) for entry in entries]
    except OSError as error:
        files = [RootFile(path or "/", Kind.FILE, "", -1, top + path, problem=error)]
    finally:
        os.close(folder)
    yield from (file for file in files if file is not None)


def _file(folder: int, entry: os.DirEntry[str], parent: str, place: str) -> RootFile | None:
    path = f"{parent}/{entry.name}"
    place = f"{place}/{entry.name}"
    try:
        if entry.is_symlink():
            return RootFile(path, Kind.SYMLINK, os.readlink(entry.name, dir_fd=folder), 0, place)
        if entry.is_dir(follow_symlinks=False):
            mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
            return RootFile(path, Kind.DIRECTORY, "", 0, place, mode=mode)
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return RootFile(path, Kind.FILE, "", -1, place, problem=error)
    if not stat.S_ISREG(status.st_mode):
        return None
    return RootFile(path, Kind.FILE, "", status.st_size, place, mode=stat.S_IMODE(status.st_mode))


def _read(descriptor: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(descriptor, min(limit, 16 * _CHUNK))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
