"""GVDB, the table of texts and values that GSettings and dconf read (gvdb-format.h; little endian).

A table is its counts, the first item of each bucket, and 24 bytes for each item; keys and values follow.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from builder.runtime.made.formats.ghash import iteration_order, string_hash

_SIGNATURE = b"GVariant"
_HEAD = 24
_NO_PARENT = 0xFFFFFFFF
_BLOOM_SHIFT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Values by key, in the order in which they were put in: the bytes of a variant, or a table.

    A key "" without value is there too, and lists the keys of ``children``.
    """

    values: Mapping[str, bytes | Table]
    children: frozenset[str] = frozenset()


def write(table: Table) -> bytes:
    """Write a file whose root is ``table``."""
    writer = _Writer()
    start, end = writer.table(table)
    writer.data[:_HEAD] = struct.pack("<8sIIII", _SIGNATURE, 0, 0, start, end)
    return bytes(writer.data)


class _Writer:
    def __init__(self) -> None:
        self.data = bytearray(_HEAD)

    def table(self, table: Table) -> tuple[int, int]:
        """Write one table and everything in it; where it starts and ends."""
        buckets = _buckets(table)
        order = [key for bucket in buckets for key in bucket]
        index = {key: number for number, key in enumerate(order)}
        start, end = self._room(4, 8 + 4 * len(buckets) + 24 * len(order))
        struct.pack_into("<II", self.data, start, _BLOOM_SHIFT << 27, len(buckets))
        items = start + 8 + 4 * len(buckets)
        first = 0
        for number, bucket in enumerate(buckets):
            struct.pack_into("<I", self.data, start + 8 + 4 * number, first)
            first += len(bucket)
        for number, key in enumerate(order):
            item = self._item(key, table, index)
            self.data[items + 24 * number : items + 24 * (number + 1)] = item
        return start, end

    def _item(self, key: str, table: Table, index: Mapping[str, int]) -> bytes:
        name = key.encode("utf-8", "surrogateescape")
        parent = index[""] if key in table.children else _NO_PARENT
        name_at = len(self.data)
        self.data += name
        value = table.values.get(key) if key else None
        if isinstance(value, Table):
            kind, place = b"H", self.table(value)
        elif value is not None:
            kind, place = b"v", self._room(8, len(value))
            self.data[place[0] : place[1]] = value
        elif table.children:
            kind = b"L"
            place = self._room(4, 4 * len(table.children))
            numbers = [index[child] for child in sorted(table.children)]
            struct.pack_into(f"<{len(numbers)}I", self.data, place[0], *numbers)
        else:
            kind, place = b"\0", (0, 0)
        return struct.pack("<IIIHcxII", _hash(key), parent, name_at, len(name), kind, *place)

    def _room(self, alignment: int, size: int) -> tuple[int, int]:
        self.data += bytes(-len(self.data) % alignment)
        start = len(self.data)
        self.data += bytes(size)
        return start, start + size


def _buckets(table: Table) -> list[list[str]]:
    """The keys of each bucket; as many buckets as keys. Later keys come first, as in GLib's writer."""
    keys = ("", *table.values)
    buckets: list[list[str]] = [[] for _ in keys]
    for key in iteration_order(keys):
        buckets[_hash(key) % len(buckets)].insert(0, key)
    return buckets


def _hash(key: str) -> int:
    return string_hash(key.encode("utf-8", "surrogateescape"))
