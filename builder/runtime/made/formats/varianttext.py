"""GVariant's text form, as schemas write defaults in it (GLib, "GVariant Text Format").

What a text means depends on the type that is wanted; where none is, numbers are int32, texts are strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from builder.runtime.made.formats.variant import Variant, end_of_type, is_type, members
from builder.runtime.made.formats.variantpattern import common

_TOKEN = re.compile(
    r"""[ \t\n\v\f\r]*(?:
    (?P<number>[-+.0-9][-+.0-9A-Za-z]*)
    |(?P<text>b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    |(?P<word>[a-z][0-9A-Za-z]*)
    |@(?P<type>[^ \t\n\v\f\r,:>\]]+)
    |(?P<mark>[\[\](){}<>,:])
    |(?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_BYTE_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""}
_RANGES = {
    "y": (0, 0xFF),
    "n": (-0x8000, 0x7FFF),
    "q": (0, 0xFFFF),
    "i": (-(1 << 31), (1 << 31) - 1),
    "h": (-(1 << 31), (1 << 31) - 1),
    "u": (0, (1 << 32) - 1),
    "x": (-(1 << 63), (1 << 63) - 1),
    "t": (0, (1 << 64) - 1),
}
_CASTS = {
    "boolean": "b",
    "byte": "y",
    "int16": "n",
    "uint16": "q",
    "int32": "i",
    "uint32": "u",
    "int64": "x",
    "uint64": "t",
    "double": "d",
    "handle": "h",
    "string": "s",
    "objectpath": "o",
    "signature": "g",
}
_KEYS = "bynqiuxthdsogNS"
_MOST_NESTING = 64


def parse(text: str, kind: str) -> Any:
    """Read a value of the type ``kind``, as :mod:`builder.runtime.made.formats.variant` holds it.

    ValueError for a text that is none.
    """
    reader = _Reader(text)
    node = reader.node(0)
    if reader.kind != "end":
        raise ValueError(f"{reader.token!r} follows the value")
    return node.value(kind)


class _Node:
    """A value of which the type is not known yet: ``pattern`` says what is (variantpattern.py)."""

    pattern: str

    def value(self, kind: str) -> Any:
        """Give the value of type ``kind``; a maybe around what it is may be left out in the text."""
        if kind.startswith("m"):
            return (self.value(kind[1:]),)
        return self.plain(kind)

    def plain(self, kind: str) -> Any:
        """Give the value of a type that is no maybe."""
        raise NotImplementedError

    def refuse(self, kind: str) -> NoReturn:
        """Raise ValueError: it is none of type ``kind``."""
        raise ValueError(f"it is no value of the type {kind}")


@dataclass(frozen=True, slots=True)
class _Number(_Node):
    token: str

    @property
    def pattern(self) -> str:  # type: ignore[override]
        text = self.token
        is_float = (
            "." in text or ("e" in text and not text.startswith("0x")) or "inf" in text or "nan" in text
        )
        return "Md" if is_float else "MN"

    def plain(self, kind: str) -> float:
        if kind == "d":
            return float(int(self.token, 16)) if "0x" in self.token.lower() else float(self.token)
        if kind not in _RANGES:
            self.refuse(kind)
        digits = self.token.lstrip("+-")
        base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") and digits != "0" else 10
        number = int(digits, base) * (-1 if self.token.startswith("-") else 1)
        low, high = _RANGES[kind]
        if not low <= number <= high or "_" in digits or len(self.token) - len(digits) > 1:
            raise ValueError(f"{self.token} is no number of the type {kind}")
        return number


@dataclass(frozen=True, slots=True)
class _Text(_Node):
    token: str
    pattern = "MS"

    def plain(self, kind: str) -> str:
        if kind not in ("s", "o", "g"):
            self.refuse(kind)
        text = _ESCAPE.sub(_unescaped, self.token[1:-1])
        is_path = re.fullmatch(r"/|(?:/[A-Za-z0-9_]+)+", text)
        if (kind == "o" and not is_path) or (kind == "g" and not (is_type(f"({text})") or not text)):
            raise ValueError(f"{self.token} is no {'object path' if kind == 'o' else 'signature'}")
        return text


@dataclass(frozen=True, slots=True)
class _Bytes(_Node):
    token: str
    pattern = "May"

    def plain(self, kind: str) -> bytes:
        if kind != "ay":
            self.refuse(kind)
        raw = self.token[2:-1].encode("utf-8", "surrogateescape")
        return _BYTE_ESCAPE.sub(_unescaped_byte, raw).split(b"\0", 1)[0] + b"\0"


@dataclass(frozen=True, slots=True)
class _Boolean(_Node):
    truth: bool
    pattern = "Mb"

    def plain(self, kind: str) -> bool:
        if kind != "b":
            self.refuse(kind)
        return self.truth


@dataclass(frozen=True, slots=True)
class _Maybe(_Node):
    child: _Node | None

    @property
    def pattern(self) -> str:  # type: ignore[override]
        return f"m{self.child.pattern if self.child else '*'}"

    def value(self, kind: str) -> tuple[Any] | None:
        if not kind.startswith("m"):
            self.refuse(kind)
        return (self.child.value(kind[1:]),) if self.child else None


@dataclass(frozen=True, slots=True)
class _Variant(_Node):
    child: _Node
    pattern = "Mv"

    def plain(self, kind: str) -> Variant:
        if kind != "v":
            self.refuse(kind)
        inferred = self.child.pattern.replace("M", "").replace("S", "s").replace("N", "i")
        if not is_type(inferred):
            raise ValueError("the type of a variant's value cannot be inferred")
        return Variant(inferred, self.child.value(inferred))


@dataclass(frozen=True, slots=True)
class _Array(_Node):
    children: tuple[_Node, ...]

    @property
    def pattern(self) -> str:  # type: ignore[override]
        return f"Ma{common(child.pattern for child in self.children)}"

    def plain(self, kind: str) -> list[Any]:
        if not kind.startswith("a"):
            self.refuse(kind)
        return [child.value(kind[1:]) for child in self.children]


@dataclass(frozen=True, slots=True)
class _Tuple(_Node):
    children: tuple[_Node, ...]

    @property
    def pattern(self) -> str:  # type: ignore[override]
        return f"M({''.join(child.pattern for child in self.children)})"

    def plain(self, kind: str) -> tuple[Any, ...]:
        kinds = members(kind) if kind.startswith("(") else None
        if kinds is None or len(kinds) != len(self.children):
            self.refuse(kind)
        return tuple(child.value(one) for child, one in zip(self.children, kinds, strict=True))


@dataclass(frozen=True, slots=True)
class _Dictionary(_Node):
    """Keys and values; ``is_entry``: one entry by itself, {key, value}."""

    pairs: tuple[tuple[_Node, _Node], ...]
    is_entry: bool = False

    @property
    def pattern(self) -> str:  # type: ignore[override]
        if not self.pairs:
            return "Ma{**}"
        key = common(pair[0].pattern for pair in self.pairs).lstrip("M")[:1]
        if key not in _KEYS:
            raise ValueError("the keys of a dictionary must be of a basic type")
        # As GLib does it: the first value tells the type.
        return f"M{'' if self.is_entry else 'a'}{{{key}{self.pairs[0][1].pattern}}}"

    def plain(self, kind: str) -> Any:
        if not kind.startswith("{" if self.is_entry else "a{"):
            self.refuse(kind)
        key, value = members(kind if self.is_entry else kind[1:])
        pairs = [(one.value(key), other.value(value)) for one, other in self.pairs]
        return pairs[0] if self.is_entry else pairs


@dataclass(frozen=True, slots=True)
class _Typed(_Node):
    pattern: str
    child: _Node

    def value(self, kind: str) -> Any:
        return self.child.value(kind)  # the type that is wanted goes before the one that is said


class _Reader:
    """Tokens one by one; ``kind`` and ``token`` are those of the next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.kind = ""
        self.token = ""
        self._next()

    def node(self, depth: int) -> _Node:
        """Read one value."""
        if depth > _MOST_NESTING:
            raise ValueError("the value is nested too deeply")
        kind, token = self.kind, self.token
        self._next()
        if kind == "number":
            return _Number(token)
        if kind == "text":
            return _Bytes(token) if token.startswith("b") else _Text(token)
        if kind == "type":
            return _Typed(token, self.node(depth + 1))
        reader = {"[": self._array, "(": self._tuple, "{": self._dictionary, "<": self._variant}.get(token)
        if reader is not None:
            return reader(depth + 1)
        if kind == "word":
            return self._word(token, depth + 1)
        raise ValueError(f"{token or 'the end'!r} is no value")

    def _word(self, word: str, depth: int) -> _Node:
        if word in ("true", "false"):
            return _Boolean(word == "true")
        if word in ("inf", "nan"):
            return _Number(word)
        if word == "nothing":
            return _Maybe(None)
        if word == "just":
            return _Maybe(self.node(depth))
        if word in _CASTS:
            return _Typed(_CASTS[word], self.node(depth))
        raise ValueError(f"{word!r} is no value")

    def _array(self, depth: int) -> _Node:
        return _Array(tuple(self._items("]", lambda: self.node(depth))))

    def _tuple(self, depth: int) -> _Node:
        found: list[_Node] = []
        while not self._take(")"):
            if len(found) > 1:
                self._require(",")
            found.append(self.node(depth))
            if len(found) == 1:
                self._require(",")
        return _Tuple(tuple(found))

    def _dictionary(self, depth: int) -> _Node:
        if self._take("}"):
            return _Dictionary(())
        first = self.node(depth)
        if self._take(","):
            entry = _Dictionary(((first, self.node(depth)),), is_entry=True)
            self._require("}")
            return entry
        self._require(":")
        pairs = [(first, self.node(depth))]
        while not self._take("}"):
            self._require(",")
            key = self.node(depth)
            self._require(":")
            pairs.append((key, self.node(depth)))
        return _Dictionary(tuple(pairs))

    def _variant(self, depth: int) -> _Node:
        child = self.node(depth)
        self._require(">")
        return _Variant(child)

    def _items(self, end: str, read: Callable[[], _Node]) -> Iterator[_Node]:
        is_first = True
        while not self._take(end):
            if not is_first:
                self._require(",")
            is_first = False
            yield read()

    def _take(self, mark: str) -> bool:
        if self.kind != "mark" or self.token != mark:
            return False
        self._next()
        return True

    def _require(self, mark: str) -> None:
        if not self._take(mark):
            raise ValueError(f"expected {mark!r} before {self.token or 'the end'!r}")

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{self._text[self._at : self._at + 20]!r} is no value")
        self._at = match.end()
        self.kind, self.token = match.lastgroup, match[match.lastgroup]
        if self.kind == "type":  # brackets that end what it stands in may follow without a space
            self.token = self.token[: end_of_type(self.token, 0)]
            self._at = match.start("type") + len(self.token)


def _unescaped(match: re.Match[str]) -> str:
    letter = match[1]
    if len(letter) > 1:
        number = int(letter[1:], 16)
        if not number or number > 0x10FFFF or 0xD800 <= number < 0xE000:  # noqa: PLR2004 (Unicode's limits)
            raise ValueError(f"\\{letter} is no character")
        return chr(number)
    if letter in "uU":
        raise ValueError(f"\\{letter} is no character")
    return _LETTERS.get(letter, letter)


def _unescaped_byte(match: re.Match[bytes]) -> bytes:
    if match[1].isdigit():
        return bytes([int(match[1], 8) & 0xFF])
    letter = match[1].decode("latin-1")
    return _LETTERS.get(letter, letter).encode("latin-1")
