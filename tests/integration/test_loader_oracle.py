"""The real dynamic loader and the real ldconfig of this machine judge the closure and the cache."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.elf.closure import ElfClosure, Resolver, elf_closure
from builder.elf.facts import ElfFacts
from builder.elf.ldcache import cache_for, read_cache
from builder.sysroot import Sysroot
from tests.support import musl_cases
from tests.support.hostroot import host_sysroot
from tests.support.ldso import Trace, can_chroot, trace, trace_musl, write_tree
from tests.support.loader_cases import CASES, LOADER, Case, bodies
from tests.support.mkelf import GLIBC_X86_64, Files, sysroot_of

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(
        platform.machine() != "x86_64" or not Path(GLIBC_X86_64).exists(),
        reason="the judge is glibc's loader for x86-64",
    ),
]

_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/lib", "/usr/lib", "/usr/libexec")
_SETTINGS = (
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr/lib64",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
)
_SAMPLE = 700
_PROGRAMS = ("/usr/bin/", "/usr/sbin/", "/usr/local/bin/")
_LIBRARIES = ("/usr/lib/x86_64-linux-gnu/", "/usr/lib64/")


@pytest.fixture(scope="module")
def host() -> Sysroot:
    return host_sysroot((*_FOLDERS, *_SETTINGS, *_configured()))


def _configured() -> Iterator[str]:
    for file in (Path("/etc/ld.so.conf"), *Path("/etc/ld.so.conf.d").glob("*.conf")):
        lines = file.read_text().splitlines() if file.exists() else []
        yield from (line for line in lines if line.startswith("/") and Path(line).is_dir())


def _real(paths: tuple[str, ...], root: str) -> set[str]:
    loader = str(Path(GLIBC_X86_64).resolve())
    return {str(Path(path).resolve()) for path in paths} - {loader, root}


def _ours(closure: ElfClosure, root: str) -> set[str]:
    return {edge.provider for edge in closure.edges} - {str(Path(GLIBC_X86_64).resolve()), root}


def test_closures_of_this_machines_programs_are_those_of_the_loader(host: Sysroot) -> None:
    facts = ElfFacts(None)
    programs = [
        node.path
        for node, elf in facts.elf_nodes(node for node in host if node.path.startswith(_PROGRAMS))
        if elf.interpreter == GLIBC_X86_64
    ]
    libraries = [
        node.path
        for node, elf in facts.elf_nodes(node for node in host if node.path.startswith(_LIBRARIES))
        if elf.dynamic and elf.interpreter is None and elf.machine == 62 and elf.elf_class == 64
    ]
    step = max(1, 4 * len(libraries) // _SAMPLE)
    chosen = [*programs[: _SAMPLE * 3 // 4], *sorted(libraries)[::step]]
    resolver = Resolver(host, facts)
    differences: list[str] = []
    for path in chosen:
        told = trace(path)
        closure = resolver.closure([path])
        missing = {missing.name for missing in closure.missing}
        if _real(told.opened, path) != _ours(closure, path) or set(told.missing) != missing:
            opened = _real(told.opened, path) ^ _ours(closure, path)
            differences.append(f"{path}: {opened} {set(told.missing) ^ missing} {told.error}")
    assert differences == []


def test_the_cache_lists_what_ldconfig_lists_in_its_order(host: Sysroot) -> None:
    real = Path("/etc/ld.so.cache")
    ours = cache_for(host, ElfFacts(None))
    if not real.exists() or ours is None:
        pytest.skip("this machine has no cache")
    first: dict[tuple[str, int], str] = {}
    for entry in read_cache(real.read_bytes()):
        if host.lookup(entry.path).node is not None:
            first.setdefault((entry.name, entry.flags), entry.path)
    listed = {(entry.name, entry.flags): entry.path for entry in read_cache(ours)}
    # The machine's cache may be older than its files: what both list must agree, in path and in order.
    both = listed.keys() & first.keys()
    assert len(both) > 0.9 * len(first)
    assert {name: listed[name] for name in both} == {name: first[name] for name in both}
    assert [name for name in listed if name in both] == [name for name in first if name in both]


@pytest.mark.parametrize("form", ["new", "compat"])
def test_what_ldconfig_writes_in_any_form_is_read(form: str, tmp_path: Path) -> None:
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin")
    if ldconfig is None:
        pytest.skip("this machine has no ldconfig")
    library = next(Path("/lib/x86_64-linux-gnu").glob("libz.so.1")).read_bytes()
    for folder in ("lib", "lib/glibc-hwcaps/x86-64-v3", "lib64", "usr/lib", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("lib", "lib/glibc-hwcaps/x86-64-v3"):
        (tmp_path / folder / "libz.so.1").write_bytes(library)
    subprocess.run([ldconfig, "-X", "-c", form, "-r", str(tmp_path)], check=True, capture_output=True)
    listed = read_cache((tmp_path / "etc/ld.so.cache").read_bytes())
    assert [(entry.name, entry.path, entry.hwcap) for entry in listed] == [
        ("libz.so.1", "/lib/glibc-hwcaps/x86-64-v3/libz.so.1", "x86-64-v3"),
        ("libz.so.1", "/lib/libz.so.1", ""),
    ]


def test_ldconfig_prints_our_cache(host: Sysroot, tmp_path: Path) -> None:
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin")
    ours = cache_for(host, ElfFacts(None))
    if ldconfig is None or ours is None:
        pytest.skip("this machine has no ldconfig")
    file = tmp_path / "cache"
    file.write_bytes(ours)
    printed = subprocess.run(
        [ldconfig, "-p", "-C", str(file)], capture_output=True, check=True
    ).stdout.decode()
    entries = read_cache(ours)
    assert printed.splitlines()[0].startswith(f"{len(entries)} libs found in cache")
    assert [line.partition(" => ")[2] for line in printed.splitlines()[1:-1]] == [
        entry.path for entry in entries
    ]
    assert printed.splitlines()[-1] == "Cache generated by: rootlet"


_JUDGED = [case for case in CASES if case.judged]


@pytest.mark.parametrize("case", _JUDGED, ids=[case.sentence for case in _JUDGED])
def test_the_loader_does_what_the_case_says(case: Case, tmp_path: Path) -> None:
    loader: Files = {LOADER: Path(GLIBC_X86_64).read_bytes(), GLIBC_X86_64: LOADER}
    sysroot = sysroot_of({**loader, **bodies(case)}, tmp_path / "store")
    folder = tmp_path / "root"
    folder.mkdir()
    if not can_chroot(folder):
        pytest.skip("this machine gives plain users no namespace to chroot in")
    write_tree(sysroot, folder)
    cache = cache_for(sysroot, ElfFacts(None))
    if cache is not None:
        (folder / "etc").mkdir(exist_ok=True)
        (folder / "etc/ld.so.cache").write_bytes(cache)
    told = trace(case.root, folder=folder)
    if case.stops:
        assert told.status != 0
        assert case.missing[0] in told.error
        return
    assert _seen(told, sysroot) == set(case.opens) - {case.root}
    assert set(told.missing) == {*case.missing, *case.optional}


def _seen(told: Trace, sysroot: Sysroot) -> set[str]:
    return {sysroot.lookup(path).path for path in told.opened} - {LOADER}


_MUSL = [case for case in musl_cases.CASES if case.judged]


@pytest.mark.skipif(not Path(musl_cases.LOADER).exists(), reason="this machine has no musl")
@pytest.mark.parametrize("case", _MUSL, ids=[case.sentence for case in _MUSL])
def test_musls_loader_does_what_the_case_says(case: Case, tmp_path: Path) -> None:
    loader: Files = {musl_cases.LOADER: Path(musl_cases.LOADER).read_bytes()}
    sysroot = sysroot_of({**loader, **bodies(case)}, tmp_path / "store")
    folder = tmp_path / "root"
    folder.mkdir()
    if not can_chroot(folder):
        pytest.skip("this machine gives plain users no namespace to chroot in")
    write_tree(sysroot, folder)
    told = trace_musl(case.root, loader=musl_cases.LOADER, folder=folder)
    seen = {sysroot.lookup(path).path for path in told.opened} - {musl_cases.LOADER}
    assert seen == set(case.opens) - {musl_cases.LOADER}
    assert set(told.missing) == set(case.missing)


def test_the_loader_reads_a_whole_image_through_our_cache_alone(tmp_path: Path, host: Sysroot) -> None:
    facts = ElfFacts(None)
    program = next(path for path in ("/usr/bin/git", "/usr/bin/ls") if host.get(path))
    closure = elf_closure(program, host, facts)
    paths = {program, *(edge.provider for edge in closure.edges)}
    links = {link.path: link for edge in closure.edges for link in edge.links}
    image = Sysroot([*(node for node in host if node.path in paths), *links.values()])
    folder = tmp_path / "root"
    folder.mkdir()
    if not can_chroot(folder):
        pytest.skip("this machine gives plain users no namespace to chroot in")
    write_tree(image, folder)
    (folder / "etc").mkdir(exist_ok=True)
    (folder / "etc/ld.so.cache").write_bytes(cache_for(image, facts, configuration=host) or b"")
    told = trace(program, folder=folder)
    assert (told.status, told.missing) == (0, ())
    assert {image.lookup(path).path for path in told.opened} == paths - {program}
