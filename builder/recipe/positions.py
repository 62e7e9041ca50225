"""Line numbers of a TOML document's keys (toml.io, v1.0): tomllib reads values but forgets where they stood.

The scanner accepts every document that tomllib accepts, and walks at least as far into a wrong one as
tomllib does; it judges nothing but depth. So a document that passes it cannot exhaust tomllib's stack.
"""

from __future__ import annotations

import bisect
import contextlib
import re

MAX_DEPTH = 32
"""Longest key path (names and indexes) that a recipe may have."""

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_NAME = re.compile(
    r"""[ \t]*+(?:(?P<bare>[A-Za-z0-9_-]++)|"(?P<basic>(?:[^"\\\n]++|\\.)*+)"|'(?P<literal>[^'\n]*+)')"""
    r"[ \t]*+(?P<dot>\.?)"
)
_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?!"")(?:[^"\\\n]++|\\.)*+"'
    r"|'(?!'')[^'\n]*+'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n\"'\[{]++")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class TooDeepError(Exception):
    """A key path is longer than ``MAX_DEPTH``. ``line`` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _StopScan(Exception):  # noqa: N818 (not an error: the end of what can be read)
    """What follows is not TOML; tomllib says so better."""


def positions(text: str) -> dict[KeyPath, int]:
    r"""Map every key path of ``text`` to the line (from 1) where its key or element begins.

    A table that only its children mention stands where the first of them does. Line ends must be ``\n``.
    Raises TooDeepError. A document that is not TOML gives the part before the fault.
    """
    scanner = _Scanner(text)
    with contextlib.suppress(_StopScan):
        scanner.scan()
    return scanner.lines


class _Scanner:
    """One pass over a document; ``at`` is the offset that is read next."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._newest: dict[KeyPath, int] = {}
        """Index of the last element of each array of tables."""

    def scan(self) -> None:
        table: KeyPath = ()
        while self._next():
            if self._take("[["):
                table = self._array_header()
            elif self._take("["):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        line = self._line()
        path = self._resolve((), self._names(()), line)
        self._expect("]")
        self.lines[path] = line
        return path

    def _array_header(self) -> KeyPath:
        line = self._line()
        names = self._names(())
        path = (*self._resolve((), names[:-1], line), names[-1])
        self._expect("]]")
        self.lines.setdefault(path, line)
        index = self._newest[path] = self._newest.get(path, -1) + 1
        self.lines[*path, index] = line
        return (*path, index)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = self._resolve(table, self._names(table), line)
        self._expect("=")
        self.lines[path] = line
        self._skip()
        self._value(path)

    def _resolve(self, table: KeyPath, names: tuple[str, ...], line: int) -> KeyPath:
        path = table
        for name in names:
            path = (*path, name)
            self.lines.setdefault(path, line)
            if path in self._newest:
                path = (*path, self._newest[path])
        return path

    def _names(self, table: KeyPath) -> tuple[str, ...]:
        names: list[str] = []
        while True:
            match = _NAME.match(self._text, self._at)
            if match is None:
                raise _StopScan
            basic = match["basic"]
            names.append(_unescape(basic) if basic is not None else match["bare"] or match["literal"] or "")
            self._deepen(len(table) + len(names))
            self._at = match.end()
            if not match["dot"]:
                return tuple(names)

    def _value(self, path: KeyPath) -> None:
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            if match is None:
                raise _StopScan
            self._at = match.end()

    def _array(self, path: KeyPath) -> None:
        self._deepen(len(path) + 1)
        index = 0
        while self._inside("]"):
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1
            self._skip()
            self._take(",")

    def _inline_table(self, path: KeyPath) -> None:
        self._deepen(len(path) + 1)
        while self._inside("}"):
            self._pair(path)
            self._skip()
            self._take(",")

    def _inside(self, end: str) -> bool:
        if not self._next():
            raise _StopScan
        return not self._take(end)

    def _deepen(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise TooDeepError(self._line())

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _next(self) -> bool:
        self._skip()
        return self._at < len(self._text)

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise _StopScan

    def _line(self) -> int:
        return bisect.bisect_left(self._line_ends, self._at) + 1


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_escape, text) if "\\" in text else text


def _escape(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code is None:
        return _ESCAPED.get(match[3], match[3])
    number = int(code, 16)
    # A number that is no character is tomllib's to refuse.
    return chr(number) if number <= 0x10FFFF else match[0]  # noqa: PLR2004 (the last code point)
