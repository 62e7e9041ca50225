"""apk's order (apk-package(5), "pkgver"): ``digits{.digits}{letter}{_suffix{digits}}{~hash}{-rdigits}``.

A part with a leading zero is compared as a text, so that 1.010 is below 1.09, as in Gentoo.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.versions.digits import number

_FORM = re.compile(r"[0-9]+(?:\.[0-9]+)*[a-z]?(?:_[a-z]+[0-9]*)*(?:~[0-9a-f]+)?(?:-r[0-9]+)?", re.ASCII)
_FIRST = re.compile(r"[0-9]+")
_SUFFIXES = ("alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p")
_RANK = {suffix: rank for rank, suffix in enumerate(_SUFFIXES) if suffix}
_RELEASE = _SUFFIXES.index("")
_PART = re.compile(
    r"\.(?P<digits>[0-9]+)|_(?P<suffix>[a-z]+)(?P<number>[0-9]*)|~(?P<hash>[0-9a-f]+)|-r(?P<revision>[0-9]+)"
    r"|(?P<letter>[a-z])"
)
_FIRST_DIGITS, _DIGITS, _LETTER, _SUFFIX, _SUFFIX_NUMBER, _HASH, _REVISION, _END, _INVALID = range(9)
_DIGIT = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class _Token:
    """One part; ``value`` is compared within its kind, ``text`` where a number starts with a zero."""

    kind: int
    value: object
    text: str


_LAST = _Token(_END, 0, "")
_BROKEN = _Token(_INVALID, 0, "")


def is_version(text: str) -> bool:
    """Whether apk could compare it: what follows a number it cannot read is below every end."""
    return text[:1] in _DIGIT and text.isprintable() and " " not in text


@functools.total_ordering
class ApkVersion:
    """A version that sorts as apk does."""

    __slots__ = ("tokens",)

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self.tokens = tokens

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApkVersion) and _compare(self.tokens, other.tokens) == 0

    def __lt__(self, other: ApkVersion) -> bool:
        return _compare(self.tokens, other.tokens) < 0

    def __hash__(self) -> int:
        return hash(tuple((token.kind, token.value) for token in self.tokens[:1]))


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> ApkVersion:
    """Make the key."""
    if not is_version(text):
        raise ValueError(f"{text[:40]!r} is no apk version")
    return ApkVersion(tuple(_tokens(text)))


def _tokens(text: str) -> Iterator[_Token]:
    whole = _FORM.match(text)
    end = whole.end() if whole else 0
    first = _FIRST.match(text)
    at = first.end() if first else 0
    yield _Token(_FIRST_DIGITS, number(text[:at]), "")
    for match in _PART.finditer(text, at, end):
        if match["digits"]:
            yield _Token(_DIGITS, number(match["digits"]), match["digits"])
        elif match["letter"]:
            yield _Token(_LETTER, match["letter"], "")
        elif match["suffix"]:
            if match["suffix"] not in _RANK:
                yield _BROKEN
                return
            yield _Token(_SUFFIX, _RANK[match["suffix"]], "")
            if match["number"]:
                yield _Token(_SUFFIX_NUMBER, number(match["number"]), "")
        elif match["hash"]:
            yield _Token(_HASH, match["hash"], "")
        else:
            yield _Token(_REVISION, number(match["revision"]), "")
    yield _LAST if end == len(text) else _BROKEN


def _compare(ours: tuple[_Token, ...], theirs: tuple[_Token, ...]) -> int:
    for one, other in zip(ours, theirs, strict=False):
        if one.kind != other.kind:
            return _kinds(one, other)
        left, right = one.value, other.value
        if one.kind == _DIGITS and (one.text[0] == "0" or other.text[0] == "0"):
            left, right = one.text, other.text
        if left != right:
            return -1 if left < right else 1  # type: ignore[operator]  # one kind has one type
    return 0


def _kinds(one: _Token, other: _Token) -> int:
    # All before was equal: what goes on is newer, unless it goes on with the suffix of a pre-release.
    if one.kind == _SUFFIX and isinstance(one.value, int) and one.value < _RELEASE:
        return -1
    if other.kind == _SUFFIX and isinstance(other.value, int) and other.value < _RELEASE:
        return 1
    return -1 if one.kind > other.kind else 1
