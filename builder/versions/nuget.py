"""NuGet's order: Semantic Versioning with four numbers, and letters that are equal in both cases."""

from __future__ import annotations

import functools
import re

from builder.versions import semver
from builder.versions.digits import number, without_trailing_zeros

_FORM = re.compile(
    r"(?P<numbers>[0-9]+(?:\.[0-9]+){0,3})(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z.-]*)?",
    re.ASCII,
)


def is_version(text: str) -> bool:
    """Whether NuGet would take it."""
    return _FORM.fullmatch(text.strip()) is not None


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> semver.Key:
    """Make the key."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no NuGet version")
    numbers = without_trailing_zeros([number(part) for part in match["numbers"].split(".")])
    pre = match["pre"]
    return (numbers, 0, semver.identifiers(pre.lower())) if pre else (numbers, 1, ())
