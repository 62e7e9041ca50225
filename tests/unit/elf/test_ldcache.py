"""ld.so.cache as bytes: the layout of glibc, the order of its binary search, and hostile files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from builder.elf.facts import ElfFacts
from builder.elf.ldcache import (
    CachedLibrary,
    CacheEntry,
    cache_for,
    library_flags,
    name_key,
    read_cache,
    write_cache,
)
from builder.elf.ldconf import cache_folders, is_library_name, listed_name
from builder.elf.object import ElfError, ElfObject
from builder.elf.reader import read_elf
from builder.sysroot import Sysroot
from tests.support.loader_cases import FOLDERS, LOADER, D
from tests.support.mkelf import GLIBC_X86_64, Spec, loader_bytes, mkelf, sysroot_of


def elf(spec: Spec | None = None) -> ElfObject:
    return read_elf(mkelf(spec or Spec()), name="x")


def library(name: str, folder: str = "/lib", hwcap: str = "", spec: Spec | None = None) -> CachedLibrary:
    return CachedLibrary(name=name, path=f"{folder}/{name}", elf=elf(spec), hwcap=hwcap)


MACHINES = {
    "x86-64": (Spec(machine=62), 0x0303),
    "x32": (Spec(machine=62, elf_class=32), 0x0803),
    "i386": (Spec(machine=3, elf_class=32), 0x0003),
    "arm64": (Spec(machine=183), 0x0A03),
    "arm, hard float": (Spec(machine=40, elf_class=32, flags=0x5000400), 0x0903),
    "arm, soft float": (Spec(machine=40, elf_class=32, flags=0x5000200), 0x0B03),
    "ppc64le": (Spec(machine=21), 0x0503),
    "s390x": (Spec(machine=22, little_endian=False), 0x0403),
    "riscv64, double float": (Spec(machine=243, flags=5), 0x1003),
    "riscv64, soft float": (Spec(machine=243), 0x0F03),
    "loongarch64, double float": (Spec(machine=258, flags=0x43), 0x1203),
    "mips64": (Spec(machine=8), 0x0703),
}


@pytest.mark.parametrize(("spec", "flags"), MACHINES.values(), ids=MACHINES)
def test_every_machine_has_the_flags_by_which_its_loader_asks(spec: Spec, flags: int) -> None:
    assert library_flags(elf(spec)) == flags


def test_the_bytes_are_those_of_ldconfig() -> None:
    written = write_cache([library("liba.so.1")], generator="me")
    header = b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", 1, 25, 2, 100)
    entry = struct.pack("<iIIIQ", 0x303, 72, 82, 0, 0)
    extension = struct.pack("<2I4I", 0xEAA42174, 1, 0, 0, 124, 2) + b"me"
    assert written == header + entry + b"liba.so.1\0/lib/liba.so.1\0" + bytes(3) + extension


def test_the_byte_order_is_the_machines() -> None:
    big = Spec(machine=22, little_endian=False)
    written = write_cache([library("liba.so.1", spec=big)])
    assert struct.unpack_from(">I", written, 20) == (1,)
    assert written[28] == 3
    assert read_cache(written) == (CacheEntry(name="liba.so.1", path="/lib/liba.so.1", flags=0x403),)


def test_libraries_of_another_byte_order_are_left_out() -> None:
    big = library("libb.so.1", spec=Spec(machine=22, little_endian=False))
    assert [entry.name for entry in read_cache(write_cache([library("liba.so.1"), big]))] == ["liba.so.1"]


def test_the_first_folder_wins() -> None:
    written = write_cache([library("liba.so.1", "/one"), library("liba.so.1", "/two")])
    assert [entry.path for entry in read_cache(written)] == ["/one/liba.so.1"]


def test_copies_for_better_processors_come_before_the_plain_one() -> None:
    libraries = [library("liba.so.1", f"/{hwcap}", hwcap) for hwcap in ("", "x86-64-v3", "x86-64-v2")]
    entries = read_cache(write_cache([*libraries, library("libb.so.1")]))
    assert [(entry.name, entry.hwcap) for entry in entries] == [
        ("libb.so.1", ""),
        ("liba.so.1", "x86-64-v2"),
        ("liba.so.1", "x86-64-v3"),
        ("liba.so.1", ""),
    ]


ORDER = ["liba", "liba.so", "liba.so.1", "liba.so.2", "liba.so.10", "liba2.so", "liba10.so", "libaa.so"]


def test_names_are_compared_as_the_loader_does() -> None:
    # A letter stands before a digit, a number counts by its value, and the end comes first.
    ours = sorted(ORDER, key=name_key)
    assert ours == [
        "liba",
        "liba.so",
        "liba.so.1",
        "liba.so.2",
        "liba.so.10",
        "libaa.so",
        "liba2.so",
        "liba10.so",
    ]


def test_huge_numbers_in_a_name_are_compared_as_32_bits() -> None:
    assert name_key("a" + "9" * 100_000) == name_key("a" + str(int("9" * 32)))


def test_an_empty_cache_is_valid() -> None:
    assert read_cache(write_cache([])) == ()


GOOD = write_cache([library("liba.so.1"), library("liba.so.1", "/v3", "x86-64-v3")])

BAD = {
    "empty": b"",
    "another format": b"ld.so-1.7.0" + bytes(80),
    "cut inside the header": GOOD[:40],
    "cut inside the entries": GOOD[:80],
    "too many entries": GOOD[:20] + b"\xff\xff\xff\xff" + GOOD[24:],
    "a string beyond the end": GOOD[:52] + b"\xff\xff\xff\x7f" + GOOD[56:],
    "an extension beyond the end": GOOD[:32] + b"\xff\xff\xff\x7f" + GOOD[36:],
    "an extension without its magic": GOOD[:32] + b"\x30\0\0\0" + GOOD[36:],
    "an entry for an unknown processor": GOOD[:64] + b"\7" + GOOD[65:],
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_damaged_cache_is_an_error(data: bytes) -> None:
    with pytest.raises(ElfError, match=r"ld\.so\.cache is a damaged"):
        read_cache(data)


LISTED = {
    "a file is listed under its SONAME": ("liba.so.1.2", "liba.so.1", False, "liba.so.1"),
    "a file without SONAME is listed under its name": ("liba.so", None, False, "liba.so"),
    "a link for the compiler keeps its name": ("liba.so", "liba.so.1", True, "liba.so"),
    "a link of another version is listed under the SONAME": ("liba.so.1.2", "liba.so.1", True, "liba.so.1"),
}


@pytest.mark.parametrize(("name", "soname", "is_link", "expected"), LISTED.values(), ids=LISTED)
def test_names_in_the_cache(name: str, soname: str | None, is_link: bool, expected: str) -> None:
    assert listed_name(name, soname, is_link=is_link) == expected


def test_ldconfig_looks_at_libraries_and_loaders_only() -> None:
    names = [
        "libx.so",
        "libx.so.1",
        "ld-linux.so.2",
        "ld.so.1",
        "ld64.so.2",
        "plugin.so",
        "libx.a",
        "xlib.so",
    ]
    assert [name for name in names if is_library_name(name)] == names[:5]


def _conf(tmp_path: Path, **files: str) -> Sysroot:
    return sysroot_of({f"/etc/{name}": text.encode() for name, text in files.items()}, tmp_path / "store")


def test_folders_are_read_from_ld_so_conf_and_its_includes_in_order(tmp_path: Path) -> None:
    files = {
        "ld.so.conf": "/first\ninclude ld.so.conf.d/*.conf /etc/more\n  /last/ # there\nhwcap 0 x\nrel\n",
        "ld.so.conf.d/b.conf": "/b\n",
        "ld.so.conf.d/a.conf": "#/commented\n/a=libc6\n",
        "ld.so.conf.d/c.txt": "/c\n",
        "more": "/more\n/first\n",
    }
    assert cache_folders(_conf(tmp_path, **files)) == ("/first", "/a", "/b", "/more", "/last")


def test_includes_that_include_each_other_end(tmp_path: Path) -> None:
    files = {"ld.so.conf": "include /etc/x\n/one\n", "x": "include /etc/ld.so.conf\n/two\ninclude /etc/x*"}
    assert cache_folders(_conf(tmp_path, **files)) == ("/two", "/one")


def test_a_chain_of_includes_is_bounded(tmp_path: Path) -> None:
    files = {f"f{number}": f"/{number}\ninclude /etc/f{number + 1}\n" for number in range(100)}
    assert len(cache_folders(_conf(tmp_path, **{"ld.so.conf": "include /etc/f0\n"}, **files))) < 20


def test_no_configuration_names_no_folder(tmp_path: Path) -> None:
    assert cache_folders(_conf(tmp_path)) == ()


def _image(tmp_path: Path, **files: bytes | str) -> Sysroot:
    body: dict[str, bytes | str] = {
        f"/usr{LOADER}": loader_bytes(FOLDERS, Spec(soname="ld-linux-x86-64.so.2")),
        GLIBC_X86_64: LOADER,
        "/lib": "usr/lib",
    }
    return sysroot_of({**body, **files}, tmp_path / "image")


def test_an_image_is_listed_as_ldconfig_would(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/etc/ld.so.conf": b"/opt/x\n/lib/x86_64-linux-gnu\n",
        "/opt/x/liba.so.1": "liba.so.1.2",
        "/opt/x/liba.so.1.2": mkelf(Spec(soname="liba.so.1")),
        f"/usr{D}/liba.so.1": mkelf(Spec(soname="liba.so.1")),
        f"/usr{D}/libb.so.1.5": mkelf(Spec(soname="libb.so.1")),
        f"/usr{D}/libtext.so": b"INPUT(x)" * 20,
        f"/usr{D}/glibc-hwcaps/x86-64-v3/libh.so.1": mkelf(Spec(soname="libh.so.1")),
        "/usr/lib/libz.so.1": mkelf(Spec(soname="libz.so.1")),
        "/srv/libc.so.1": mkelf(Spec(soname="libc.so.1")),
    }
    listed = {
        (entry.name, entry.path, entry.hwcap)
        for entry in read_cache(cache_for(_image(tmp_path, **files), ElfFacts(None)) or b"")
    }
    assert listed == {
        ("liba.so.1", "/opt/x/liba.so.1", ""),
        ("libh.so.1", f"{D}/glibc-hwcaps/x86-64-v3/libh.so.1", "x86-64-v3"),
        ("libz.so.1", "/lib/libz.so.1", ""),
        ("ld-linux-x86-64.so.2", LOADER, ""),
    }


def test_the_configuration_may_be_outside_of_the_image(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"/opt/x/liba.so.1": mkelf(Spec(soname="liba.so.1"))}
    image = _image(tmp_path, **files)
    configuration = sysroot_of(
        {"/etc/ld.so.conf": b"/alias\n", "/alias": "/opt/x", **files}, tmp_path / "whole"
    )
    written = cache_for(image, ElfFacts(None), configuration=configuration)
    assert "/opt/x/liba.so.1" in [entry.path for entry in read_cache(written or b"")]


def test_an_image_without_libraries_needs_no_cache(tmp_path: Path) -> None:
    assert cache_for(sysroot_of({"/bin/x": mkelf(Spec())}, tmp_path / "store"), ElfFacts(None)) is None
