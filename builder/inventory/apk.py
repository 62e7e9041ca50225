"""apk's database of installed packages (apk-tools, "lib/apk/db/installed"): one letter a field."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, whole_text
from builder.inventory.found import MAX_PACKAGES, Found, Package, damaged, packed, plain_word
from builder.inventory.model import ComponentKind

_LIMIT = 64 << 20
_MAX_NOTES = 100
_MAX_ENTRY = 8 << 20
"""Letters of one entry; the longest real ones have some 500,000."""
_LINE = re.compile(r"[A-Za-z]:.*")


def apk_installed(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read the database. The source of a package is its origin (``o:``), in the package's version."""
    try:
        text = whole_text(content, _LIMIT)
    except DocumentError as error:
        return damaged(str(error))
    packages: list[Package] = []
    lists: list[bytes] = []
    notes: list[str] = []
    for number, paragraph in enumerate(_paragraphs(text), 1):
        if len(packages) >= MAX_PACKAGES or len(notes) >= _MAX_NOTES:
            notes.append(f"what follows entry {number - 1} was not read")
            break
        lines = paragraph.strip("\n").split("\n")
        fields = {line[0]: line[2:].strip() for line in lines if line[1:2] == ":" and line[0] not in "FRMaZ"}
        name, version = plain_word(fields.get("P")), plain_word(fields.get("V"))
        if not name or not version:
            lacks = "version" if name else "name"
            notes.append(f"entry {number} ({name or 'without a name'}) is damaged: it has no {lacks}")
            continue
        if any(line and not _LINE.fullmatch(line) for line in lines):
            notes.append(f"entry {number} ({name}) is damaged: a line of it is no field")
        origin = plain_word(fields.get("o")) or name
        packages.append(
            Package(
                kind=ComponentKind.APK,
                name=name,
                version=version,
                architecture=plain_word(fields.get("A")),
                source_name=origin,
                source_version=version,
            )
        )
        lists.append(packed(_files(lines)))
    return Found(packages=tuple(packages), owned=tuple(lists), notes=tuple(notes))


def _paragraphs(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n\n", start)
        end = len(text) if end < 0 else end
        if text[start:end].strip():
            yield text[start : min(end, start + _MAX_ENTRY)]
        start = end + 2


def _files(lines: list[str]) -> Iterator[str]:
    folder = "/"
    for line in lines:
        if line.startswith("F:"):
            folder = f"/{line[2:].strip('/')}/" if line[2:].strip("/") else "/"
        elif line.startswith("R:"):
            yield folder + line[2:]
