"""Protections of real programs, built with and without them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builder.policy.hardening import lacking
from builder.policy.model import Hardening
from tests.support.mkelf import Spec, mkelf

ALL = frozenset(Hardening)
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
HARD = ("-O2", "-pie", "-fPIE", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack", "-fstack-protector-all")
SOFT = {
    Hardening.PIE: ("-no-pie", "-fno-PIE"),
    Hardening.RELRO: ("-Wl,-z,norelro",),
    Hardening.BIND_NOW: ("-Wl,-z,lazy",),
    Hardening.NX: ("-Wl,-z,execstack",),
    Hardening.CANARY: ("-fno-stack-protector",),
    Hardening.RPATH: ("-Wl,-rpath,/tmp/lib",),
}


@pytest.mark.parametrize("soft", [None, *Hardening], ids=lambda one: one.value if one else "everything")
@needs_gcc
def test_a_program_built_without_a_protection_lacks_it(tmp_path: Path, soft: Hardening | None) -> None:
    source, program = tmp_path / "a.c", tmp_path / "a"
    source.write_text("#include <stdio.h>\nint main(void) { char b[64]; return fgets(b, 64, stdin) == 0; }\n")
    flags = [*HARD, *(SOFT[soft] if soft is not None else ())]
    subprocess.run(["gcc", *flags, "-w", "-o", str(program), str(source)], check=True)
    assert lacking(program.read_bytes(), ALL) == (() if soft is None else (soft,))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(57), b"#!/bin/sh\n"],
    ids=["nothing", "a magic alone", "an empty header", "a script"],
)
def test_what_is_no_program_lacks_nothing(content: bytes) -> None:
    assert lacking(content, ALL) == ()


def test_only_what_is_asked_for_is_said() -> None:
    library = mkelf(Spec())
    assert Hardening.RELRO in lacking(library, ALL)
    assert lacking(library, frozenset({Hardening.PIE})) == ()
