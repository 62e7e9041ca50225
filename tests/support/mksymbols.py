"""Tables of dynamic symbols and versions, and notes, made in memory for ``mkelf``."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DT_HASH, DT_SYMTAB, DT_GNU_HASH, DT_VERSYM = 4, 6, 0x6FFFFEF5, 0x6FFFFFF0
DT_VERDEF, DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A dynamic symbol; ``file`` is that of which an undefined one wants ``version``."""

    name: str
    version: str = ""
    file: str = ""
    defined: bool = True
    weak: bool = False
    hidden: bool = False
    local: bool = False
    kind: int = 2
    value: int = 0x1000


def wants(name: str, version: str = "", file: str = "", *, weak: bool = False) -> Symbol:
    return Symbol(name=name, version=version, file=file, defined=False, weak=weak, value=0)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Everything about symbols. ``extra_needs`` are file, version, weak; ``gnu``: DT_GNU_HASH."""

    symbols: tuple[Symbol, ...] = ()
    defines: tuple[str, ...] = ()
    extra_needs: tuple[tuple[str, str, bool], ...] = ()
    gnu: bool = False
    plain: bool = True

    def pieces(
        self, order: str, strings: bytearray, soname: str, *, wide: bool
    ) -> Iterator[tuple[int, bytes]]:
        """Tag and bytes of each table; names go to ``strings``."""
        symbols = (*(one for one in self.symbols if not one.defined), *(s for s in self.symbols if s.defined))
        needs = self._needs()
        numbers = self._numbers(needs)
        yield DT_SYMTAB, b"".join(_symbol(order, strings, one, wide=wide) for one in (None, *symbols))
        if self.plain:
            count = len(symbols) + 1
            yield DT_HASH, struct.pack(f"{order}{3 + count}I", 1, count, 0, *range(count))
        if self.gnu:
            first = 1 + sum(not one.defined for one in symbols)
            yield (
                DT_GNU_HASH,
                _gnu_hash(order, [one.name for one in symbols if one.defined], first, wide=wide),
            )
        if self.defines or needs:
            marks = [0, *(numbers.get((one.file, one.version), 1) | one.hidden << 15 for one in symbols)]
            yield DT_VERSYM, struct.pack(f"{order}{len(marks)}H", *marks)
        if self.defines:
            yield DT_VERDEF, _verdef(order, strings, (soname, *self.defines))
        if needs:
            yield DT_VERNEED, _verneed(order, strings, needs, numbers)

    def needed_files(self) -> int:
        """How many files versions are required of."""
        return len(self._needs())

    def _needs(self) -> dict[str, dict[str, bool]]:
        needs: dict[str, dict[str, bool]] = {}
        for one in self.symbols:
            if one.file:
                needs.setdefault(one.file, {})[one.version] = False
        for file, version, weak in self.extra_needs:
            needs.setdefault(file, {})[version] = weak
        return needs

    def _numbers(self, needs: dict[str, dict[str, bool]]) -> dict[tuple[str, str], int]:
        keys = [("", version) for version in self.defines]
        keys += [(file, version) for file, versions in needs.items() for version in versions]
        return {key: number for number, key in enumerate(keys, start=2)}


def _name(strings: bytearray, name: str) -> int:
    at = len(strings)
    strings.extend(name.encode("utf-8", "surrogateescape") + b"\0")
    return at


def _symbol(order: str, strings: bytearray, one: Symbol | None, *, wide: bool) -> bytes:
    if one is None:
        return bytes(24 if wide else 16)
    bind = 0 if one.local else 2 if one.weak else 1
    at, section = _name(strings, one.name), 1 if one.defined else 0
    if wide:
        return struct.pack(order + "IBBHQQ", at, bind << 4 | one.kind, 0, section, one.value, 0)
    return struct.pack(order + "IIIBBH", at, one.value, 0, bind << 4 | one.kind, 0, section)


def _gnu_hash(order: str, names: list[str], first: int, *, wide: bool) -> bytes:
    hashes = [_hash(name) & ~1 for name in names]
    if hashes:
        hashes[-1] |= 1
    bloom = b"\xff" * (8 if wide else 4)
    head = struct.pack(order + "4I", 1, first if names else 1, 1, 0)
    return head + bloom + struct.pack(f"{order}{1 + len(hashes)}I", first if names else 0, *hashes)


def _hash(name: str) -> int:
    value = 5381
    for letter in name.encode():
        value = (value * 33 + letter) & 0xFFFFFFFF
    return value


def _verdef(order: str, strings: bytearray, names: tuple[str, ...]) -> bytes:
    pieces = []
    for number, name in enumerate(names, start=1):
        following = 28 if number < len(names) else 0
        head = (1, 1 if number == 1 else 0, number, 1, 0, 20, following)
        pieces.append(struct.pack(order + "4H3I2I", *head, _name(strings, name), 0))
    return b"".join(pieces)


def _verneed(
    order: str,
    strings: bytearray,
    needs: dict[str, dict[str, bool]],
    numbers: dict[tuple[str, str], int],
) -> bytes:
    pieces = []
    for left, (file, versions) in zip(range(len(needs) - 1, -1, -1), needs.items(), strict=True):
        size = 16 + 16 * len(versions)
        head = (1, len(versions), _name(strings, file), 16, size if left else 0)
        pieces.append(struct.pack(order + "2H3I", *head))
        for number, (version, weak) in enumerate(versions.items(), start=1):
            following = 16 if number < len(versions) else 0
            flags, mark = 2 if weak else 0, numbers[file, version]
            pieces.append(struct.pack(order + "I2H2I", 0, flags, mark, _name(strings, version), following))
    return b"".join(pieces)


def note(text: bytes, *, vendor: bytes = b"FDO\0", kind: int = 0x407C0C0A, order: str = "<") -> bytes:
    """One record of a PT_NOTE segment, padded."""
    head = struct.pack(order + "3I", len(vendor), len(text), kind)
    return head + vendor + bytes(-len(vendor) % 4) + text + bytes(-len(text) % 4)


def dlopen_note(*entries: Mapping[str, object]) -> bytes:
    return note(json.dumps(entries).encode() + b"\0")
