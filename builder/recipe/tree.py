"""What a recipe file says, with the place of every value: a tree that survives merging and substitution."""

from __future__ import annotations

import datetime as dt
import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import Problem, RecipeError
from builder.recipe.positions import KeyPath

MAX_PROBLEMS = 100
"""More than this are not reported: the first ones explain the rest."""

_BARE = re.compile(r"[A-Za-z0-9_-]+!?")
_SHOWN = 60


class Broken(enum.Enum):
    """The value of a node whose text could not be made; the problem is reported already."""

    BROKEN = "broken"


Scalar = str | int | float | dt.date | dt.datetime | dt.time | Broken


@dataclass(frozen=True, slots=True)
class Origin:
    """A recipe file. ``label`` is how messages call it; relative paths in it start at ``folder``."""

    path: Path
    label: str

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it stands: file, ``line`` from 1 (None for the document), key path as written."""

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    origin: Origin
    line: int | None
    key: str

    @property
    def children(self) -> Mapping[str, Node]:
        """Values of a table; nothing for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def elements(self) -> tuple[Node, ...]:
        """Values of an array; nothing for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    def holding(self, value: Scalar | tuple[Node, ...] | dict[str, Node]) -> Node:
        """Give the same place with another value."""
        return Node(value, self.origin, self.line, self.key)


def problem_at(root: Node, key: KeyPath, message: str) -> Problem:
    """Make a problem of a key of a settled tree, with the line of the nearest one that is there."""
    here = root
    for part in key:
        found = here.elements[part : part + 1] if isinstance(part, int) else (here.children.get(part),)
        if not found or found[0] is None:
            break
        here = found[0]
    return Problem(file=here.origin.label, line=here.line, key=key_text(key), message=message)


class Problems:
    """Everything wrong that was found, each thing once."""

    def __init__(self) -> None:
        self.files: list[str] = []
        """Labels of the files that were read: the order of the report."""
        self._found: dict[Problem, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def at(self, node: Node, message: str, *, child: str = "") -> None:
        """Report ``message`` for ``node``, or for a key ``child`` that its table does not have."""
        key = join_key(node.key, child) if child else node.key
        self.add(Problem(file=node.origin.label, line=node.line, key=key, message=message))

    def add(self, problem: Problem) -> None:
        """Report. RecipeError at once when there are too many to read."""
        self._found[problem] = None
        if len(self._found) >= MAX_PROBLEMS:
            raise self.error()

    def raise_if_any(self) -> None:
        """Raise RecipeError with all problems, in the order of files and lines."""
        if self._found:
            raise self.error()

    def error(self) -> RecipeError:
        """Make the error that holds everything reported."""
        order = {label: index for index, label in enumerate(self.files)}
        found = sorted(self._found, key=lambda one: (order.get(one.file, len(order)), one.line or 0))
        hint = f"these are the first {MAX_PROBLEMS}" if len(found) >= MAX_PROBLEMS else None
        return RecipeError(tuple(found), hint=hint)


def make_tree(document: Mapping[str, object], origin: Origin, lines: Mapping[KeyPath, int]) -> Node:
    """Make the tree of a parsed document; ``lines`` as :func:`builder.recipe.positions.positions` gives."""
    return _node(document, (), _Place(origin, lines))


@dataclass(frozen=True, slots=True)
class _Place:
    origin: Origin
    lines: Mapping[KeyPath, int]

    def node(self, value: Scalar | tuple[Node, ...] | dict[str, Node], path: KeyPath) -> Node:
        return Node(value, self.origin, self.lines.get(path), key_text(path))


def _node(value: object, path: KeyPath, place: _Place) -> Node:
    if isinstance(value, Mapping):
        return place.node({name: _node(child, (*path, name), place) for name, child in value.items()}, path)
    if isinstance(value, list):
        children = (_node(child, (*path, index), place) for index, child in enumerate(value))
        return place.node(tuple(children), path)
    if isinstance(value, (str, int, float, dt.date, dt.time)):
        return place.node(value, path)
    raise TypeError(f"TOML has no {type(value).__name__}")


def key_text(path: KeyPath) -> str:
    """Write a key path as people do: ``install[0].to``."""
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) else join_key(text, part)
    return text


def join_key(parent: str, name: str) -> str:
    """``name`` below the key path ``parent``; quoted where TOML asks for quotes."""
    written = name if _BARE.fullmatch(name) else show(name)
    return f"{parent}.{written}" if parent else written


def show(value: object) -> str:
    """Write a value for a message: one line, short, without letters that a terminal would obey."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, tuple):
        return "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
        return json.dumps(short, ensure_ascii=not short.replace("…", "").isprintable())
    if isinstance(value, int):
        # Python refuses to print integers of more than 4,300 digits.
        return str(value) if value.bit_length() < 64 else "a number beyond 64 bits"  # noqa: PLR2004 (TOML)
    return str(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean "…"?`` with the known word closest to ``word``, or "" when none is close."""
    if len(word) > _SHOWN:
        return ""
    import difflib  # noqa: PLC0415 (only a wrong recipe needs it)

    written = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), written, n=1)
    return f"did you mean {show(written[close[0]])}?" if close else ""
