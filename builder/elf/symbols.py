"""The dynamic symbols of an ELF file, in bulk: what it needs from others and what it gives them.

Which definition answers which reference is decided as glibc does (elf/dl-lookup.c, check_match; LSB Core,
"Symbol Versioning"), and written into keys:

    b"name"          a reference without a version; a definition that such a reference accepts
    b"name@VERSION"  a reference to one version; the definition of it
    b"name@"         a definition without a version in a file that has versions: it answers any version
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

from builder.elf.object import ElfError
from builder.elf.reader import DamagedError, Readable
from builder.elf.symboltable import WEAK, SymbolTable
from builder.elf.versions import read_versions

_OLDEST = 3
"""Version numbers below this one answer references without a version: local, base, and the oldest."""
_HIDDEN = 0x8000
_NUMBER = 0x7FFF


class ElfSymbols:
    """The dynamic symbols of one file, as keys (see the module). It does not know who answers whom.

    ``wanted`` must be answered, ``weak`` need not. ``needs`` and ``defines`` are the versions required and
    defined, in file order; the file's own name is among ``defines`` (the base version). A file that is not
    ``versioned`` answers every reference by its name alone. ``name`` is what an error calls the file.
    """

    def __init__(self, table: SymbolTable, name: str) -> None:
        versions = read_versions(table.tables, table.strings, table.headers.layout)
        versym = table.tables.table("DT_VERSYM", "table of versions")
        self._table, self._name = table, name
        self.needs, self.defines = versions.needs, versions.defines
        self.versioned = versym is not None and bool(versions.names or versions.defines)
        self._suffixes = {number: b"@" + text for number, text in versions.names.items()}
        self._marks: tuple[int, ...] = (1,) * table.count
        self._copied: frozenset[int] = frozenset()
        if self.versioned and versym is not None:
            self._marks = table.tables.numbers(versym, 0, table.count, "H")
            self._copied = self._copies(versions.foreign)
        self.wanted, self.weak = self._references()

    def given(self, names: Container[bytes] | None = None) -> frozenset[bytes]:
        """Give the keys that answer references; to those of ``names`` alone, if some are named.

        Raises ElfError for names that cannot be right.
        """
        try:
            found = self._table.defined(names)
        except DamagedError as error:
            raise ElfError(self._name, str(error)) from None
        if not self.versioned:
            return frozenset(name for name, _ in found)
        own = [(name, row[0]) for name, row in found if row[0] not in self._copied]
        return _given([name for name, _ in own], [self._marks[number] for _, number in own], self._suffixes)

    def _copies(self, foreign: frozenset[int]) -> frozenset[int]:
        # A definition with the version of another file is a variable copied from there: it must have it.
        first = self._table.first
        marks = self._marks[first:]
        theirs = {mark for mark in set(marks) if mark & _NUMBER in foreign}
        return (
            frozenset(number for number, mark in enumerate(marks, first) if mark in theirs)
            if theirs
            else frozenset()
        )

    def _references(self) -> tuple[frozenset[bytes], frozenset[bytes]]:
        wanted: set[bytes] = set()
        weak: set[bytes] = set()
        for name, (number, info, section, _) in self._table.visible(
            {*self._table.undefined(), *self._copied}
        ):
            keys = weak if info >> 4 == WEAK and not section else wanted
            keys.add(
                name + self._suffixes.get(self._marks[number] & _NUMBER, b"") if self.versioned else name
            )
        return frozenset(wanted), frozenset(weak - wanted)


def read_symbols(data: Readable, *, name: str) -> ElfSymbols:
    """Read the symbols of one file, of any class and byte order; ``name`` is what an error calls it.

    A file without a dynamic section or symbol table has none. Raises ElfError when a table or a name lies
    outside the file or exceeds the bounds of these modules, never anything else for any bytes.
    """
    try:
        return ElfSymbols(SymbolTable(data), name)
    except DamagedError as error:
        raise ElfError(name, str(error)) from None


def read_references(data: Readable, *, name: str) -> frozenset[str]:
    """Read only the names that a file leaves to others, weak ones too. Raises as :func:`read_symbols`."""
    try:
        table = SymbolTable(data)
        found = table.visible(table.undefined())
    except DamagedError as error:
        raise ElfError(name, str(error)) from None
    return frozenset(symbol.decode("utf-8", "surrogateescape") for symbol, _ in found)


def definitions(data: Readable) -> dict[bytes, int]:
    """Address of each symbol that a file defines. Raises DamagedError."""
    return {name: row[3] for name, row in SymbolTable(data).defined()}


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
