"""Initialised data of a shared object as the loader would leave it: tables of plug-ins are read from it.

Only what needs no other object: pointers into the file itself, numbers, texts (System V ABI, "Relocation").
"""

from __future__ import annotations

import struct

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
            self._addresses = definitions(data)
            self._relocated = self._relocations()
        except DamagedError as error:
            raise ElfError(name, str(error)) from None
        self._order = "<" if self._headers.little_endian else ">"
        self.pointer_size = 8 if self._headers.elf_class == _WIDE else 4

    def address(self, symbol: str) -> int | None:
        """Where the object defines ``symbol``; None when it does not."""
        return self._addresses.get(symbol.encode())

    def pointer(self, address: int) -> int:
        """The pointer at ``address``; 0 where another object would fill it in."""
        found = self._relocated.get(address)
        return found if found is not None else self._unpack(address, "Q" if self.pointer_size > 4 else "I")  # noqa: PLR2004 (bytes)

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
        """What every relocation with an addend comes to, by address; symbols of other objects are 0."""
        dynamic = Dynamic(self._data, self._headers)
        tables = Tables(self._data, self._headers, dynamic)
        table = tables.table("DT_RELA", "table of relocations")
        symbols = tables.table("DT_SYMTAB", "symbol table")
        record = self._headers.layout.rela
        count = dynamic.number(TAGS["DT_RELASZ"]) // record.format.size
        if table is None or not count:
            return {}
        if count > _MAX_RELOCATIONS:
            raise DamagedError(f"it has {count} relocations")
        place, info, addend = (record.names[name] for name in ("r_offset", "r_info", "r_addend"))
        shift = 32 if self._headers.elf_class == _WIDE else 8
        rows = record.format.iter_unpack(table.read(0, count * record.format.size))
        return {row[place]: row[addend] + self._value(symbols, row[info] >> shift) for row in rows}

    def _value(self, symbols: Table | None, number: int) -> int:
        if symbols is None or not number:
            return 0
        record = self._headers.layout.symbol
        return symbols.record(record, number * record.format.size)[record.names["st_value"]]
