"""Programs made in memory that say what they were built from: Go, Rust, package notes, versions."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

_ADDRESS = 0x400000
_MARKS = (
    bytes.fromhex("3077af0c9274080241e1c107e6d618e6"),
    bytes.fromhex("f932433186182072008242104116d8f2"),
)


def elf(
    sections: Mapping[str, bytes] | None = None,
    *,
    note: bytes = b"",
    data: bytes = b"",
    elf_class: int = 64,
    big_endian: bool = False,
    headers: bool = True,
) -> bytes:
    """An ELF file with named sections; ``data`` is a writable segment, at ``_ADDRESS`` + its offset."""
    order, wide = ">" if big_endian else "<", elf_class == 64
    head, entry, record = (64, 56, 64) if wide else (52, 32, 40)
    start = head + 2 * entry
    body = bytearray()
    places: list[tuple[int, int, int]] = []
    names = b"\0"
    for name, payload in {**(sections or {}), ".note": note}.items():
        body += bytes(-(start + len(body)) % 16)
        places.append((len(names), start + len(body), len(payload)))
        names += name.encode() + b"\0"
        body += payload
    body += bytes(-(start + len(body)) % 16)
    data_at = start + len(body)
    body += data
    names_at = start + len(body)
    places.append((0, names_at, len(names)))
    body += names + bytes(-(names_at + len(names)) % 8)
    table = bytes(record) + b"".join(
        struct.pack(f"{order}II4QIIQQ" if wide else f"{order}10I", name, 1, 0, 0, at, size, 0, 0, 1, 0)
        for name, at, size in places
    )
    note_place = places[-2]
    segments = _segment(order, (4, 4), note_place[1], note_place[2], wide=wide)
    segments += _segment(order, (1, 6), data_at, len(data), wide=wide)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if big_endian else 1, 1]) + bytes(9)
    count = len(places) + 1
    fields: tuple[int, ...] = (2, 62, 1, 0, head, start + len(body) if headers else 0, 0, head, entry, 2)
    fields += (record, count, count - 1) if headers else (0, 0, 0)
    layout = f"{order}HHI3QI6H" if wide else f"{order}HHI3II6H"
    return ident + struct.pack(layout, *fields) + segments + bytes(body) + (table if headers else b"")


def _segment(order: str, what: tuple[int, int], at: int, size: int, *, wide: bool) -> bytes:
    kind, flags = what
    if wide:
        return struct.pack(f"{order}II6Q", kind, flags, at, _ADDRESS + at, 0, size, size, 4)
    return struct.pack(f"{order}8I", kind, at, _ADDRESS + at, 0, size, size, flags, 4)


def modules(*lines: str) -> str:
    """Lines of Go's build information; fields are parted by "|" here."""
    return "".join(line.replace("|", "\t") + "\n" for line in lines)


def go_program(
    text: str = "",
    *,
    version: str = "go1.22.1",
    elf_class: int = 64,
    big_endian: bool = False,
    pointers: bool = False,
    section: bool = True,
) -> bytes:
    """A Go program with its build information: inline (Go 1.18 on), or behind ``pointers`` as before."""
    whole = _MARKS[0] + text.encode() + _MARKS[1] if text else b""
    magic = b"\xff Go buildinf:"
    size = elf_class // 8
    if not pointers:
        blob = (magic + bytes([size, 2])).ljust(32, b"\0")
        blob += _varint(len(version)) + version.encode() + _varint(len(whole)) + whole
    else:
        order, word = (">" if big_endian else "<"), ("Q" if size == 8 else "I")
        # The strings' headers, then their bytes, follow the blob; the segment starts at a known place.
        base = _ADDRESS + _data_offset(elf_class)
        texts = base + 32 + 4 * size
        blob = magic + bytes([size, 1 if big_endian else 0])
        blob = (blob + struct.pack(f"{order}2{word}", base + 32, base + 32 + 2 * size)).ljust(32, b"\0")
        blob += struct.pack(f"{order}4{word}", texts, len(version), texts + len(version), len(whole))
        blob += version.encode() + whole
    if pointers or not section:
        return elf(data=blob, elf_class=elf_class, big_endian=big_endian, headers=section)
    return elf({".go.buildinfo": blob}, elf_class=elf_class, big_endian=big_endian)


def _data_offset(elf_class: int) -> int:
    start = 64 + 2 * 56 if elf_class == 64 else 52 + 2 * 32
    return start + -start % 16


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def rust_program(packages: Iterable[Mapping[str, Any]]) -> bytes:
    """A program of cargo-auditable."""
    return elf({".dep-v0": zlib.compress(json.dumps({"packages": list(packages)}).encode())})


def package_note(fields: object) -> bytes:
    """The bytes of a .note.package section."""
    text = (fields if isinstance(fields, bytes) else json.dumps(fields).encode()) + b"\0"
    return struct.pack("<3I", 4, len(text), 0xCAFE1A7E) + b"FDO\0" + text.ljust(-(-len(text) // 4) * 4, b"\0")
