"""Bytes of an ELF file → :class:`~builder.elf.object.ElfObject`. The only importer of elftools.

Record layouts and tag numbers are pyelftools' own, compiled once per class and byte order into ``struct``
formats, because its record objects cost ten times the rest. Only program headers are read: sections may be
stripped. Every offset is checked before it is used, so the work is bounded whatever the headers claim.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from elftools.elf.enums import ENUM_D_TAG, ENUM_P_TYPE_BASE
from elftools.elf.structs import ELFStructs

from builder.elf.notes import FDO, MAX_NOTES, NoteError, dlopen_notes
from builder.elf.object import DlopenNote, ElfError, ElfObject, is_elf

_CLASSES = {1: 32, 2: 64}
_IDENT_SIZE = 16
_MAX_INTERPRETER = 4096
"""PATH_MAX: the kernel refuses longer ones (fs/binfmt_elf.c)."""
_MAX_DYNAMIC = 65536
"""Entries. The biggest real dynamic sections have some six hundred."""
_MAX_STRINGS = 1 << 20
"""Bytes of all the names of one file together."""
_WHOLE_TABLE = 1 << 15
"""String tables up to this many bytes are read at once, longer ones name by name."""
_CHUNK = 256

_PT_LOAD: int = ENUM_P_TYPE_BASE["PT_LOAD"]
_PT_DYNAMIC: int = ENUM_P_TYPE_BASE["PT_DYNAMIC"]
_PT_INTERP: int = ENUM_P_TYPE_BASE["PT_INTERP"]
_PT_NOTE: int = ENUM_P_TYPE_BASE["PT_NOTE"]
_PF_W = 2
TAGS: Mapping[str, int] = ENUM_D_TAG
"""Numbers of the tags of dynamic sections (DT_*) by name."""
_DT_NEEDED: int = ENUM_D_TAG["DT_NEEDED"]
_DT_STRTAB: int = ENUM_D_TAG["DT_STRTAB"]
_DT_STRSZ: int = ENUM_D_TAG["DT_STRSZ"]
_DT_SONAME: int = ENUM_D_TAG["DT_SONAME"]
_DT_RPATH: int = ENUM_D_TAG["DT_RPATH"]
_DT_RUNPATH: int = ENUM_D_TAG["DT_RUNPATH"]
_DT_FLAGS_1: int = ENUM_D_TAG["DT_FLAGS_1"]
_DT_AUXILIARY: int = ENUM_D_TAG["DT_AUXILIARY"]
_DT_FILTER: int = ENUM_D_TAG["DT_FILTER"]


class Readable(Protocol):
    """Bytes that can be sliced: ``bytes``, ``mmap.mmap``, or a part of a file that is read when asked."""

    def __len__(self) -> int:
        """Size in bytes."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Give the bytes of ``part``; like a slice of bytes, cut short at the end."""


@dataclass(frozen=True, slots=True)
class Record:
    """How one kind of record lies in a file: its format, and the place of each field in what that gives."""

    format: struct.Struct
    names: dict[str, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The records of one class and byte order."""

    header: Record
    segment: Record
    dynamic: Record
    symbol: Record
    need: Record
    need_aux: Record
    definition: Record
    definition_aux: Record
    rela: Record
    rel: Record


@functools.lru_cache(maxsize=4)
def _layout(elf_class: int, *, little_endian: bool) -> Layout:
    structs = ELFStructs(little_endian=little_endian, elfclass=elf_class)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    kinds = (
        structs.Elf_Phdr,
        structs.Elf_Dyn,
        structs.Elf_Sym,
        structs.Elf_Verneed,
        structs.Elf_Vernaux,
        structs.Elf_Verdef,
        structs.Elf_Verdaux,
        structs.Elf_Rela,
        structs.Elf_Rel,
    )
    return Layout(
        _record(structs.Elf_Ehdr.subcons[1:], little_endian=little_endian),
        *(_record(kind.subcons, little_endian=little_endian) for kind in kinds),
    )


def _record(fields: Any, *, little_endian: bool) -> Record:
    codes: list[str] = []
    names: dict[str, int] = {}
    for field in fields:
        if not field.sizeof():  # fields computed from others take no bytes
            continue
        packer = getattr(getattr(field, "subcon", field), "packer", None)
        names[field.name] = len(codes)
        codes.append("B" if packer is None else packer.format.strip("<>"))  # st_info is two fields of bits
    return Record(struct.Struct(("<" if little_endian else ">") + "".join(codes)), names)


def read_elf(data: Readable, *, name: str) -> ElfObject:
    """Read one ELF file of any class and byte order; ``name`` is what an error calls it.

    ``data`` starts at the file's first byte. Raises ElfError when a header, a table or a name lies outside
    the file or exceeds the bounds of this module, never anything else for any bytes.
    """
    try:
        return _read(data)
    except DamagedError as error:
        raise ElfError(name, str(error)) from None


class DamagedError(Exception):
    """Why a file cannot be read; whoever knows its name makes an ElfError of it."""


Segment = tuple[int, int, int, int, int, int]
"""Type, file offset, address, size in the file, flags, alignment."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The checked headers of one file; ``segments`` are those program headers that matter here, in order."""

    elf_class: int
    little_endian: bool
    os_abi: int
    layout: Layout
    fields: dict[str, int]
    segments: list[Segment]

    def loaded(self, *, writable: bool = True) -> list[Segment]:
        """Give the segments that are mapped (PT_LOAD), those a process may write to only if asked."""
        return [
            segment
            for segment in self.segments
            if segment[0] == _PT_LOAD and (writable or not segment[4] & _PF_W)
        ]

    def offset_of(self, address: int) -> tuple[int, int] | None:
        """Give where the byte at ``address`` lies in the file, and how many bytes of its segment follow."""
        for kind, at, start, length, _, _ in self.segments:
            if kind == _PT_LOAD and start <= address < start + length:
                return at + address - start, start + length - address
        return None


def read_headers(data: Readable) -> Headers:
    """Read the ELF header and the program headers. DamagedError when they cannot be right."""
    ident = data[0:_IDENT_SIZE]
    if len(ident) < _IDENT_SIZE or not is_elf(ident):
        raise DamagedError("it has no ELF header")
    elf_class, little_endian = _CLASSES.get(ident[4]), ident[5] == 1
    if elf_class is None or ident[5] not in (1, 2):
        raise DamagedError(f"its class ({ident[4]}) or byte order ({ident[5]}) is unknown")
    layout = _layout(elf_class, little_endian=little_endian)
    fields = _unpack(layout.header, data, _IDENT_SIZE)
    segments = _segments(layout, fields, data)
    return Headers(elf_class, little_endian, ident[7], layout, fields, segments)


def _read(data: Readable) -> ElfObject:
    headers = read_headers(data)
    header = headers.fields
    interpreter = next(
        (_interpreter(data, part[1], part[3]) for part in headers.segments if part[0] == _PT_INTERP), None
    )
    found = Dynamic(data, headers)
    dlopen, bad_notes = _notes(data, headers)
    return ElfObject(
        elf_class=headers.elf_class,
        little_endian=headers.little_endian,
        machine=header["e_machine"],
        os_abi=headers.os_abi,
        type=header["e_type"],
        flags=header["e_flags"],
        interpreter=interpreter,
        dynamic=found.present,
        soname=found.last(_DT_SONAME),
        needed=found.every(_DT_NEEDED),
        rpath=found.last(_DT_RPATH),
        runpath=found.last(_DT_RUNPATH),
        flags_1=found.number(_DT_FLAGS_1),
        auxiliary=found.every(_DT_AUXILIARY),
        filter=found.every(_DT_FILTER),
        dlopen=dlopen,
        bad_notes=bad_notes,
    )


def _unpack(record: Record, data: Readable, at: int) -> dict[str, int]:
    packed = data[at : at + record.format.size]
    if len(packed) < record.format.size:
        raise DamagedError("it ends inside its header")
    values = record.format.unpack(packed)
    return {name: values[index] for name, index in record.names.items()}


def _segments(layout: Layout, header: dict[str, int], data: Readable) -> list[Segment]:
    count, at = header["e_phnum"], header["e_phoff"]
    if not count:
        return []
    record = layout.segment
    if header["e_phentsize"] != record.format.size:
        raise DamagedError(f"a program header has {header['e_phentsize']} bytes, not {record.format.size}")
    table = data[at : at + count * record.format.size]
    if len(table) < count * record.format.size:
        raise DamagedError(f"its {count} program headers lie outside the file")
    kind, offset, address, size, flags, align = (
        record.names[name] for name in ("p_type", "p_offset", "p_vaddr", "p_filesz", "p_flags", "p_align")
    )
    wanted = (_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE)
    return [
        (row[kind], row[offset], row[address], row[size], row[flags], row[align])
        for row in record.format.iter_unpack(table)
        if row[kind] in wanted
    ]


def _interpreter(data: Readable, at: int, size: int) -> str | None:
    if not size:  # a file of debugging information keeps the headers only
        return None
    if size > _MAX_INTERPRETER:
        raise DamagedError(f"its program interpreter has {size} bytes")
    text = data[at : at + size]
    end = text.find(b"\0")
    if end < 1:
        raise DamagedError("its program interpreter lies outside the file or has no end")
    return text[:end].decode("utf-8", "surrogateescape")


def _notes(data: Readable, headers: Headers) -> tuple[tuple[DlopenNote, ...], str]:
    notes: list[DlopenNote] = []
    bad = ""
    for kind, at, _, size, _, align in headers.segments:
        if kind != _PT_NOTE or size < len(FDO):
            continue
        try:
            text = data[at : at + min(size, MAX_NOTES)]
            notes += dlopen_notes(text, little_endian=headers.little_endian, align=align)
        except NoteError as error:
            bad = str(error)
    return tuple(notes), bad


class Dynamic:
    """The dynamic section of one file; the last of tags that may stand once wins, as in ld.so."""

    def __init__(self, data: Readable, headers: Headers) -> None:
        segments = headers.segments
        self._data = data
        self._headers = headers
        self._budget = _MAX_STRINGS
        self._window: tuple[int, bytes] | None = None
        self.tags: dict[int, list[int]] = {}
        segment = next((segment for segment in segments if segment[0] == _PT_DYNAMIC), None)
        self.present = segment is not None and segment[3] > 0
        if segment is not None:
            for tag, value in _entries(headers.layout.dynamic, data, segment):
                self.tags.setdefault(tag, []).append(value)

    def number(self, tag: int) -> int:
        """Give the value of ``tag``, 0 without it."""
        return self.tags.get(tag, [0])[-1]

    def last(self, tag: int) -> str | None:
        """Give the name that ``tag`` points to, None without it."""
        offsets = self.tags.get(tag)
        return self._name(offsets[-1]) if offsets else None

    def every(self, tag: int) -> tuple[str, ...]:
        """Give the names of every ``tag``, in file order."""
        return tuple(map(self._name, self.tags.get(tag, ())))

    def _name(self, offset: int) -> str:
        start, table = self._window or self._open_table()
        end = table.find(b"\0", offset) if table else -1
        raw = table[offset:end] if 0 <= offset <= end else self._far_name(start, offset)
        self._budget -= len(raw)
        if self._budget < 0:
            raise DamagedError(f"its names have more than {_MAX_STRINGS} bytes")
        return raw.decode("utf-8", "surrogateescape")

    def _open_table(self) -> tuple[int, bytes]:
        if _DT_STRTAB not in self.tags:
            raise DamagedError("its dynamic section has names but no string table")
        address, size = self.number(_DT_STRTAB), self.number(_DT_STRSZ)
        place = self._headers.offset_of(address)
        if place is None:
            raise DamagedError(f"its string table ({address:#x}) is in no segment")
        begin = place[0]
        self._window = (begin, self._data[begin : begin + size] if size <= _WHOLE_TABLE else b"")
        return self._window

    def _far_name(self, start: int, offset: int) -> bytes:
        size = self.number(_DT_STRSZ)
        pieces: list[bytes] = []
        for at in range(offset, min(size, offset + self._budget), _CHUNK):
            piece = self._data[start + at : start + min(at + _CHUNK, size)]
            end = piece.find(b"\0")
            pieces.append(piece if end < 0 else piece[:end])
            if end >= 0:
                return b"".join(pieces)
            if not piece:
                break
        raise DamagedError(f"a name ({offset:#x}) lies outside its string table or has no end")


def _entries(record: Record, data: Readable, segment: Segment) -> Iterator[tuple[int, int]]:
    _, at, _, size, _, _ = segment
    step = record.format.size
    count = min(size // step, _MAX_DYNAMIC)
    table = data[at : at + min(count, _CHUNK) * step]
    if len(table) < min(count, _CHUNK) * step:
        raise DamagedError("its dynamic section lies outside the file")
    yield from _until_null(record, table)
    if count > _CHUNK and not _ended(record, table):
        rest = data[at + len(table) : at + count * step]
        if size // step > _MAX_DYNAMIC and not _ended(record, rest):
            raise DamagedError(f"its dynamic section has more than {_MAX_DYNAMIC} entries")
        yield from _until_null(record, rest[: len(rest) // step * step])


def _until_null(record: Record, table: bytes) -> Iterator[tuple[int, int]]:
    for tag, value in record.format.iter_unpack(table):
        if not tag:
            return
        yield tag, value


def _ended(record: Record, table: bytes) -> bool:
    step = record.format.size
    return any(not tag for tag, _ in record.format.iter_unpack(table[: len(table) // step * step]))
