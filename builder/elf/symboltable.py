"""The table of dynamic symbols of an ELF file, found as ld.so finds it: by DT_SYMTAB, DT_GNU_HASH or DT_HASH.

A library has thousands of symbols and few are asked for. So columns are read whole, at the speed of memory,
and rows only when they were chosen.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Container, Iterable, Sequence
from functools import cached_property

from builder.elf.reader import TAGS, DamagedError, Dynamic, Readable, read_headers
from builder.elf.tables import Tables

WEAK = 2
"""The binding of a weak symbol: the upper half of st_info."""
_ABSOLUTE = 0xFFF1
_TLS = 6
_MAX_STRINGS = 1 << 28
_NAMES_PER_STRING = 16
"""Bytes of names that may be taken out of one byte of the string table: names share their ends and repeat."""

# Only these kinds are looked up: none, object, function, common, thread-local, indirect function; and only
# global, weak and unique symbols are seen by other files.
_LOOKED_UP = frozenset(bind << 4 | kind for bind in (1, WEAK, 10) for kind in (0, 1, 2, 5, _TLS, 10))

_CODES = {2: "H", 4: "I"}
"""Codes of the module array by bytes of a number."""

Row = tuple[int, int, int, int]
"""A symbol: its number in the table, st_info, st_shndx (0: undefined), st_value."""


class SymbolTable:
    """The symbols of one file and their names. A file without them has an empty table.

    ``data`` is read when the table is made, and by its ``tables``, but by no method. Raises DamagedError.
    """

    def __init__(self, data: Readable) -> None:
        self.headers = read_headers(data)
        dynamic = Dynamic(data, self.headers)
        self.tables = Tables(data, self.headers, dynamic)
        strings = self.tables.table("DT_STRTAB", "string table")
        size = dynamic.number(TAGS["DT_STRSZ"])
        if size > _MAX_STRINGS:
            raise DamagedError(f"its string table has {size} bytes")
        text = strings.read(0, size) if strings is not None else b""
        self.strings = text if text.endswith(b"\0") else text + b"\0"
        self._record = self.headers.layout.symbol
        table = self.tables.table("DT_SYMTAB", "symbol table")
        self.first, self.count = self.tables.symbols() if table is not None else (1, 0)
        self._rows = table.read(0, self.count * self._record.format.size) if table is not None else b""

    def undefined(self) -> list[int]:
        """Give the numbers of the symbols that the file leaves to others."""
        return [number for number, section in enumerate(self._column("st_shndx")) if not section]

    def visible(self, numbers: Iterable[int]) -> list[tuple[bytes, Row]]:
        """Give those of the symbols ``numbers`` that look-ups care for, each with its name."""
        places = self._places
        rows = [row for row in self._chosen(numbers) if row[1] in _LOOKED_UP and places[row[0]]]
        return list(zip(self._names([places[row[0]] for row in rows]), rows, strict=True))

    def defined(self, names: Container[bytes] | None = None) -> list[tuple[bytes, Row]]:
        """Give the definitions that look-ups can find, each with its name; of ``names`` alone, if any are."""
        known = self._names(self._places[self.first :])
        chosen = [
            (number, name)
            for number, name in enumerate(known, self.first)
            if name and (names is None or name in names)
        ]
        rows = self._chosen(number for number, _ in chosen)
        pairs = zip((name for _, name in chosen), rows, strict=True)
        return [(name, row) for name, row in pairs if row[2] and row[1] in _LOOKED_UP and _is_there(row)]

    @cached_property
    def _places(self) -> array[int]:
        return self._column("st_name")

    def _column(self, field: str) -> array[int]:
        form, index = self._record.format, self._record.names[field]
        order, codes = form.format[0], form.format[1:]
        at, size = struct.calcsize(order + codes[:index]), struct.calcsize(order + codes[index])
        column = array(_CODES[size], self._rows)[at // size :: form.size // size]
        if self.headers.little_endian != (sys.byteorder == "little"):
            column.byteswap()
        return column

    def _chosen(self, numbers: Iterable[int]) -> list[Row]:
        unpack, size, names = self._record.format.unpack_from, self._record.format.size, self._record.names
        info, section, value = names["st_info"], names["st_shndx"], names["st_value"]
        rows = ((number, unpack(self._rows, number * size)) for number in numbers)
        return [(number, row[info], row[section], row[value]) for number, row in rows]

    def _names(self, places: Sequence[int]) -> list[bytes]:
        """Give the name at each place. DamagedError when they lie outside, or share their bytes too much."""
        strings = self.strings
        index = strings.index
        if max(places, default=0) >= len(strings):
            raise DamagedError("the name of a symbol lies outside its string table")
        left = _NAMES_PER_STRING * len(strings)
        step = max(1, _MAX_STRINGS // len(strings))  # however long they are, a few too many do no harm
        names: list[bytes] = []
        for start in range(0, len(places), step):
            some = [strings[at : index(0, at)] for at in places[start : start + step]]
            left -= sum(map(len, some))
            if left < 0:
                raise DamagedError("the names of its symbols overlap too much")
            names += some
        return names


def _is_there(row: Row) -> bool:
    # Only these define something although their value is 0.
    return bool(row[3]) or row[2] == _ABSOLUTE or row[1] & 15 == _TLS
