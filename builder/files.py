"""The one door for writing files that must be whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

Stamp = tuple[str, int, int, int]
"""Path, size, mtime in nanoseconds, mode; numbers are -1 where nothing is there."""


def stamp(path: Path) -> Stamp:
    """Give the stamp of one path; a link's own."""
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
    The mode is set exactly, whatever the umask. Raises OSError as the file system does.
    """
    with replacing(path) as temporary, temporary.open("xb") as stream:
        yield stream
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        if durable:
            os.fsync(stream.fileno())


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
