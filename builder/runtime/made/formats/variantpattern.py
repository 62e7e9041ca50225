"""What is known of the type of a value in GVariant's text form (gvariant-parser.c, pattern_coalesce).

A pattern is a type in which * stands for any type, M for any number of m, N for a number and S for a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce


def common(patterns: Iterable[str]) -> str:
    """The pattern of every element; "*" where there is none. ValueError when they have nothing in common."""
    found = tuple(patterns)
    return reduce(_merge, found) if found else "*"


def _merge(left: str, right: str) -> str:
    """What fits both patterns. ValueError when nothing does."""
    out = ""
    while left and right:
        if left[0] == right[0]:
            out, left, right = out + left[0], left[1:], right[1:]
        elif (step := _narrow(left, right)) is not None:
            out, left, right = out + step[0], step[1], step[2]
        elif (step := _narrow(right, left)) is not None:
            out, left, right = out + step[0], step[2], step[1]
        else:
            break
    if left or right:
        raise ValueError("the elements have no type in common")
    return out


def _narrow(open_one: str, other: str) -> tuple[str, str, str] | None:
    """Let the first letter of ``open_one`` be what ``other`` says: the letters for both, and what is left."""
    first, second = open_one[0], other[0]
    if first == "*" and second != ")":
        end = _end_of_pattern(other)
        return other[:end], open_one[1:], other[end:]
    if first == "M" and second != "*":
        return ("m", open_one, other[1:]) if second == "m" else ("", open_one[1:], other)
    if (first == "N" and second in "ynqiuxthd") or (first == "S" and second in "sog"):
        return second, open_one[1:], other[1:]
    return None


def _end_of_pattern(pattern: str) -> int:
    at, depth = 0, 0
    while pattern[at : at + 1] in ("a", "m", "M"):
        at += 1
    while at < len(pattern):
        depth += (pattern[at] in "({") - (pattern[at] in ")}")
        at += 1
        if depth <= 0:
            break
    return at
