"""Which loader a program has, and the folders that it carries in its bytes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from builder.elf.loader import Flavour, Loader, loader_of
from builder.elf.reader import read_elf
from builder.elf.tokens import Tokens, folder_of, folders_of, musl_expand
from tests.support.mkelf import Files, Spec, loader_bytes, mkelf, sysroot_of


def loader_for(spec: Spec, files: Files, store: Path) -> Loader:
    return loader_of(read_elf(mkelf(spec), name="x"), sysroot_of(files, store))


GUESSES = {
    "x86-64": (Spec(), "/lib64/ld-linux-x86-64.so.2"),
    "i386": (Spec(machine=3, elf_class=32), "/lib/ld-linux.so.2"),
    "arm64": (Spec(machine=183), "/lib/ld-linux-aarch64.so.1"),
    "armhf": (Spec(machine=40, elf_class=32, flags=0x5000400), "/lib/ld-linux-armhf.so.3"),
    "armel": (Spec(machine=40, elf_class=32, flags=0x5000200), "/lib/ld-linux.so.3"),
    "ppc64le": (Spec(machine=21), "/lib64/ld64.so.2"),
    "s390x": (Spec(machine=22, little_endian=False), "/lib/ld64.so.1"),
    "riscv64": (Spec(machine=243), "/lib/ld-linux-riscv64-lp64d.so.1"),
    "musl, x86-64": (Spec(needed=("libc.musl-x86_64.so.1",)), "/lib/ld-musl-x86_64.so.1"),
    "musl, arm64": (Spec(machine=183, needed=("libc.so",)), "/lib/ld-musl-aarch64.so.1"),
    "an unknown machine": (Spec(machine=9999), ""),
}


@pytest.mark.parametrize(("spec", "name"), GUESSES.values(), ids=GUESSES)
def test_a_library_has_the_loader_of_its_machine(spec: Spec, name: str, tmp_path: Path) -> None:
    assert loader_for(spec, {}, tmp_path / "store").name == name


def test_folders_and_lib_are_read_from_the_loader(tmp_path: Path) -> None:
    program = Spec(interpreter="/lib/ld.so")
    bytes_of_it = loader_bytes(("/lib64", "/usr/lib64"), Spec())
    found = loader_for(program, {"/lib/ld.so": bytes_of_it}, tmp_path / "store")
    assert (found.flavour, found.folders, found.lib) == (Flavour.GLIBC, ("/lib64", "/usr/lib64"), "lib64")


def test_a_loader_that_tells_nothing_has_the_folders_of_its_machine(tmp_path: Path) -> None:
    found = loader_for(Spec(interpreter="/lib/ld.so"), {"/lib/ld.so": mkelf(Spec())}, tmp_path / "store")
    assert found.folders[:2] == ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
    assert found.lib == "lib/x86_64-linux-gnu"


HOSTILE = {
    "slashes": b"/" * 1_000_000,
    "half a folder, often": b"/lib" * 250_000,
    "a folder, often": b"\0" + b"/lib/\0" * 200_000,
    "a long folder": b"\0/" + b"lib" * 300_000 + b"/\0",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_loader_is_read_in_bounded_time(text: bytes, tmp_path: Path) -> None:
    program = Spec(interpreter="/lib/ld.so")
    began = time.perf_counter()
    assert loader_for(program, {"/lib/ld.so": text}, tmp_path / "store").folders
    assert time.perf_counter() - began < 1


def test_the_links_to_the_loader_are_kept(tmp_path: Path) -> None:
    files: Files = {
        "/lib64": "usr/lib64",
        "/usr/lib64/ld.so": "../lib/ld.so",
        "/usr/lib/ld.so": mkelf(Spec()),
    }
    found = loader_for(Spec(interpreter="/lib64/ld.so"), files, tmp_path / "store")
    assert (found.path, [node.path for node in found.links]) == (
        "/usr/lib/ld.so",
        ["/lib64", "/usr/lib64/ld.so"],
    )


def test_a_path_file_of_musl_lies_beside_its_prefix(tmp_path: Path) -> None:
    files: Files = {"/usr/musl/etc/ld-musl-x86_64.path": b"/one\n/two:relative\n"}
    found = loader_for(Spec(interpreter="/usr/musl/lib/ld-musl-x86_64.so.1"), files, tmp_path / "store")
    assert (found.flavour, found.folders, found.node) == (Flavour.MUSL, ("/one", "/two"), None)


TOKENS = Tokens(origin="/o", lib="lib64", platform="x86_64")
EXPANDED = {
    "$ORIGIN/x": "/o/x",
    "${ORIGIN}x": "/ox",
    "$ORIGINx": "$ORIGINx",
    "$ORIGIN_": "$ORIGIN_",
    "$LIB.$PLATFORM": "lib64.x86_64",
    "${LIB": "${LIB",
    "$$ORIGIN": "$/o",
    "{$LIB}": "{lib64}",
    "plain": "plain",
}


@pytest.mark.parametrize(("text", "expected"), EXPANDED.items())
def test_tokens_are_expanded_as_ld_so_does(text: str, expected: str) -> None:
    assert TOKENS.expand(text) == expected


def test_musl_knows_one_token() -> None:
    assert musl_expand("$ORIGIN/a:${ORIGIN}/b", "/o") == "/o/a:/o/b"
    assert musl_expand("$ORIGIN:$LIB", "/o") is None


def test_folders_are_sorted_into_known_and_unknown() -> None:
    folders = folders_of(["/a/", "", "b", "/a", "/", "//"])
    assert (folders.known, folders.unknown) == (("/a", "/"), (".", "b"))


def test_the_folder_of_a_path_is_its_text() -> None:
    assert [folder_of(path) for path in ("/a/../b/c", "/a", "/")] == ["/a/../b", "/", "/"]
