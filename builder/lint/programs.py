"""Which programs the commands of a build start, and with which words; nothing is run or expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.shell.commands import all_commands
from builder.shell.parse import commands_of
from builder.shell.syntax import Command, Parameter, Pipeline, Simple, Substitution, Text, Word
from builder.shell.words import ShellSyntaxError

_WRAPPERS = frozenset(
    {"sudo", "env", "exec", "time", "nice", "ionice", "command", "eatmydata", "nohup", "xargs"}
)
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_MOST_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One program with its words as far as they are plain; ``$NAME`` and ``$(…)`` stand for what is not.

    ``line`` counts from the first line of the text, 0 for that one. ``reads`` are the programs in front of it
    in a pipeline, the nearest first. ``wrapped`` are the wrappers before it, as sudo.
    """

    words: tuple[str, ...]
    line: int
    reads: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Its name, without folder."""
        return self.words[0].rpartition("/")[2]

    def options(self) -> frozenset[str]:
        """Every word that starts with a dash, without values; letters of ``-abc`` one by one too."""
        found: set[str] = set()
        for word in self.words[1:]:
            if word.startswith("--"):
                found.add(word.partition("=")[0])
            elif word.startswith("-") and len(word) > 1:
                found.add(word)
                found.update(f"-{letter}" for letter in word[1:])
        return frozenset(found)

    def operands(self) -> tuple[str, ...]:
        """Every other word."""
        return tuple(word for word in self.words[1:] if not word.startswith("-"))


def invocations(text: str) -> tuple[Invocation, ...]:
    """The programs of a piece of shell, by line; what cannot be read as shell is split at its operators."""
    return tuple(sorted(_of_text(text, 0, 0), key=lambda one: one.line))


def of_words(words: tuple[str, ...]) -> tuple[Invocation, ...]:
    """The programs of an argument vector: ``sh -c TEXT`` is what TEXT starts."""
    return tuple(_unwrapped(Invocation(words=words, line=0), 0)) if words and words[0] else ()


def _of_text(text: str, line: int, depth: int) -> Iterator[Invocation]:
    if depth > _MOST_DEPTH:
        return
    try:
        commands = tuple(commands_of(text))
    except (ShellSyntaxError, RecursionError):
        yield from _split(text, line)
        return
    for command in commands:
        yield from _of_command(command, line, depth)


def _of_command(command: Command, line: int, depth: int) -> Iterator[Invocation]:
    piped = _piped(command)
    for one in all_commands(command):
        if isinstance(one, Simple):
            yield from _of_simple(one, piped.get(id(one), ()), line, depth)


def _piped(command: Command) -> dict[int, tuple[str, ...]]:
    """For each command behind a ``|``, the programs in front of it."""
    found: dict[int, tuple[str, ...]] = {}
    for pipeline in all_commands(command):
        if not isinstance(pipeline, Pipeline):
            continue
        before: tuple[str, ...] = ()
        for one in pipeline.commands:
            for inner in all_commands(one):
                found.setdefault(id(inner), before)
            words = [_plain(word) for word in one.words] if isinstance(one, Simple) else []
            before = (words[0].rpartition("/")[2] if words else "", *before)
    return found


def _of_simple(command: Simple, reads: tuple[str, ...], line: int, depth: int) -> Iterator[Invocation]:
    place = line + command.line - 1
    words = tuple(_plain(word) for word in command.words)
    targets = (_plain(one.target) for one in command.redirects if ">" in one.operator)
    if words and words[0]:
        one = Invocation(words=words, line=place, reads=reads, writes=tuple(targets))
        yield from _unwrapped(one, depth)
    for word in (*command.words, *(value for _, value in command.assignments)):
        for part in word:
            if isinstance(part, Substitution) and part.body is not None:
                yield from _of_command(part.body, line, depth + 1)


def _plain(word: Word) -> str:
    texts = []
    for part in word:
        if isinstance(part, Text):
            texts.append(part.text)
        else:
            texts.append(f"${part.name}" if isinstance(part, Parameter) else "$(…)")
    return "".join(texts)


def _unwrapped(one: Invocation, depth: int) -> Iterator[Invocation]:
    words, wrapped = list(one.words), list(one.wrapped)
    while words and words[0].rpartition("/")[2] in _WRAPPERS:
        wrapped.append(words.pop(0).rpartition("/")[2])
        while words and (words[0].startswith("-") or _ASSIGNMENT.match(words[0])):
            words.pop(0)
    if not words:
        return
    inner = Invocation(
        words=tuple(words), line=one.line, reads=one.reads, wrapped=tuple(wrapped), writes=one.writes
    )
    yield inner
    script = _script(words) if inner.program in _SHELLS else ""
    if script:
        yield from _of_text(script, one.line, depth + 1)


def _script(words: list[str]) -> str:
    """The text behind ``-c``, ``-ec`` or ``-o pipefail -c``."""
    for at, word in enumerate(words[1:], 1):
        if word.startswith("-") and not word.startswith("--") and "c" in word[1:] and at + 1 < len(words):
            return words[at + 1]
    return ""


def _split(text: str, line: int) -> Iterator[Invocation]:
    for number, one in enumerate(text.split("\n")):
        for part in re.split(r"&&|\|\|?|;", one.removesuffix("\\")):
            words = tuple(part.split())
            if words:
                yield Invocation(words=words, line=line + number)
