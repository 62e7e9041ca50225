"""/etc/ld.so.cache, the index in which ld.so finds shared objects by name: written and read as bytes.

The format is glibc's "new" one alone, as ldconfig writes it since 2.32 (glibc: sysdeps/generic/dl-cache.h,
elf/cache.c): a header of 48 bytes, entries of 24, strings, and an extension block. ld.so reads no ld.so.conf:
without this file, folders that only ld.so.conf names do not exist for it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from builder.elf.facts import ElfFacts
from builder.elf.ldconf import cache_folders, is_library_name, listed
from builder.elf.loader import loader_of, machine_of
from builder.elf.object import (
    EF_ARM_ABI_FLOAT_HARD,
    EF_ARM_ABI_FLOAT_SOFT,
    EF_RISCV_FLOAT_ABI,
    EF_RISCV_FLOAT_ABI_DOUBLE,
    EM_AARCH64,
    EM_ARM,
    EM_LOONGARCH,
    EM_MIPS,
    EM_PPC64,
    EM_RISCV,
    EM_S390,
    EM_SPARCV9,
    EM_X86_64,
    ElfError,
    ElfObject,
)
from builder.elf.search import join
from builder.sysroot import Sysroot, read_content

LD_SO_CACHE = "/etc/ld.so.cache"
_MAX_CACHE = 1 << 26
"""Bytes. The cache of a big machine has some hundred thousand."""

_MAGIC = b"glibc-ld.so.cache1.1"
_OLD_MAGIC = b"ld.so-1.7.0"
_OLD_HEADER = "11sxI"
_OLD_ENTRY_SIZE = 12
_HEADER = "20sIIB3xI12x"
_ENTRY = "iIIIQ"
_LITTLE, _BIG = 2, 3
_EXTENSION_MAGIC = 0xEAA42174
_TAG_GENERATOR, _TAG_HWCAPS = 0, 1
_HWCAP_EXTENSION = 1 << 62
"""Set in an entry's hwcap: the low 32 bits are then an index into the hwcaps extension."""

_FLAG_ELF_LIBC6 = 0x0003
_FLAGS: dict[tuple[int, int], int] = {
    (EM_X86_64, 64): 0x0300,
    (EM_X86_64, 32): 0x0800,
    (EM_SPARCV9, 64): 0x0100,
    (EM_S390, 64): 0x0400,
    (EM_PPC64, 64): 0x0500,
    (EM_MIPS, 64): 0x0700,
    (EM_AARCH64, 64): 0x0A00,
}
"""What an entry's flags hold besides "ELF for libc6"; 0 for i386 and every other machine."""
_ARM_HARD, _ARM_SOFT = 0x0900, 0x0B00
_RISCV_SOFT, _RISCV_DOUBLE = 0x0F00, 0x1000
_LOONGARCH_MODIFIER, _LOONGARCH_SOFT_FLOAT, _LOONGARCH_SOFT, _LOONGARCH_DOUBLE = 0x7, 0x1, 0x1100, 0x1200


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLibrary:
    """One line of the index. ``name`` is what DT_NEEDED says (the SONAME), ``path`` what the loader opens.

    ``hwcap`` is the sub-folder of glibc-hwcaps that ``path`` is in ("x86-64-v3"), "" for every processor.
    """

    name: str
    path: str
    elf: ElfObject
    hwcap: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One line of an index that was read. ``flags`` tell class and machine; see :func:`library_flags`.

    ``hwcap`` is "" for every processor, a sub-folder of glibc-hwcaps, or "legacy 0x…" for a bit mask, which
    loaders before glibc 2.37 understand.
    """

    name: str
    path: str
    flags: int
    hwcap: str = ""


def library_flags(elf: ElfObject) -> int:
    """Give the flags by which ld.so knows the entries for its own machine (glibc: elf/readelflib.c)."""
    return _FLAG_ELF_LIBC6 | _machine_flags(elf)


def _machine_flags(elf: ElfObject) -> int:
    if elf.machine == EM_ARM:
        if elf.flags & EF_ARM_ABI_FLOAT_HARD:
            return _ARM_HARD
        return _ARM_SOFT if elf.flags & EF_ARM_ABI_FLOAT_SOFT else 0
    if elf.machine == EM_RISCV:
        double = elf.flags & EF_RISCV_FLOAT_ABI == EF_RISCV_FLOAT_ABI_DOUBLE
        return _RISCV_DOUBLE if double else _RISCV_SOFT
    if elf.machine == EM_LOONGARCH:
        soft = elf.flags & _LOONGARCH_MODIFIER == _LOONGARCH_SOFT_FLOAT
        return _LOONGARCH_SOFT if soft else _LOONGARCH_DOUBLE
    return _FLAGS.get((elf.machine, elf.elf_class), 0)


def name_key(name: str) -> tuple[tuple[int, int], ...]:
    """Give a key that sorts names as _dl_cache_libcmp compares them: numbers above letters."""
    key: list[tuple[int, int]] = []
    for digits, letter in _PIECE.findall(name.encode("utf-8", "surrogateescape")):
        # glibc's char is signed and its numbers have 32 bits; 10^32 is a multiple of 2^32.
        key.append((1, _signed(int(digits[-32:]), 32)) if digits else (0, _signed(ord(letter), 8)))
    return (*key, (0, 0))


_PIECE = re.compile(rb"([0-9]+)|(.)", re.DOTALL)


def _signed(number: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (number + half) % (1 << bits) - half


def write_cache(libraries: Iterable[CachedLibrary], *, generator: str = "rootlet") -> bytes:
    """Write the index of ``libraries``: given in the order of folders, the first of equal ones is kept.

    Its byte order is that of the first library; those of another order are left out: no loader could
    read them. The bytes depend on the arguments alone.
    """
    chosen: dict[tuple[str, int, str], CachedLibrary] = {}
    order: bool | None = None
    for library in libraries:
        order = library.elf.little_endian if order is None else order
        if library.elf.little_endian == order:
            chosen.setdefault((library.name, library_flags(library.elf), library.hwcap), library)
    hwcaps = sorted({library.hwcap for library in chosen.values() if library.hwcap})
    ranks = {hwcap: rank for rank, hwcap in enumerate(hwcaps)}
    entries = sorted(
        chosen.values(),
        key=lambda entry: (
            name_key(entry.name),
            library_flags(entry.elf),
            len(hwcaps) - ranks[entry.hwcap] if entry.hwcap else 0,
            entry.path,
        ),
        reverse=True,
    )
    return _encode(entries, hwcaps, generator, little_endian=order is not False)


def _encode(entries: list[CachedLibrary], hwcaps: list[str], generator: str, *, little_endian: bool) -> bytes:
    order = "<" if little_endian else ">"
    strings = _Strings(struct.calcsize(order + _HEADER) + len(entries) * struct.calcsize(order + _ENTRY))
    ranks = {hwcap: rank for rank, hwcap in enumerate(hwcaps)}
    hwcap_offsets = [strings.add(hwcap) for hwcap in hwcaps]
    rows = b"".join(
        struct.pack(
            order + _ENTRY,
            library_flags(entry.elf),
            strings.add(entry.name),
            strings.add(entry.path),
            0,
            _HWCAP_EXTENSION | ranks[entry.hwcap] if entry.hwcap else 0,
        )
        for entry in entries
    )
    flags = _LITTLE if little_endian else _BIG
    extension_at = (strings.end + 3) // 4 * 4
    header = struct.pack(order + _HEADER, _MAGIC, len(entries), len(strings.text), flags, extension_at)
    padding = bytes(extension_at - strings.end)
    sections = [(_TAG_GENERATOR, generator.encode())]
    if hwcaps:
        sections.insert(0, (_TAG_HWCAPS, struct.pack(f"{order}{len(hwcaps)}I", *hwcap_offsets)))
    return header + rows + bytes(strings.text) + padding + _extension(order, extension_at, sections)


class _Strings:
    """NUL-ended strings, each once; offsets count from the start of the file."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._offsets: dict[str, int] = {}
        self.text = bytearray()

    @property
    def end(self) -> int:
        """Where the strings end in the file."""
        return self._start + len(self.text)

    def add(self, text: str) -> int:
        """Give the offset of ``text``, added if it is new."""
        if text not in self._offsets:
            self._offsets[text] = self.end
            self.text += text.encode("utf-8", "surrogateescape") + b"\0"
        return self._offsets[text]


def _extension(order: str, start: int, sections: list[tuple[int, bytes]]) -> bytes:
    head = struct.pack(order + "2I", _EXTENSION_MAGIC, len(sections))
    at = start + len(head) + 16 * len(sections)
    body = b""
    for tag, payload in sections:
        head += struct.pack(order + "4I", tag, 0, at + len(body), len(payload))
        body += payload
    return head + body


def read_cache(data: bytes) -> tuple[CacheEntry, ...]:
    """Read an index of this format, of either byte order, in the order it has.

    One that follows an index of the old format, as ldconfig wrote it before 2.32, is read likewise. Raises
    ElfError when it is of another format, or an entry or a string lies outside of it.
    """
    whole, data = data, _after_old(data)
    size = struct.calcsize("<" + _HEADER)
    if len(data) < size or not data.startswith(_MAGIC):
        raise ElfError("ld.so.cache", "it does not start as glibc's cache does")
    order = ">" if data[28] & 3 == _BIG else "<"
    _, count, _, _, extension_at = struct.unpack_from(order + _HEADER, data)
    row = struct.Struct(order + _ENTRY)
    if count * row.size > len(data) - size:
        raise ElfError("ld.so.cache", f"its {count} entries do not fit into {len(data)} bytes")
    hwcaps = _hwcaps(whole, data, order, extension_at) if extension_at else ()
    return tuple(
        CacheEntry(
            name=_string(data, key), path=_string(data, value), flags=flags, hwcap=_hwcap(hwcaps, hwcap)
        )
        for flags, key, value, _, hwcap in row.iter_unpack(data[size : size + count * row.size])
    )


def installed_index(sysroot: Sysroot) -> dict[str, tuple[CacheEntry, ...]]:
    """Read the index that ``sysroot`` has, by name; empty where it has none.

    Raises ElfError when it is damaged: ld.so would go on without it. BuildError when it cannot be read.
    """
    content = getattr(sysroot.lookup(LD_SO_CACHE).node, "content", None)
    if content is None:
        return {}
    if content.size > _MAX_CACHE:
        raise ElfError(LD_SO_CACHE, f"it has {content.size} bytes")
    return index_of(read_content(content))


def index_of(cache: bytes) -> dict[str, tuple[CacheEntry, ...]]:
    """Give the entries of an index by name. Raises ElfError when it is damaged."""
    entries: dict[str, list[CacheEntry]] = {}
    for entry in read_cache(cache):
        entries.setdefault(entry.name, []).append(entry)
    return {name: tuple(listed) for name, listed in entries.items()}


def _after_old(data: bytes) -> bytes:
    head = struct.calcsize("<" + _OLD_HEADER)
    if not data.startswith(_OLD_MAGIC) or len(data) < head:
        return data
    for order in "<>":  # nothing in the old format tells its byte order: the new one must follow
        _, count = struct.unpack_from(order + _OLD_HEADER, data)
        start = (head + count * _OLD_ENTRY_SIZE + 7) // 8 * 8
        if data.startswith(_MAGIC, start):
            return data[start:]
    return data


def _hwcaps(whole: bytes, data: bytes, order: str, at: int) -> tuple[str, ...]:
    # Behind an old index, the extension counts from the start of the file, strings from that of the new one.
    for tag, offset, size in _sections(whole, order, at):
        if tag == _TAG_HWCAPS:
            table = whole[offset : offset + size // 4 * 4]
            if len(table) != size // 4 * 4:
                raise ElfError("ld.so.cache", "its table of processors lies outside of it")
            return tuple(_string(data, start) for (start,) in struct.iter_unpack(order + "I", table))
    return ()


def _sections(data: bytes, order: str, at: int) -> Iterator[tuple[int, int, int]]:
    head = data[at : at + 8]
    if len(head) < 8 or struct.unpack(order + "I", head[:4])[0] != _EXTENSION_MAGIC:  # noqa: PLR2004 (two words)
        raise ElfError("ld.so.cache", "its extension block lies outside of it or is damaged")
    (count,) = struct.unpack(order + "I", head[4:])
    table = data[at + 8 : at + 8 + 16 * min(count, len(data) // 16)]
    for tag, _, offset, size in struct.iter_unpack(order + "4I", table[: len(table) // 16 * 16]):
        yield tag, offset, size


def _string(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset, offset + _MAX_STRING)
    if end < 0:
        raise ElfError("ld.so.cache", f"a string ({offset:#x}) lies outside of it or has no end")
    return data[offset:end].decode("utf-8", "surrogateescape")


_MAX_STRING = 4096


def _hwcap(names: tuple[str, ...], hwcap: int) -> str:
    index = hwcap & 0xFFFFFFFF
    if not hwcap & _HWCAP_EXTENSION:
        return f"legacy {hwcap:#x}" if hwcap else ""
    if index >= len(names):
        raise ElfError("ld.so.cache", f"an entry is for processor {index} of {len(names)}")
    return names[index]


def cache_for(image: Sysroot, facts: ElfFacts, *, configuration: Sysroot | None = None) -> bytes | None:
    """Write the index of the shared objects that are in ``image``, as ldconfig would inside it.

    ``configuration`` is the tree whose ld.so.conf and loaders say which folders count, where the image
    itself does not carry them (default: the image). A library is listed under the name that a loader would
    ask for when the image has a path of that name; ldconfig would make that link, a closure already holds it.
    None when there is nothing to list or every loader is musl's: such an image needs no cache.
    """
    candidates = (node for node in image if is_library_name(node.path.rpartition("/")[2]))
    targets = {elf.target: elf for _, elf in facts.elf_nodes(candidates) if elf.is_library}
    source = image if configuration is None else configuration
    folders = _folders(targets.values(), source)
    if not folders:
        return None
    seen: set[str] = set()
    libraries: list[CachedLibrary] = []
    for folder in folders:
        shown, path = _inside(folder, image, source)
        if path not in seen:
            seen.add(path)
            libraries += _folder_libraries(shown, path, image, facts)
    return write_cache(libraries) if libraries else None


def _folders(objects: Iterable[ElfObject], source: Sysroot) -> tuple[str, ...]:
    default: dict[str, None] = {}
    for elf in sorted(objects, key=lambda elf: elf.target):
        loader = loader_of(_plain(elf), source)
        # Only glibc's loader reads a cache.
        if loader.node is not None or source.lookup(machine_of(elf).musl).node is None:
            default |= dict.fromkeys(loader.folders)
    return (*cache_folders(source), *default) if default else ()


def _plain(elf: ElfObject) -> ElfObject:
    return replace(elf, interpreter=None, needed=())


def _inside(folder: str, image: Sysroot, source: Sysroot) -> tuple[str, str]:
    # The folder as ldconfig shows it, unless the image has it only under its canonical name.
    found = image.lookup(folder)
    if found.node is not None:
        return folder, found.path
    canonical = source.lookup(folder).path
    return canonical, canonical


def _folder_libraries(shown: str, path: str, image: Sysroot, facts: ElfFacts) -> Iterator[CachedLibrary]:
    for level in image.children(f"{path}/glibc-hwcaps"):
        inner = f"glibc-hwcaps/{level}"
        yield from _libraries(f"{shown}/{inner}", f"{path}/{inner}", level, image, facts)
    yield from _libraries(shown, path, "", image, facts)


def _libraries(shown: str, path: str, hwcap: str, image: Sysroot, facts: ElfFacts) -> Iterator[CachedLibrary]:
    for name in filter(is_library_name, image.children(path)):
        elf = _library_at(join(path, name), image, facts)
        if elf is not None:
            asked = listed(image, join(path, name), elf.soname)
            if asked == name or _library_at(join(path, asked), image, facts) == elf:
                yield CachedLibrary(name=asked, path=join(shown, asked), elf=elf, hwcap=hwcap)


def _library_at(path: str, image: Sysroot, facts: ElfFacts) -> ElfObject | None:
    node = image.lookup(path).node
    try:
        elf = facts.of(node) if node is not None else None
    except ElfError:
        return None
    return elf if elf is not None and elf.is_library else None
