"""Bytes of a file as the readers of the inventory want them: any part, and no more than they ask for."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Protocol

IN_MEMORY = 16 << 20
"""Bytes of a file of a stream that are kept in memory; larger ones wait in a nameless temporary file."""


class Readable(Protocol):
    """Bytes that can be sliced: ``bytes``, or a part of a file that is read when asked."""

    def __len__(self) -> int:
        """Size in bytes."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Give the bytes of ``part``, cut short at the end like a slice of bytes. OSError as reading does."""


class FilePart:
    """``size`` bytes of an open file, from ``offset`` on."""

    def __init__(self, descriptor: int, size: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._size = size
        self._offset = offset

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        pieces: list[bytes] = []
        while start < stop and (piece := os.pread(self._descriptor, stop - start, self._offset + start)):
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]


@contextlib.contextmanager
def spooled(chunks: Iterator[bytes]) -> Iterator[Readable]:
    """Give the bytes of a stream by way of a nameless temporary file. OSError when there is no room."""
    with tempfile.TemporaryFile(buffering=0) as stream:
        size = 0
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[stream.write(rest) :]
            size += len(chunk)
        yield FilePart(stream.fileno(), size)
