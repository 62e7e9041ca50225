"""rpmdb.sqlite: the blobs of its table Packages (sqlite.org/fileformat2.html).

A reader of our own, for one table and nothing else: SQLite itself would run what a hostile schema says
(views, triggers, generated columns), wants the file on a disk, and knows no limits of time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.rpm.header import MAX_HEADER

MAGIC = b"SQLite format 3\0"
_TABLE_LEAF, _TABLE_INTERIOR = 13, 5
_MAX_DEPTH = 20
_TEXT_OR_BLOB = 12


class DamagedDatabaseError(ValueError):
    """Why a database cannot be read to its end."""


def package_blobs(content: Readable) -> Iterator[bytes]:
    """Give each value of the column ``blob``. DamagedDatabaseError after what could be read."""
    database = _Database(content)
    for row in database.rows(1):
        kind, _, table, root, _ = (*_record(row, 5), None, None, None, None, None)[:5]
        if kind == b"table" and table == b"Packages" and isinstance(root, int):
            for payload in database.rows(root):
                _, blob = (*_record(payload, 2), None, None)[:2]
                if isinstance(blob, bytes):
                    yield blob
            database.check_size()
            return
    raise DamagedDatabaseError("it has no table of packages")


class _Database:
    def __init__(self, content: Readable) -> None:
        header = content[0:100]
        if len(header) < 100 or not header.startswith(MAGIC):  # noqa: PLR2004 (bytes of the header)
            raise DamagedDatabaseError("it is no SQLite database")
        size = int.from_bytes(header[16:18], "big")
        self._size = 65536 if size == 1 else size
        if self._size < 512 or self._size & (self._size - 1):  # noqa: PLR2004 (bytes of the smallest page)
            raise DamagedDatabaseError(f"its pages have {self._size} bytes")
        self._usable = self._size - header[20]
        if self._usable < 480:  # noqa: PLR2004 (the format's own least)
            raise DamagedDatabaseError("its pages are too small")
        self._content = content
        self._said = int.from_bytes(header[28:32], "big")
        self._left = len(content) // self._size + 1
        """Pages that may still be read: each belongs to one tree or chain, so more are a loop."""

    def check_size(self) -> None:
        """Raise DamagedDatabaseError when the file has fewer pages than its header says."""
        if len(self._content) < self._said * self._size:
            raise DamagedDatabaseError("it is cut off")

    def rows(self, root: int) -> Iterator[bytes]:
        """Give the records of a table, in order of their keys."""
        yield from self._rows(root, 0)

    def _rows(self, number: int, depth: int) -> Iterator[bytes]:
        if depth > _MAX_DEPTH:
            raise DamagedDatabaseError("its tree is too deep")
        page = self._page(number)
        at = 100 if number == 1 else 0
        kind, _, cells = struct.unpack_from(">BHH", page, at)
        if kind == _TABLE_LEAF:
            for cell in self._cells(page, at + 8, cells):
                yield self._leaf(page, cell)
        elif kind == _TABLE_INTERIOR:
            for cell in self._cells(page, at + 12, cells):
                yield from self._rows(int.from_bytes(page[cell : cell + 4], "big"), depth + 1)
            yield from self._rows(int.from_bytes(page[at + 8 : at + 12], "big"), depth + 1)
        else:
            raise DamagedDatabaseError(f"page {number} is of no table")

    def _page(self, number: int) -> bytes:
        self._left -= 1
        page = self._content[(number - 1) * self._size : number * self._size] if number > 0 else b""
        if self._left < 0 or len(page) < self._size:
            raise DamagedDatabaseError(f"page {number} lies outside of it or in a loop")
        return page

    def _cells(self, page: bytes, at: int, count: int) -> tuple[int, ...]:
        if at + 2 * count > len(page):
            raise DamagedDatabaseError("a page has too many cells")
        return struct.unpack_from(f">{count}H", page, at)

    def _leaf(self, page: bytes, at: int) -> bytes:
        size, at = _varint(page, at)
        _, at = _varint(page, at)
        if size > MAX_HEADER:
            raise DamagedDatabaseError(f"a row has {size} bytes")
        most = self._usable - 35
        if size <= most:
            return page[at : at + size]
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (self._usable - 4)
        local = local if local <= most else least
        pieces = [page[at : at + local]]
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        left = size - local
        while left > 0:
            page = self._page(following)
            pieces.append(page[4 : 4 + min(left, self._usable - 4)])
            left -= self._usable - 4
            following = int.from_bytes(page[:4], "big")
        return b"".join(pieces)


def _record(payload: bytes, columns: int) -> list[bytes | int | None]:
    """Give the first columns of a record: numbers and bytes; what else there is reads as None."""
    end, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < min(end, len(payload)) and len(kinds) < columns:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[bytes | int | None] = []
    at = end
    for kind in kinds:
        size = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind] if kind < _TEXT_OR_BLOB else (kind - 12) // 2
        part = payload[at : at + size]
        at += size
        if kind >= _TEXT_OR_BLOB:
            values.append(part)
        elif kind in {8, 9}:
            values.append(kind - 8)
        else:
            values.append(int.from_bytes(part, "big", signed=True) if 1 <= kind <= 6 else None)  # noqa: PLR2004 (integers)
    return values


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number in range(9):
        if at >= len(page):
            raise DamagedDatabaseError("a cell lies outside its page")
        byte = page[at]
        at += 1
        if number == 8:  # noqa: PLR2004 (the ninth byte counts whole)
            return value << 8 | byte, at
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 (the last byte)
            return value, at
    return value, at
