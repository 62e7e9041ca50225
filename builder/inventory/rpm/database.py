"""Any rpm database → its packages; what cannot be read is a note, and what was read before it counts."""

from __future__ import annotations

from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, lines_of, whole_text
from builder.inventory.found import MAX_PACKAGES, Found, Package, damaged
from builder.inventory.rpm import berkeley, ndb, sqlite
from builder.inventory.rpm.header import DamagedHeaderError, RpmEntry, listed_package, read_header
from builder.inventory.rpm.sqlite import DamagedDatabaseError

_MAX_NOTES = 20
_COLUMNS = 10


def rpm_database(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read a database of whichever format the file has."""
    entries: list[RpmEntry] = []
    notes: list[str] = []
    try:
        for number, blob in enumerate(_blobs(content), 1):
            if number > MAX_PACKAGES:
                notes.append(f"it has more than {MAX_PACKAGES} packages")
                break
            try:
                entry = read_header(blob)
            except DamagedHeaderError as error:
                notes.append(f"entry {number} is damaged: {error}")
                continue
            if entry is not None:
                entries.append(entry)
    except DamagedDatabaseError as error:
        notes.insert(0, f"it is damaged: {error}")
    return Found(
        packages=tuple(entry.package for entry in entries),
        owned=tuple(entry.files for entry in entries),
        notes=tuple(notes[:_MAX_NOTES]),
    )


def rpm_journal(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Note a journal that was not merged: what it holds is not in the database beside it."""
    return Found(
        notes=("what it holds is not in the database yet, and was not read",) if len(content) else ()
    )


def rpm_manifest(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read the list that Azure Linux leaves in images without a package manager: a line a package."""
    packages: list[Package] = []
    notes: list[str] = []
    try:
        text = whole_text(content)
    except DocumentError as error:
        return damaged(str(error))
    for number, line in enumerate(lines_of(text), 1):
        if len(packages) >= MAX_PACKAGES or len(notes) >= _MAX_NOTES:
            break
        fields = line.split("\t", _COLUMNS)
        entry = listed_package(fields) if len(fields) >= _COLUMNS else None
        if entry is not None:
            packages.append(entry)
        elif line.strip():
            notes.append(f"line {number} is damaged")
    return Found(packages=tuple(packages), owned=(b"",) * len(packages), notes=tuple(notes[:_MAX_NOTES]))


def _blobs(content: Readable) -> Iterator[bytes]:
    head = content[0:16]
    if not head:
        return iter(())
    if head.startswith(sqlite.MAGIC):
        return sqlite.package_blobs(content)
    if head.startswith(ndb.MAGIC):
        return ndb.package_blobs(content)
    if berkeley.is_berkeley(head):
        return berkeley.package_blobs(content)
    raise DamagedDatabaseError("it is of no format that rpm has had")
