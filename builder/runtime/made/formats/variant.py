"""GVariant: types, and values as bytes (the GVariant specification, "Serialisation Format"; little endian).

A value is given as a Python value of its type: bool, int, float, str (s, o, g), bytes (ay may be a list too),
list (a), tuple (r, {}), :class:`Variant` (v), and for a maybe None or a one-tuple of the value.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import Any

_NUMBERS = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "h": "i", "d": "d"}
_BASIC = {*_NUMBERS, "b", "s", "o", "g"}
_MOST_NESTING = 64


@dataclass(frozen=True, slots=True)
class Variant:
    """A value with its type: what a ``v`` holds."""

    type: str
    value: Any


def is_type(text: str) -> bool:
    """Whether ``text`` is one complete type."""
    try:
        return _end_of_type(text, 0, 0) == len(text)
    except ValueError:
        return False


def end_of_type(text: str, start: int) -> int:
    """Where the type that starts there ends. ValueError when none does."""
    return _end_of_type(text, start, 0)


def members(kind: str) -> list[str]:
    """The types inside the brackets of a tuple or dictionary entry."""
    found, at = [], 1
    while at < len(kind) - 1:
        end = end_of_type(kind, at)
        found.append(kind[at:end])
        at = end
    return found


def serialise(kind: str, value: Any) -> bytes:
    """The bytes of ``value`` of type ``kind``. ValueError for a value that is too large."""
    first = kind[0]
    if first in "amv({":
        return _container(first, kind, value)
    if first in _NUMBERS:
        return struct.pack(f"<{_NUMBERS[first]}", value)
    if first == "b":
        return b"\1" if value else b"\0"
    return str(value).encode("utf-8", "surrogateescape") + b"\0"


def _container(first: str, kind: str, value: Any) -> bytes:
    if first == "v":
        return serialise(value.type, value.value) + b"\0" + str(value.type).encode()
    if first == "m":
        return _maybe(kind[1:], value)
    if first == "a":
        return _array(kind[1:], list(value))
    return _tuple(members(kind), tuple(value))


def _maybe(kind: str, value: Any) -> bytes:
    if value is None:
        return b""
    return serialise(kind, value[0]) + (b"" if _fixed_size(kind) else b"\0")


def _array(kind: str, values: list[Any]) -> bytes:
    data = bytearray()
    ends: list[int] = []
    for value in values:
        data += bytes(-len(data) % _alignment(kind))
        data += serialise(kind, value)
        ends.append(len(data))
    return bytes(data) if _fixed_size(kind) else bytes(data) + _offsets(len(data), ends)


def _tuple(kinds: list[str], values: tuple[Any, ...]) -> bytes:
    data = bytearray()
    ends: list[int] = []
    for number, (kind, value) in enumerate(zip(kinds, values, strict=True), 1):
        data += bytes(-len(data) % _alignment(kind))
        data += serialise(kind, value)
        if not _fixed_size(kind) and number < len(kinds):
            ends.append(len(data))
    if all(_fixed_size(kind) for kind in kinds):
        data += bytes(-len(data) % max(map(_alignment, kinds), default=1)) or (b"" if kinds else b"\0")
    return bytes(data) + _offsets(len(data), ends[::-1])


def _offsets(size: int, ends: list[int]) -> bytes:
    """Framing: as wide as the whole with it needs."""
    for width, code in ((1, "B"), (2, "H"), (4, "I")):
        if size + len(ends) * width < 1 << (8 * width):
            return struct.pack(f"<{len(ends)}{code}", *ends)
    raise ValueError("the value is too large")


@functools.cache
def _alignment(kind: str) -> int:
    first = kind[0]
    if first in "am":
        return _alignment(kind[1:])
    if first in "({":
        return max(map(_alignment, members(kind)), default=1)
    if first == "v":
        return 8
    return struct.calcsize(_NUMBERS[first]) if first in _NUMBERS else 1


@functools.cache
def _fixed_size(kind: str) -> bool:
    first = kind[0]
    return first in _NUMBERS or first == "b" or (first in "({" and all(map(_fixed_size, members(kind))))


def _end_of_type(text: str, at: int, depth: int) -> int:
    if at >= len(text) or depth > _MOST_NESTING:
        raise ValueError("it is no type of a variant")
    first = text[at]
    if first in _BASIC or first == "v":
        return at + 1
    if first in "am":
        return _end_of_type(text, at + 1, depth + 1)
    if first == "(":
        at += 1
        while text[at : at + 1] != ")":
            at = _end_of_type(text, at, depth + 1)
        return at + 1
    if first == "{" and text[at + 1 : at + 2] in _BASIC:
        at = _end_of_type(text, at + 2, depth + 1)
        if text[at : at + 1] == "}":
            return at + 1
    raise ValueError("it is no type of a variant")
