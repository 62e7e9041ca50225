"""What a Rust program built with cargo-auditable says of itself: the section .dep-v0, JSON under zlib."""

from __future__ import annotations

import json
import zlib

from builder.inventory.content import Readable
from builder.inventory.document import object_of, objects
from builder.inventory.elfparts import ElfParts
from builder.inventory.found import NOTHING, Found, Package, damaged, found, plain_word
from builder.inventory.model import ComponentKind

_MAX_PACKED = 4 << 20
_MAX_JSON = 8 << 20
"""The format's own readers stop there too."""


def rust_program(content: Readable, parts: ElfParts) -> Found:
    """Read the crates that run in a program; those of its build are left out."""
    section = parts.section(b".dep-v0")
    if section is None:
        return NOTHING
    if section.size > _MAX_PACKED:
        return damaged("its list of crates is larger than any")
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(content[section.offset : section.offset + section.size], _MAX_JSON)
        document = object_of(json.loads(text)) if inflate.eof else {}
    except (zlib.error, ValueError, RecursionError):
        document = {}
    if not document:
        return damaged("its list of crates is damaged")
    crates = (
        Package(
            kind=ComponentKind.RUST, name=plain_word(one.get("name")), version=plain_word(one.get("version"))
        )
        for one in objects(document.get("packages"))
        if one.get("kind", "runtime") == "runtime"
    )
    return found(one for one in crates if one.name)
