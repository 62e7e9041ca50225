"""Semantic Versioning 2.0.0 (https://semver.org, section 11), for npm, crates.io and more.

Two liberties that advisories take: a leading "v", and fewer or more than three numbers (1.2 is 1.2.0).
"""

from __future__ import annotations

import functools
import re

from builder.versions.digits import Number, number, without_trailing_zeros

_FORM = re.compile(
    r"[vV=]?(?P<numbers>[0-9]+(?:\.[0-9]+)*)(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z.+-]*)?",
    re.ASCII,
)

Identifier = tuple[int, Number, str]
Key = tuple[tuple[Number, ...], int, tuple[Identifier, ...]]


def is_version(text: str) -> bool:
    """Whether it is a semantic version, with the liberties above."""
    return _FORM.fullmatch(text) is not None


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> Key:
    """Make the key: a pre-release is below its release, build metadata says nothing."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no semantic version")
    numbers = without_trailing_zeros([number(part) for part in match["numbers"].split(".")])
    pre = match["pre"]
    return (numbers, 0, identifiers(pre)) if pre else (numbers, 1, ())


def identifiers(pre: str) -> tuple[Identifier, ...]:
    """Give the key of a pre-release: numbers below words, each in its own order, fewer below more."""
    return tuple((0, number(one), "") if one.isdecimal() else (1, (0, ""), one) for one in pre.split("."))
