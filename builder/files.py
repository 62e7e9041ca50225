"""The one door for writing files that must be whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

IN_PROGRESS = ".rootlet-"
"""How the names of folders for work in progress begin."""
_NAMES = "\0"
"""How a path begins that stands for names: no file is called so."""

Stamp = tuple[str, int, int, int]
"""Path, size, mtime in nanoseconds, mode; numbers are -1 where nothing is there."""


def names_in(folder: Path, *without: str) -> Path:
    """A path that stands for the names in ``folder`` but ``without``: its stamp changes with them."""
    return folder / f"{_NAMES}{_NAMES.join(without)}"


def _names_stamp(path: Path) -> Stamp:
    """No folder is like an empty one. Work in progress (builder/staging.py) does not count."""
    without = set(path.name.split(_NAMES))
    try:
        found = os.listdir(path.parent)  # noqa: PTH208 (names, not paths)
    except OSError:
        found = []
    names = sorted(name for name in found if name not in without and not name.startswith(IN_PROGRESS))
    text = "\0".join(names).encode("utf-8", "surrogateescape")
    digest = int.from_bytes(hashlib.sha256(text).digest()[:7], "big")
    return (str(path), len(names), digest, 0)


def stamp(path: Path) -> Stamp:
    """Give the stamp of one path; a link's own."""
    if path.name.startswith(_NAMES):
        return _names_stamp(path)
    try:
        return stamp_of(str(path), path.lstat())
    except OSError:
        return absent(str(path))


def stamp_of(path: str, status: os.stat_result) -> Stamp:
    """Give the stamp of a path that was looked at."""
    return (path, status.st_size, status.st_mtime_ns, status.st_mode)


def absent(path: str) -> Stamp:
    """Give the stamp of a path where nothing is."""
    return (path, -1, -1, -1)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary neighbour that takes the place of ``path`` when the block ends well.

    On any error nothing is left and ``path`` is untouched. Raises OSError as the file system does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:48]}.{os.urandom(6).hex()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_write(path: Path, *, mode: int = 0o644, durable: bool = True) -> Iterator[BinaryIO]:
    """Write ``path`` whole or not at all, as :func:`replacing` does.

    ``durable`` syncs the bytes before the rename; turn it off for caches that are verified when read.
    The mode is set exactly, whatever the umask. Raises OSError as the file system does. Devices and pipes
    (/dev/null, /dev/stdout) are written to and stay what they are.
    """
    if _is_special(path):
        with path.open("wb") as stream:
            yield stream
        return
    with replacing(path) as temporary, temporary.open("xb") as stream:
        yield stream
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        if durable:
            os.fsync(stream.fileno())


def _is_special(path: Path) -> bool:
    try:
        found = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(found) or stat.S_ISDIR(found))


def write_bytes(path: Path, payload: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write a whole small file with :func:`atomic_write`."""
    with atomic_write(path, mode=mode, durable=durable) as stream:
        stream.write(payload)


def write_checked(path: Path, body: bytes) -> None:
    """Write ``body`` after a line with its SHA-256: for caches, verified when read and not synced."""
    write_bytes(path, _checksum(body) + b"\n" + body, durable=False)


def read_checked(path: Path) -> bytes | None:
    """Read what :func:`write_checked` wrote; None when it is absent, unreadable or damaged."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return body if digest == _checksum(body) else None


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file, in hex. Raises OSError as the file system does."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
