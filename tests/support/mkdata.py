"""Shared objects with initialised data, made in memory: words that are numbers or relocated pointers."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DATA, _DYNAMIC_SIZE = 0x1000, 0x100
_PT_LOAD, _PT_DYNAMIC = 1, 2
_RELATIVE = 8
_TAGS = {"rela": (7, 8), "rel": (17, 18), "relr": (36, 35)}


@dataclass(frozen=True)
class At:
    """A pointer to the word of that number."""

    word: int


@dataclass(frozen=True)
class Int:
    """A C int, with padding behind it where words are wider."""

    number: int


Word = int | str | At | Int
_NO_SYMBOLS: tuple[str, ...] = ()


def data_object(
    words: Sequence[Word],
    symbols: Iterable[str] = (),
    *,
    form: str = "rela",
    wide: bool = True,
    order: str = "<",
) -> bytes:
    """An object that defines ``symbols`` and holds ``words``; texts are pointed to. Addresses are offsets.

    ``form`` of the relocations: "rela", "rel" (pointers in place) or "relr".
    """
    size, word = (8, "Q") if wide else (4, "I")
    texts = bytearray()
    text_at = _DATA + size * len(words)
    values: list[int] = []
    places: list[int] = []
    for number, one in enumerate(words):
        if isinstance(one, int):
            values.append(one)
            continue
        if isinstance(one, Int):
            values.append(one.number << 32 if wide and order == ">" else one.number)
            continue
        places.append(_DATA + number * size)
        if isinstance(one, At):
            values.append(_DATA + one.word * size)
        else:
            values.append(text_at + len(texts))
            texts += one.encode("utf-8", "surrogateescape") + b"\0"
    addends = dict(zip(places, (values[(place - _DATA) // size] for place in places), strict=True))
    stored = [
        0 if form == "rela" and _DATA + n * size in addends else value for n, value in enumerate(values)
    ]
    body = bytearray(_DATA) + struct.pack(f"{order}{len(stored)}{word}", *stored) + texts
    body += bytes(-len(body) % 8)
    tables = _tables(tuple(symbols), len(body), order=order, wide=wide)
    for _, table in tables.values():
        body += table
    relocations = b"".join(_relocation(place, addends[place], form, order, wide=wide) for place in places)
    tag, size_tag = _TAGS[form]
    tags = [(number, place) for number, (place, _) in tables.items()]
    tags += [(10, 0x400), (11, 24 if wide else 16), (tag, len(body)), (size_tag, len(relocations)), (0, 0)]
    body += relocations
    dynamic = len(body)
    body += b"".join(struct.pack(f"{order}2{word}", *one) for one in tags)
    _head(body, dynamic, order=order, wide=wide)
    return bytes(body)


def _tables(symbols: tuple[str, ...], at: int, *, order: str, wide: bool) -> dict[int, tuple[int, bytes]]:
    """Names, symbols and their hash table: where each lies, by its tag."""
    names = bytearray(b"\0")
    rows = bytes(24 if wide else 16)
    for symbol in symbols:
        fields = (len(names), 0x12, 0, 1, _DATA, 8) if wide else (len(names), _DATA, 8, 0x12, 0, 1)
        rows += struct.pack(f"{order}{'IBBHQQ' if wide else 'IIIBBH'}", *fields)
        names += symbol.encode() + b"\0"
    names += bytes(0x400 - len(names))
    count = len(symbols) + 1
    hashes = struct.pack(f"{order}{3 + count}I", 1, count, count - 1, *range(count))
    hashes += bytes(-len(hashes) % 8)
    return {
        5: (at, bytes(names)),
        6: (at + len(names), rows),
        4: (at + len(names) + len(rows), hashes),
    }


def _relocation(place: int, addend: int, form: str, order: str, *, wide: bool) -> bytes:
    word = "Q" if wide else "I"
    if form == "relr":
        return struct.pack(order + word, place)
    if form == "rel":
        return struct.pack(f"{order}2{word}", place, _RELATIVE)
    return struct.pack(f"{order}3{word}", place, _RELATIVE, addend)


def _head(body: bytearray, dynamic: int, *, order: str, wide: bool) -> None:
    word = "Q" if wide else "I"
    head, entry = (64, 56) if wide else (52, 32)
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    fields = (3, 62 if wide else 3, 1, 0, head, 0, 0, head, entry, 2, 0, 0, 0)
    header = ident + struct.pack(f"{order}HHI3{word}I6H", *fields)
    body[: len(header)] = header
    segments = ((_PT_LOAD, 0, len(body)), (_PT_DYNAMIC, dynamic, len(body) - dynamic))
    for number, (kind, at, length) in enumerate(segments):
        place = (at, at, at, length, length)
        row = (
            struct.pack(f"{order}IIQQQQQQ", kind, 6, *place, 4)
            if wide
            else struct.pack(f"{order}8I", kind, *place, 6, 4)
        )
        body[head + number * entry : head + (number + 1) * entry] = row
