"""What dlopen(3) gives the object that calls it: where it looks depends on the process around the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.elf.closure import ALREADY_LOADED, ElfClosure, Resolver
from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from tests.support.mkelf import GLIBC_X86_64, Spec, loader_bytes, mkelf, sysroot_of

D = "/lib/x86_64-linux-gnu"
LOADER = loader_bytes((D, "/usr" + D, "/lib", "/usr/lib"), Spec(soname="ld-linux-x86-64.so.2"))


def _program(*needed: str, rpath: str | None = None, runpath: str | None = None) -> bytes:
    return mkelf(Spec(interpreter=GLIBC_X86_64, needed=needed, rpath=rpath, runpath=runpath))


def _library(
    soname: str, *needed: str, rpath: str | None = None, runpath: str | None = None, machine: int = 62
) -> bytes:
    return mkelf(Spec(soname=soname, needed=needed, rpath=rpath, runpath=runpath, machine=machine))


def _opens(
    tmp_path: Path, files: dict[str, bytes | str], dependent: str, *names: str, roots: tuple[str, ...] = ()
) -> ElfClosure:
    sysroot = sysroot_of({GLIBC_X86_64: LOADER, **files}, tmp_path / "store")
    resolver = Resolver(sysroot, ElfFacts(None))
    resolver.closure(roots)
    return resolver.dlopen(dependent, names)


Z = "libz.so.1"
CASES: dict[str, tuple[dict[str, bytes | str], str, tuple[str, ...], tuple[str, str]]] = {
    "a default folder": (
        {"/bin/x": _program(), f"{D}/{Z}": _library(Z)},
        "/bin/x",
        ("/bin/x",),
        (f"{D}/{Z}", f"default folder {D}"),
    ),
    "the caller's own RUNPATH": (
        {
            "/bin/x": _program("liba.so"),
            f"{D}/liba.so": _library("liba.so", runpath="/p"),
            f"/p/{Z}": _library(Z),
        },
        f"{D}/liba.so",
        ("/bin/x",),
        (f"/p/{Z}", "RUNPATH /p"),
    ),
    "the RPATH of the program that loaded the caller": (
        {
            "/bin/x": _program("liba.so", rpath="/p"),
            f"{D}/liba.so": _library("liba.so"),
            f"/p/{Z}": _library(Z),
        },
        f"{D}/liba.so",
        ("/bin/x",),
        (f"/p/{Z}", "RPATH /p"),
    ),
    "what the process has already": (
        {
            "/bin/x": _program("liba.so", Z, rpath="/p"),
            f"{D}/liba.so": _library("liba.so", runpath="/q"),
            f"/p/{Z}": _library(Z),
            f"/q/{Z}": _library(Z),
        },
        f"{D}/liba.so",
        ("/bin/x",),
        (f"/p/{Z}", ALREADY_LOADED),
    ),
    "a program's process before that of a plug-in": (
        {
            "/bin/x": _program("liba.so", rpath="/p"),
            "/plugin.so": _library("plugin.so", "liba.so"),
            f"{D}/liba.so": _library("liba.so"),
            f"/p/{Z}": _library(Z),
        },
        f"{D}/liba.so",
        ("/plugin.so", "/bin/x"),
        (f"/p/{Z}", "RPATH /p"),
    ),
    "a caller that was in no closure has its own paths": (
        {"/plugin.so": _library("plugin.so", rpath="/p"), f"/p/{Z}": _library(Z)},
        "/plugin.so",
        (),
        (f"/p/{Z}", "RPATH /p"),
    ),
    "a path": (
        {"/bin/x": _program(), "/opt/x.so": _library("x")},
        "/bin/x",
        ("/bin/x",),
        ("/opt/x.so", "path"),
    ),
}


@pytest.mark.parametrize(("files", "dependent", "roots", "edge"), CASES.values(), ids=CASES)
def test_where_it_looks(
    files: dict[str, bytes | str],
    dependent: str,
    roots: tuple[str, ...],
    edge: tuple[str, str],
    tmp_path: Path,
) -> None:
    name = "/opt/x.so" if "/opt/x.so" in files else Z
    opened = _opens(tmp_path, files, dependent, name, roots=roots)
    first = opened.edges[0]
    assert (first.dependent, first.name) == (dependent, name)
    assert (first.provider, first.rule) == edge
    assert opened.missing == ()


def test_a_run_path_of_the_program_does_not_count_for_its_libraries(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/x": _program("liba.so", runpath="/p"),
        "/p/liba.so": _library("liba.so"),
        f"/p/{Z}": _library(Z),
    }
    opened = _opens(tmp_path, files, "/p/liba.so", Z, roots=("/bin/x",))
    assert opened.edges == ()
    (missing,) = opened.missing
    assert (missing.name, missing.optional, missing.chain) == (Z, True, ("/bin/x", "/p/liba.so"))


def test_the_first_alternative_that_is_there_is_opened(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/x": _program(),
        f"{D}/libz.so.3": _library("libz.so.3", machine=183),
        f"{D}/libz.so.2": _library("libz.so.2", "libdeep.so"),
        f"{D}/{Z}": _library(Z),
        f"{D}/libdeep.so": _library("libdeep.so"),
    }
    opened = _opens(tmp_path, files, "/bin/x", "libz.so.4", "libz.so.3", "libz.so.2", Z, roots=("/bin/x",))
    assert [edge.provider for edge in opened.edges] == [f"{D}/libz.so.2", f"{D}/libdeep.so"]


def test_names_that_nothing_provides_are_one_optional_miss(tmp_path: Path) -> None:
    opened = _opens(tmp_path, {"/bin/x": _program()}, "/bin/x", "liba.so", "libb.so", roots=("/bin/x",))
    (missing,) = opened.missing
    assert (missing.name, missing.optional) == ("liba.so or libb.so", True)
    assert missing.searched[0] == D


def test_what_is_opened_inherits_the_rpaths_of_the_caller(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/x": _program(rpath="/p"),
        f"/p/{Z}": _library(Z, "libdeep.so"),
        "/p/libdeep.so": _library("libdeep.so"),
    }
    opened = _opens(tmp_path, files, "/bin/x", Z, roots=("/bin/x",))
    assert [edge.provider for edge in opened.edges] == [f"/p/{Z}", "/p/libdeep.so"]


def test_a_question_changes_nothing_for_the_next_one(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"/bin/x": _program(), f"{D}/{Z}": _library(Z)}
    sysroot = sysroot_of({GLIBC_X86_64: LOADER, **files}, tmp_path / "store")
    resolver = Resolver(sysroot, ElfFacts(None))
    before = resolver.closure(["/bin/x"])
    assert resolver.dlopen("/bin/x", (Z,)) == resolver.dlopen("/bin/x", (Z,))
    assert resolver.closure(["/bin/x"]) == before


def test_a_caller_that_is_no_elf_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResolutionError, match="/etc/text opens no libraries"):
        _opens(tmp_path, {"/etc/text": b"text" * 40}, "/etc/text", Z)
