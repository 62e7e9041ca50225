"""Notes of an ELF file about the libraries that it opens at run time (systemd.io/ELF_DLOPEN_METADATA).

A note is a record of a PT_NOTE segment (gABI, "Note Section"): three words, the vendor's name, the text. Here
the vendor is "FDO" and the text a JSON array, one object for each library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

from builder.elf.object import DlopenNote, DlopenPriority

FDO = b"FDO\0"
NT_DLOPEN = 0x407C0C0A
MAX_NOTES = 1 << 18
"""Bytes of one PT_NOTE segment that are looked at. Real ones have some hundreds, the biggest 4,000."""
_MAX_ENTRIES = 1024
_EIGHT = 8


class NoteError(ValueError):
    """A note is damaged; the message says how."""


def dlopen_notes(segment: bytes, *, little_endian: bool, align: int) -> Iterator[DlopenNote]:
    """Read the notes of one PT_NOTE segment; other vendors' and other types are passed over.

    ``align`` is the segment's p_align. Raises NoteError for a damaged note, after what stood before it.
    """
    if FDO not in segment:
        return
    left = _MAX_ENTRIES
    for kind, name, text in _records(segment, "<3I" if little_endian else ">3I", align):
        if kind == NT_DLOPEN and name == FDO:
            for note in _entries(text):
                left -= 1
                if left < 0:
                    raise NoteError(f"there are more than {_MAX_ENTRIES}")
                yield note


def _records(segment: bytes, words: str, align: int) -> Iterator[tuple[int, bytes, bytes]]:
    step = _EIGHT if align == _EIGHT else 4
    at = 0
    while at + 12 <= len(segment):
        name_size, text_size, kind = struct.unpack_from(words, segment, at)
        name_at = at + 12
        text_at = _align(name_at + name_size, step)
        if text_at + text_size > len(segment):
            raise NoteError("it lies outside its segment")
        yield kind, segment[name_at : name_at + name_size], segment[text_at : text_at + text_size]
        at = _align(text_at + text_size, step)


def _align(at: int, step: int) -> int:
    return (at + step - 1) // step * step


def _entries(text: bytes) -> Iterator[DlopenNote]:
    try:
        document = json.loads(text.rstrip(b"\0").decode())
    except (ValueError, RecursionError):
        raise NoteError("it is no JSON") from None
    if not isinstance(document, list):
        raise NoteError("it is no JSON array")
    return map(_entry, document)


def _entry(fields: Any) -> DlopenNote:
    if not isinstance(fields, dict):
        raise NoteError("an element is no object")
    sonames = fields.get("soname")
    sonames = [sonames] if isinstance(sonames, str) else sonames
    if not isinstance(sonames, list) or not sonames or not all(map(_is_name, sonames)):
        raise NoteError("it has no list of SONAMEs")
    return DlopenNote(
        sonames=tuple(sonames),
        feature=_words(fields.get("feature")),
        description=_words(fields.get("description")),
        priority=_priority(fields.get("priority")),
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value and _words(value) == value


def _words(value: object) -> str:
    # JSON can spell half a surrogate pair, which no file name and no report can hold.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _priority(value: object) -> DlopenPriority:
    # "recommended" stands for a priority that is absent; one that nobody knows yet is taken as that too.
    try:
        return DlopenPriority(value)
    except ValueError:
        return DlopenPriority.RECOMMENDED
