"""Python's order (https://packaging.python.org/en/latest/specifications/version-specifiers/).

The library ``packaging`` gives the same order (the tests hold that); this is a third of its import time.
"""

from __future__ import annotations

import functools
import re

from builder.versions.digits import Number, number, without_trailing_zeros

_FORM = re.compile(
    r"""\s*v?
    (?:(?P<epoch>[0-9]+)!)?
    (?P<release>[0-9]+(?:\.[0-9]+)*)
    (?P<pre>[-_.]?(?P<pre_kind>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]+)?)?
    (?P<post>-(?P<post_bare>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]+)?)?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SEPARATOR = re.compile(r"[-_.]")
_PRE = {"alpha": 0, "a": 0, "beta": 1, "b": 1}
_CANDIDATE = 2
_BEFORE, _HERE, _AFTER = -1, 0, 1
_NONE: Number = (0, "")

Key = tuple[
    Number,
    tuple[Number, ...],
    tuple[int, int, Number],
    tuple[int, Number],
    tuple[int, Number],
    tuple[int, tuple[tuple[int, Number, str], ...]],
]


def is_version(text: str) -> bool:
    """Whether it is a version of the specification, normalised or not."""
    return _FORM.fullmatch(text) is not None


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> Key:
    """Make the key: development releases, pre-releases, the release, its local builds, post-releases."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no version of PEP 440")
    release = without_trailing_zeros([number(part) for part in match["release"].split(".")])
    post, dev = (_BEFORE, _NONE), (_AFTER, _NONE)
    if match["post"]:
        post = (_HERE, number(match["post_bare"] or match["post_number"] or ""))
    if match["dev"]:
        dev = (_HERE, number(match["dev_number"] or ""))
    local = (_HERE, _local(match["local"])) if match["local"] else (_BEFORE, ())
    return number(match["epoch"] or ""), release, _pre(match), post, dev, local


def _pre(match: re.Match[str]) -> tuple[int, int, Number]:
    if match["pre"]:
        return _HERE, _PRE.get(match["pre_kind"].lower(), _CANDIDATE), number(match["pre_number"] or "")
    if match["dev"] and not match["post"]:
        return _BEFORE, 0, _NONE
    return _AFTER, 0, _NONE


def _local(text: str) -> tuple[tuple[int, Number, str], ...]:
    # Numbers are above words.
    return tuple(
        (1, number(part), "") if part.isdecimal() else (0, _NONE, part)
        for part in _SEPARATOR.split(text.lower())
    )
