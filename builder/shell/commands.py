"""The commands inside a command."""

from __future__ import annotations

from collections.abc import Iterator

from builder.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Sequence,
    Simple,
    Text,
    While,
)


def first_word(command: Command) -> str:
    """The first word of a simple command where it is plain, else ""."""
    if not isinstance(command, Simple) or not command.words:
        return ""
    word = command.words[0]
    return word[0].text if len(word) == 1 and isinstance(word[0], Text) else ""


def simple_commands(command: Command) -> Iterator[Simple]:
    """Every simple command inside, but for those of functions it defines."""
    return (one for one in all_commands(command) if isinstance(one, Simple))


def all_commands(command: Command) -> Iterator[Command]:
    """``command`` and every command inside, but for those of functions it defines; in no order."""
    pending = [command]
    while pending:
        one = pending.pop()
        yield one
        if not isinstance(one, Function):
            pending += _children(one)


def _children(command: Command) -> list[Command]:  # noqa: PLR0911 (one line for each kind of command)
    match command:
        case Pipeline() | Sequence():
            return list(command.commands)
        case AndOr():
            return [command.first, *(one for _, one in command.rest)]
        case If():
            parts = [part for branch in command.branches for part in branch]
            return parts if command.otherwise is None else [*parts, command.otherwise]
        case For() | Group():
            return [command.body]
        case While():
            return [command.condition, command.body]
        case Case():
            return [body for _, body in command.items]
        case _:
            return []
