"""``test`` and ``[`` (POSIX.1-2024, XCU test) on a fresh root: true, false, or None for unknown."""

from __future__ import annotations

from collections.abc import Callable

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.system import System
from builder.sysroot import Kind, Node

Verdict = bool | None
_MOST_ARGUMENTS = 200


def judge(arguments: list[str], system: System) -> Verdict:
    """The status of ``test ARGUMENT…``; None too when the expression is not understood."""
    if len(arguments) > _MOST_ARGUMENTS:
        return None
    expression = _Expression(arguments, system)
    try:
        verdict = expression.alternatives()
    except IndexError:
        return None
    return verdict if expression.done else None


def negated(verdict: Verdict) -> Verdict:
    """``!``."""
    return None if verdict is None else not verdict


def both(one: Verdict, other: Verdict) -> Verdict:
    """``-a``."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


class _Expression:
    def __init__(self, arguments: list[str], system: System) -> None:
        self._rest = arguments
        self._system = system
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._rest)

    def alternatives(self) -> Verdict:
        verdict = self._all()
        while not self.done and self._rest[self._at] == "-o":
            self._at += 1
            verdict = negated(both(negated(verdict), negated(self._all())))
        return verdict

    def _all(self) -> Verdict:
        verdict = self._one()
        while not self.done and self._rest[self._at] == "-a":
            self._at += 1
            verdict = both(verdict, self._one())
        return verdict

    def _one(self) -> Verdict:
        if self.done:
            return False
        left = len(self._rest) - self._at
        word = self._rest[self._at]
        if left > 2 and self._rest[self._at + 1] in _BINARY:  # noqa: PLR2004 (two operands and an operator)
            other = self._rest[self._at + 2]
            self._at += 3
            return _compare(word, self._rest[self._at - 2], other)
        if word == "!" and left > 1:
            self._at += 1
            return negated(self._one())
        if word == "(" and left > 1:
            self._at += 1
            verdict = self.alternatives()
            self._at += 1
            return verdict
        if left > 1 and word in _UNARY:
            self._at += 2
            return _UNARY[word](self._rest[self._at - 1], self._system)
        self._at += 1
        return True if word.replace(UNKNOWN, "") else (None if word else False)


def _compare(one: str, operator: str, other: str) -> Verdict:
    if UNKNOWN in one or UNKNOWN in other:
        return None
    if operator in {"=", "=="}:
        return one == other
    if operator == "!=":
        return one != other
    try:
        first, second = int(one), int(other)
    except ValueError:
        return None
    return _BINARY[operator](first, second)


_BINARY: dict[str, Callable[[int, int], bool]] = {
    "=": lambda one, other: one == other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "-eq": lambda one, other: one == other,
    "-ne": lambda one, other: one != other,
    "-lt": lambda one, other: one < other,
    "-le": lambda one, other: one <= other,
    "-gt": lambda one, other: one > other,
    "-ge": lambda one, other: one >= other,
}


def _file(test: Callable[[Node], bool]) -> Callable[[str, System], Verdict]:
    def verdict(path: str, system: System) -> Verdict:
        if path == "/dev/null":
            return True
        if path == "":
            return False
        if not system.knows(path):
            return None
        node = system.find(path)
        return node is not None and test(node)

    return verdict


def _link(path: str, system: System) -> Verdict:
    if not system.knows(path):
        return None
    node = system.find(path, follow=False)
    return node is not None and node.kind is Kind.SYMLINK


def _size(path: str, system: System) -> Verdict:
    node = system.find(path) if system.knows(path) else None
    if node is None:
        return False if system.knows(path) else None
    if node.path in system.unclear:
        return None
    return bool(node.content.size if node.content is not None else system.contents.get(node.path))


def _never(_: str, __: System) -> Verdict:
    return False


_UNARY: dict[str, Callable[[str, System], Verdict]] = {
    "-n": lambda text, _: None if text == UNKNOWN else bool(text),
    "-z": lambda text, _: None if text == UNKNOWN else not text,
    "-e": _file(lambda _: True),
    "-a": _file(lambda _: True),
    "-r": _file(lambda _: True),
    "-w": _file(lambda _: True),
    "-f": _file(lambda node: node.kind is Kind.FILE),
    "-d": _file(lambda node: node.kind is Kind.DIRECTORY),
    "-x": _file(lambda node: bool(node.mode & 0o111)),
    "-s": _size,
    "-L": _link,
    "-h": _link,
    "-S": _never,
    "-p": _never,
    "-b": _never,
    "-t": _never,
}
