"""Dynamic symbols: which keys references and definitions get, in every form of table; damaged ones."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace

import pytest

from builder.elf.object import ElfError
from builder.elf.symbols import ElfSymbols, read_references, read_symbols
from builder.elf.versions import VersionNeed
from tests.support.mkelf import Spec, mkelf, seeds
from tests.support.mksymbols import Symbol, Tables, wants

LIBC = "libc.so.6"


def _read(tables: Tables, **fields: object) -> ElfSymbols:
    return read_symbols(mkelf(replace(Spec(soname="x", tables=tables), **fields)), name="x")  # type: ignore[arg-type] # keywords of a table


def _of(*symbols: Symbol, defines: tuple[str, ...] = ()) -> ElfSymbols:
    return _read(Tables(symbols=symbols, defines=defines))


GIVEN: dict[str, tuple[tuple[Symbol, ...], tuple[str, ...], set[bytes]]] = {
    "without versions the name answers": ((Symbol(name="f"),), (), {b"f"}),
    "the oldest version answers references without one": (
        (Symbol(name="f", version="V1"),),
        ("V1", "V2"),
        {b"f@V1", b"f"},
    ),
    "so does the oldest version when it is hidden": (
        (Symbol(name="f", version="V1", hidden=True), Symbol(name="f", version="V2")),
        ("V1", "V2"),
        {b"f@V1", b"f@V2", b"f"},
    ),
    "so does a default version that is newer": (
        (Symbol(name="f", version="V2"),),
        ("V1", "V2"),
        {b"f@V2", b"f"},
    ),
    "a hidden newer version does not": (
        (Symbol(name="f", version="V2", hidden=True),),
        ("V1", "V2"),
        {b"f@V2"},
    ),
    "two default versions answer none": (
        (Symbol(name="f", version="V2"), Symbol(name="f", version="V3")),
        ("V1", "V2", "V3"),
        {b"f@V2", b"f@V3"},
    ),
    "a definition without a version answers any": ((Symbol(name="f"),), ("V1",), {b"f", b"f@"}),
    "a hidden one without a version answers none": ((Symbol(name="f", hidden=True),), ("V1",), {b"f"}),
    "local symbols answer nobody": ((Symbol(name="f", local=True),), (), set()),
    "sections and files are no definitions": (
        (Symbol(name="f", kind=3), Symbol(name="g", kind=4)),
        (),
        set(),
    ),
    "a symbol without a value is no definition": ((Symbol(name="f", value=0),), (), set()),
    "a thread-local one at 0 is": ((Symbol(name="f", value=0, kind=6),), (), {b"f"}),
    "an indirect function is": ((Symbol(name="f", kind=10),), (), {b"f"}),
}


@pytest.mark.parametrize(("symbols", "defines", "given"), GIVEN.values(), ids=GIVEN)
def test_what_definitions_answer(
    symbols: tuple[Symbol, ...], defines: tuple[str, ...], given: set[bytes]
) -> None:
    assert _of(*symbols, defines=defines).given() == given


def test_references_keep_versions_and_weakness() -> None:
    found = _of(wants("f", "GLIBC_2.2.5", LIBC), wants("g"), wants("h", weak=True), wants("g", weak=True))
    assert found.wanted == {b"f@GLIBC_2.2.5", b"g"}
    assert found.weak == {b"h"}
    assert found.needs == (VersionNeed(file=LIBC, version="GLIBC_2.2.5", weak=False),)
    assert found.versioned


def test_versions_are_listed_with_the_files_own_name() -> None:
    found = _read(
        Tables(defines=("V1", "V2"), extra_needs=(("liba.so", "A_1", True), ("liba.so", "A_2", False)))
    )
    assert found.defines == ("x", "V1", "V2")
    assert [(need.version, need.weak) for need in found.needs] == [("A_1", True), ("A_2", False)]


def test_a_variable_copied_from_a_library_is_wanted_from_it() -> None:
    found = _of(Symbol(name="stdout", version="GLIBC_2.2.5", file=LIBC, kind=1))
    assert found.wanted == {b"stdout@GLIBC_2.2.5"}
    assert not found.given()


_TABLES = Tables(
    symbols=(wants("free", "GLIBC_2.2.5", LIBC), wants("opt", weak=True), Symbol(name="mine", version="V1")),
    defines=("V1",),
)


@pytest.mark.parametrize(
    "tables",
    [_TABLES, replace(_TABLES, gnu=True), replace(_TABLES, gnu=True, plain=False)],
    ids=["the plain hash table", "both hash tables", "the GNU hash table"],
)
@pytest.mark.parametrize(
    ("size", "little", "machine"), [(64, True, 62), (32, True, 3), (64, False, 21), (32, False, 20)]
)
def test_every_class_order_and_hash_table(tables: Tables, size: int, machine: int, *, little: bool) -> None:
    found = _read(tables, elf_class=size, little_endian=little, machine=machine)
    assert found.wanted == {b"free@GLIBC_2.2.5"}
    assert found.weak == {b"opt"}
    assert found.given() == {b"mine@V1", b"mine"}


def test_definitions_that_the_hash_table_passes_over_are_never_found() -> None:
    body = bytearray(mkelf(Spec(tables=Tables(symbols=(Symbol(name="f"), Symbol(name="g")), gnu=True))))
    at = body.index(struct.pack("<4I", 1, 1, 1, 0))
    body[at + 4 : at + 8] = struct.pack("<I", 2)  # the table starts with the second symbol
    body[at + 24 : at + 28] = struct.pack("<I", 2)
    assert read_symbols(bytes(body), name="x").given() == {b"g"}


def test_names_may_share_their_ends() -> None:
    tables = Tables(symbols=(Symbol(name="lt_dlopen"), wants("dlopen")))
    body = mkelf(Spec(tables=tables))
    assert read_references(body, name="x") == {"dlopen"}


def test_a_file_without_symbols_has_none() -> None:
    found = read_symbols(mkelf(Spec()), name="x")
    nothing: frozenset[bytes] = frozenset()
    assert (found.wanted, found.weak, found.given()) == (nothing, nothing, nothing)
    assert (found.needs, found.defines, found.versioned) == ((), (), False)


def test_references_are_those_of_the_whole_table() -> None:
    for body in seeds():
        found = read_symbols(body, name="x")
        names = {key.partition(b"@")[0].decode() for key in found.wanted | found.weak}
        if found.given():  # an empty GNU hash table and no relocations: nothing tells how many there are
            assert read_references(body, name="x") == names


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_file_cut_anywhere_is_read_or_is_an_error(cut: int) -> None:
    body = seeds()[0]
    with contextlib.suppress(ElfError):
        read_symbols(body[: len(body) - cut], name="x").given()


def test_definitions_can_be_asked_for_by_name() -> None:
    found = _of(
        *(Symbol(name="f", version="V1"), Symbol(name="g"), Symbol(name="f", version="V2", hidden=True)),
        defines=("V1", "V2"),
    )
    assert found.given({b"f", b"h"}) == {b"f@V1", b"f", b"f@V2"}
    assert found.given({b"g"}) == {b"g", b"g@"}
    assert found.given(()) == frozenset()


def _tag(body: bytes, tag: int, value: int) -> bytes:
    at = next(at for at in range(0, len(body), 8) if body[at : at + 8] == struct.pack("<Q", tag))
    return body[: at + 8] + struct.pack("<Q", value) + body[at + 16 :]


HOSTILE = {
    "a symbol table in no segment": (6, 1 << 40),
    "a hash table in no segment": (4, 1 << 40),
    "a string table that is too long": (10, 1 << 40),
    "a string table beyond the file": (10, 1 << 20),
}


@pytest.mark.parametrize(("tag", "value"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_tables_are_an_error(tag: int, value: int) -> None:
    with pytest.raises(ElfError):
        read_symbols(_tag(mkelf(Spec(tables=_TABLES)), tag, value), name="x")


def test_many_symbols_that_share_one_long_name_are_an_error() -> None:
    symbols = tuple(Symbol(name="f") for _ in range(400))
    body = bytearray(mkelf(Spec(soname="n" * 100_000, tables=Tables(symbols=symbols))))
    at = body.index(struct.pack("<BBHQQ", 0x12, 0, 1, 0x1000, 0)) - 4
    for number in range(400):
        body[at + 24 * number : at + 24 * number + 4] = struct.pack("<I", 2 + number)
    found = read_symbols(bytes(body), name="x")
    for names in (None, {b"f"}):
        with pytest.raises(ElfError, match="overlap too much"):
            found.given(names)


def test_a_list_of_versions_that_does_not_end_is_an_error() -> None:
    body = mkelf(Spec(tables=Tables(defines=tuple(f"V{number}" for number in range(20_000)))))
    with pytest.raises(ElfError, match="more than"):
        read_symbols(body, name="x")
