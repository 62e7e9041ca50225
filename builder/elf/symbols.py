"""The dynamic symbols of an ELF file, in bulk: what it needs from others and what it gives them.

Sections are not used: the tables are found as ld.so finds them, by DT_SYMTAB, DT_GNU_HASH or DT_HASH,
DT_VERSYM, DT_VERNEED and DT_VERDEF (gABI, "Symbol Table"; LSB Core, "Symbol Versioning"). Which definition
answers which reference is decided as glibc does (elf/dl-lookup.c, check_match), and written into keys:

    b"name"          a reference without a version; a definition that such a reference accepts
    b"name@VERSION"  a reference to one version; the definition of it
    b"name@"         a definition without a version in a file that has versions: it answers any version
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter

from builder.elf.object import ElfError
from builder.elf.reader import TAGS, DamagedError, Dynamic, Readable, Record, read_headers
from builder.elf.tables import Tables
from builder.elf.versions import VersionNeed, Versions, read_versions

_OLDEST = 3
"""Version numbers below this one answer references without a version: local, base, and the oldest."""
_HIDDEN = 0x8000
_NUMBER = 0x7FFF
_ABSOLUTE = 0xFFF1
_TLS = 6
_WEAK = 2
_MAX_STRINGS = 1 << 28
_NAMES_PER_STRING = 16
"""Bytes of names that may be taken out of one byte of the string table: names share their ends and repeat."""

# Only these kinds are looked up: none, object, function, common, thread-local, indirect function; and only
# global, weak and unique symbols are seen by other files.
_LOOKED_UP = frozenset(bind << 4 | kind for bind in (1, _WEAK, 10) for kind in (0, 1, 2, 5, _TLS, 10))

_FIELDS = ("st_name", "st_info", "st_shndx", "st_value")
_Row = tuple[int, int, int, int, int]
"""Place of the name, st_info, section, value; number of the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfSymbols:
    """The dynamic symbols of one file, as keys (see the module). It does not know who answers whom.

    ``wanted`` must be answered, ``weak`` need not. ``given`` answers. ``needs`` and ``defines`` are the
    versions required and defined, in file order; the file's own name is among ``defines`` (the base version).
    A file that is not ``versioned`` answers every reference by its name alone.
    """

    wanted: frozenset[bytes]
    weak: frozenset[bytes]
    given: frozenset[bytes]
    needs: tuple[VersionNeed, ...]
    defines: tuple[str, ...]
    versioned: bool


def read_symbols(data: Readable, *, name: str) -> ElfSymbols:
    """Read the symbols of one file, of any class and byte order; ``name`` is what an error calls it.

    A file without a dynamic section or symbol table has none. Raises ElfError when a table or a name lies
    outside the file or exceeds the bounds of these modules, never anything else for any bytes.
    """
    try:
        file = _File(data)
        versions = read_versions(file.tables, file.strings, file.headers.layout)
        return _sorted(file, versions)
    except DamagedError as error:
        raise ElfError(name, str(error)) from None


def read_references(data: Readable, *, name: str) -> frozenset[str]:
    """Read only the names that a file leaves to others, weak ones too. Raises as :func:`read_symbols`."""
    try:
        file = _File(data)
        undefined = [row for row in file.rows(versioned=False) if not row[2]]
        return frozenset(name.decode("utf-8", "surrogateescape") for name in file.names(undefined))
    except DamagedError as error:
        raise ElfError(name, str(error)) from None


def definitions(data: Readable) -> dict[bytes, int]:
    """Address of each symbol that a file defines. DamagedError as in the class below."""
    file = _File(data)
    defined = [row for row in file.rows(versioned=False) if row[2]]
    return {name: row[3] for name, row in zip(file.names(defined), defined, strict=True)}


class _File:
    """The symbol table and its strings. A file without them has empty ones."""

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

    def rows(self, *, versioned: bool) -> list[_Row]:
        """Give every symbol that look-ups care for: references (section 0), and definitions they can find."""
        table = self.tables.table("DT_SYMTAB", "symbol table")
        if table is None:
            return []
        first, count = self.tables.symbols()
        form, order = _narrow(self.headers.layout.symbol)
        raw: Iterable[tuple[int, ...]] = form.iter_unpack(table.read(0, count * form.size))
        if order is not None:
            raw = map(order, raw)
        marks: Iterable[int] = repeat(1)
        if versioned and (versym := self.tables.table("DT_VERSYM", "table of versions")) is not None:
            marks = self.tables.numbers(versym, 0, count, "H")
        return [
            (at, info, section, value, mark)
            for number, ((at, info, section, value), mark) in enumerate(zip(raw, marks, strict=False))
            if at and info in _LOOKED_UP and (number >= first or not section)
        ]

    def names(self, rows: list[_Row]) -> list[bytes]:
        """Give the name of each row. DamagedError when they lie outside, or share their bytes too much."""
        strings = self.strings
        index = strings.index
        longest = max(map(len, strings.split(b"\0")))
        places = [row[0] for row in rows]
        if max(places, default=0) >= len(strings):
            raise DamagedError("the name of a symbol lies outside its string table")
        left = _NAMES_PER_STRING * len(strings)
        if longest * len(rows) > left:  # else nothing can be too much, and nothing needs to be counted
            for at in places:
                left -= index(0, at) - at
                if left < 0:
                    raise DamagedError("the names of its symbols overlap too much")
        return [strings[at : index(0, at)] for at in places]


def _narrow(record: Record) -> tuple[struct.Struct, Callable[[tuple[int, ...]], tuple[int, ...]] | None]:
    """Give a format that skips the fields not used here, and what puts the others in order, if need be."""
    kept = [name for name in record.names if name in _FIELDS]
    order, codes = record.format.format[0], record.format.format[1:]
    sizes = (struct.calcsize(order + code) for code in codes)
    fields = zip(record.names, codes, sizes, strict=True)
    picked = "".join(code if name in _FIELDS else f"{size}x" for name, code, size in fields)
    in_order = tuple(kept) == _FIELDS
    return struct.Struct(order + picked), None if in_order else itemgetter(*map(kept.index, _FIELDS))


def _sorted(file: _File, versions: Versions) -> ElfSymbols:
    versioned = bool(versions.names or versions.defines) and file.tables.has("DT_VERSYM")
    suffixes = {number: b"@" + name for number, name in versions.names.items()} if versioned else {}
    rows = file.rows(versioned=versioned)
    foreign = versions.foreign
    # A definition with the version of another file is a variable copied from there: that file must have it.
    undefined = [row for row in rows if not row[2] or row[4] & _NUMBER in foreign]
    defined = [
        row for row in rows if row[2] and row[4] & _NUMBER not in foreign and (row[3] or _no_value(row))
    ]
    wanted: set[bytes] = set()
    weak: set[bytes] = set()
    for (_, info, section, _, mark), name in zip(undefined, file.names(undefined), strict=True):
        keys = weak if info >> 4 == _WEAK and not section else wanted
        keys.add(name + suffixes.get(mark & _NUMBER, b""))
    names = file.names(defined)
    marks = [row[4] for row in defined]
    return ElfSymbols(
        wanted=frozenset(wanted),
        weak=frozenset(weak - wanted),
        given=_given(names, marks, suffixes) if versioned else frozenset(names),
        needs=versions.needs,
        defines=versions.defines,
        versioned=versioned,
    )


def _no_value(row: _Row) -> bool:
    # Only these define something although their value is 0.
    return row[2] == _ABSOLUTE or row[1] & 15 == _TLS


def _given(names: list[bytes], marks: list[int], suffixes: dict[int, bytes]) -> frozenset[bytes]:
    """What definitions with these numbers of DT_VERSYM answer, as glibc's check_match says."""
    ends: dict[int, bytes] = {}
    for mark in set(marks):
        suffix = suffixes.get(mark & _NUMBER)
        if suffix or not mark & _HIDDEN:
            ends[mark] = suffix or b"@"
    first = {mark for mark in set(marks) if mark & _NUMBER < _OLDEST}
    shown = {mark for mark in set(marks) if mark not in first and not mark & _HIDDEN}
    exact = {name + ends[mark] for name, mark in zip(names, marks, strict=True) if mark in ends}
    oldest = {name for name, mark in zip(names, marks, strict=True) if mark in first}
    newer = [name for name, mark in zip(names, marks, strict=True) if mark in shown]
    default = set(newer)
    if len(default) < len(newer):  # a name with two default versions answers no reference without a version
        default = {name for name, count in Counter(newer).items() if count == 1}
    return frozenset(exact | oldest | default)
