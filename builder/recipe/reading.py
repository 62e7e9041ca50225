"""A tree read by the description of its keys: typed values with defaults, and every problem on the way."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from builder.oci import ImageAddress
from builder.recipe.keys import WHEN
from builder.recipe.shapes import (
    Day,
    Either,
    Flag,
    Key,
    ListOf,
    MapOf,
    Number,
    Shape,
    Table,
    Text,
    Variants,
    either_of,
)
from builder.recipe.tree import Broken, Node, Problems, nearest, show


class _Failed(enum.Enum):
    FAILED = "failed"


FAILED = _Failed.FAILED
"""In place of a value that is wrong; the problem is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table as it was read: ``values`` has every key that this version supports, defaults filled in.

    ``sound`` is False where a key of this very table is wrong or missing, so that nothing can be made of it.
    """

    node: Node
    values: Mapping[str, object]
    sound: bool

    def names(self, key: str) -> Mapping[str, Node]:
        """Give what the author wrote in the table ``key``, right or wrong, by name."""
        node = self.node.children.get(key)
        return node.children if node is not None else {}

    def has(self, key: str) -> bool:
        """Say whether the author wrote the key."""
        return key in self.node.children

    def at(self, key: str) -> Node:
        """Give the place of a key, or of the table where the key is not written."""
        return self.node.children.get(key, self.node)

    def text(self, key: str) -> str:
        """Give a string."""
        return cast("str", self.values[key])

    def maybe_text(self, key: str) -> str | None:
        """Give a string, or None where there is none."""
        return cast("str | None", self.values[key])

    def number(self, key: str) -> int:
        """Give an integer."""
        return cast("int", self.values[key])

    def maybe_number(self, key: str) -> int | None:
        """Give an integer, or None where there is none."""
        return cast("int | None", self.values[key])

    def maybe_day(self, key: str) -> dt.date | None:
        """Give a day, or None where there is none."""
        return cast("dt.date | None", self.values[key])

    def maybe_flag(self, key: str) -> bool | None:
        """Give a truth value, or None where there is none."""
        return cast("bool | None", self.values[key])

    def flag(self, key: str) -> bool:
        """Give a truth value."""
        return cast("bool", self.values[key])

    def texts(self, key: str) -> tuple[str, ...]:
        """Give an array of strings."""
        return cast("tuple[str, ...]", self.values[key])

    def words(self, key: str) -> tuple[str, ...]:
        """Give an array of strings, each once: layers append, and a fragment may say the same."""
        return tuple(dict.fromkeys(self.texts(key)))

    def local_path(self, key: str) -> Path | None:
        """Give a path of this machine, from the folder of the file that says it; None where there is none."""
        text = self.maybe_text(key)
        return None if text is None else self.at(key).origin.folder / text

    def image(self, key: str) -> ImageAddress:
        """Give an image's address; paths in it start at the folder of the file that says it."""
        return ImageAddress.parse(self.text(key), self.at(key).origin.folder)

    def local_paths(self, key: str) -> tuple[Path, ...]:
        """Give paths of this machine, each from the folder of the file that says it."""
        nodes = self.at(key).elements if self.has(key) else ()
        return tuple(node.origin.folder / node.value for node in nodes if isinstance(node.value, str))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Give a table of strings, in order."""
        return cast("tuple[tuple[str, str], ...]", self.values[key])

    def section(self, key: str) -> Section:
        """Give a table; an empty one with all its defaults where there is none."""
        return cast("Section", self.values[key])

    def sections(self, key: str) -> tuple[Section, ...]:
        """Give the sound tables of an array."""
        return tuple(one for one in cast("tuple[Section, ...]", self.values[key]) if one.sound)

    def named(self, key: str) -> tuple[tuple[str, Section], ...]:
        """Give the sound tables of a table, with their names."""
        return tuple(
            pair for pair in cast("tuple[tuple[str, Section], ...]", self.values[key]) if pair[1].sound
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReader:
    """Reads nodes by shape.

    ``settled`` is False for a file as written: layers above may still add keys, and variables stand in its
    strings, so that only kinds of values and names of keys can be judged.
    """

    problems: Problems
    settled: bool

    def section(self, node: Node, table: Table) -> Section:
        """Read a table whose keys are known."""
        children = node.children
        keys = {key.name: key for key in table.keys}
        read: dict[str, object] = {}
        for name, child in children.items():
            key = keys.get(name.removesuffix("!"))
            if name == "when" and table.conditional:
                self.condition(child)
            elif key is None:
                self._unknown(child, name, keys)
            else:
                read[key.name] = self._known(child, name, key, children)
        values = {
            key.name: self._filled(key, read.get(key.name), node) for key in table.keys if not key.later
        }
        missing = self._missing(node, table) if self.settled else False
        return Section(
            node=node,
            values=values,
            sound=not missing and all(value is not FAILED for value in read.values()),
        )

    def value(self, node: Node, shape: Shape) -> object:
        """Read a value of any shape; FAILED when it has another."""
        if isinstance(node.value, Broken):
            return FAILED
        if not shape.fits(node.value):
            return self._mismatch(node, shape)
        if isinstance(shape, Table):
            return self.section(node, shape)
        if isinstance(shape, Variants):
            return self._variant(node, shape)
        if isinstance(shape, MapOf):
            return self._map(node.children, shape)
        return self._list_or_scalar(node, shape)

    def _list_or_scalar(self, node: Node, shape: ListOf | Either | Text | Number | Flag | Day) -> object:
        if isinstance(shape, Either):
            return self.value(node, next(one for one in shape.shapes if one.fits(node.value)))
        if isinstance(shape, ListOf):
            return self._list(node.elements, shape)
        return self._scalar(node, shape)

    def condition(self, node: Node) -> None:
        """Judge a ``when``. It is literal: variables do not reach it."""
        reader = TreeReader(problems=self.problems, settled=True)
        if reader.value(node, WHEN) is not FAILED and not node.children:
            self.problems.at(node, "expected arch, os or both, found an empty table")

    def _scalar(self, node: Node, shape: Text | Number | Flag | Day) -> object:
        complaint = ""
        if isinstance(shape, Text) and self.settled:
            complaint = judge(cast("str", node.value), shape)
        elif isinstance(shape, Number) and not shape.low <= cast("int", node.value) <= shape.high:
            complaint = f"expected {shape.phrase}, found {show(node.value)}"
        if complaint:
            self.problems.at(node, complaint)
            return FAILED
        return node.value

    def _list(self, nodes: Iterable[Node], shape: ListOf) -> object:
        pairs = [(child, self.value(child, shape.of)) for child in nodes]
        if shape.unique and self.settled:
            self._report_twins(pairs)
        return tuple(value for _, value in pairs if value is not FAILED)

    def _report_twins(self, pairs: Iterable[tuple[Node, object]]) -> None:
        seen: set[object] = set()
        for child, value in pairs:
            if value in seen and value is not FAILED:
                self.problems.at(child, f"{show(value)} stands here twice")
            seen.add(value)

    def _map(self, children: Mapping[str, Node], shape: MapOf) -> object:
        pairs: list[tuple[str, object]] = []
        for written, child in children.items():
            name = written.removesuffix("!")
            if written == "when" and (
                isinstance(child.value, dict) or isinstance(shape.of, (Table, Variants))
            ):
                self.condition(child)
                continue
            complaint = judge(name, shape.names)
            if complaint:
                self.problems.at(child, complaint)
            value = self.value(child, shape.of)
            if not complaint and value is not FAILED:
                pairs.append((name, value))
        return tuple(pairs)

    def _known(self, child: Node, name: str, key: Key, siblings: Mapping[str, Node]) -> object:
        if key.later:
            self.problems.at(child, "is not supported yet")
            return None
        if name != key.name and key.name in siblings:
            self.problems.at(child, f"{show(key.name)} is given too; keep one of the two")
        return self.value(child, key.shape)

    def _unknown(self, child: Node, name: str, keys: Mapping[str, Key]) -> None:
        known = [key.name for key in keys.values() if not key.later]
        hint = nearest(name.removesuffix("!"), keys) or f"known here are {', '.join(known)}"
        self.problems.at(child, f"there is no such key; {hint}")

    def _filled(self, key: Key, value: object, node: Node) -> object:
        if value is not None and value is not FAILED:
            return value
        if isinstance(key.shape, Table):
            # An absent table has its defaults and may lack a key; a wrong one was reported.
            reader = self if value is None else TreeReader(problems=Problems(), settled=False)
            return reader.section(Node({}, node.origin, None, ""), key.shape)
        return key.default

    def _missing(self, node: Node, table: Table) -> bool:
        absent = [key for key in table.keys if key.required and key.name not in node.children]
        for key in absent:
            self.problems.at(node, f"is missing; expected {key.shape.phrase}", child=key.name)
        return bool(absent)

    def _variant(self, node: Node, shape: Variants) -> Section:
        """Read a table by the word it carries; with an unknown one its other keys cannot be judged."""
        word = node.children.get(shape.key.name)
        if word is None:
            return self.section(node, shape.usual if self.settled else shape.every)
        table = shape.tables.get(word.value) if isinstance(word.value, str) else None
        if table is not None:
            return self.section(node, table)
        if (
            self.value(word, shape.key.shape) is not FAILED
            and not self.settled
            and not _is_later(word, shape)
        ):
            return self.section(node, shape.every)
        return Section(node=node, values={}, sound=False)

    def _mismatch(self, node: Node, shape: Shape) -> _Failed:
        hint = (
            f"; did you mean [{show(node.value)}]?"
            if isinstance(shape, ListOf) and isinstance(node.value, str)
            else ""
        )
        self.problems.at(node, f"expected {shape.phrase}, found {show(node.value)}{hint}")
        return FAILED


def _is_later(word: Node, shape: Variants) -> bool:
    return isinstance(shape.key.shape, Text) and word.value in shape.key.shape.later


def judge(text: str, shape: Text) -> str:
    """Say what is wrong with a string, or "" when it is right."""
    if text in shape.later:
        known = f"; this version knows {either_of(shape.choices)}" if shape.choices else ""
        return f"{show(text)} is not supported yet{known}"
    if shape.choices:
        if text in shape.choices:
            return ""
        hint = nearest(text, (*shape.choices, *shape.later))
        return f"expected {either_of(shape.choices)}, found {show(text)}" + (f"; {hint}" if hint else "")
    if shape.pattern and not re.fullmatch(shape.pattern, text):
        return f"expected {shape.expected}, found {show(text)}"
    return shape.rule(text) if shape.rule is not None else ""
