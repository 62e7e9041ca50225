"""Reading one ELF file: what it says, and that damaged or hostile ones end in an error that names them."""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from builder.elf.object import ElfError, ElfObject, is_elf
from builder.elf.reader import read_elf
from tests.support.mkelf import Spec, mkelf

FULL = Spec(
    needed=("libc.so.6", "libm.so.6"),
    soname="libx.so.1",
    rpath="/r",
    runpath="$ORIGIN",
    interpreter="/lib64/ld-linux-x86-64.so.2",
    flags_1=0x08000001,
    auxiliary=("a.so",),
    filter=("f.so",),
)

FORMS = {
    "x86-64": (64, True, 62),
    "i386": (32, True, 3),
    "arm64": (64, True, 183),
    "arm": (32, True, 40),
    "s390x, big endian": (64, False, 22),
    "ppc64le": (64, True, 21),
    "32 bits, big endian": (32, False, 20),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_field_is_read_in_every_class_and_byte_order(form: tuple[int, bool, int]) -> None:
    elf_class, little_endian, machine = form
    spec = replace(FULL, elf_class=elf_class, little_endian=little_endian, machine=machine, flags=0x400)
    assert read_elf(mkelf(spec), name="x") == ElfObject(
        elf_class=elf_class,
        little_endian=little_endian,
        machine=machine,
        os_abi=0,
        type=3,
        flags=0x400,
        interpreter="/lib64/ld-linux-x86-64.so.2",
        dynamic=True,
        soname="libx.so.1",
        needed=("libc.so.6", "libm.so.6"),
        rpath="/r",
        runpath="$ORIGIN",
        flags_1=0x08000001,
        auxiliary=("a.so",),
        filter=("f.so",),
    )


def test_absent_and_empty_paths_differ() -> None:
    read = read_elf(mkelf(Spec(rpath="")), name="x")
    assert (read.rpath, read.runpath) == ("", None)


def test_names_that_are_not_utf8_carry_surrogate_escapes() -> None:
    assert read_elf(mkelf(Spec(needed=("lib\udcff.so",))), name="x").needed == ("lib\udcff.so",)


def test_a_mapped_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(mkelf(FULL))
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert read_elf(mapped, name="x").soname == "libx.so.1"


def test_names_in_a_long_string_table_are_found() -> None:
    needed = tuple(f"lib{number:0200}.so" for number in range(300))
    assert read_elf(mkelf(Spec(needed=needed)), name="x").needed == needed


def test_a_file_without_program_headers_is_not_dynamic() -> None:
    data = bytearray(mkelf(Spec(type=1)))
    data[56:58] = b"\0\0"
    read = read_elf(bytes(data), name="x")
    assert (read.dynamic, read.needed, read.interpreter) == (False, (), None)


def test_a_file_of_debugging_information_is_not_dynamic() -> None:
    # objcopy --only-keep-debug keeps the program headers and takes the bytes away.
    data = bytearray(mkelf(Spec(interpreter="/lib/ld.so", needed=("libc.so.6",))))
    for number in range(3):
        start = 64 + 56 * number
        data[start + 32 : start + 40] = bytes(8)
    read = read_elf(bytes(data), name="x")
    assert (read.dynamic, read.interpreter, read.needed) == (False, None, ())


def test_libraries_are_told_from_programs() -> None:
    kinds = {
        "library": Spec(),
        "PIE": Spec(flags_1=0x08000000),
        "fixed program": Spec(type=2),
        "object": Spec(type=1),
    }
    libraries = [name for name, spec in kinds.items() if read_elf(mkelf(spec), name=name).is_library]
    assert libraries == ["library"]


def _patched(at: int, value: bytes, spec: Spec = FULL) -> bytes:
    data = bytearray(mkelf(spec))
    data[at : at + len(value)] = value
    return bytes(data)


def _tags(**values: int) -> bytes:
    data = bytearray(mkelf(FULL))
    numbers = {"needed": 1, "strtab": 5, "strsz": 10, "soname": 14}
    start = data.index(struct.pack("<2Q", 1, 1))
    for name, value in values.items():
        row = next(
            at for at in range(start, len(data), 16) if struct.unpack_from("<Q", data, at)[0] == numbers[name]
        )
        struct.pack_into("<Q", data, row + 8, value)
    return bytes(data)


BAD = {
    "empty": (b"", "it has no ELF header"),
    "text": (b"#!/bin/sh\n" * 9, "it has no ELF header"),
    "the magic alone": (b"\x7fELF", "it has no ELF header"),
    "cut inside the header": (mkelf(FULL)[:40], "it ends inside its header"),
    "an unknown class": (_patched(4, b"\7"), "its class (7) or byte order (1) is unknown"),
    "an unknown byte order": (_patched(5, b"\0"), "its class (2) or byte order (0) is unknown"),
    "a wrong size of program headers": (_patched(54, b"\1\0"), "a program header has 1 bytes, not 56"),
    "65,535 program headers": (
        _patched(56, b"\xff\xff"),
        "its 65535 program headers lie outside the file",
    ),
    "program headers beyond the end": (
        _patched(32, b"\xff" * 8),
        "its 3 program headers lie outside the file",
    ),
    "an interpreter beyond the end": (
        _patched(64 + 8, b"\xff" * 8),
        "its program interpreter lies outside the file or has no end",
    ),
    "an endless interpreter": (
        _patched(64 + 32, b"\xff" * 8),
        f"its program interpreter has {2**64 - 1} bytes",
    ),
    "an interpreter without an end": (
        _patched(64 + 32, b"\4"),
        "its program interpreter lies outside the file or has no end",
    ),
    "a dynamic section beyond the end": (
        _patched(64 + 112 + 8, b"\xff" * 8),
        "its dynamic section lies outside the file",
    ),
    "a string table in no segment": (
        _tags(strtab=1 << 40),
        "its string table (0x10000000000) is in no segment",
    ),
    "a string table of no bytes": (_tags(strsz=0), "a name (0x15) lies outside its string table"),
    "a name beyond its string table": (_tags(soname=999), "a name (0x3e7) lies outside its string table"),
    "a name beyond the end": (
        _tags(soname=1 << 40, strsz=1 << 62),
        "a name (0x10000000000) lies outside its string table",
    ),
}


@pytest.mark.parametrize(("data", "reason"), BAD.values(), ids=BAD)
def test_a_damaged_file_is_an_error_that_names_it(data: bytes, reason: str) -> None:
    with pytest.raises(ElfError) as caught:
        read_elf(data, name="/usr/bin/x")
    assert caught.value.message.startswith("/usr/bin/x is a damaged ELF file: ")
    assert caught.value.reason.startswith(reason)
    assert caught.value.hint


def test_a_dynamic_section_without_end_is_refused_quickly() -> None:
    # One million entries of DT_NEEDED, all pointing at the same long name.
    name = b"x" * 60000 + b"\0"
    head = bytearray(mkelf(Spec(needed=("liba.so",))))
    start = len(head)
    dynamic = struct.pack("<2Q", 5, start) + struct.pack("<2Q", 10, len(name))
    dynamic += struct.pack("<2Q", 1, 0) * (1 << 20)
    body = bytes(head) + name + dynamic
    data = bytearray(body)
    struct.pack_into("<Q", data, 64 + 32, len(body))
    struct.pack_into("<2Q", data, 64 + 56 + 8, start + len(name), 0)
    struct.pack_into("<Q", data, 64 + 56 + 32, len(dynamic))
    began = time.perf_counter()
    with pytest.raises(ElfError, match="more than"):
        read_elf(bytes(data), name="x")
    assert time.perf_counter() - began < 2


def test_the_magic_is_told_by_four_bytes() -> None:
    assert is_elf(b"\x7fELF")
    assert not is_elf(b"\x7fEL")


def test_json_holds_every_field() -> None:
    read = read_elf(mkelf(FULL), name="x")
    assert ElfObject.from_json(read.to_json()) == read


WRONG = {
    "not a list": {"a": 1},
    "too short": [64, True],
    "a number for a truth": [64, 1, *read_elf(mkelf(FULL), name="x").to_json()[2:]],
    "a number among the names": [*read_elf(mkelf(FULL), name="x").to_json()[:14], [1]],
}


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG)
def test_json_of_another_shape_is_refused(fields: list[object]) -> None:
    with pytest.raises(ValueError, match="ELF object"):
        ElfObject.from_json(fields)
