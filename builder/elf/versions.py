"""The symbol versions that a file requires and defines (LSB Core, "Symbol Versioning")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.elf.reader import DamagedError, Layout
from builder.elf.tables import Tables, chain

_NUMBER = 0x7FFF
_MAX_NAME = 4096
_FLAG_BASE = 1
_FLAG_WEAK = 2
_MAX_NEEDS = 1 << 14
"""Required versions of one file. Real ones have up to a few dozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNeed:
    """One version that a file requires of another (DT_VERNEED). ``weak``: it starts without it."""

    file: str
    version: str
    weak: bool


@dataclass(frozen=True, slots=True)
class Versions:
    """What DT_VERNEED and DT_VERDEF say.

    ``names`` gives the version for each number that DT_VERSYM may hold, ``foreign`` those numbers that are
    required ones. ``defines`` has the base version too: the file's own name.
    """

    names: dict[int, bytes]
    foreign: frozenset[int]
    needs: tuple[VersionNeed, ...]
    defines: tuple[str, ...]


def read_versions(tables: Tables, strings: bytes, layout: Layout) -> Versions:
    """Read both lists; they are empty for a file without versions. Raises DamagedError."""
    names: dict[int, bytes] = {}
    defines = tuple(_definitions(tables, strings, layout, names))
    own = frozenset(names)
    needs = tuple(_needs(tables, strings, layout, names))
    return Versions(names, frozenset(names) - own, needs, defines)


def _definitions(tables: Tables, strings: bytes, layout: Layout, names: dict[int, bytes]) -> Iterator[str]:
    table = tables.table("DT_VERDEF", "list of defined versions")
    if table is None:
        return
    for at, (_, flags, number, _, _, first, _) in chain(table, layout.definition, "vd_next", 0):
        (name_at, _) = table.record(layout.definition_aux, at + first)
        name = _string(strings, name_at)
        if not flags & _FLAG_BASE:
            names.setdefault(number & _NUMBER, name)
        yield _text(name)


def _needs(tables: Tables, strings: bytes, layout: Layout, names: dict[int, bytes]) -> Iterator[VersionNeed]:
    table = tables.table("DT_VERNEED", "list of required versions")
    if table is None:
        return
    left = _MAX_NEEDS
    for at, (_, _, file_at, first, _) in chain(table, layout.need, "vn_next", 0):
        file = _text(_string(strings, file_at))
        for _, (_, flags, number, name_at, _) in chain(table, layout.need_aux, "vna_next", at + first):
            left -= 1
            if left < 0:
                raise DamagedError(f"it requires more than {_MAX_NEEDS} versions")
            name = _string(strings, name_at)
            names.setdefault(number & _NUMBER, name)
            yield VersionNeed(file=file, version=_text(name), weak=bool(flags & _FLAG_WEAK))


def _string(strings: bytes, at: int) -> bytes:
    end = strings.find(b"\0", at, at + _MAX_NAME)
    if end < 0:
        raise DamagedError(f"the name of a version ({at:#x}) lies outside its string table or has no end")
    return strings[at:end]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
