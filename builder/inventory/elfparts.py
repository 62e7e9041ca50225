"""The few parts of an ELF file that say what it is: named sections and notes (gABI, chapters 4 and 5).

Only headers and the parts asked for are read. Every offset is held against the file's size, every count is
bounded, so that no header costs more than some kilobytes. Files without section headers are searched by
segments.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from builder.inventory.content import Readable

_MAX_SECTIONS = 4096
_MAX_SEGMENTS = 4096
_MAX_NAMES = 1 << 20
_MAX_NOTE = 1 << 18
_PT_LOAD, _PT_NOTE = 1, 4
_PF_W = 2
_SHT_NOTE, _SHT_NOBITS = 7, 8
_WIDE = 2
_XINDEX = 0xFFFF


class DamagedElfError(ValueError):
    """Why a file that calls itself ELF cannot be read; a note without its path."""


@dataclass(frozen=True, slots=True)
class Section:
    """A named section that has bytes in the file."""

    name: bytes
    kind: int
    address: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header; ``size`` is that in the file."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfParts:
    """Where the parts of a file lie. ``machine`` is e_machine, ``order`` a prefix of struct formats."""

    order: str
    wide: bool
    machine: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]

    def section(self, name: bytes) -> Section | None:
        """Give the first section of this name."""
        return next((one for one in self.sections if one.name == name), None)

    def at_address(self, content: Readable, address: int, size: int) -> bytes:
        """Give up to ``size`` bytes at an address of the process; none where nothing is mapped."""
        for one in self.segments:
            if one.kind == _PT_LOAD and one.address <= address < one.address + one.size:
                start = one.offset + address - one.address
                return content[start : min(start + size, one.offset + one.size)]
        return b""

    def writable(self) -> Iterator[Segment]:
        """Give the segments that a process may write to."""
        return (one for one in self.segments if one.kind == _PT_LOAD and one.flags & _PF_W)


def read_parts(content: Readable) -> ElfParts:
    """Read the headers of any class and byte order. DamagedElfError when they lie outside the file."""
    head = content[0:64]
    if len(head) < 52 or head[4] not in {1, 2} or head[5] not in {1, 2}:  # noqa: PLR2004 (sizes and values of e_ident)
        raise DamagedElfError("its ELF header is damaged")
    order, wide = "<" if head[5] == 1 else ">", head[4] == _WIDE
    if wide and len(head) < 64:  # noqa: PLR2004 (size of the header)
        raise DamagedElfError("its ELF header is damaged")
    layout = f"{order}HHIQQQIHHHHHH" if wide else f"{order}HHIIIIIHHHHHH"
    fields = struct.unpack_from(layout, head, 16)
    machine, segments_at, sections_at = fields[1], fields[4], fields[5]
    segment_size, segments, section_size, sections, names = fields[8:13]
    return ElfParts(
        order=order,
        wide=wide,
        machine=machine,
        sections=_lenient(content, _Table(order, wide, sections_at, section_size, sections), names),
        segments=_segments(content, _Table(order, wide, segments_at, segment_size, segments)),
    )


def notes_of(content: Readable, parts: ElfParts) -> Iterator[tuple[bytes, int, bytes]]:
    """Give owner, type and text of each note, of note segments, or of note sections where no segment is.

    A damaged note ends its segment.
    """
    places = [(one.offset, one.size) for one in parts.segments if one.kind == _PT_NOTE]
    places = places or [(one.offset, one.size) for one in parts.sections if one.kind == _SHT_NOTE]
    for offset, size in places[:64]:
        yield from _notes(content[offset : offset + min(size, _MAX_NOTE)], parts.order)


@dataclass(frozen=True, slots=True)
class _Table:
    order: str
    wide: bool
    at: int
    size: int
    """Of one record."""
    count: int

    def rows(self, content: Readable, layout: str) -> Iterator[tuple[int, ...]]:
        record = struct.Struct(self.order + layout)
        if self.count and (self.size < record.size or self.at + self.size * self.count > len(content)):
            raise DamagedElfError("a table of its ELF headers lies outside the file")
        table = content[self.at : self.at + self.size * self.count]
        return (record.unpack_from(table, self.size * number) for number in range(self.count))


def _lenient(content: Readable, table: _Table, names: int) -> tuple[Section, ...]:
    # No program needs its section headers to run: strippers cut them off, and leave the header's words.
    try:
        return _sections(content, table, names)
    except DamagedElfError:
        return ()


def _sections(content: Readable, table: _Table, names: int) -> tuple[Section, ...]:
    if not table.at:
        return ()
    layout = "IIQQQQIIQQ" if table.wide else "IIIIIIIIII"
    if not table.count or names == _XINDEX:  # more than fit into 16 bits: the first header has the numbers
        (first,) = _Table(table.order, table.wide, table.at, table.size, 1).rows(content, layout)
        count = first[5] if not table.count else table.count
        names = first[6] if names == _XINDEX else names
        table = _Table(table.order, table.wide, table.at, table.size, count)
    if table.count > _MAX_SECTIONS:
        raise DamagedElfError(f"it has {table.count} sections")
    rows = list(table.rows(content, layout))
    if names >= len(rows):
        return ()
    start, size = rows[names][4], min(rows[names][5], _MAX_NAMES)
    texts = content[start : start + size]
    return tuple(
        Section(_name(texts, row[0]), row[1], row[3], row[4], row[5]) for row in rows if row[1] != _SHT_NOBITS
    )


def _name(texts: bytes, at: int) -> bytes:
    end = texts.find(b"\0", at, at + 256)
    return texts[at:end] if end >= 0 else b""


def _segments(content: Readable, table: _Table) -> tuple[Segment, ...]:
    if table.count > _MAX_SEGMENTS:
        raise DamagedElfError(f"it has {table.count} segments")
    if table.wide:
        rows = table.rows(content, "IIQQQQQQ")
        return tuple(Segment(row[0], row[1], row[2], row[3], row[5]) for row in rows)
    return tuple(Segment(row[0], row[6], row[1], row[2], row[4]) for row in table.rows(content, "IIIIIIII"))


def _notes(segment: bytes, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + 12 <= len(segment):
        name_size, text_size, kind = struct.unpack_from(f"{order}III", segment, at)
        name_at = at + 12
        text_at = name_at + (name_size + 3) // 4 * 4
        if text_at + text_size > len(segment):
            return
        yield (
            segment[name_at : name_at + name_size].rstrip(b"\0"),
            kind,
            segment[text_at : text_at + text_size],
        )
        at = text_at + (text_size + 3) // 4 * 4
