"""Expansion of shell words against what is known (POSIX.1-2024, XCU 2.6); unknown parts are marked."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from builder.shell.syntax import UNKNOWN, Command, Parameter, Substitution, Text, Word

_MOST_TEXT = 1 << 16
_MOST_FIELDS = 4096
_MOST_CUT = 4096
_GLOB = re.compile(r"[*?\[]")
_MAGIC = re.compile(r"([*?\[\]])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What words are expanded with. ``substitute`` gives a command's output without its last newlines."""

    variables: Mapping[str, str]
    arguments: Sequence[str]
    assign: Callable[[str, str], None]
    substitute: Callable[[Command], str]
    glob: Callable[[str], list[str]]


def expand_fields(words: Sequence[Word], scope: Scope) -> list[str]:
    """Every field that the words come to: split, and matched with paths."""
    fields: list[str] = []
    for word in words:
        fields += _fields(word, scope)
    return fields[:_MOST_FIELDS]


def expand_text(word: Word, scope: Scope) -> str:
    """One text, as in an assignment or behind ``case``: nothing is split."""
    return _bounded("".join(_value(part, scope) for part in word))


def expand_pattern(word: Word, scope: Scope) -> str:
    """A pattern for :func:`matches`: what is quoted stands for itself."""
    pieces = []
    for part in word:
        value = _value(part, scope)
        pieces.append(_MAGIC.sub(r"[\1]", value) if part.quoted else value)
    return _bounded("".join(pieces))


def matches(text: str, pattern: str) -> bool | None:
    """Whether the whole text matches a shell pattern; None when either is not known."""
    if pattern == "*":
        return True
    if UNKNOWN in text or UNKNOWN in pattern:
        return None
    return fnmatch.fnmatchcase(text, pattern)


def _fields(word: Word, scope: Scope) -> list[str]:
    if len(word) == 1 and isinstance(word[0], Text):  # most words
        return _matched(word[0].text, scope) if not word[0].quoted else [word[0].text]
    if len(word) == 1 and isinstance(word[0], Parameter) and word[0].name in {"@", "*"}:
        found = [value for value in scope.arguments if value or word[0].quoted]
        return found if word[0].name == "@" or not word[0].quoted else [" ".join(found)]
    return _split_fields(word, scope)


def _split_fields(word: Word, scope: Scope) -> list[str]:
    fields: list[str] = []
    here: str | None = None
    magic = False
    for part in word:
        value = _value(part, scope)
        if part.quoted or isinstance(part, Text):
            magic = magic or (not part.quoted and _GLOB.search(value) is not None)
            here = (here or "") + value
            continue
        magic = magic or _GLOB.search(value) is not None
        pieces = value.split()
        if value[:1].isspace() and here is not None:
            fields.append(here)
            here = None
        for number, piece in enumerate(pieces):
            if number and here is not None:
                fields.append(here)
                here = None
            here = (here or "") + piece
        if pieces and value[-1:].isspace() and here is not None:
            fields.append(here)
            here = None
    if here is not None:
        fields.append(here)
    bounded = [_bounded(field) for field in fields]
    return [found for field in bounded for found in _matched(field, scope)] if magic else bounded


def _matched(field: str, scope: Scope) -> list[str]:
    if UNKNOWN in field or not _GLOB.search(field):
        return [field]
    return scope.glob(field) or [field]


def _value(part: Text | Parameter | Substitution, scope: Scope) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Substitution):
        return UNKNOWN if part.body is None else scope.substitute(part.body)
    return _parameter(part, scope)


def _parameter(part: Parameter, scope: Scope) -> str:
    value = _lookup(part.name, scope)
    operator = part.operator
    if not operator:
        return value or ""
    if operator == "#length":
        return UNKNOWN if value is not None and UNKNOWN in value else str(len(value or ""))
    if operator.lstrip(":") in {"-", "=", "+", "?"}:
        return _default(part, value, scope)
    if operator in {"#", "##", "%", "%%"}:
        return _cut(value or "", operator, expand_pattern(part.argument, scope))
    return UNKNOWN


def _default(part: Parameter, value: str | None, scope: Scope) -> str:
    missing = value is None or (part.operator.startswith(":") and not value)
    kind = part.operator[-1]
    if kind == "+":
        return "" if missing else expand_text(part.argument, scope)
    if not missing:
        return value or ""
    default = expand_text(part.argument, scope) if kind != "?" else UNKNOWN
    if kind == "=":
        scope.assign(part.name, default)
    return default


def _lookup(name: str, scope: Scope) -> str | None:
    if name.isdecimal():
        number = int(name[:6])
        return (
            scope.arguments[number - 1] if 0 < number <= len(scope.arguments) else scope.variables.get(name)
        )
    if name == "#":
        return str(len(scope.arguments))
    if name in {"@", "*"}:
        return " ".join(scope.arguments)
    return scope.variables.get(name)


def _cut(value: str, operator: str, pattern: str) -> str:
    if UNKNOWN in value or UNKNOWN in pattern or len(value) > _MOST_CUT:
        return UNKNOWN
    ends = range(len(value) + 1)
    if operator.startswith("%"):
        cuts = ends if operator == "%%" else reversed(ends)
        return next((value[:cut] for cut in cuts if fnmatch.fnmatchcase(value[cut:], pattern)), value)
    cuts = reversed(ends) if operator == "##" else ends
    return next((value[cut:] for cut in cuts if fnmatch.fnmatchcase(value[:cut], pattern)), value)


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else UNKNOWN
