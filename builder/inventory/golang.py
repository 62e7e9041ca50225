"""What a Go program says of itself: the build information of the linker (debug/buildinfo, Go 1.13 on).

The main module's version is "" where it was built in a work tree ("(devel)", v0.0.0-…), unless exactly one
``-X …version=`` of the linker's flags tells it (G1). Replaced modules are listed as what replaced them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from builder.inventory.content import Readable
from builder.inventory.elfparts import ElfParts
from builder.inventory.found import NOTHING, Found, Package, found, plain_word
from builder.inventory.model import ComponentKind

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_ALIGN = 16
_INLINE, _BIG_ENDIAN = 2, 1
_SEARCHED = 1 << 20
"""Bytes of a writable segment that are searched where no section says where the information lies."""
_MAX_MODULES = 1 << 20
_FRAME = 16
"""Bytes before and after the module lines that mark them (cmd/go/internal/modload, infoStart and infoEnd)."""
_VERSION_FLAG = re.compile(
    r"-X[ =]?[\\'\"]{0,4}[\w./-]{0,300}?(?:[vV]ersion|\.ver)=v?"
    r"([0-9]+(?:\.[0-9]+){1,3}(?:[-+][0-9A-Za-z.+-]{1,60})?)[\\'\"]{0,4}(?=\s|$)"
)
_MAX_FLAGS = 8192
_PSEUDO = re.compile(r"v0\.0\.0-")
_GO = re.compile(r"(?:devel )?go([0-9]+(?:\.[0-9]+){0,2}(?:(?:rc|beta)[0-9]+)?)")


def go_program(content: Readable, parts: ElfParts) -> Found:
    """Read the modules of a Go program; nothing for any other file."""
    at = _place(content, parts)
    if at is None:
        return NOTHING
    texts = _texts(content, parts, at)
    if texts is None:
        return Found(notes=("its Go build information is damaged",))
    version, modules = texts
    toolchain = _GO.match(version.decode(errors="replace"))
    packages = list(_modules(modules)) if modules else []
    if toolchain is not None:
        packages.append(Package(kind=ComponentKind.GO, name="stdlib", version=toolchain[1]))
    return found(packages)


def _place(content: Readable, parts: ElfParts) -> int | None:
    section = parts.section(b".go.buildinfo")
    if section is not None and content[section.offset : section.offset + len(_MAGIC)] == _MAGIC:
        return section.offset
    for segment in parts.writable():
        start = content[segment.offset : segment.offset + min(segment.size, _SEARCHED)]
        at = start.find(_MAGIC)
        while at >= 0:
            if at % _ALIGN == 0:
                return segment.offset + at
            at = start.find(_MAGIC, at + 1)
    return None


def _texts(content: Readable, parts: ElfParts, at: int) -> tuple[bytes, bytes] | None:
    header = content[at : at + _HEADER]
    if len(header) < _HEADER:
        return None
    size, flags = header[14], header[15]
    if flags & _INLINE:
        version, at = _counted(content, at + _HEADER)
        modules, _ = _counted(content, at)
    else:
        order = ">" if flags & _BIG_ENDIAN else "<"
        if size not in {4, 8}:
            return None
        pointers = struct.unpack_from(f"{order}2{'Q' if size == 8 else 'I'}", header, 16)  # noqa: PLR2004 (bytes of a pointer)
        version, modules = (_pointed(content, parts, pointer, size, order) for pointer in pointers)
    if not version.startswith((b"go", b"devel")):
        return None
    return version, modules


def _counted(content: Readable, at: int) -> tuple[bytes, int]:
    """Give a text that stands behind its length, a varint, and where the next one starts."""
    length = shift = 0
    for number, byte in enumerate(content[at : at + 10]):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 (the last byte of a varint)
            start = at + number + 1
            return content[start : start + min(length, _MAX_MODULES)], start + length
    return b"", at


def _pointed(content: Readable, parts: ElfParts, pointer: int, size: int, order: str) -> bytes:
    """Follow a pointer to a Go string: address and length."""
    word = "Q" if size == 8 else "I"  # noqa: PLR2004 (bytes of a pointer)
    header = parts.at_address(content, pointer, 2 * size)
    if len(header) < 2 * size:
        return b""
    address, length = struct.unpack(f"{order}2{word}", header)
    return parts.at_address(content, address, min(length, _MAX_MODULES))


def _modules(raw: bytes) -> Iterator[Package]:
    if len(raw) >= 2 * _FRAME + 1 and raw[-_FRAME - 1 : -_FRAME] == b"\n":
        raw = raw[_FRAME:-_FRAME]
    rows = [line.split("\t") for line in raw.decode(errors="replace").split("\n")]
    yield from _dependencies(rows)
    for row in rows:
        if row[0] == "mod" and len(row) > 2:  # noqa: PLR2004 (mod, path, version)
            name = plain_word(row[1])
            if name:
                yield Package(kind=ComponentKind.GO, name=name, version=_own_version(row[2], rows))


def _dependencies(rows: Iterable[list[str]]) -> Iterator[Package]:
    last: tuple[str, str] | None = None
    for row in rows:
        if row[0] in {"dep", "=>"} and len(row) > 1:
            version = row[2] if len(row) > 2 else ""  # noqa: PLR2004 (dep, path, version)
            if row[0] == "=>" and last is not None:
                # A folder of the builder's machine replaced it: nobody knows which version that was.
                last = (row[1], version) if version else (last[0], "")
            else:
                if last is not None:
                    yield from _module(*last)
                last = (row[1], version)
    if last is not None:
        yield from _module(*last)


def _module(name: str, version: str) -> Iterator[Package]:
    name = plain_word(name)
    if name:
        known = "" if version == "(devel)" else plain_word(version)
        yield Package(kind=ComponentKind.GO, name=name, version=known.removeprefix("v"))


def _own_version(version: str, rows: Iterable[list[str]]) -> str:
    if version.startswith("v") and not _PSEUDO.match(version):
        return plain_word(version.partition("+dirty")[0]).removeprefix("v")
    flags = next(
        (row[1] for row in rows if row[0] == "build" and row[1:2] and row[1].startswith("-ldflags=")), ""
    )
    said = {match[1] for match in _VERSION_FLAG.finditer(flags[:_MAX_FLAGS])}
    return said.pop() if len(said) == 1 else ""
