"""Installed Python distributions: dist-info and egg-info (packaging.python.org, "Core metadata")."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, lines_of, whole_text
from builder.inventory.found import NOTHING, Found, Package, damaged, found, plain_word
from builder.inventory.model import ComponentKind
from builder.inventory.zipped import DamagedZipError, entries, read_entry

_HEAD = 1 << 16
"""Bytes of a metadata file that hold its name and version; the description follows them."""
_FIELD = re.compile(r"^(Name|Version):(.*)$", re.MULTILINE | re.IGNORECASE)
_MAX_RECORD = 16 << 20
_MAX_CLAIMS = 100_000
"""Native files of one wheel; what follows is nobody's then."""
_ABOVE = "../"


def python_metadata(content: Readable, path: str) -> Found:
    """Read METADATA of a dist-info folder, or PKG-INFO of an egg (or the file that is all of it)."""
    return _metadata(content[0:_HEAD], path)


def python_egg(content: Readable, path: str) -> Found:
    """Read an egg that is a ZIP archive."""
    try:
        wanted = next((one for one in entries(content) if one.name == "EGG-INFO/PKG-INFO"), None)
        return _metadata(read_entry(content, wanted, _HEAD * 16), path) if wanted is not None else NOTHING
    except DamagedZipError as error:
        return damaged(str(error))


def python_record(content: Readable, path: str) -> Found:
    """Read RECORD: the native libraries and programs that a wheel brought along belong to it."""
    try:
        text = whole_text(content, _MAX_RECORD)
    except DocumentError as error:
        return damaged(str(error))
    site = path.rsplit("/", 2)[0]
    return Found(claims=tuple(dict.fromkeys(itertools.islice(_native(text, site), _MAX_CLAIMS))))


def _metadata(head: bytes, path: str) -> Found:
    text = head.decode(errors="replace").replace("\r\n", "\n").partition("\n\n")[0]
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        fields.setdefault(key.capitalize(), plain_word(value.strip()))
    name, version = fields.get("Name", ""), fields.get("Version", "")
    if not name or not version:
        # An egg-info of distutils may lie anywhere; one without a name describes nothing that is installed.
        return (
            damaged("it is damaged: it has no name or no version") if path.endswith("/METADATA") else NOTHING
        )
    return found([Package(kind=ComponentKind.PYTHON, name=name, version=version)])


def _native(text: str, site: str) -> Iterator[str]:
    rows = csv.reader(line.rstrip("\r") for line in lines_of(text))
    with contextlib.suppress(csv.Error):  # what follows is nobody's then
        for name in (row[0] for row in rows if row):
            yield from _claimed(name, site)


def _claimed(name: str, site: str) -> Iterator[str]:
    base = name.rpartition("/")[2]
    if ".so" not in base and "." in base and not name.startswith(_ABOVE):
        return
    folder, rest = site, name
    while rest.startswith(_ABOVE):
        folder, rest = folder.rpartition("/")[0], rest[len(_ABOVE) :]
    if not rest.startswith("/") and "/../" not in rest:
        yield f"{folder}/{rest}"
        if rest.startswith("bin/"):
            yield f"{site}/{rest}"  # "pip install --target" puts programs there
