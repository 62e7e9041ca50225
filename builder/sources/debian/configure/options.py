"""Options of the commands in maintainer scripts (POSIX utility syntax, GNU long options anywhere)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Options without their dashes, each with its last value ("" for a flag), and the operands."""

    options: Mapping[str, str]
    operands: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Whether one of these options was given."""
        return any(name in self.options for name in names)

    def value(self, *names: str, default: str = "") -> str:
        """The value of the first of these options that was given."""
        return next((self.options[name] for name in names if name in self.options), default)


def read_arguments(arguments: Iterable[str], with_value: Iterable[str] = ()) -> Arguments:
    """Split ``arguments``; ``with_value`` names the options, short and long, that take a value."""
    takes = frozenset(with_value)
    rest = list(arguments)[::-1]
    options: dict[str, str] = {}
    operands: list[str] = []
    while rest:
        word = rest.pop()
        if word == "--":
            operands += rest[::-1]
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = value if equals or name not in takes or not rest else rest.pop()
        elif word.startswith("-") and len(word) > 1:
            _short(word[1:], takes, rest, options)
        else:
            operands.append(word)
    return Arguments(options=options, operands=tuple(operands))


def _short(letters: str, takes: frozenset[str], rest: list[str], options: dict[str, str]) -> None:
    for number, letter in enumerate(letters):
        if letter in takes:
            value = letters[number + 1 :]
            options[letter] = value or (rest.pop() if rest else "")
            return
        options[letter] = ""
