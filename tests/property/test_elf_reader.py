"""The ELF reader against any bytes, and against pyelftools' own reading of whole files."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.elf.facts import ElfFacts
from builder.elf.ldcache import CachedLibrary, name_key, read_cache, write_cache
from builder.elf.object import ElfError, ElfObject
from builder.elf.reader import read_elf
from tests.support.mkelf import Spec, mkelf, sysroot_of

_NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
_NAMES = st.lists(_NAME, max_size=6).map(tuple)
_FORM = st.sampled_from([(64, True, 62), (32, True, 3), (64, False, 22), (32, False, 20), (64, True, 183)])


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    elf_class, little_endian, machine = draw(_FORM)
    return Spec(
        needed=draw(_NAMES),
        soname=draw(st.none() | _NAME),
        rpath=draw(st.none() | _NAME | st.just("")),
        runpath=draw(st.none() | _NAME | st.just("")),
        interpreter=draw(st.none() | _NAME),
        flags_1=draw(st.integers(0, 2**31)),
        auxiliary=draw(_NAMES),
        filter=draw(_NAMES),
        elf_class=elf_class,
        little_endian=little_endian,
        machine=machine,
        type=draw(st.sampled_from([2, 3])),
        flags=draw(st.integers(0, 2**32 - 1)),
    )


@given(specs())
def test_what_is_written_is_read_and_survives_json(spec: Spec) -> None:
    read = read_elf(mkelf(spec), name="x")
    for field in ("needed", "soname", "rpath", "runpath", "interpreter", "auxiliary", "filter"):
        assert getattr(read, field) == getattr(spec, field)
    assert (read.flags_1, read.flags, read.type) == (spec.flags_1, spec.flags, spec.type)
    assert ElfObject.from_json(read.to_json()) == read


_BASE = mkelf(Spec(needed=("liba.so", "libb.so"), soname="x", runpath="/r", interpreter="/lib/ld.so"))
_VALUES = st.sampled_from(
    [b"\0", b"\xff", b"\x7f", b"\1", b"\xff" * 4, b"\xff" * 8, b"\0" * 8, b"\0\0\0\x80"]
)
_PATCHES = st.lists(st.tuples(st.integers(0, len(_BASE) - 1), _VALUES | st.binary(max_size=8)), max_size=6)


@settings(max_examples=400)
@given(_PATCHES, st.integers(0, len(_BASE)))
def test_a_mutated_file_gives_an_object_or_an_elf_error(patches: list[tuple[int, bytes]], size: int) -> None:
    data = bytearray(_BASE)
    for at, value in patches:
        data[at : at + len(value)] = value
    for body in (bytes(data), bytes(data[:size])):
        outcome = _reading(functools.partial(read_elf, body, name="x"))
        assert isinstance(outcome, ElfObject) or str(outcome).startswith("x is a damaged ELF file: ")


@given(st.binary(max_size=300))
def test_any_bytes_give_an_object_or_an_elf_error(data: bytes) -> None:
    for body in (data, b"\x7fELF\2\1\1" + data, b"\x7fELF\1\2\1" + data):
        try:
            read_elf(body, name="x")
        except ElfError:
            continue


@given(data=st.binary(max_size=6000), at=st.integers(0, 5000), name=st.integers(0, 2**64 - 1))
def test_a_slice_of_a_store_reads_as_the_bytes_do(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, name: int
) -> None:
    body = mkelf(Spec(needed=("liba.so",), rodata=data))
    patched = bytearray(body)
    struct.pack_into("<Q", patched, min(at, len(patched) - 8), name)
    sysroot = sysroot_of({"/x": bytes(patched)}, tmp_path_factory.mktemp("store") / "store")
    node = sysroot.get("/x")
    assert node is not None
    assert _reading(lambda: ElfFacts(None).of(node)) == _reading(
        lambda: read_elf(bytes(patched), name="/x") if patched[:4] == b"\x7fELF" else None
    )


def _reading(read: Callable[[], object]) -> object:
    try:
        return read()
    except ElfError as error:
        return error.message


@pytest.mark.parametrize("folder", ["/usr/bin", "/usr/lib"])
def test_pyelftools_reads_the_same_from_real_files(folder: str) -> None:
    files = sorted(
        path
        for path in Path(folder).glob("*" if folder == "/usr/bin" else "*-linux-gnu/*.so*")
        if path.is_file() and path.stat().st_size < 1 << 20
    )
    compared = 0
    for path in files:
        data = path.read_bytes() if compared < 150 else b""
        if data.startswith(b"\x7fELF"):
            assert _ours(data, str(path)) == _theirs(data), path
            compared += 1
    if not compared:
        pytest.skip("this machine has no such files")


def _ours(data: bytes, name: str) -> dict[str, object]:
    read = read_elf(data, name=name)
    return {
        "class": read.elf_class,
        "flags": read.flags,
        "interpreter": read.interpreter,
        "needed": list(read.needed),
        "soname": read.soname,
        "rpath": read.rpath,
        "runpath": read.runpath,
        "flags_1": read.flags_1,
    }


def _theirs(data: bytes) -> dict[str, object]:
    elf = ELFFile(io.BytesIO(data))
    tags: dict[str, list[object]] = {}
    interpreter = None
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                text = (
                    getattr(tag, tag.entry.d_tag[3:].lower(), None)
                    if isinstance(tag.entry.d_tag, str)
                    else None
                )
                tags.setdefault(tag.entry.d_tag, []).append(tag.entry.d_val if text is None else text)
    return {
        "class": elf.elfclass,
        "flags": elf["e_flags"],
        "interpreter": interpreter,
        "needed": tags.get("DT_NEEDED", []),
        "soname": tags.get("DT_SONAME", [None])[-1],
        "rpath": tags.get("DT_RPATH", [None])[-1],
        "runpath": tags.get("DT_RUNPATH", [None])[-1],
        "flags_1": tags.get("DT_FLAGS_1", [0])[-1],
    }


def _compare(one: bytes, other: bytes) -> int:
    """glibc's _dl_cache_libcmp, letter by letter."""
    left, right = list(one), list(other)
    while left:
        digit, opposite = chr(left[0]).isdigit(), bool(right) and chr(right[0]).isdigit()
        if digit != opposite:
            return 1 if digit else -1
        if digit:
            first, second = _take(left), _take(right)
            if first != second:
                return first - second
            continue
        if not right or left[0] != right[0]:
            return _signed(left[0]) - (_signed(right[0]) if right else 0)
        del left[0], right[0]
    return -_signed(right[0]) if right and not chr(right[0]).isdigit() else -len(right)


def _take(letters: list[int]) -> int:
    value = 0
    while letters and chr(letters[0]).isdigit() and letters[0] < 128:
        value = value * 10 + letters.pop(0) - 48
    return value


def _signed(letter: int) -> int:
    return letter - 256 if letter > 127 else letter


_CACHE_NAME = st.text(st.sampled_from("lib.so-+_a09123é"), min_size=1, max_size=12)


@given(_CACHE_NAME, _CACHE_NAME)
def test_the_order_of_names_is_that_of_the_loaders_search(one: str, other: str) -> None:
    told = _compare(one.encode(), other.encode())
    ours = (name_key(one) > name_key(other)) - (name_key(one) < name_key(other))
    assert (told > 0) - (told < 0) == ours


_LIBRARY = st.builds(
    CachedLibrary,
    name=_CACHE_NAME,
    path=_CACHE_NAME.map("/lib/{}".format),
    elf=st.just(read_elf(_BASE, name="x")),
    hwcap=st.sampled_from(["", "x86-64-v2", "x86-64-v3"]),
)


@given(st.lists(_LIBRARY, max_size=20))
def test_a_cache_reads_back_sorted_and_without_repetition(libraries: list[CachedLibrary]) -> None:
    entries = read_cache(write_cache(libraries))
    first = {(library.name, library.hwcap): library.path for library in reversed(libraries)}
    assert {(entry.name, entry.hwcap): entry.path for entry in entries} == first
    keys = [name_key(entry.name) for entry in entries]
    assert keys == sorted(keys, reverse=True)


_CACHE = write_cache(
    [
        CachedLibrary(
            name=f"lib{letter}.so", path=f"/lib/lib{letter}.so", elf=read_elf(_BASE, name="x"), hwcap=hwcap
        )
        for letter in "abc"
        for hwcap in ("", "x86-64-v3")
    ]
)


@given(st.integers(0, len(_CACHE) - 1), _VALUES | st.binary(max_size=8), st.integers(0, len(_CACHE)))
def test_a_mutated_cache_gives_entries_or_an_elf_error(at: int, value: bytes, size: int) -> None:
    data = _CACHE[:at] + value + _CACHE[at + len(value) :]
    for body in (data, data[:size]):
        try:
            read_cache(body)
        except ElfError:
            continue
