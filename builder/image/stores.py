"""Bytes of regular files: read from their stores by position, verified on the way."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from builder.errors import BuildError
from builder.plan.model import Entry
from builder.sysroot import Content

_OPEN_STORES = 64
_WINDOW = 1 << 18
"""Bytes that are read at once where a small file follows another in its store."""
_NEAR = 1 << 12
_NOTHING = memoryview(b"")


class StoreReader:
    """Opens each store once (the most recently used 64 stay open) and reads with ``pread``.

    Files are read straight into the block of the tar; small neighbours of one store come in one read.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._last_store: Path | None = None
        self._last = -1
        self._window = _NOTHING
        self._start = 0
        self._end = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._open.values():
            os.close(number)
        self._open.clear()

    def copy(self, entry: Entry, content: Content, rooms: Iterator[memoryview]) -> None:
        """Fill ``rooms``, which make up the size of ``content``, with its bytes.

        BuildError naming the entry and its package when the store does not give the bytes or they have
        another digest than was promised.
        """
        digest = hashlib.sha256() if content.sha256 else None
        offset = content.offset
        for room in rooms:
            try:
                self._read(room, content.store, offset)
            except EOFError:
                raise _damaged(entry, content, "it is shorter than it was") from None
            except OSError as error:
                raise _damaged(entry, content, error.strerror or str(error)) from error
            offset += len(room)
            if digest is not None:
                digest.update(room)
        if digest is not None and digest.hexdigest() != content.sha256:
            raise _damaged(entry, content, "its bytes are not the ones that were stored")

    def _read(self, room: memoryview, store: Path, offset: int) -> None:
        if store is not self._last_store and store != self._last_store:
            self._open_store(store)
        end = offset + len(room)
        if not self._start <= offset <= end <= self._start + len(self._window):
            if not (0 <= offset - self._end <= _NEAR and len(room) <= _WINDOW // 4):
                self._end = end
                self._fill(room, offset)
                return
            self._start = offset
            self._window = memoryview(os.pread(self._last, _WINDOW, offset))
            if len(self._window) < len(room):
                raise EOFError
        room[:] = self._window[offset - self._start : end - self._start]
        self._end = end

    def _fill(self, room: memoryview, offset: int) -> None:
        rest = room
        while rest:
            count = os.preadv(self._last, [rest], offset)
            if not count:
                raise EOFError
            offset += count
            rest = rest[count:]

    def _open_store(self, store: Path) -> None:
        number = self._open.get(store)
        if number is None:
            if len(self._open) >= _OPEN_STORES:
                os.close(self._open.popitem(last=False)[1])
            number = self._open[store] = os.open(store, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self._open.move_to_end(store)
        self._last_store, self._last = store, number
        self._window, self._start, self._end = _NOTHING, 0, -1


def _damaged(entry: Entry, content: Content, what: str) -> BuildError:
    owner = f" of package {entry.package}" if entry.package else ""
    again = "remove that file; rootlet fetches the package again"
    return BuildError(
        f"{entry.path}{owner} cannot be read from {content.store}: {what}",
        hint=again if entry.package else "build again when nothing writes to that file",
    )
