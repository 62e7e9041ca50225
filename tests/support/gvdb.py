"""GVDB files read back, as GLib's reader does it: every look-up goes through the hash and its bucket."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from builder.runtime.made.formats.ghash import string_hash

_NONE = 0xFFFFFFFF


@dataclass(frozen=True)
class Table:
    """One table of a file."""

    data: bytes
    start: int
    end: int

    @property
    def _buckets(self) -> int:
        bloom, buckets = struct.unpack_from("<II", self.data, self.start)
        assert bloom & 0x7FFFFFF == 0
        return int(buckets)

    @property
    def _items(self) -> int:
        return self.start + 8 + 4 * self._buckets

    @property
    def _count(self) -> int:
        assert (self.end - self._items) % 24 == 0
        return (self.end - self._items) // 24

    def keys(self) -> list[str]:
        """Every key, in the order of the file."""
        return [self._item(number)[0] for number in range(self._count)]

    def __getitem__(self, key: str) -> bytes | Table | list[str]:
        bucket = string_hash(key.encode()) % self._buckets
        last = self._count if bucket + 1 == self._buckets else self._first(bucket + 1)
        for number in range(self._first(bucket), last):
            name, kind, start, end = self._item(number)
            if name == key:
                return self._value(kind, start, end)
        raise KeyError(key)

    def _value(self, kind: str, start: int, end: int) -> bytes | Table | list[str]:
        if kind == "v":
            assert start % 8 == 0
            return self.data[start:end]
        if kind == "H":
            return Table(self.data, start, end)
        numbers = struct.unpack_from(f"<{(end - start) // 4}I", self.data, start)
        return [self._item(number)[0] for number in numbers]

    def _first(self, bucket: int) -> int:
        return int(struct.unpack_from("<I", self.data, self.start + 8 + 4 * bucket)[0])

    def _item(self, number: int) -> tuple[str, str, int, int]:
        place = self._items + 24 * number
        hashed, parent, at, size, kind, start, end = struct.unpack_from("<IIIHcxII", self.data, place)
        name = self.data[at : at + size].decode()
        if parent != _NONE:
            name = self._item(parent)[0] + name
        assert string_hash(name.encode()) == hashed
        return name, kind.decode(), start, end


def read(data: bytes) -> Table:
    """The root of a file."""
    signature, version, options, start, end = struct.unpack_from("<8sIIII", data)
    assert (signature, version, options) == (b"GVariant", 0, 0)
    return Table(data, start, end)
