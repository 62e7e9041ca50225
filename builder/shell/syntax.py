"""Shell programs as values (POSIX.1-2024, XCU 2.9 and 2.10): what maintainer scripts use, no more."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "\0"
"""Stands inside a text for something that cannot be known without running a program."""


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text of a word."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$name`` or ``${name OPERATOR argument}``; operator "#length" for ``${#name}``, "?" for others."""

    name: str
    operator: str = ""
    argument: Word = ()
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """``$(…)`` or backquotes; None for arithmetic, whose value is not worked out."""

    body: Sequence | None
    quoted: bool = False


Part = Text | Parameter | Substitution
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """``operator`` as written, with the descriptor in ``descriptor`` (-1 when none is written)."""

    operator: str
    descriptor: int
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """Assignments, words and redirections."""

    line: int
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by ``|``, perhaps negated."""

    line: int
    commands: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    """A first command, and others each behind ``&&`` or ``||``."""

    line: int
    first: Command
    rest: tuple[tuple[str, Command], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Commands one after the other."""

    line: int
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with their bodies, and what is done otherwise."""

    line: int
    branches: tuple[tuple[Command, Command], ...]
    otherwise: Command | None


@dataclass(frozen=True, slots=True)
class For:
    """``words`` None: over the positional parameters."""

    line: int
    name: str
    words: tuple[Word, ...] | None
    body: Command


@dataclass(frozen=True, slots=True)
class While:
    """``while``, or ``until`` when negated."""

    line: int
    condition: Command
    body: Command
    negated: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A word and the patterns with what each does."""

    line: int
    word: Word
    items: tuple[tuple[tuple[Word, ...], Command], ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A definition."""

    line: int
    name: str
    body: Command


@dataclass(frozen=True, slots=True)
class Group:
    """``{ … }`` or ``( … )``, or a compound command with redirections."""

    line: int
    body: Command
    redirects: tuple[Redirect, ...]
    subshell: bool = False


Command = Simple | Pipeline | AndOr | Sequence | If | For | While | Case | Function | Group
