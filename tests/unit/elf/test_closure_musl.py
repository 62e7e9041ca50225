"""The closure of programs with musl's loader (ldso/dynlink.c): first hit wins, paths are handed down."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.elf.closure import ElfClosure, elf_closures, missing_message
from builder.elf.facts import ElfFacts
from builder.elf.ldcache import cache_for
from tests.support.loader_cases import ROOT, Case
from tests.support.mkelf import Files, Spec, mkelf, sysroot_of
from tests.support.musl_cases import CASES, LOADER, lib, main

SYSTEM: Files = {LOADER: mkelf(Spec(soname="libc.musl-x86_64.so.1"))}


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
