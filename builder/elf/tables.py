"""Where the tables of dynamic symbols lie in a file, and how long they are: neither is written anywhere.

The length of the symbol table follows from its hash table, or, where that is empty, from the relocations
(gABI, "Hash Table"; the GNU form is that of glibc's elf/dl-lookup.c, do_lookup_x). Every size is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from builder.elf.object import EM_MIPS, EM_S390
from builder.elf.reader import TAGS, DamagedError, Dynamic, Headers, Readable, Record

MAX_SYMBOLS = 1 << 20
"""Real files have up to a quarter of that."""
_MAX_BUCKETS = 1 << 20
_MAX_RELOCATIONS = 1 << 26
"""Bytes of one relocation table that are looked at."""
_MAX_CHAIN = 1 << 14
"""Records of one list of versions. Real ones have up to some hundred."""
_CHUNK = 1 << 14
_WINDOW = 1 << 13
_WIDE = 64


class Table:
    """The bytes from the address of a tag to the end of their segment, read when they are asked for."""

    def __init__(self, data: Readable, start: int, room: int, name: str) -> None:
        self._data = data
        self._start = start
        self._room = room
        self._name = name
        self._window = b""

    def read(self, at: int, size: int) -> bytes:
        """Give exactly ``size`` bytes. DamagedError when they lie outside."""
        part = self._data[self._start + at : self._start + at + size] if at + size <= self._room else b""
        if len(part) < size:
            raise DamagedError(f"its {self._name} lies outside the file")
        return part

    def record(self, record: Record, at: int) -> tuple[int, ...]:
        """Unpack one record; the first few thousand bytes are read at once."""
        size = record.format.size
        if at + size > _WINDOW:
            return record.format.unpack(self.read(at, size))
        if not self._window:
            self._window = self._data[self._start : self._start + min(_WINDOW, self._room)]
        if at + size > len(self._window):
            raise DamagedError(f"its {self._name} lies outside the file")
        return record.format.unpack_from(self._window, at)


class Tables:
    """The tables of one file."""

    def __init__(self, data: Readable, headers: Headers, dynamic: Dynamic) -> None:
        self._data = data
        self._headers = headers
        self._dynamic = dynamic
        self._order = "<" if headers.little_endian else ">"

    def has(self, tag: str) -> bool:
        """Whether the dynamic section has ``tag``."""
        return TAGS[tag] in self._dynamic.tags

    def table(self, tag: str, name: str) -> Table | None:
        """Give the table that ``tag`` points to, None without it; ``name`` is what an error calls it."""
        if not self.has(tag):
            return None
        place = self._headers.offset_of(self._dynamic.number(TAGS[tag]))
        if place is None:
            raise DamagedError(f"its {name} is in no segment")
        return Table(self._data, *place, name)

    def numbers(self, table: Table, at: int, count: int, code: str) -> tuple[int, ...]:
        """Unpack ``count`` numbers of one format."""
        form = struct.Struct(f"{self._order}{count}{code}")
        return form.unpack(table.read(at, form.size))

    def symbols(self) -> tuple[int, int]:
        """Give the number of the first symbol that a look-up can find, and how many symbols there are."""
        machine = self._headers.fields["e_machine"]
        counted = self._plain_hash(wide=machine == EM_S390 and self._headers.elf_class == _WIDE)
        if machine == EM_MIPS:
            counted = self._dynamic.number(TAGS["DT_MIPS_SYMTABNO"]) or counted
        first, count = self._gnu_hash(counted)
        if count > MAX_SYMBOLS:
            raise DamagedError(f"it has {count} dynamic symbols")
        return first, count

    def _plain_hash(self, *, wide: bool) -> int | None:
        # On s390x, alone of the machines that Debian knows, the words of this table have 64 bits.
        table = self.table("DT_HASH", "hash table")
        return None if table is None else self.numbers(table, 0, 2, "Q" if wide else "I")[1]

    def _gnu_hash(self, counted: int | None) -> tuple[int, int]:
        table = self.table("DT_GNU_HASH", "GNU hash table")
        if table is None:
            return 1, counted or 0
        buckets, first, bloom, _ = self.numbers(table, 0, 4, "I")
        if buckets > _MAX_BUCKETS:
            raise DamagedError(f"its GNU hash table has {buckets} buckets")
        at = 16 + bloom * (self._headers.elf_class // 8)
        last = max(self.numbers(table, at, buckets, "I"), default=0)
        if last >= first:
            return first, counted or self._end_of_chain(table, at + 4 * (buckets - first), last)
        # An empty table says nothing of the references: GNU ld writes 1 for the first symbol then.
        count = self._referenced() if counted is None else counted
        return count, count

    def _end_of_chain(self, table: Table, at: int, last: int) -> int:
        while last <= MAX_SYMBOLS:
            if self.numbers(table, at + 4 * last, 1, "I")[0] & 1:
                return last + 1
            last += 1
        raise DamagedError(f"its GNU hash table has no end after {last} symbols")

    def _referenced(self) -> int:
        layout = self._headers.layout
        is_rela = self._dynamic.number(TAGS["DT_PLTREL"]) == TAGS["DT_RELA"]
        tables = (
            ("DT_RELA", "DT_RELASZ", layout.rela),
            ("DT_REL", "DT_RELSZ", layout.rel),
            ("DT_JMPREL", "DT_PLTRELSZ", layout.rela if is_rela else layout.rel),
        )
        return 1 + max((self._highest(*table) for table in tables), default=0)

    def _highest(self, tag: str, size_tag: str, record: Record) -> int:
        table = self.table(tag, "relocation table")
        if table is None:
            return 0
        step, info = record.format.size, record.names["r_info"]
        size = min(self._dynamic.number(TAGS[size_tag]), _MAX_RELOCATIONS) // step * step
        pieces = (table.read(at, min(_CHUNK * step, size - at)) for at in range(0, size, _CHUNK * step))
        highest = max((row[info] for piece in pieces for row in record.format.iter_unpack(piece)), default=0)
        return highest >> (32 if self._headers.elf_class == _WIDE else 8)


def chain(table: Table, record: Record, next_field: str, at: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Walk records that each say how far the next one is, 0 at the end; give each one's place and fields."""
    step = record.names[next_field]
    for _ in range(_MAX_CHAIN):
        fields = table.record(record, at)
        yield at, fields
        if not fields[step]:
            return
        at += fields[step]
    raise DamagedError(f"a list of versions has more than {_MAX_CHAIN} entries")
