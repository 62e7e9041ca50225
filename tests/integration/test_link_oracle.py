"""The real dynamic loader judges the link check: ``ldd -r`` on this machine's programs and shared objects."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.elf.closure import Resolver
from builder.elf.facts import ElfFacts
from builder.sysroot import Sysroot
from builder.verify.link import _Check
from tests.support.hostroot import host_sysroot
from tests.support.mkelf import GLIBC_X86_64

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(
        platform.machine() != "x86_64" or not Path(GLIBC_X86_64).exists(),
        reason="the judge is glibc's loader for x86-64",
    ),
]

_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/lib", "/usr/lib", "/usr/libexec")
_SETTINGS = ("/bin", "/sbin", "/lib", "/lib64", "/usr/lib64", "/etc/ld.so.cache", "/etc/alternatives")
_PROGRAMS = int(os.environ.get("LINK_ORACLE_PROGRAMS", "250"))
_LIBRARIES = int(os.environ.get("LINK_ORACLE_LIBRARIES", "250"))
_UNDEFINED = re.compile(r"undefined symbol: ([^\s,]+)(?:, version (\S+))?\s*\(([^)]*)\)")
_VERSION = re.compile(r"version `([^']*)' not found \(required by (.*)\)")


@pytest.fixture(scope="module")
def host() -> Sysroot:
    return host_sysroot((*_FOLDERS, *_SETTINGS))


def _told(path: str) -> tuple[set[str], set[str], bool]:
    """Undefined symbols and missing versions, and whether a library is missing."""
    finished = subprocess.run(
        [GLIBC_X86_64, path],
        env={"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "yes"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    text = (finished.stdout + finished.stderr).decode("utf-8", "surrogateescape")
    symbols = {name + (f"@{version}" if version else "") for name, version, _ in _UNDEFINED.findall(text)}
    return symbols, {version for version, _ in _VERSION.findall(text)}, "not found" in text and "=>" in text


def _ours(path: str, host: Sysroot, facts: ElfFacts, resolver: Resolver) -> tuple[set[str], set[str]]:
    check = _Check(host, facts, resolver)
    check.judge(check.places([path], plugins=False))
    symbols: set[str] = set()
    versions: set[str] = set()
    for problem in check.problems.values():
        (symbols if problem.message.startswith("undefined") else versions).add(problem.name)
    return symbols, versions


def _spread(paths: list[str], count: int) -> list[str]:
    return sorted(paths)[:: max(1, len(paths) // count)][:count]


def _differences(paths: list[str], host: Sysroot, facts: ElfFacts) -> Iterator[str]:
    resolver = Resolver(host, facts, installed_cache=True)
    for path in paths:
        symbols, versions, missing = _told(path)
        ours, our_versions = _ours(path, host, facts, resolver)
        if missing:
            continue  # ours says nothing of symbols then
        if ours != symbols or our_versions != versions:
            yield f"{path}: {sorted(ours ^ symbols)[:6]} {our_versions ^ versions}"


def test_programs_lack_what_the_loader_says_they_lack(host: Sysroot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.verify.link._MOST_SYMBOLS", 1 << 20)
    facts = ElfFacts(None)
    programs = [
        node.path
        for node, elf in facts.elf_nodes(host)
        if elf.interpreter == GLIBC_X86_64 and not elf.is_library and node.mode & 0o111
    ]
    assert list(_differences(_spread(programs, _PROGRAMS), host, facts)) == []


def test_shared_objects_lack_what_the_loader_says_they_lack(
    host: Sysroot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.verify.link._MOST_SYMBOLS", 1 << 20)
    facts = ElfFacts(None)
    libraries = [
        node.path
        for node, elf in facts.elf_nodes(host)
        if elf.is_library and elf.target == (62, 64, True) and elf.needed
    ]
    assert list(_differences(_spread(libraries, _LIBRARIES), host, facts)) == []
