"""The one door for writing files that must be whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(path: Path, *, mode: int = 0o644, durable: bool = True) -> Iterator[BinaryIO]:
    """Write ``path`` through a temporary neighbour; on any error nothing is left and ``path`` is untouched.

    ``durable`` syncs the bytes before the rename; turn it off for caches that are verified when read.
    The mode is set exactly, whatever the umask. Raises OSError as the file system does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:48]}.{os.urandom(6).hex()}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, payload: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write a whole small file with :func:`atomic_write`."""
    with atomic_write(path, mode=mode, durable=durable) as stream:
        stream.write(payload)
