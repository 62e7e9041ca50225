r"""Ignore files of build contexts: ``.containerignore``, else ``.dockerignore``; the same lines in recipes.

As Docker reads them: a pattern is a path from the folder that holds the file; ``*``, ``?`` and ``[…]`` stay
inside a name, ``**`` crosses folders, ``\`` quotes; a pattern that fits a folder fits all in it; ``!`` takes
back what an earlier line left out; the last line that fits decides. ``#`` starts a comment.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.errors import ResolutionError

FILES = (".containerignore", ".dockerignore")
_MOST_BYTES = 1 << 20
_TOKEN = re.compile(
    r"(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)|\\(?P<quoted>.)|\[(?P<set>\^?(?:\\.|[^\]\\])+)\]"
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line. ``keeps``: it takes back, it began with "!"."""

    expression: re.Pattern[str]
    keeps: bool


class Ignore:
    """What is left out of a folder. Paths are relative, with ``/`` between names."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Read patterns. ResolutionError for one that is none."""
        self._patterns = tuple(pattern for line in lines if (pattern := _pattern(line)) is not None)
        self._takes_back = any(pattern.keeps for pattern in self._patterns)

    def __call__(self, path: str) -> bool:
        """Whether ``path`` is left out."""
        left_out = False
        for pattern in self._patterns:
            if left_out is pattern.keeps and pattern.expression.fullmatch(path):
                left_out = not pattern.keeps
        return left_out

    def whole(self, folder: str) -> bool:
        """Whether nothing in a folder can come back, so that nobody has to look into it."""
        return not self._takes_back and self(folder)


def read_lines(folder: Path) -> tuple[str, ...] | None:
    """The lines of the folder's ignore file; None where it has none. ResolutionError if it cannot be read."""
    for name in FILES:
        path = folder / name
        try:
            with path.open("rb") as stream:
                text = stream.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ResolutionError(f"{path} cannot be read: {error.strerror}") from error
        if len(text) > _MOST_BYTES:
            raise ResolutionError(f"{path} is longer than {_MOST_BYTES >> 20} MiB")
        lines = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines()
        return tuple(line for line in lines if not line.startswith("#"))
    return None


def _pattern(line: str) -> Pattern | None:
    text = line.strip()
    keeps = text.startswith("!")
    if keeps:
        text = text[1:].strip()
    if not text:
        return None
    text = posixpath.normpath(text).lstrip("/")
    if text in {"", "."}:
        return None
    try:
        return Pattern(re.compile(f"{_expression(text)}(?:/.*)?", re.DOTALL), keeps)
    except re.error as error:
        raise ResolutionError(f"{line!r} is no pattern of an ignore file: {error}") from error


def _expression(text: str) -> str:
    pieces: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        pieces += [re.escape(text[end : match.start()]), _token(match)]
        end = match.end()
    return "".join([*pieces, re.escape(text[end:])])


def _token(match: re.Match[str]) -> str:
    if match["deep"]:
        return "(?:.*/)?" if match["deep"].endswith("/") else ".*"
    if match["star"]:
        return "[^/]*"
    if match["one"]:
        return "[^/]"
    if match["quoted"]:
        return re.escape(match["quoted"])
    inner = match["set"].replace("[", r"\[")
    return f"(?!/)[{inner}]"
