"""Package notes of ELF files (systemd.io/ELF_PACKAGE_METADATA): the source that a file was built from."""

from __future__ import annotations

import json

from builder.inventory.content import Readable
from builder.inventory.elfparts import ElfParts, notes_of
from builder.inventory.found import NOTHING, Found, Package, found, plain_word
from builder.inventory.model import ComponentKind

_OWNER, _TYPE = b"FDO", 0xCAFE1A7E
_KINDS = {"deb": ComponentKind.DEB, "rpm": ComponentKind.RPM, "apk": ComponentKind.APK}


def package_note(content: Readable, parts: ElfParts) -> Found:
    """Read the note, if any: it names a SOURCE package, which is evidence of no binary package (G2)."""
    text = next(
        (text for owner, kind, text in notes_of(content, parts) if (owner, kind) == (_OWNER, _TYPE)), None
    )
    if text is None:
        return NOTHING
    try:
        fields = json.loads(text.rstrip(b"\0").decode())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return Found(notes=("its package note is damaged",))
    name, version = plain_word(fields.get("name")), plain_word(fields.get("version"))
    if not name or not version:
        return NOTHING
    kind = _KINDS.get(str(fields.get("type")), ComponentKind.GENERIC)
    package = Package(
        kind=kind,
        name=name,
        version=version,
        architecture=plain_word(fields.get("architecture")),
        source_name=name,
        source_version=version,
        namespace=plain_word(fields.get("os")),
        origin=True,
    )
    return found([package])
