"""mime.cache, the database of types as a file to map into memory (xdgmimecache.c; big-endian 32-bit words).

Texts come first; every other part is a list of words that lead to them, sorted for searching.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from builder.runtime.made.formats.ghash import iteration_order
from builder.runtime.made.mimefiles import Glob, Magic, Match, Types

_VERSION = (1, 2)
_HEAD = 44
_CASE_SENSITIVE = 0x100
_LITERAL, _SUFFIX, _PATTERN = range(3)
_NOTHING = ("", 0)


def cache(types: Types, magic: list[Magic]) -> bytes:
    """The file of ``types``, byte for byte as update-mime-database writes it; ``magic`` is sorted."""
    strings: dict[str, int] = {}
    data = bytearray(_HEAD)
    for text in iteration_order(_texts(types, magic)):
        strings[text] = len(data)
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        data += raw + bytes(-len(raw) % 4)
    places: list[int] = []

    def append(part: bytes) -> None:
        places.append(len(data))
        data.extend(part)

    namespaces = ((*name.split(" ", 1), kind) for name, kind in sorted(types.namespaces.items()))
    append(_map(strings, sorted(types.aliases.items())))
    append(_parents(types.parents, strings, len(data)))
    append(_globs(types.globs, strings, _LITERAL))
    append(_suffixes(types.globs, strings, len(data)))
    append(_globs(types.globs, strings, _PATTERN))
    append(_magic(magic, strings, len(data)))
    append(_map(strings, namespaces))
    append(_map(strings, sorted(types.icons.items())))
    append(_map(strings, sorted(types.generic_icons.items())))
    # The program looks the types up with the ends of their lines, and finds none of them.
    append(_words(len(types.types), *[0] * len(types.types)))
    data[:_HEAD] = struct.pack(">2H10I", *_VERSION, *places)
    return bytes(data)


def _texts(types: Types, magic: Iterable[Magic]) -> Iterable[str]:
    """Every text, in the order in which the program collects them."""
    for alias in iteration_order(types.aliases):
        yield from (alias, types.aliases[alias])
    for kind in iteration_order(types.parents):
        yield from (kind, *types.parents[kind])
    for pattern in iteration_order(types.globs):
        if _glob_kind(pattern) != _SUFFIX:
            yield pattern
        yield from (glob.type for glob in types.globs[pattern])
    yield from (one.type for one in magic)
    for name in iteration_order(types.namespaces):
        yield from (types.namespaces[name], *name.split(" ", 1))
    for icons in (types.generic_icons, types.icons):
        for kind in iteration_order(icons):
            yield from (kind, icons[kind])


def _words(*words: int) -> bytes:
    return struct.pack(f">{len(words)}I", *(word & 0xFFFFFFFF for word in words))


def _map(strings: Mapping[str, int], rows: Iterable[Iterable[str]]) -> bytes:
    found = [[strings[text] for text in row] for row in rows]
    return _words(len(found), *(place for row in found for place in row))


def _parents(parents: Mapping[str, list[str]], strings: Mapping[str, int], at: int) -> bytes:
    heads, lists = [], bytearray()
    start = at + 4 + 8 * len(parents)
    for kind in sorted(parents):
        heads += [strings[kind], start + len(lists)]
        lists += _words(len(parents[kind]), *(strings[parent] for parent in parents[kind]))
    return _words(len(parents), *heads) + lists


def _glob_kind(pattern: str) -> int:
    if any(letter in "\\[?*" for letter in pattern[1:]) or pattern[:1] in ("\\", "[", "?"):
        return _PATTERN
    return _SUFFIX if pattern.startswith("*") else _LITERAL


def _flags(glob: Glob) -> int:
    return _CASE_SENSITIVE if glob.case_sensitive else 0


def _globs(globs: Mapping[str, list[Glob]], strings: Mapping[str, int], kind: int) -> bytes:
    found = [glob for pattern in sorted(globs) if _glob_kind(pattern) == kind for glob in globs[pattern]]
    rows = ((strings[glob.pattern], strings[glob.type], glob.weight & 0xFF | _flags(glob)) for glob in found)
    return _words(len(found), *(word for row in rows for word in row))


@dataclass(slots=True)
class _Letter:
    """The letters that come before one, and the types whose pattern is complete there."""

    before: dict[str, _Letter] = field(default_factory=dict)
    types: dict[str, tuple[int, int]] = field(default_factory=dict)

    def rows(self) -> list[tuple[int, _Letter | None, tuple[str, int]]]:
        """Types first, then letters in order."""
        ends: list[tuple[int, _Letter | None, tuple[str, int]]] = [
            (0, None, (kind, weight & 0xFF | flags)) for kind, (weight, flags) in self.types.items()
        ]
        ends.extend((ord(letter), self.before[letter], _NOTHING) for letter in sorted(self.before))
        return ends


def _suffixes(globs: Mapping[str, list[Glob]], strings: Mapping[str, int], at: int) -> bytes:
    """The endings of names as a tree of letters from the last one on, level by level."""
    root = _Letter()
    for pattern in iteration_order(globs):
        if _glob_kind(pattern) == _SUFFIX:
            for glob in globs[pattern]:
                _insert(root, pattern[:0:-1], glob)
    data = bytearray()
    level = root.rows()
    count, start = len(level), at + 8
    below = start + 12 * count
    while level:
        following: list[tuple[int, _Letter | None, tuple[str, int]]] = []
        for letter, node, (kind, weight) in level:
            if node is None:
                data += _words(0, strings[kind], weight)
                continue
            rows = node.rows()
            data += _words(letter, len(rows), below)
            below += 12 * len(rows)
            following += rows
        level = following
    return _words(count, start) + bytes(data)


def _insert(node: _Letter, letters: str, glob: Glob) -> None:
    for letter in letters:
        node = node.before.setdefault(letter, _Letter())
    weight, flags = node.types.get(glob.type, (glob.weight, _flags(glob)))
    node.types[glob.type] = (max(weight, glob.weight), flags)


def _magic(magic: list[Magic], strings: Mapping[str, int], at: int) -> bytes:
    matches: list[Match] = []
    for one in magic:
        _collect(one.matches, matches)
    index = {id(match): number for number, match in enumerate(matches)}
    extent = max((len(match.value) + match.start + match.length for match in matches), default=0)
    heads = at + 12
    rows = heads + 16 * len(magic)
    values = rows + 32 * len(matches)
    data = bytearray(_words(len(magic), extent, heads))
    for one in magic:
        first = rows + 32 * index[id(one.matches[0])]
        data += _words(one.priority, strings[one.type], len(one.matches), first)
    tail = bytearray()
    for match in matches:
        place = values + len(tail)
        tail += _padded(match.value)
        mask = values + len(tail) if match.mask is not None else 0
        tail += _padded(match.mask or b"")
        then = rows + 32 * index[id(match.then[0])] if match.then else 0
        sizes = (match.start, match.length, match.word, len(match.value))
        data += _words(*sizes, place, mask, len(match.then), then)
    return bytes(data + tail)


def _collect(matches: tuple[Match, ...], found: list[Match]) -> None:
    """Those of one list stand together, before what follows each of them."""
    found += matches
    for match in matches:
        _collect(match.then, found)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)
