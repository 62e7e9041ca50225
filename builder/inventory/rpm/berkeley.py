"""Packages: a Berkeley DB hash, as rpm kept it until 2020 (Oracle's dbinc/db_page.h)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.rpm.header import MAX_HEADER
from builder.inventory.rpm.sqlite import DamagedDatabaseError

MAGIC = 0x00061561
"""Of a hash, at byte 12, in the byte order of the machine that made it."""
_HASH_UNSORTED, _HASH, _OVERFLOW, _HASH_META = 2, 13, 7, 8
_OTHERS = frozenset({0, _OVERFLOW, _HASH_META})
"""Pages without entries: free ones, parts of long values, the first."""
_PAGE_HEADER = 26
_KEY_DATA, _OFF_PAGE = 1, 3
_OFF_PAGE_SIZE = 12
_KEY_SIZE = 4


def is_berkeley(head: bytes) -> bool:
    """Whether a file starts as a Berkeley DB hash does."""
    return len(head) >= 16 and MAGIC in (int.from_bytes(head[12:16], order) for order in ("little", "big"))  # noqa: PLR2004 (bytes looked at)


def package_blobs(content: Readable) -> Iterator[bytes]:
    """Give the header of each package. DamagedDatabaseError after what could be read."""
    head = content[0:72]
    if len(head) < 72 or not is_berkeley(head):  # noqa: PLR2004 (bytes of the meta page that are read)
        raise DamagedDatabaseError("it is no Berkeley DB hash")
    order = "<" if int.from_bytes(head[12:16], "little") == MAGIC else ">"
    size, encrypted, kind = *struct.unpack_from(f"{order}I", head, 20), head[24], head[25]
    if size < 512 or size & (size - 1) or size > 65536 or encrypted or kind != _HASH_META:  # noqa: PLR2004 (the format's own limits)
        raise DamagedDatabaseError("its first page is damaged, or it is encrypted")
    pages = _Pages(content, order, size)
    for number in range(1, len(content) // size):
        page = content[number * size : (number + 1) * size]
        if page[25] in {_HASH, _HASH_UNSORTED}:
            yield from pages.values(page)
        elif page[25] not in _OTHERS:
            raise DamagedDatabaseError(f"page {number} is of no kind")
    (last,) = struct.unpack_from(f"{order}I", head, 32)
    if len(content) < (last + 1) * size:
        raise DamagedDatabaseError("it is cut off")


class _Pages:
    def __init__(self, content: Readable, order: str, size: int) -> None:
        self._content = content
        self._order = order
        self._size = size
        self._left = len(content) // size
        """Overflow pages that may still be read: each belongs to one value, so more are a loop."""

    def values(self, page: bytes) -> Iterator[bytes]:
        """Give the values of a page's pairs of key and value."""
        count = self._number("H", page, 20)
        if _PAGE_HEADER + 2 * count > len(page):
            raise DamagedDatabaseError("a page has too many entries")
        places = struct.unpack_from(f"{self._order}{count}H", page, _PAGE_HEADER)
        for number in range(1, count, 2):
            key, value = places[number - 1], places[number]
            if value >= len(page):
                raise DamagedDatabaseError("an entry lies outside its page")
            if page[value] == _OFF_PAGE:
                yield self._chain(page[value : value + _OFF_PAGE_SIZE])
            elif page[value] == _KEY_DATA and not self._is_counter(page, key):
                # Entries fill a page from its end: a value stops where its key starts.
                yield page[value + 1 : key]

    def _is_counter(self, page: bytes, key: int) -> bool:
        # Key 0 holds the number of the next package.
        return page[key + 1 : key + 1 + _KEY_SIZE] == bytes(_KEY_SIZE)

    def _number(self, code: str, page: bytes, at: int) -> int:
        (value,) = struct.unpack_from(self._order + code, page, at)
        return int(value)

    def _chain(self, entry: bytes) -> bytes:
        if len(entry) < _OFF_PAGE_SIZE:
            raise DamagedDatabaseError("an entry lies outside its page")
        number, size = struct.unpack_from(f"{self._order}2I", entry, 4)
        if size > MAX_HEADER:
            raise DamagedDatabaseError(f"a value has {size} bytes")
        pieces: list[bytes] = []
        left = size
        while left > 0:
            self._left -= 1
            page = self._content[number * self._size : (number + 1) * self._size]
            if self._left < 0 or len(page) < self._size or page[25] != _OVERFLOW:
                raise DamagedDatabaseError(f"page {number} is none of a value, or in a loop")
            piece = page[_PAGE_HEADER : _PAGE_HEADER + min(self._number("H", page, 22), left)]
            if not piece:
                raise DamagedDatabaseError(f"page {number} is empty")
            pieces.append(piece)
            left -= len(piece)
            number = self._number("I", page, 16)
        return b"".join(pieces)
