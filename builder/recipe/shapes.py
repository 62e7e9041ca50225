"""The words in which the recipe's keys are described, for reading, the JSON schema and the reference."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Rule = Callable[[str], str]
"""Judges a string: "" when it is right, else the whole complaint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string. ``expected`` says in words what ``pattern`` (the whole string) or ``rule`` ask for.

    ``choices`` are all words that are right; ``later`` are words that a later version will know.
    """

    expected: str = "a string"
    pattern: str = ""
    rule: Rule | None = None
    choices: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return either_of(self.choices) if self.choices else self.expected

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """An integer from ``low`` to ``high``."""

    low: int
    high: int

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return str(self.low) if self.low == self.high else f"an integer from {self.low} to {self.high}"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """``true`` or ``false``."""

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return "true or false"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A TOML local date."""

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return "a date such as 2026-12-31"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, dt.date) and not isinstance(value, dt.datetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """A value of one of several kinds that differ in their TOML type."""

    shapes: tuple[Text | Number | ListOf, ...]

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return " or ".join(one.phrase for one in self.shapes)

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return any(one.fits(value) for one in self.shapes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """An array. ``unique``: no value twice."""

    of: Text | Number | Either | Table
    unique: bool = False

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return "an array"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """A table whose keys the author chooses; they match ``names``."""

    of: Text | Table | Variants
    names: Text

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return "a table"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a table.

    ``default`` is in the form in which :mod:`builder.recipe.reading` gives values; ``otherwise`` says it
    in words where the value does not speak. ``later``: known, but this version refuses it. ``moves_to``:
    the table of which this key is the short form.
    """

    name: str
    shape: Shape
    about: str
    default: object = None
    otherwise: str = ""
    required: bool = False
    later: bool = False
    moves_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with known keys. ``title`` is how TOML writes it, as ``[image]``.

    ``conditional``: it may carry ``when``.
    """

    title: str
    about: str
    keys: tuple[Key, ...]
    conditional: bool = True

    def find(self, name: str) -> Key | None:
        """Find the key called ``name``."""
        return next((key for key in self.keys if key.name == name), None)

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return "a table"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """A table whose other keys depend on the word under ``key``; every one of ``tables`` has that key too.

    ``key.default`` is the word of the usual table, the one where no word is written.
    """

    about: str
    key: Key
    tables: Mapping[str, Table]

    @property
    def usual(self) -> Table:
        """The table where the author does not say which."""
        return self.tables[str(self.key.default)]

    @property
    def every(self) -> Table:
        """The keys of all tables: what may stand where the word is not known yet."""
        keys = {key.name: key for table in self.tables.values() for key in table.keys}
        return Table(title=self.usual.title, about=self.about, keys=tuple(keys.values()))

    @property
    def phrase(self) -> str:
        """Say in words what is expected."""
        return "a table"

    def fits(self, value: object) -> bool:
        """Say whether ``value`` has the right TOML type."""
        return isinstance(value, dict)


Shape = Text | Number | Flag | Day | Either | ListOf | MapOf | Table | Variants


def short_forms(table: Table) -> tuple[Key, ...]:
    """List the keys of ``table`` that are short forms of keys deeper down."""
    return tuple(key for key in table.keys if key.moves_to)


def either_of(words: tuple[str, ...]) -> str:
    """Write words as people list them: ``"a", "b" or "c"``."""
    shown = [f'"{one}"' for one in words]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
