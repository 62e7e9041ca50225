"""Which protections an ELF file lacks, by its headers and dynamic section (gABI, chapters 4 and 5).

Nothing but the program headers, the dynamic section and the names it leads to is read, each within bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.elfparts import DamagedElfError, ElfParts, read_parts
from builder.policy.model import Hardening

_ET_EXEC, _ET_DYN = 2, 3
_PT_DYNAMIC, _PT_INTERP = 2, 3
_PT_GNU_STACK, _PT_GNU_RELRO = 0x6474E551, 0x6474E552
_PF_X = 1
_DT_STRTAB, _DT_STRSZ, _DT_BIND_NOW = 5, 10, 24
_DT_RPATH, _DT_RUNPATH, _DT_FLAGS, _DT_FLAGS_1 = 15, 29, 30, 0x6FFFFFFB
_DF_BIND_NOW, _DF_1_NOW = 0x8, 0x1
_MAX_DYNAMIC = 1 << 16
_MAX_STRINGS = 4 << 20
_OWN = ("$ORIGIN", "${ORIGIN}", "/usr/lib", "/lib", "/usr/local/lib", "/opt/")
"""Where a search path may lead: beside the file, or to folders that only root writes."""


def lacking(content: Readable, wanted: frozenset[Hardening]) -> tuple[Hardening, ...]:
    """The protections of ``wanted`` that a program or library lacks; () for what is neither, or damaged."""
    try:
        parts = read_parts(content)
    except (DamagedElfError, struct.error):
        return ()
    kind = struct.unpack(f"{parts.order}H", content[16:18])[0]
    if kind not in {_ET_EXEC, _ET_DYN}:
        return ()
    found = _Protections(content, parts, is_fixed=kind == _ET_EXEC)
    return tuple(one for one in Hardening if one in wanted and not found.has(one))


class _Protections:
    """One file's protections, read once."""

    def __init__(self, content: Readable, parts: ElfParts, *, is_fixed: bool) -> None:
        self._is_fixed = is_fixed
        self._segments = {one.kind: one for one in parts.segments}
        self._dynamic = dict(_dynamic(content, parts))
        self._strings = self._read_strings(content, parts)

    def has(self, one: Hardening) -> bool:
        """Whether the file has a protection, or does not need it."""
        return {
            Hardening.PIE: self._pie,
            Hardening.RELRO: self._relro,
            Hardening.BIND_NOW: self._bind_now,
            Hardening.NX: self._nx,
            Hardening.CANARY: self._canary,
            Hardening.RPATH: self._search_path,
        }[one]()

    def _pie(self) -> bool:
        return not self._is_fixed

    def _relro(self) -> bool:
        return _PT_GNU_RELRO in self._segments or not self._dynamic

    def _bind_now(self) -> bool:
        flags = (
            self._dynamic.get(_DT_FLAGS, 0) & _DF_BIND_NOW or self._dynamic.get(_DT_FLAGS_1, 0) & _DF_1_NOW
        )
        return bool(flags) or _DT_BIND_NOW in self._dynamic or not self._dynamic

    def _nx(self) -> bool:
        stack = self._segments.get(_PT_GNU_STACK)
        return stack is not None and not stack.flags & _PF_X

    def _canary(self) -> bool:
        # A static program carries its functions under no name that is left; a dynamic one imports it.
        return (
            not self._dynamic or b"__stack_chk_fail" in self._strings or b"__stack_chk_guard" in self._strings
        )

    def _search_path(self) -> bool:
        for tag in (_DT_RPATH, _DT_RUNPATH):
            if tag in self._dynamic:
                text = self._strings[self._dynamic[tag] :].partition(b"\0")[0].decode(errors="replace")
                if any(not one.startswith(_OWN) for one in text.split(":")):
                    return False
        return True

    def _read_strings(self, content: Readable, parts: ElfParts) -> bytes:
        address, size = self._dynamic.get(_DT_STRTAB), self._dynamic.get(_DT_STRSZ, 0)
        return parts.at_address(content, address, min(size, _MAX_STRINGS)) if address is not None else b""


def _dynamic(content: Readable, parts: ElfParts) -> Iterator[tuple[int, int]]:
    """Tags of the dynamic section with their values, up to DT_NULL."""
    segment = next((one for one in parts.segments if one.kind == _PT_DYNAMIC), None)
    if segment is None:
        return
    shape = struct.Struct(f"{parts.order}{'qQ' if parts.wide else 'iI'}")
    table = content[segment.offset : segment.offset + min(segment.size, _MAX_DYNAMIC)]
    for tag, value in shape.iter_unpack(table[: len(table) // shape.size * shape.size]):
        if tag == 0:
            return
        yield tag, value
