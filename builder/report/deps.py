"""What files load, for people (a tree), for other programs (one path a line) and as JSON lines. Pure.

Names come from files that nobody has vouched for: control characters are printed as escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.elf.closure import (
    ALREADY_LOADED,
    ANOTHER_ROOT,
    INTERPRETER,
    Edge,
    MissingLibrary,
    missing_message,
)
from builder.elf.scope import Scope

_BRANCH, _LAST, _LINE, _GAP = "├─ ", "└─ ", "│  ", "   "


def json_line(file: str, scope: Scope) -> str:
    r"""One line for one file. ``file`` is given back as it came; bytes that are no text as ``\udcXX``.

    Paths are canonical, inside the root. ``libraries`` are in load order, the loader among them where an
    object asks for it by name; ``missing`` are names, each once, without those that a program can do without.
    ``variants`` is there only if a better processor would load other files.
    """
    fields: dict[str, object] = {
        "file": file,
        "interpreter": scope.interpreter,
        "libraries": scope.libraries,
        "missing": tuple(dict.fromkeys(missing.name for missing in scope.missing if not missing.optional)),
    }
    if scope.variants:
        fields["variants"] = scope.variants
    return json.dumps(fields) + "\n"


def json_error(file: str, error: str) -> str:
    """The line of a file about which nothing can be said, and why."""
    fields = {"file": file, "interpreter": None, "libraries": (), "missing": (), "error": error}
    return json.dumps(fields) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What is shown of one file: its scope, and the edges of its closure in the order found."""

    file: str
    scope: Scope
    edges: tuple[Edge, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Colours:
    bold: str = ""
    dim: str = ""
    red: str = ""
    plain: str = ""


_COLOURS = _Colours("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m")


@dataclass(frozen=True, slots=True)
class _Branch:
    """A line of the tree; ``path`` is the library whose own needs come below it, "" for none."""

    text: str
    path: str = ""


def render_tree(tree: Tree, *, colour: bool, depth: int | None = None) -> str:
    """A tree in which each library stands once, below the object for which the loader looks for it.

    Each edge has the name asked for, the canonical path and the rule that found it. What an object needs
    besides, and is loaded by then, is one line. ``depth``: levels shown, all for None.
    """
    colours = _COLOURS if colour else _Colours()
    shown = printable(tree.file)
    if tree.file != tree.scope.root:
        shown += f" {colours.dim}({printable(tree.scope.root)}){colours.plain}"
    lines = [f"{colours.bold}{shown}{colours.plain}"]
    branches = _branches(tree, colours)
    # No recursion: libraries may need each other deeper than Python nests calls.
    pending = _indented(branches.get(tree.scope.root, []), "", 1)
    while pending:
        prefix, mark, branch, level = pending.pop()
        if depth is not None and level > depth:
            continue
        lines.append(f"{colours.dim}{prefix}{mark}{colours.plain}{branch.text}")
        below = prefix + (_GAP if mark == _LAST else _LINE)
        pending += _indented(branches.get(branch.path, []), below, level + 1)
    if not branches:
        lines.append(f"{colours.dim}{_LAST}{colours.plain}needs no library")
    lines += [f"{colours.red}! {text}{colours.plain}" for text in missing_lines(tree.scope.missing)]
    lines += [f"{colours.dim}! {printable(warning)}{colours.plain}" for warning in tree.warnings]
    return "\n".join(lines) + "\n"


def missing_lines(missing: Iterable[MissingLibrary]) -> Iterator[str]:
    """A sentence for each name that was not found."""
    for one in missing:
        optional = " (the program starts without it)" if one.optional else ""
        yield printable(missing_message(one) + optional)


def paths_of(scope: Scope) -> Iterator[str]:
    """Every path that a process of this scope opens, and every variant, once."""
    interpreter = () if scope.interpreter is None else (scope.interpreter,)
    yield from dict.fromkeys((*interpreter, *scope.libraries, *scope.variants))


def _indented(branches: list[_Branch], prefix: str, level: int) -> list[tuple[str, str, _Branch, int]]:
    marked = [(prefix, _BRANCH, branch, level) for branch in branches]
    if marked:
        marked[-1] = (prefix, _LAST, branches[-1], level)
    return marked[::-1]


def _branches(tree: Tree, colours: _Colours) -> dict[str, list[_Branch]]:
    """What stands below each object: libraries found for it, names that are missing, then what it shares."""
    found: dict[str, list[_Branch]] = {}
    shared: dict[str, dict[str, None]] = {}
    placed = {tree.scope.root}
    for edge in tree.edges:
        if edge.rule == ANOTHER_ROOT:  # here there is no other: the name is missing
            continue
        first = edge.rule not in (ALREADY_LOADED, INTERPRETER) and edge.provider not in placed
        if first or edge.rule == INTERPRETER:
            text = f"{printable(edge.name)} → {printable(edge.provider)}"
            text += f"  {colours.dim}{printable(edge.rule)}{colours.plain}"
            found.setdefault(edge.dependent, []).append(_Branch(text, edge.provider if first else ""))
            placed.add(edge.provider)
        else:
            shared.setdefault(edge.dependent, {})[edge.name] = None
    for missing in tree.scope.missing:
        text = f"{colours.red}{printable(missing.name)} not found{colours.plain}"
        found.setdefault(missing.dependent, []).append(_Branch(text))
    for path, names in shared.items():
        listed = ", ".join(printable(name) for name in names)
        text = f"{colours.dim}{listed} (already loaded){colours.plain}"
        found.setdefault(path, []).append(_Branch(text))
    return found


def printable(text: str) -> str:
    """``text`` with control characters, and bytes that are no text, as escapes."""
    return text if text.isprintable() else "".join(map(_letter, text))


def _letter(letter: str) -> str:
    return letter if letter.isprintable() else repr(letter)[1:-1]
