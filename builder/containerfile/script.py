"""RUN instructions as values: commands with their arguments, and the reason above each.

A builder hands a RUN to ``sh -c`` as one argument, which Linux limits to 128 KiB; comments do not count,
since builders take them out. Long lists are therefore cut into several RUNs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

MOST_BYTES = 96 << 10
"""Of one RUN without comments: some room below the kernel's limit (MAX_ARG_STRLEN)."""
_WIDTH = 104
_PER_WORD = 12
"""Bytes around a word: indentation, blank, continuation."""
_MARK = "# "


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``start`` with ``words`` as further arguments, one a line, then ``end`` (a redirection).

    All of them are words of a shell already, but those that start with "# ": comments on what follows. A
    comment is never the last. ``comments`` are printed above the command.
    """

    start: str
    words: tuple[str, ...] = ()
    end: str = ""
    comments: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The command as it is written, without indentation and continuation."""
        return tuple(
            filter(None, (self.start, *(f"  {word}" for word in self.words), self.end and f"  {self.end}"))
        )

    @property
    def size(self) -> int:
        """Bytes of it in the RUN."""
        return sum(map(_size, self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One RUN. ``title`` is printed above it; ``first`` tells that no RUN stands right before it."""

    title: tuple[str, ...]
    commands: tuple[Command, ...]
    first: bool = False

    @property
    def ignored(self) -> str:
        """Rules of hadolint that cannot be kept here: few RUNs that each stay small; text that has a "$"."""
        words = (word for command in self.commands for word in (command.start, *command.words))
        shows = any("'" in word and ("$" in word or "`" in word) for word in words)
        return ",".join([*(() if self.first else ("DL3059",)), *(("SC2016",) if shows else ())])


def runs(title: str, commands: Iterable[Command]) -> Iterator[Run]:
    """As few RUNs as the limit allows; nothing for no commands. The title stands above the first."""
    pending: list[Command] = []
    size = 0
    titles = comment(title)
    for command in (part for whole in commands for part in _cut(whole)):
        if pending and size + command.size > MOST_BYTES:
            yield Run(title=titles, commands=tuple(pending))
            pending, size, titles = [], 0, comment(f"{title} (continued)")
        pending.append(command)
        size += command.size
    if pending:
        yield Run(title=titles, commands=tuple(pending))


def comment(text: str) -> tuple[str, ...]:
    """Comment lines of a readable width, without the mark."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return tuple(textwrap.wrap(plain, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _cut(command: Command) -> Iterator[Command]:
    if command.size <= MOST_BYTES:
        yield command
        return
    words: list[str] = []
    size = 0
    for word in command.words:
        if words and size + _size(word) > MOST_BYTES // 2 and not words[-1].startswith(_MARK):
            yield replace(command, words=tuple(words))
            words, size = [], 0
        words.append(word)
        size += _size(word)
    yield replace(command, words=tuple(words))


def _size(word: str) -> int:
    return 0 if word.lstrip().startswith(_MARK) else len(word.encode()) + _PER_WORD
