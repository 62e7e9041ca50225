"""A part of an open file, as the readers of ELF files want it: most of those lie in a package's archive."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from builder.errors import BuildError


class Part:
    """``size`` bytes at ``offset`` of an open file, read when sliced; ``head`` are the first ones, kept."""

    def __init__(self, descriptor: int, offset: int, size: int, head: bytes = b"") -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._size = size
        self._head = head

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        if stop <= len(self._head):
            return self._head[start:stop]
        return os.pread(self._descriptor, max(0, stop - start), self._offset + start)


@contextlib.contextmanager
def opened(store: Path) -> Iterator[int]:
    """Open a file of the store for reading. BuildError when that fails."""
    try:
        descriptor = os.open(store, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BuildError(
            f"{store} could not be opened: {error.strerror}",
            hint="make it readable for you"
            if isinstance(error, PermissionError)
            else "run the build again; rootlet fetches what is missing",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
