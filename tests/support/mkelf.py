"""ELF files made in memory: headers, program headers and a dynamic section, for any class and machine.

Enough for a loader to read: the real ld.so opens them in trace mode. Nothing in them can be executed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.sysroot import Content, Kind, Node, Sysroot
from tests.support.mksymbols import DT_VERDEF, DT_VERNEED, Symbol, Tables, dlopen_note, wants

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SYMENT = 0, 1, 5, 10, 11
DT_SONAME, DT_RPATH, DT_RUNPATH, DT_FLAGS_1 = 14, 15, 29, 0x6FFFFFFB
DT_AUXILIARY, DT_FILTER = 0x7FFFFFFD, 0x7FFFFFFF
GLIBC_X86_64 = "/lib64/ld-linux-x86-64.so.2"


_NO_SYMBOLS = Tables()


@dataclass(frozen=True, kw_only=True)
class Spec:
    """An ELF file to be made; the fields are those of ``ElfObject``."""

    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    interpreter: str | None = None
    flags_1: int = 0
    auxiliary: tuple[str, ...] = ()
    filter: tuple[str, ...] = ()
    elf_class: int = 64
    little_endian: bool = True
    machine: int = 62
    os_abi: int = 0
    type: int = 3
    flags: int = 0
    rodata: bytes = b""
    tables: Tables = _NO_SYMBOLS
    notes: bytes = b""
    writable: bool = True


def mkelf(spec: Spec) -> bytes:
    """The bytes of ``spec``."""
    order = "<" if spec.little_endian else ">"
    wide = spec.elf_class == 64
    head = 64 if wide else 52
    entry = 56 if wide else 32
    tags, strings = _tags(spec)
    interpreter = spec.interpreter.encode() + b"\0" if spec.interpreter is not None else b""
    pieces = dict(spec.tables.pieces(order, strings, spec.soname or "", wide=wide))
    count = 2 + bool(interpreter) + bool(spec.notes)
    at_interpreter = head + count * entry
    at_notes = _align(at_interpreter + len(interpreter))
    at_strings = at_notes + len(spec.notes)
    places: list[tuple[int, bytes]] = []
    at_dynamic = _align(at_strings + len(strings))
    tags += [(DT_STRTAB, at_strings), (DT_STRSZ, len(strings)), (DT_SYMENT, 24 if wide else 16)]
    for tag, piece in pieces.items():
        places.append((at_dynamic, piece))
        tags.append((tag, at_dynamic))
        at_dynamic = _align(at_dynamic + len(piece))
    counts = ((DT_VERDEF, 1 + len(spec.tables.defines)), (DT_VERNEED, spec.tables.needed_files()))
    tags += [(tag + 1, number) for tag, number in counts if tag in pieces]
    tags.append((DT_NULL, 0))
    dynamic = b"".join(struct.pack(order + ("2Q" if wide else "2I"), *tag) for tag in tags)
    end = at_dynamic + len(dynamic) + len(spec.rodata)
    segments = [(PT_LOAD, 0, end), (PT_DYNAMIC, at_dynamic, len(dynamic))]
    if interpreter:
        segments.insert(0, (PT_INTERP, at_interpreter, len(interpreter)))
    if spec.notes:
        segments.append((PT_NOTE, at_notes, len(spec.notes)))
    body = bytearray(end)
    body[:head] = _header(spec, count)
    for number, (kind, offset, size) in enumerate(segments):
        start = head + number * entry
        flags = 6 if kind not in (PT_INTERP, PT_NOTE) and spec.writable else 4
        body[start : start + entry] = _segment(order, (kind, flags), offset, size, wide=wide)
    fixed = ((at_interpreter, interpreter), (at_notes, spec.notes), (at_strings, bytes(strings)))
    for offset, piece in (*fixed, *places):
        body[offset : offset + len(piece)] = piece
    body[at_dynamic : at_dynamic + len(dynamic)] = dynamic
    body[at_dynamic + len(dynamic) :] = spec.rodata
    return bytes(body)


def _tags(spec: Spec) -> tuple[list[tuple[int, int]], bytearray]:
    strings = bytearray(b"\0")
    tags: list[tuple[int, int]] = []

    def add(tag: int, names: Iterable[str | None]) -> None:
        for name in names:
            if name is not None:
                tags.append((tag, len(strings)))
                strings.extend(name.encode("utf-8", "surrogateescape") + b"\0")

    add(DT_NEEDED, spec.needed)
    add(DT_SONAME, [spec.soname])
    add(DT_RPATH, [spec.rpath])
    add(DT_RUNPATH, [spec.runpath])
    add(DT_FILTER, spec.filter)
    add(DT_AUXILIARY, spec.auxiliary)
    if spec.flags_1:
        tags.append((DT_FLAGS_1, spec.flags_1))
    return tags, strings


def _header(spec: Spec, count: int) -> bytes:
    wide = spec.elf_class == 64
    order = "<" if spec.little_endian else ">"
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if spec.little_endian else 2, 1, spec.os_abi]) + bytes(8)
    head, entry = (64, 56) if wide else (52, 32)
    address = "Q" if wide else "I"
    return ident + struct.pack(
        order + "HHI" + address * 3 + "I6H",
        *(spec.type, spec.machine, 1, 0, head, 0, spec.flags, head, entry, count, 0, 0, 0),
    )


def _segment(order: str, what: tuple[int, int], offset: int, size: int, *, wide: bool) -> bytes:
    kind, flags = what
    align = 0x1000 if kind == PT_LOAD else 4 if kind == PT_NOTE else 1
    if wide:
        return struct.pack(order + "2I6Q", kind, flags, offset, offset, offset, size, size, align)
    return struct.pack(order + "8I", kind, offset, offset, offset, size, size, flags, align)


def _align(offset: int) -> int:
    return (offset + 15) // 16 * 16


def loader_bytes(folders: tuple[str, ...], spec: Spec) -> bytes:
    """A glibc loader: a shared object that holds its default folders as ld.so does."""
    runs = b"".join(f"{folder}/".encode() + b"\0" for folder in folders)
    return mkelf(replace(spec, rodata=b"\0" + runs))


Files = Mapping[str, bytes | str]
"""Path → bytes of a regular file, or the target of a symbolic link."""


def sysroot_of(files: Files, store: Path, *, hardlinks: Mapping[str, str] | None = None) -> Sysroot:
    """A sysroot of ``files``; their bytes lie one after another in ``store``. "DIR/" with b"" is a folder."""
    nodes: list[Node] = []
    links = hardlinks or {}
    contents: dict[str, Content] = {}
    with store.open("wb") as stream:
        for path, body in files.items():
            if isinstance(body, bytes) and not path.endswith("/"):
                digest = hashlib.sha256(body).hexdigest()
                contents[path] = Content(store=store, offset=stream.tell(), size=len(body), sha256=digest)
                stream.write(body)
    for path, body in files.items():
        if path.endswith("/"):
            nodes.append(Node(path=path.rstrip("/"), kind=Kind.DIRECTORY, mode=0o755))
        elif isinstance(body, str):
            nodes.append(Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=body))
        else:
            nodes.append(Node(path=path, kind=Kind.FILE, mode=0o755, content=contents[path]))
    nodes += [
        Node(path=path, kind=Kind.FILE, mode=0o755, content=contents[first], hardlink=first)
        for path, first in links.items()
    ]
    return Sysroot(nodes)


def seeds() -> tuple[bytes, ...]:
    """Files that have everything that readers look at, of every class and byte order: to be mutated."""
    tables = Tables(
        symbols=(
            wants("free", "GLIBC_2.2.5", "libc.so.6"),
            wants("maybe", weak=True),
            Symbol(name="mine", version="X_1"),
            Symbol(name="mine", version="X_2", hidden=True),
        ),
        defines=("X_1", "X_2"),
    )
    base = Spec(
        needed=("liba.so", "libb.so"),
        soname="x",
        runpath="/r:$ORIGIN/lib",
        interpreter="/lib/ld.so",
        notes=dlopen_note({"soname": ["libz.so.1", "libz.so.2"], "priority": "suggested"}),
        rodata=b"\0/usr/lib/x/%s.so\0/etc/x/y.conf\0",
        writable=False,
    )
    forms = ((64, True, 62), (32, True, 3), (64, False, 22), (32, False, 20))
    bare = replace(tables, symbols=tables.symbols[:2], gnu=True)
    kinds = (tables, replace(tables, gnu=True, plain=False), bare)
    return tuple(
        mkelf(replace(base, elf_class=size, little_endian=little, machine=machine, tables=kind))
        for size, little, machine in forms
        for kind in kinds
    )
