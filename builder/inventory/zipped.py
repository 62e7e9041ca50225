"""ZIP archives of unknown hands (PKWARE's APPNOTE.TXT), read by their central directory, entry by entry.

A reader of our own because the standard library's keeps an object for every entry that an archive claims
and unpacks whatever size it says: here the directory streams by, and each entry is unpacked within a limit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from builder.inventory.content import Readable

_END, _END64, _LOCATOR64, _ENTRY, _LOCAL = (
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x01\x02",
    b"PK\x03\x04",
)
_END_SIZE, _ENTRY_SIZE, _LOCAL_SIZE, _LOCATOR_SIZE = 22, 46, 30, 20
_MAX_COMMENT = 65_535
_MAX_ENTRIES = 250_000
_WINDOW = 1 << 16
_STORED, _DEFLATED = 0, 8
_ALL_ONES = 0xFFFFFFFF
_ZIP64 = 1
_ENCRYPTED = 1


class DamagedZipError(ValueError):
    """Why an archive or an entry of it cannot be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive. ``size`` is what the directory says of it unpacked."""

    name: str
    method: int
    encrypted: bool
    packed: int
    size: int
    offset: int


def entries(content: Readable) -> Iterator[Entry]:
    """Give the entries in the directory's order. DamagedZipError, after what could be read."""
    start, size, before = _directory(content)
    at, window, base = start, b"", start
    for _ in range(_MAX_ENTRIES):
        if at + 4 > start + size:
            return
        if at + _ENTRY_SIZE - base > len(window):
            window, base = content[at : min(at + _WINDOW, start + size)], at
        if window[at - base : at - base + 4] != _ENTRY:
            return
        fixed = window[at - base : at - base + _ENTRY_SIZE]
        if len(fixed) < _ENTRY_SIZE:
            raise DamagedZipError("its directory is cut off")
        flags, method, packed, unpacked, name_size, extra_size, comment, offset = struct.unpack(
            "<8xHH8xIIHHH8xI", fixed
        )
        texts = content[at + _ENTRY_SIZE : at + _ENTRY_SIZE + name_size + extra_size]
        sizes = (unpacked, packed, offset)
        if _ALL_ONES in sizes:
            unpacked, packed, offset = _wide(texts[name_size:], sizes)
        name = texts[:name_size].decode(errors="replace")
        yield Entry(name, method, bool(flags & _ENCRYPTED), packed, unpacked, offset + before)
        at += _ENTRY_SIZE + name_size + extra_size + comment
    raise DamagedZipError(f"it has more than {_MAX_ENTRIES} entries")


def read_entry(content: Readable, entry: Entry, limit: int) -> bytes:
    """Unpack an entry. DamagedZipError when it is damaged, encrypted or has more than ``limit`` bytes."""
    local = content[entry.offset : entry.offset + _LOCAL_SIZE]
    if len(local) < _LOCAL_SIZE or not local.startswith(_LOCAL) or entry.encrypted:
        raise DamagedZipError(f"{entry.name[:200]!a} in it cannot be read")
    name_size, extra_size = struct.unpack_from("<HH", local, 26)
    start = entry.offset + _LOCAL_SIZE + name_size + extra_size
    packed = content[start : start + min(entry.packed, limit + (limit >> 4) + 1024)]
    if entry.method == _STORED:
        unpacked, whole = packed[: limit + 1], len(packed) == entry.packed
    elif entry.method == _DEFLATED:
        inflate = zlib.decompressobj(-15)
        try:
            unpacked = inflate.decompress(packed, limit + 1)
        except zlib.error:
            raise DamagedZipError(f"{entry.name[:200]!a} in it is damaged") from None
        whole = inflate.eof
    else:
        raise DamagedZipError(f"{entry.name[:200]!a} in it is packed in a way that is not known")
    if len(unpacked) > limit:
        raise DamagedZipError(f"{entry.name[:200]!a} in it is larger than {limit} bytes")
    if not whole:
        raise DamagedZipError(f"{entry.name[:200]!a} in it is cut off")
    return unpacked


class Stored:
    """An entry that is not packed, where it lies."""

    def __init__(self, content: Readable, start: int, size: int) -> None:
        self._content = content
        self._start = start
        self._size = max(0, min(size, len(content) - start))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        return self._content[self._start + start : self._start + max(start, stop)]


def stored_entry(content: Readable, entry: Entry) -> Stored | None:
    """Give an entry without unpacking it; None when it is packed."""
    if entry.method != _STORED or entry.encrypted or entry.packed != entry.size:
        return None
    local = content[entry.offset : entry.offset + _LOCAL_SIZE]
    if len(local) < _LOCAL_SIZE or not local.startswith(_LOCAL):
        return None
    name_size, extra_size = struct.unpack_from("<HH", local, 26)
    return Stored(content, entry.offset + _LOCAL_SIZE + name_size + extra_size, entry.size)


def _directory(content: Readable) -> tuple[int, int, int]:
    """Give offset and size of the central directory, and the bytes before the archive (a script)."""
    tail_at = max(0, len(content) - _END_SIZE - _MAX_COMMENT)
    tail = content[tail_at : len(content)]
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise DamagedZipError("it is no ZIP archive, or cut off")
    end = tail_at + at
    size, offset = struct.unpack_from("<II", tail, at + 12)
    if _ALL_ONES in {size, offset}:
        end, size, offset = _wide_end(content, end)
    before = end - size - offset
    if before < 0:
        raise DamagedZipError("its directory lies outside of it")
    return offset + before, size, before


def _wide_end(content: Readable, end: int) -> tuple[int, int, int]:
    locator = content[max(0, end - _LOCATOR_SIZE) : end]
    if len(locator) < _LOCATOR_SIZE or not locator.startswith(_LOCATOR64):
        raise DamagedZipError("its directory cannot be found")
    (place,) = struct.unpack_from("<Q", locator, 8)
    record = content[place : place + 56]
    if len(record) < 56 or not record.startswith(_END64):  # noqa: PLR2004 (bytes of the record)
        raise DamagedZipError("its directory cannot be found")
    size, offset = struct.unpack_from("<QQ", record, 40)
    return place, size, offset


def _wide(extra: bytes, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64:
            words = iter(struct.unpack_from(f"<{min(size, len(extra) - at - 4) // 8}Q", extra, at + 4))
            unpacked, packed, offset = (next(words, one) if one == _ALL_ONES else one for one in sizes)
            return unpacked, packed, offset
        at += 4 + size
    return sizes
