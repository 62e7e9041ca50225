"""Numbers of any length as something that sorts as they do."""

from __future__ import annotations

Number = tuple[int, str]
"""Length and digits without leading zeros; zero is (0, "")."""

ZERO: Number = (0, "")


def number(digits: str) -> Number:
    """Give the key of a text of ASCII digits ("" is zero)."""
    bare = digits.lstrip("0")
    return (len(bare), bare)


def without_trailing_zeros(numbers: list[Number]) -> tuple[Number, ...]:
    """Give the key of a dotted number of which 1.0 and 1 are the same."""
    end = len(numbers)
    while end and numbers[end - 1] == ZERO:
        end -= 1
    return tuple(numbers[:end])
