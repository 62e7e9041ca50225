"""Control paragraphs ("deb822", Debian Policy §5.1): fields in order, folded values kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SOURCE = re.compile(r"(?P<name>[^\s(]+)(?:\s*\((?P<version>[^)]+)\))?")


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Every paragraph of ``text``; field names keep their spelling, folded lines are joined with newlines.

    Only a newline ends a line (as for dpkg). Comment lines (``#``) are skipped. ValueError for a line that is
    neither a field nor a continuation.
    """
    fields: dict[str, list[str]] = {}
    value: list[str] = []
    for line in text.split("\n"):
        if not line.strip():
            if fields:
                yield _joined(fields)
            fields = {}
        elif line[0] == "#":
            continue
        elif line[0] in " \t":
            if not fields:
                raise ValueError(f"a continuation line without a field: {line[:60]!r}")
            value.append(line.rstrip("\r"))
        else:
            name, colon, first = line.partition(":")
            if not colon:
                raise ValueError(f"not a control field: {line[:60]!r}")
            value = fields[name] = [first.strip()]
    if fields:
        yield _joined(fields)


def _joined(fields: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: "\n".join(lines) for name, lines in fields.items()}


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """Name and version of the source a binary package was built from."""

    name: str
    version: str


def source_of(fields: Mapping[str, str]) -> SourcePackage:
    """The source of a binary package: ``Source: name (version)``, else its own name and version (D1)."""
    match = _SOURCE.match(fields.get("Source", "").strip())
    name = match["name"] if match else fields.get("Package", "")
    version = match["version"] if match and match["version"] else fields.get("Version", "")
    return SourcePackage(name, version.strip())
