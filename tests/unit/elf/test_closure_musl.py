"""The closure of programs with musl's loader (ldso/dynlink.c): first hit wins, paths are handed down."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.elf.closure import ElfClosure, elf_closures, missing_message
from builder.elf.facts import ElfFacts
from builder.elf.ldcache import cache_for
from tests.support.loader_cases import ROOT, Case
from tests.support.mkelf import Files, Spec, mkelf, sysroot_of

LOADER = "/lib/ld-musl-x86_64.so.1"
SYSTEM: Files = {LOADER: mkelf(Spec(soname="libc.musl-x86_64.so.1"))}


def main(*needed: str, rpath: str | None = None, runpath: str | None = None) -> Spec:
    return Spec(needed=needed, rpath=rpath, runpath=runpath, interpreter=LOADER)


def lib(
    *needed: str, rpath: str | None = None, runpath: str | None = None, soname: str | None = None
) -> Spec:
    return Spec(needed=needed, rpath=rpath, runpath=runpath, soname=soname)


CASES = (
    Case(
        sentence="names that libc holds in itself mean the loader",
        files={ROOT: main("libc.musl-x86_64.so.1", "libpthread.so.0", "libm.so.6"), "/lib/libm.so.6": lib()},
        opens=(LOADER,),
    ),
    Case(
        sentence="default folders are /lib, /usr/local/lib and /usr/lib",
        files={ROOT: main("liba.so"), "/usr/lib/liba.so": lib(), "/usr/local/lib/liba.so": lib()},
        opens=("/usr/local/lib/liba.so",),
    ),
    Case(
        sentence="the path file replaces the default folders",
        files={
            ROOT: main("liba.so", "libb.so", "libc1.so"),
            "/etc/ld-musl-x86_64.path": b"/x:/y\n/z\n",
            "/y/liba.so": lib(),
            "/z/libb.so": lib(),
            "/lib/libc1.so": lib(),
        },
        opens=("/y/liba.so", "/z/libb.so"),
        missing=("libc1.so",),
    ),
    Case(
        sentence="an empty path file leaves no default folder",
        files={ROOT: main("liba.so"), "/etc/ld-musl-x86_64.path": b"", "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="RUNPATH is handed down as RPATH is",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": lib("libb.so"), "/p/libb.so": lib()},
        opens=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="a requester's RUNPATH does not hide the program's path",
        files={
            ROOT: main("liba.so", rpath="/p"),
            "/p/liba.so": lib("libb.so", runpath="/q"),
            "/p/libb.so": lib(),
        },
        opens=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="RUNPATH wins over RPATH in one object",
        files={
            ROOT: Spec(needed=("liba.so",), rpath="/p", runpath="/q", interpreter=LOADER),
            "/p/liba.so": lib(),
            "/q/liba.so": lib(),
        },
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="$ORIGIN is expanded",
        files={ROOT: main("liba.so", runpath="${ORIGIN}/p:$ORIGIN/q"), "/app/q/liba.so": lib()},
        opens=("/app/q/liba.so",),
    ),
    Case(
        sentence="any other token discards the whole path",
        files={ROOT: main("liba.so", runpath="/p:/$LIB"), "/p/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a file name loaded before serves, a SONAME does not",
        files={
            ROOT: main("libx.so", "liby.so.1", rpath="/p"),
            "/p/libx.so": lib("libx.so", soname="liby.so.1"),
            "/lib/liby.so.1": lib(),
        },
        opens=("/p/libx.so", "/lib/liby.so.1"),
    ),
    Case(
        sentence="a library of another machine is not passed over",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": Spec(machine=183), "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="text in the place of a library is not passed over",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": b"text" * 20, "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a loop of links ends the search",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": "liba.so", "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a name with a slash is opened as it is and no token is expanded",
        files={ROOT: main("/p/liba.so", "/p/$ORIGIN/libb.so"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
        missing=("/p/$ORIGIN/libb.so",),
    ),
    Case(
        sentence="filters mean nothing",
        files={
            ROOT: Spec(needed=("liba.so",), interpreter=LOADER, filter=("libf.so",)),
            "/lib/liba.so": lib(),
        },
        opens=("/lib/liba.so",),
    ),
    Case(
        sentence="ld.so.conf means nothing",
        files={ROOT: main("liba.so"), "/etc/ld.so.conf": b"/opt/x\n", "/opt/x/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a relative path depends on the working directory and is a warning",
        files={ROOT: main("liba.so", rpath="p"), "/lib/liba.so": lib()},
        opens=("/lib/liba.so",),
        warns=True,
    ),
)


def closure_of(case: Case, store: Path) -> ElfClosure:
    files = {path: mkelf(body) if isinstance(body, Spec) else body for path, body in case.files.items()}
    return elf_closures([case.root], sysroot_of({**SYSTEM, **files}, store), ElfFacts(None))


@pytest.mark.parametrize("case", CASES, ids=[case.sentence for case in CASES])
def test_the_closure_opens_what_musl_opens(case: Case, tmp_path: Path) -> None:
    closure = closure_of(case, tmp_path / "store")
    by_name = {edge.provider for edge in closure.edges if edge.rule != "interpreter"}
    assert by_name == set(case.opens)
    assert {missing.name for missing in closure.missing} == set(case.missing)
    assert bool(closure.warnings) == case.warns


@pytest.mark.parametrize("libc", ["libc.so", "libc.musl-x86_64.so.1"])
def test_a_library_that_needs_musls_libc_is_searched_by_musls_rules(libc: str, tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        "/p/plugin.so": lib(libc, "liba.so"),
        "/usr/local/lib/liba.so": lib(),
    }
    case = Case(sentence="", files=files, root="/p/plugin.so")
    providers = [edge.provider for edge in closure_of(case, tmp_path / "store").edges]
    assert providers == [LOADER, "/usr/local/lib/liba.so"]


def test_a_library_for_another_machine_is_explained(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {ROOT: main("liba.so"), "/lib/liba.so": Spec(machine=183)}
    (missing,) = closure_of(Case(sentence="", files=files), tmp_path / "store").missing
    assert missing_message(missing).endswith("/lib/liba.so cannot be loaded: it is made for another machine")


def test_an_image_of_musl_needs_no_cache(tmp_path: Path) -> None:
    image = sysroot_of({**SYSTEM, "/lib/liba.so.1": mkelf(lib(soname="liba.so.1"))}, tmp_path / "store")
    assert cache_for(image, ElfFacts(None)) is None
