"""Composer's order: its normal form of a version, compared as PHP's version_compare() does.

https://getcomposer.org/doc/articles/versions.md. A branch ("dev-main") has no place in the order: it is no
version here.
"""

from __future__ import annotations

import functools
import itertools
import re

from builder.versions.digits import Number, number

_STABILITY = r"[._-]?(?:(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?[0-9]+)*)?)?([.-]?dev)?"
_CLASSICAL = re.compile(
    rf"v?([0-9]{{1,5}})(\.[0-9]+)?(\.[0-9]+)?(\.[0-9]+)?{_STABILITY}", re.IGNORECASE | re.ASCII
)
_DATED = re.compile(
    rf"v?([0-9]{{4}}(?:[.:-]?[0-9]{{2}}){{1,6}}(?:[.:-]?[0-9]{{1,3}}){{0,2}}){_STABILITY}",
    re.IGNORECASE | re.ASCII,
)
_FLAG = re.compile(r"@(?:stable|rc|beta|alpha|dev)$", re.IGNORECASE)
_PART = re.compile(r"[0-9]+|[^0-9.]+")
_RANKS = {"dev": 0, "alpha": 1, "beta": 2, "RC": 3, "#": 4, "patch": 5}
_WORDS = {"a": "alpha", "alpha": "alpha", "b": "beta", "beta": "beta", "rc": "RC"}
_NUMBER = _RANKS["#"]

Part = tuple[int, Number]
_END: Part = (_NUMBER, (-1, ""))
"""Where a version has ended: a number below every number."""


def is_version(text: str) -> bool:
    """Whether Composer would normalise it to a version with a place in the order."""
    return _normalised(text) is not None


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> PhpVersion:
    """Make the key."""
    normal = _normalised(text)
    if normal is None:
        raise ValueError(f"{text[:40]!r} is no version of Composer with a place in an order")
    return PhpVersion(tuple(_part(part) for part in _PART.findall(normal)))


@functools.total_ordering
class PhpVersion:
    """A version that sorts as version_compare() does."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhpVersion) and self.parts == other.parts

    def __lt__(self, other: PhpVersion) -> bool:
        pairs = itertools.zip_longest(self.parts, other.parts, fillvalue=_END)
        return next((one < theirs for one, theirs in pairs if one != theirs), False)

    def __hash__(self) -> int:
        return hash(self.parts)


def _part(text: str) -> Part:
    return (_NUMBER, number(text)) if text.isdecimal() else (_RANKS[text], (0, ""))


def _normalised(text: str) -> str | None:
    """Give parts with dots: "1.2.0.0.beta.3", "1.2.0.0.dev"."""
    bare = _FLAG.sub("", text.strip().partition(" as ")[0].strip())
    bare = bare.partition("+")[0]
    match = _CLASSICAL.fullmatch(bare)
    if match is not None:
        numbers = "".join(match[group] or ".0" for group in (1, 2, 3, 4))
        stability = match.groups()[4:]
    else:
        match = _DATED.fullmatch(bare)
        if match is None:
            return None
        numbers = re.sub(r"[^0-9]", ".", match[1])
        stability = match.groups()[1:]
    word, count, development = stability
    if word and word.lower() == "stable":
        return numbers
    parts = [numbers]
    if word:
        parts += [_WORDS.get(word.lower(), "patch"), *re.findall(r"[0-9]+", count or "")]
    if development:
        parts.append("dev")
    return ".".join(parts)
