"""The readers of symbols, notes and strings against any bytes, and against pyelftools' own reading."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection, GNUVerSymSection
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.elf.symbols import ElfSymbols, read_symbols
from tests.fuzz.elf_reader import one_input
from tests.support.mkelf import Spec, mkelf, seeds
from tests.support.mksymbols import Symbol, Tables

_SEEDS = seeds()
_NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0@"), min_size=1, max_size=8)
_VERSIONS = ("V_1", "V_2", "V_3")
_SYMBOLS = st.lists(
    st.builds(
        Symbol,
        name=_NAMES,
        version=st.sampled_from(("", *_VERSIONS)),
        defined=st.booleans(),
        weak=st.booleans(),
        hidden=st.booleans(),
    ),
    max_size=12,
).map(tuple)


_FORMS = st.sampled_from([(64, True, 62), (32, True, 3), (64, False, 21), (32, False, 20)])


@settings(deadline=None)
@given(symbols=_SYMBOLS, gnu=st.booleans(), form=_FORMS)
def test_what_is_written_is_read(
    symbols: tuple[Symbol, ...], form: tuple[int, bool, int], *, gnu: bool
) -> None:
    tables = Tables(symbols=symbols, defines=_VERSIONS, gnu=gnu)
    body = mkelf(Spec(soname="x", tables=tables, elf_class=form[0], little_endian=form[1], machine=form[2]))
    found = read_symbols(body, name="x")
    keys = {(f"{one.name}@{one.version}" if one.version else one.name).encode(): one for one in symbols}
    undefined = [one for one in symbols if not one.defined]
    assert len(found.wanted | found.weak) == len({(one.name, one.version) for one in undefined})
    assert found.wanted | found.weak <= set(keys)
    named = {key for key in found.given() if not key.endswith(b"@") and b"@" in key}
    defined = {f"{one.name}@{one.version}".encode() for one in symbols if one.defined and one.version}
    assert named == defined
    for name in {one.name.encode() for one in symbols}:
        assert found.given({name}) == {key for key in found.given() if key.partition(b"@")[0] == name}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, len(_SEEDS) - 1))
def test_a_mutated_file_gives_symbols_or_an_elf_error(seed: int, which: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    data = bytearray(_SEEDS[which])
    for _ in range(4):
        data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
    one_input(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_after_an_elf_header_give_symbols_or_an_elf_error(tail: bytes) -> None:
    one_input(_SEEDS[0][:64] + tail)


def _sample() -> list[Path]:
    found: list[Path] = []
    for folder in ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib"):
        files = sorted(path for path in Path(folder).glob("*") if path.is_file() and not path.is_symlink())
        small = [path for path in files if 4096 < path.stat().st_size < 300_000]
        found += small[:: max(1, len(small) // 20)][:20]
    return found


def test_pyelftools_reads_the_same_symbols_and_versions_from_real_files() -> None:
    compared = 0
    for path in _sample():
        data = path.read_bytes()
        theirs = _theirs(data) if data.startswith(b"\x7fELF") else None
        if theirs is not None:
            assert _ours(read_symbols(data, name=str(path))) == theirs, path
            compared += 1
    if not compared:
        pytest.skip("this machine has no such files")


def _ours(found: ElfSymbols) -> dict[str, object]:
    return {
        "references": {key.decode("latin-1") for key in found.wanted | found.weak},
        "defined": {key.decode("latin-1") for key in found.given() if not key.endswith(b"@") and b"@" in key},
        "needs": [(need.file, need.version) for need in found.needs],
        "defines": list(found.defines),
    }


def _theirs(data: bytes) -> dict[str, object] | None:
    elf = ELFFile(io.BytesIO(data))
    table: Any = elf.get_section_by_name(".dynsym")
    if table is None or not any(isinstance(part, DynamicSegment) for part in elf.iter_segments()):
        return None
    names: dict[int, str] = {}
    defines = list(_their_definitions(elf, names))
    own = set(names)
    needs = list(_their_needs(elf, names))
    marks = next((one for one in elf.iter_sections() if isinstance(one, GNUVerSymSection)), None)
    references: set[str] = set()
    defined: set[str] = set()
    for number, symbol in enumerate(table.iter_symbols()):
        mark = _mark(marks, number)
        version = names.get(mark, "")
        if not _is_looked_up(symbol):
            continue
        if symbol["st_shndx"] == "SHN_UNDEF" or (version and mark not in own):
            references.add(f"{symbol.name}@{version}" if version else symbol.name)
        elif version and _is_defined(symbol):
            defined.add(f"{symbol.name}@{version}")
    return {"references": references, "defined": defined, "needs": needs, "defines": defines}


def _their_definitions(elf: ELFFile, names: dict[int, str]) -> Iterator[str]:
    section: Any
    for section in elf.iter_sections():
        if isinstance(section, GNUVerDefSection):
            for entry, auxiliaries in section.iter_versions():
                name = str(next(iter(auxiliaries)).name)
                if not entry["vd_flags"] & 1:
                    names[entry["vd_ndx"]] = name
                yield name


def _their_needs(elf: ELFFile, names: dict[int, str]) -> Iterator[tuple[str, str]]:
    section: Any
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for file, auxiliaries in section.iter_versions():
                for auxiliary in auxiliaries:
                    names[auxiliary["vna_other"]] = str(auxiliary.name)
                    yield str(file.name), str(auxiliary.name)


def _is_looked_up(symbol: Any) -> bool:
    kind = symbol["st_info"]
    shared = kind["bind"] in ("STB_GLOBAL", "STB_WEAK", "STB_LOOS")
    return bool(symbol.name) and shared and kind["type"] in _KINDS


def _is_defined(symbol: Any) -> bool:
    tls = symbol["st_info"]["type"] == "STT_TLS"
    return bool(symbol["st_value"]) or symbol["st_shndx"] == "SHN_ABS" or tls


_KINDS = ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC", "STT_COMMON", "STT_TLS", "STT_LOOS")


def _mark(marks: Any, number: int) -> int:
    if marks is None:
        return 1
    mark = marks.get_symbol(number)["ndx"]
    return {"VER_NDX_LOCAL": 0, "VER_NDX_GLOBAL": 1}.get(mark, 0) if isinstance(mark, str) else mark & 0x7FFF
