"""Maven's order (org.apache.maven.artifact.versioning.ComparableVersion, "Version Order Specification").

A version is a tree: "-" and the border between digits and letters open a list inside the list. Words have
ranks ("alpha" < "beta" < "milestone" < "rc" < "snapshot" < "" < "sp" < every other word).
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from typing import Union

from builder.versions.digits import ZERO, Number, number

_RANKS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
_RELEASE = _RANKS.index("")
_UNKNOWN = len(_RANKS)
_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_TOKEN = re.compile(r"[.-]|[0-9]+|[^.0-9-]+")
_DEEPEST = 64
"""Lists inside lists; a version of a project has three."""


@dataclass(frozen=True, slots=True)
class _Word:
    """A qualifier: its rank among the known ones, and its text where it is none of them."""

    rank: int
    text: str


_Item = Union[Number, _Word, "list[_Item]"]


def is_version(text: str) -> bool:
    """Whether Maven could compare it: any word that is not too deep."""
    return bool(text) and text.isprintable() and len(_TOKEN.findall(text)) <= _DEEPEST


@functools.total_ordering
class MavenVersion:
    """A version that sorts as Maven does."""

    __slots__ = ("tree",)

    def __init__(self, tree: list[_Item]) -> None:
        self.tree = tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MavenVersion) and _compare_lists(self.tree, other.tree) == 0

    def __lt__(self, other: MavenVersion) -> bool:
        return _compare_lists(self.tree, other.tree) < 0

    def __hash__(self) -> int:
        return hash(str(self.tree))


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> MavenVersion:
    """Make the key."""
    if not is_version(text):
        raise ValueError(f"{text[:40]!r} is no Maven version")
    lists = _parse(_TOKEN.findall(text.lower()))
    for inner in reversed(lists):
        _drop_zeros(inner)
    return MavenVersion(lists[0])


def _parse(tokens: list[str]) -> list[list[_Item]]:
    """Every list of the tree, the outermost first."""
    lists: list[list[_Item]] = [[]]
    before = "."
    for part, after in zip(tokens, [*tokens[1:], ""], strict=True):
        if part in ".-":
            if before in ".-":
                lists[-1].append(ZERO)
            if part == "-":
                _open(lists)
        elif part.isdecimal():
            if before not in ".-":
                _open(lists)
            lists[-1].append(number(part))
        else:
            # ".x1" and a last ".x" are read as "-x1" and "-x".
            if before not in ".-" or (lists[-1] and after not in {".", "-"}):
                _open(lists)
            lists[-1].append(_word(part, before_digit=after.isdecimal()))
        before = part
    return lists


def _open(lists: list[list[_Item]]) -> None:
    inner: list[_Item] = []
    lists[-1].append(inner)
    lists.append(inner)


def _word(token: str, *, before_digit: bool) -> _Word:
    text = _SHORT.get(token, token) if before_digit else token
    text = _ALIASES.get(text, text)
    return _Word(_RANKS.index(text), "") if text in _RANKS else _Word(_UNKNOWN, text)


def _drop_zeros(items: list[_Item]) -> None:
    """Take away what says nothing at the end of a list, and before each list at the end."""
    for at in range(len(items) - 1, -1, -1):
        if items[at] in (ZERO, _Word(_RELEASE, ""), []):
            del items[at]
        elif not isinstance(items[at], list):
            break


def _compare(one: _Item | None, other: _Item | None) -> int:
    """Compare two items of a list; None is where one list has ended already."""
    if one is None:
        return 0 if other is None else -_compare(other, None)
    if isinstance(one, list):
        if isinstance(other, list):
            return _compare_lists(one, other)
        # A list is above every word and below every number.
        return _against_nothing(one) if other is None else 2 * isinstance(other, _Word) - 1
    if isinstance(one, _Word):
        return _compare_word(one, other)
    if isinstance(other, _Word | list):
        return 1
    theirs = other or ZERO
    return (one > theirs) - (one < theirs)


def _compare_word(one: _Word, other: _Item | None) -> int:
    if not isinstance(other, _Word | None):
        return -1
    ours = (one.rank, one.text)
    theirs = (_RELEASE, "") if other is None else (other.rank, other.text)
    return (ours > theirs) - (ours < theirs)


def _against_nothing(items: list[_Item]) -> int:
    return next((result for item in items if (result := _compare(item, None))), 0)


def _compare_lists(ours: list[_Item], theirs: list[_Item]) -> int:
    pairs = itertools.zip_longest(ours, theirs)
    return next((result for one, other in pairs if (result := _compare(one, other))), 0)
