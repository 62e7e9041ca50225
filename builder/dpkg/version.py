"""Debian version order (deb-version(7), Debian Policy §5.6.12)."""

from __future__ import annotations

import functools
import re

_PART = re.compile(r"([^0-9]*)([0-9]*)")
_LONG = 4000
"""Digits that int() takes in any case (it refuses long texts: sys.set_int_max_str_digits)."""
_VALID = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z.+:~-]+")


def is_version(text: str) -> bool:
    """Whether ``text`` has the form of a Debian version."""
    return _VALID.fullmatch(text) is not None


@functools.lru_cache(maxsize=65536)
def version_key(version: str) -> tuple[int, tuple[object, ...], tuple[object, ...]]:
    """A key that sorts as dpkg does: epoch, upstream version, revision. A missing epoch is 0."""
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", version.strip()
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return (_number(epoch) if epoch.isdecimal() else 0, _part_key(upstream), _part_key(revision or "0"))


def compare(one: str, other: str) -> int:
    """-1, 0 or 1 as dpkg --compare-versions."""
    left, right = version_key(one), version_key(other)
    return (left > right) - (left < right)


def _part_key(text: str) -> tuple[object, ...]:
    # Non-digits compare letter by letter, "~" before the end before letters before the rest; digits by
    # value. Each run of non-digits ends with 0 (the end), so that "~" (-1) sorts below it.
    key: list[object] = []
    for letters, digits in _PART.findall(text):
        if letters or digits:
            key.append((*map(_order, letters), 0))
            key.append(_number(digits))
    return (*key, (0,))


def _number(digits: str) -> int:
    if len(digits) > _LONG:
        digits = digits.lstrip("0")
    if (
        len(digits) > _LONG
    ):  # read as hexadecimal, such numbers keep their order and stay above all shorter ones
        return int(digits, 16)
    return int(digits or "0")


def _order(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
