"""Initialised data of a shared object as the loader would leave it: tables of plug-ins are read from it.

Only what needs no other object: pointers into the file itself, numbers, texts (System V ABI, "Relocation").
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from builder.elf.object import ElfError
from builder.elf.reader import TAGS, DamagedError, Dynamic, Readable, read_headers
from builder.elf.symbols import definitions
from builder.elf.tables import Table, Tables

_LONGEST_TEXT = 4096
_MAX_RELOCATIONS = 1 << 20
_WIDE = 64


class ElfData:
    """The data of one file, of any class and byte order; ``name`` is what an error calls it.

    Raises ElfError for what lies outside the file.
    """

    def __init__(self, data: Readable, *, name: str) -> None:
        self._data = data
        self._name = name
        try:
            self._headers = read_headers(data)
            self._order = "<" if self._headers.little_endian else ">"
            self.pointer_size = 8 if self._headers.elf_class == _WIDE else 4
            self._addresses = definitions(data)
            self._relocated = self._relocations()
        except DamagedError as error:
            raise ElfError(name, str(error)) from None

    def address(self, symbol: str) -> int | None:
        """Where the object defines ``symbol``; None when it does not."""
        return self._addresses.get(symbol.encode())

    def pointer(self, address: int) -> int:
        """The pointer at ``address``; 0 where another object would fill it in."""
        found = self._relocated.get(address)
        return found if found is not None else self._unpack(address, "Q" if self.pointer_size > 4 else "I")  # noqa: PLR2004 (bytes)

    @property
    def pointers(self) -> Mapping[int, int]:
        """Every pointer that the loader fills in, by its place; 0 where it leads to another object."""
        return MappingProxyType(self._relocated)

    def number(self, address: int) -> int:
        """The int at ``address``."""
        return self._unpack(address, "i")

    def text(self, address: int) -> str:
        """The text that starts at ``address`` and ends with a zero byte."""
        at, room = self._place(address)
        raw = self._data[at : at + min(room, _LONGEST_TEXT)]
        if b"\0" not in raw:
            raise ElfError(self._name, f"a text ({address:#x}) has no end")
        return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def _unpack(self, address: int, code: str) -> int:
        form = struct.Struct(self._order + code)
        at, room = self._place(address)
        raw = self._data[at : at + min(room, form.size)]
        if len(raw) < form.size:
            raise ElfError(self._name, f"its data ({address:#x}) lies outside the file")
        return int(form.unpack(raw)[0])

    def _place(self, address: int) -> tuple[int, int]:
        place = self._headers.offset_of(address)
        if place is None:
            raise ElfError(self._name, f"its data ({address:#x}) is in no segment")
        return place

    def _relocations(self) -> dict[int, int]:
        """What every relocated pointer comes to, by address; symbols of other objects are 0."""
        dynamic = Dynamic(self._data, self._headers)
        tables = Tables(self._data, self._headers, dynamic)
        symbols = tables.table("DT_SYMTAB", "symbol table")
        layout = self._headers.layout
        shift = 32 if self._headers.elf_class == _WIDE else 8
        found: dict[int, int] = {}
        for tag, size, record in (("DT_RELA", "DT_RELASZ", layout.rela), ("DT_REL", "DT_RELSZ", layout.rel)):
            place, info = record.names["r_offset"], record.names["r_info"]
            addend = record.names.get("r_addend")
            for row in self._rows(tables, tag, dynamic.number(TAGS[size]), record.format):
                at = row[place]
                base = row[addend] if addend is not None else self._in_place(at)
                found[at] = base + self._value(symbols, row[info] >> shift)
        for at in itertools.islice(
            self._relative(tables, dynamic.number(TAGS["DT_RELRSZ"])), _MAX_RELOCATIONS
        ):
            found[at] = self._in_place(at)
        return found

    def _rows(self, tables: Tables, tag: str, size: int, form: struct.Struct) -> Iterator[tuple[int, ...]]:
        table = tables.table(tag, "table of relocations")
        count = size // form.size
        if table is None or not count:
            return iter(())
        if count > _MAX_RELOCATIONS:
            raise DamagedError(f"it has {count} relocations")
        return form.iter_unpack(table.read(0, count * form.size))

    def _relative(self, tables: Tables, size: int) -> Iterator[int]:
        """Places of DT_RELR: an even word is one, the bits of an odd one stand for those that follow."""
        word = struct.Struct(self._order + ("Q" if self.pointer_size > 4 else "I"))  # noqa: PLR2004 (bytes)
        bits = 8 * self.pointer_size - 1
        following = 0
        for (entry,) in self._rows(tables, "DT_RELR", size, word):
            if not entry & 1:
                yield entry
                following = entry + self.pointer_size
                continue
            for bit in range(bits):
                if entry >> (bit + 1) & 1:
                    yield following + bit * self.pointer_size
            following += bits * self.pointer_size

    def _in_place(self, address: int) -> int:
        if self._headers.offset_of(address) is None:
            return 0
        return self._unpack(address, "Q" if self.pointer_size > 4 else "I")  # noqa: PLR2004 (bytes)

    def _value(self, symbols: Table | None, number: int) -> int:
        if symbols is None or not number:
            return 0
        record = self._headers.layout.symbol
        return symbols.record(record, number * record.format.size)[record.names["st_value"]]
