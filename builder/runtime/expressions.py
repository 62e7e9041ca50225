"""Regular expressions that are compiled when they are first needed: most of a book of rules never are.

Compiling all of them costs more than the rest of a small build; their literal beginnings tell which cannot
match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

_Owner = TypeVar("_Owner")
_LITERAL = re.compile(r"(?:[A-Za-z0-9_/\- :@=,]|\\[.+\-])")
_OPTIONAL = "?*{"


class Expression:
    """A regular expression as text. Raises re.error from whatever needs it compiled."""

    __slots__ = ("_compiled", "_flags", "pattern")

    def __init__(self, pattern: str, flags: re.RegexFlag = re.DOTALL) -> None:
        self.pattern = pattern
        self._flags = flags
        self._compiled: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"Expression({self.pattern!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and (self.pattern, self._flags) == (other.pattern, other._flags)

    def __hash__(self) -> int:
        return hash((self.pattern, self._flags))

    @property
    def compiled(self) -> re.Pattern[str]:
        """The expression, compiled once."""
        if self._compiled is None:
            self._compiled = re.compile(self.pattern, self._flags)
        return self._compiled

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Match the whole of ``text``."""
        return self.compiled.fullmatch(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Every place of ``text`` where it is found."""
        return self.compiled.finditer(text)

    @property
    def groupindex(self) -> Mapping[str, int]:
        """Named groups."""
        return self.compiled.groupindex

    @property
    def starts(self) -> tuple[str, ...]:
        """Every text that matches starts with one of these; "" where nothing is known."""
        return tuple(_literal_start(one) for one in _alternatives(self.pattern))


class Index(Generic[_Owner]):
    """Many expressions asked at once."""

    def __init__(self, pairs: Iterable[tuple[_Owner, Expression | None]]) -> None:
        self._rows = [
            (expression.starts, owner, expression) for owner, expression in pairs if expression is not None
        ]
        self._starts = tuple({start for starts, _, _ in self._rows for start in starts})

    def matches(self, text: str) -> Iterator[tuple[_Owner, re.Match[str]]]:
        """Give the owners whose expression matches the whole ``text``, in the order given."""
        if not text.startswith(self._starts):
            return
        for starts, owner, expression in self._rows:
            match = expression.fullmatch(text) if text.startswith(starts) else None
            if match is not None:
                yield owner, match


def _alternatives(pattern: str) -> list[str]:
    """The parts between the bars that are in no group."""
    parts, depth, in_set, start, escaped = [], 0, False, 0, False
    for at, letter in enumerate(pattern):
        if escaped or letter == "\\":
            escaped = not escaped
        elif in_set or letter == "[":
            in_set = letter != "]"
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and not depth:
            parts.append(pattern[start:at])
            start = at + 1
    return [*parts, pattern[start:]]


def _literal_start(pattern: str) -> str:
    letters: list[str] = []
    at = 0
    while (match := _LITERAL.match(pattern, at)) is not None:
        letters.append(match[0][-1])
        at = match.end()
    if letters and pattern[at : at + 1] and pattern[at] in _OPTIONAL:
        letters.pop()
    return "".join(letters)
