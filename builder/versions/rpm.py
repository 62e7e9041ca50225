"""rpm's order of ``[epoch:]version[-release]`` (rpm-version(7), rpmvercmp).

``~`` sorts below the end, ``^`` above the end and below everything else, letters below digits.
"""

from __future__ import annotations

import functools
import re

from builder.versions.digits import Number, number

_SEGMENT = re.compile(r"([0-9]+)|([A-Za-z]+)|(~)|(\^)")
_TILDE, _END, _CARET, _LETTERS, _DIGITS = range(-1, 4)

Part = tuple[tuple[int, int, str], ...]


def is_version(text: str) -> bool:
    """Whether rpm could compare it: any printable word."""
    return bool(text) and text.isprintable() and " " not in text


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> tuple[Number, Part, tuple[Part, ...]]:
    """Make the key; a missing epoch is 0, a missing release is below every release."""
    if not is_version(text):
        raise ValueError(f"{text[:40]!r} is no rpm version")
    epoch, colon, rest = text.partition(":")
    if not (colon and epoch.isdecimal() and epoch.isascii()):
        epoch, rest = "0", text if not colon else rest
    version, dash, release = rest.rpartition("-")
    if not dash:
        return number(epoch), _part(rest), ()
    return number(epoch), _part(version), (_part(release),)


def _part(text: str) -> Part:
    key = []
    for digits, letters, tilde, _ in _SEGMENT.findall(text):
        if digits:
            key.append((_DIGITS, *number(digits)))
        elif letters:
            key.append((_LETTERS, 0, letters))
        else:
            key.append((_TILDE if tilde else _CARET, 0, ""))
    return (*key, (_END, 0, ""))
