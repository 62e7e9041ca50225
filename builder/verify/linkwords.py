"""Sentences about objects that do not fit together."""

from __future__ import annotations

import re

_MOST_SEARCHED = 6
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONGEST_NUMBER = 40
_KNOWN = {
    "GLIBC": "the C library of the image is too old",
    "GLIBCXX": "the C++ library of the image is too old",
    "CXXABI": "the C++ library of the image is too old",
    "GCC": "the compiler's library of the image is too old",
}


def version_missing(dependent: str, version: str, provider: str, defines: tuple[str, ...]) -> str:
    """Say that ``provider``, which defines ``defines``, lacks a version that ``dependent`` requires."""
    family, number = _split(version)
    numbers = [known for known in map(_split, defines) if known[0] == family and known[1]]
    if not numbers or not number:
        return (
            f"{dependent} needs {version}, which {provider} does not define: the two do not belong together"
        )
    highest = max(numbers, key=lambda known: known[1])[1]
    shown = f"{family}_{'.'.join(map(str, highest))}"
    why = "the two do not belong together"
    if number > highest:
        why = _KNOWN.get(family, "that library of the image is too old")
    return f"{dependent} needs {version}, which {provider} (up to {shown}) does not define: {why}"


def _split(version: str) -> tuple[str, tuple[int, ...]]:
    family, _, number = version.rpartition("_")
    if not _NUMBER.fullmatch(number) or len(number) > _LONGEST_NUMBER:
        return version, ()
    return family, tuple(map(int, number.split(".")))


def not_loaded(dependent: str, version: str, file: str) -> str:
    """Say that a version is required of a file that is not loaded at all."""
    return f"{dependent} needs {version} of {file}, which nothing loads: ld.so stops there"


def no_versions(dependent: str, provider: str) -> str:
    """Say that a file without versions stands where versions are required: it loads, nothing is proven."""
    return f"{provider} has no version information, which {dependent} requires: it loads, as it is"


def undefined(name: str, dependent: str, searched: tuple[str, ...], *, more: int) -> str:
    """Say that a symbol ("name" or "name@VERSION") is defined nowhere; ``more`` others are like it."""
    symbol, _, version = name.partition("@")
    shown = f"undefined symbol {symbol}" + (f", version {version}" if version else "")
    places = ", ".join(searched[:_MOST_SEARCHED])
    if len(searched) > _MOST_SEARCHED:
        places += f" and {len(searched) - _MOST_SEARCHED} more"
    others = f", and {more} more symbols" if more else ""
    return f"{shown} (needed by {dependent}){others}; searched {places}"
