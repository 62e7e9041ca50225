"""``find`` and ``xargs`` (POSIX.1-2024, XCU): owners and modes of what is found in the root."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.shell import Handler, Shell
from builder.sysroot import Kind, Node

_CHANGES = frozenset({"chown", "chgrp", "chmod"})
"""What may be done with each path; with any other program the line is reported."""
_KINDS = {"f": Kind.FILE, "d": Kind.DIRECTORY, "l": Kind.SYMLINK}
_MOST_TEXT = 1 << 16
_NUL = "\x1e"
"""Stands for the NUL of ``-print0``, which is the mark of unknown text here."""
_NOT_PLAIN = re.compile(r"['\"\\]")
_OPTIONS = frozenset({"-0", "--null", "-r", "--no-run-if-empty", "-0r", "-r0"})


@dataclass(slots=True)
class _Search:
    """What the words of one ``find`` say. All tests must hold; ``end`` follows each printed path."""

    tops: list[str]
    tests: list[Callable[[Node], bool]] = field(default_factory=list)
    least: int = 0
    most: int = 1 << 30
    end: str = "\n"
    command: list[str] = field(default_factory=list)
    each: bool = False


def _find(shell: Shell, arguments: list[str]) -> Verdict:
    search = None if any(UNKNOWN in word for word in arguments) else _search(arguments)
    if search is None or not all(map(shell.system.knows, search.tops)):
        return _unclear(shell, arguments)
    paths = [path for top in search.tops for path in _found(shell, search, top)]
    if not search.command:
        text = "".join(f"{path}{search.end}" for path in paths)
        shell.write(text if len(text) <= _MOST_TEXT else UNKNOWN)
    elif search.each:
        for path in paths:
            shell.call(search.command[0], [*search.command[1:], path])
    elif paths:
        shell.call(search.command[0], [*search.command[1:], *paths])
    return True


def _search(arguments: list[str]) -> _Search | None:
    """The words as a search; None for one with tests or actions that are not known here."""
    rest = arguments[::-1]
    search = _Search([])
    while rest and rest[-1][:1] not in {"-", "!", "("}:
        search.tops.append(rest.pop())
    negated = False
    while rest:
        word = rest.pop()
        if word in {"!", "-not"}:
            negated = not negated
        elif search.command:
            return None
        elif word in {"-exec", "-execdir"} and not negated:
            if not _command(search, rest):
                return None
        elif not _option(search, word, rest, negated=negated):
            return None
        else:
            negated = False
    return search if search.tops and not negated else None


def _option(search: _Search, word: str, rest: list[str], *, negated: bool) -> bool:
    if word in {"-xdev", "-mount", "-print", "-print0"}:
        search.end = _NUL if word == "-print0" else search.end
        return not negated
    if not rest:
        return False
    value = rest.pop()
    if word in {"-mindepth", "-maxdepth"} and value.isdecimal() and not negated:
        search.least = int(value[:6]) if word == "-mindepth" else search.least
        search.most = int(value[:6]) if word == "-maxdepth" else search.most
        return True
    test = _test(word, value)
    if test is None:
        return False
    search.tests.append((lambda node: not test(node)) if negated else test)
    return True


def _test(word: str, value: str) -> Callable[[Node], bool] | None:
    if word == "-type" and value in _KINDS:
        return lambda node: node.kind is _KINDS[value]
    if word == "-name":
        return lambda node: fnmatch.fnmatchcase(node.path.rpartition("/")[2], value)
    wanted = "root" if value == "0" else value
    if word == "-user":
        return lambda node: (node.user or _number(node.uid)) == wanted
    if word == "-group":
        return lambda node: (node.group or _number(node.gid)) == wanted
    return None


def _number(number: int) -> str:
    return str(number) if number else "root"


def _command(search: _Search, rest: list[str]) -> bool:
    """``chown … {} +`` or ``;``: whether it is one of those that are followed."""
    words: list[str] = []
    while rest and rest[-1] not in {"+", ";"}:
        words.append(rest.pop())
    if not rest or len(words) < 2 or words[-1] != "{}" or "{}" in words[:-1]:  # noqa: PLR2004 (program and {})
        return False
    search.each = rest.pop() == ";"
    search.command = words[:-1]
    return words[0].rpartition("/")[2] in _CHANGES


def _found(shell: Shell, search: _Search, top: str) -> list[str]:
    system = shell.system
    place = system.place(top, follow=top.endswith("/"))
    first = system.get(place)
    if first is None:
        return []
    start = len(place.rstrip("/"))
    nodes = [first, *sorted(system.below(place), key=lambda node: node.path)]
    return [
        f"{top.rstrip('/')}{node.path[start:]}" if node is not first else top
        for node in nodes
        if search.least <= (node.path[start:].count("/") if node is not first else 0) <= search.most
        and all(test(node) for test in search.tests)
    ]


def _xargs(shell: Shell, arguments: list[str]) -> Verdict:
    words = list(arguments)
    options: set[str] = set()
    while words and words[0] in _OPTIONS:
        options.add(words.pop(0))
    null = any("0" in option or option == "--null" for option in options)
    text = shell.input
    known = not any(UNKNOWN in word for word in (text, *words)) and (null or not _NOT_PLAIN.search(text))
    if not known or not words or words[0].rpartition("/")[2] not in _CHANGES:
        return _unclear(shell, arguments)
    found = [path for path in text.split(_NUL) if path] if null else text.split()
    return shell.call(words[0], [*words[1:], *found]) if found else True


def _unclear(shell: Shell, arguments: list[str]) -> Verdict:
    shell.system.mention(shell.package, *filter(shell.system.has_user, arguments))
    shell.write(UNKNOWN)
    shell.unclear()
    return None


FIND_COMMANDS: dict[str, Handler] = {"find": _find, "xargs": _xargs}
