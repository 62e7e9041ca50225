"""The closure of programs with glibc's loader: each rule of ld.so as a case, and the edges that come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.elf.closure import (
    ALREADY_LOADED,
    INTERPRETER,
    Edge,
    ElfClosure,
    Resolver,
    elf_closure,
    elf_closures,
    missing_message,
)
from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from tests.support.loader_cases import CASES, FOLDERS, LOADER, ROOT, Case, D, bodies, lib, main
from tests.support.mkelf import GLIBC_X86_64, Files, Spec, loader_bytes, mkelf, sysroot_of

SYSTEM: Files = {
    LOADER: loader_bytes(FOLDERS, Spec(soname="ld-linux-x86-64.so.2")),
    GLIBC_X86_64: LOADER,
}


def closure_of(
    files: dict[str, Spec | bytes | str], store: Path, *roots: str, library_path: tuple[str, ...] = ()
) -> ElfClosure:
    body = {path: mkelf(file) if isinstance(file, Spec) else file for path, file in files.items()}
    sysroot = sysroot_of({**SYSTEM, **body}, store)
    return elf_closures(roots or (ROOT,), sysroot, ElfFacts(None), library_path=library_path)


def providers(closure: ElfClosure) -> set[str]:
    return {edge.provider for edge in closure.edges} - {LOADER}


@pytest.mark.parametrize("case", CASES, ids=[case.sentence for case in CASES])
def test_the_closure_opens_what_the_loader_opens(case: Case, tmp_path: Path) -> None:
    sysroot = sysroot_of({**SYSTEM, **bodies(case)}, tmp_path / "store", hardlinks=case.hardlinks)
    closure = elf_closure(case.root, sysroot, ElfFacts(None))
    assert providers(closure) == set(case.opens)
    assert {missing.name for missing in closure.missing if not missing.optional} == set(case.missing)
    assert {missing.name for missing in closure.missing if missing.optional} == set(case.optional)
    assert bool(closure.warnings) == case.warns


def edges(closure: ElfClosure) -> list[tuple[str, str, str, str]]:
    return [(edge.dependent, edge.name, edge.provider, edge.rule) for edge in closure.edges]


def test_an_edge_names_both_ends_and_the_rule(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("liba.so", "libb.so.1", runpath="$ORIGIN/../p"),
        "/p/liba.so": lib("libb.so.1"),
        f"{D}/libb.so.1": lib(soname="libb.so.1"),
    }
    assert edges(closure_of(files, tmp_path / "store")) == [
        (ROOT, GLIBC_X86_64, LOADER, INTERPRETER),
        (ROOT, "liba.so", "/p/liba.so", "RUNPATH /app/../p"),
        (ROOT, "libb.so.1", f"{D}/libb.so.1", f"default folder {D}"),
        ("/p/liba.so", "libb.so.1", f"{D}/libb.so.1", ALREADY_LOADED),
    ]


def test_an_edge_holds_every_link_crossed_in_order(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("liba.so.1", runpath="/opt/current/lib"),
        "/opt/current": "v2",
        "/opt/v2/lib/liba.so.1": "/etc/alternatives/liba",
        "/etc/alternatives/liba": "/opt/v2/lib/liba.so.1.2",
        "/opt/v2/lib/liba.so.1.2": lib(),
    }
    closure = closure_of(files, tmp_path / "store")
    links = {edge.name: [node.path for node in edge.links] for edge in closure.edges}
    assert links == {
        GLIBC_X86_64: [GLIBC_X86_64],
        "liba.so.1": ["/opt/current", "/opt/v2/lib/liba.so.1", "/etc/alternatives/liba"],
    }


def test_a_library_that_needs_the_loader_by_name_brings_the_loaders_link(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {"/p/plugin.so": lib("ld-linux-x86-64.so.2")}
    (edge,) = closure_of(files, tmp_path / "store", "/p/plugin.so").edges
    assert (edge.provider, [node.path for node in edge.links]) == (LOADER, [GLIBC_X86_64])


def test_a_hard_link_of_a_loaded_file_is_not_loaded_again(tmp_path: Path) -> None:
    files = {ROOT: mkelf(main("liba.so", "libb.so", runpath="/p:/q")), "/p/liba.so": mkelf(lib("libgone.so"))}
    sysroot = sysroot_of({**SYSTEM, **files}, tmp_path / "store", hardlinks={"/q/libb.so": "/p/liba.so"})
    closure = elf_closure(ROOT, sysroot, ElfFacts(None))
    assert (ROOT, "libb.so", "/q/libb.so", "RUNPATH /q") in edges(closure)
    assert [missing.dependent for missing in closure.missing] == ["/p/liba.so"]


def test_library_path_goes_after_rpath_and_before_runpath(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("liba.so", runpath="/p"),
        "/app/other": main("liba.so", rpath="/p"),
        "/p/liba.so": lib(),
        "/env/liba.so": lib(),
    }
    closure = closure_of(files, tmp_path / "store", ROOT, "/app/other", library_path=("/env",))
    found = {edge.dependent: edge.provider for edge in closure.edges if edge.name == "liba.so"}
    assert found == {ROOT: "/env/liba.so", "/app/other": "/p/liba.so"}


def test_a_program_whose_loader_is_not_there_says_so(tmp_path: Path) -> None:
    program = mkelf(Spec(interpreter="/lib/ld-missing.so.1"))
    sysroot = sysroot_of({ROOT: program}, tmp_path / "store")
    (missing,) = elf_closure(ROOT, sysroot, ElfFacts(None)).missing
    assert missing_message(missing) == f"/lib/ld-missing.so.1 is needed by {ROOT} and nothing provides it"


def test_a_missing_library_is_explained_with_its_chain_and_the_folders(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("liba.so", runpath="/p"),
        "/p/liba.so": lib("libgone.so.1", runpath="/q"),
    }
    (missing,) = closure_of(files, tmp_path / "store").missing
    assert missing.chain == (ROOT, "/p/liba.so")
    assert missing_message(missing) == (
        "libgone.so.1 is needed by /p/liba.so and nothing provides it; searched /q, "
        f"{', '.join(FOLDERS)} (loaded by {ROOT} → /p/liba.so)"
    )


def test_a_library_that_cannot_be_loaded_is_explained(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("liba.so", runpath="/p"),
        "/p/liba.so": b"INPUT(x)" * 9,
    }
    (missing,) = closure_of(files, tmp_path / "store").missing
    assert missing_message(missing) == (
        f"liba.so is needed by {ROOT}, but /p/liba.so cannot be loaded: it is not an ELF file"
    )


def test_a_plugins_need_is_met_by_what_another_root_loads(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("libjvm.so", runpath="/jvm/server"),
        "/jvm/server/libjvm.so": lib(soname="libjvm.so"),
        "/jvm/libnet.so": lib("libjvm.so"),
    }
    alone = closure_of(files, tmp_path / "one", "/jvm/libnet.so")
    together = closure_of(files, tmp_path / "two", "/jvm/libnet.so", ROOT)
    assert [missing.name for missing in alone.missing] == ["libjvm.so"]
    assert not together.missing
    expected = ("/jvm/libnet.so", "libjvm.so", "/jvm/server/libjvm.so", "loaded by another root")
    assert expected in edges(together)


def test_a_programs_need_is_not_met_by_another_program(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        ROOT: main("liba.so", runpath="/p"),
        "/app/other": main("liba.so"),
        "/p/liba.so": lib(soname="liba.so"),
    }
    closure = closure_of(files, tmp_path / "store", ROOT, "/app/other")
    assert [(missing.dependent, missing.name) for missing in closure.missing] == [("/app/other", "liba.so")]


def test_a_link_searched_by_one_root_replaces_already_loaded_of_another(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {
        "/app/first": main("libb.so.1", "liba.so", runpath="/p"),
        "/app/second": main("liba.so", runpath="/p"),
        "/p/liba.so": lib("libb.so.1", runpath="/p"),
        "/p/libb.so.1": "libb.so.1.0",
        "/p/libb.so.1.0": lib(),
    }
    closure = closure_of(files, tmp_path / "store", "/app/first", "/app/second")
    (edge,) = (edge for edge in closure.edges if edge.dependent == "/p/liba.so")
    assert (edge.rule, [node.path for node in edge.links]) == ("RUNPATH /p", ["/p/libb.so.1"])


def test_scripts_static_programs_and_damaged_files_have_no_edges(tmp_path: Path) -> None:
    static_program = mkelf(Spec())
    damaged = mkelf(main("liba.so"))[:150]
    sysroot = sysroot_of(
        {"/s": b"#!/bin/sh\n" * 9, "/static": static_program, "/bad": damaged}, tmp_path / "store"
    )
    closure = elf_closures(["/s", "/static", "/bad"], sysroot, ElfFacts(None))
    assert (closure.edges, closure.missing) == ((), ())
    assert closure.warnings[0].startswith("/bad is a damaged ELF file: ")


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResolutionError, match="/gone is not in the sysroot"):
        closure_of({}, tmp_path / "store", "/gone")


def test_the_closure_does_not_depend_on_roots_asked_before(tmp_path: Path) -> None:
    files: dict[str, Spec | bytes | str] = {}
    for case in CASES[:20]:
        prefix = f"/case{len(files)}"
        files |= {f"{prefix}{path}": body for path, body in case.files.items() if isinstance(body, Spec)}
    roots = [path for path in files if path.endswith("/main")]
    body = {path: mkelf(file) for path, file in files.items() if isinstance(file, Spec)}
    sysroot = sysroot_of({**SYSTEM, **body}, tmp_path / "store")
    facts = ElfFacts(None)
    resolver = Resolver(sysroot, facts)
    together: list[Edge] = [edge for root in roots for edge in resolver.closure([root]).edges]
    alone = [edge for root in roots for edge in elf_closure(root, sysroot, facts).edges]
    assert together == alone
