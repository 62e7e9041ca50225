"""Real packages of several machines: rootlet's closures are those of the real loader, file by file.

A sample, in a minute; more with ROOTLET_FULL=1, and everything as CONTRIBUTING.md says.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from builder.connections import NotFoundError
from builder.elf.loader import Flavour
from builder.sysroot import Sysroot
from tests.oracle.compare import Question, _differences, compare, read_explained
from tests.oracle.corpus import FOREIGN, PACKAGES, SAMPLE, Corpus, fetch, write_root
from tests.oracle.judge import Judge, Verdict
from tests.oracle.musl import NPM, WHEELS, musl_root
from tests.support.ldso import can_chroot
from tests.support.tools import cache_folder, full_run

pytestmark = [
    pytest.mark.network,
    pytest.mark.tools,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the judges are x86-64's loaders and qemu's"),
]


def _step(count: int, wanted: int) -> int:
    """Every how many-th file is asked for: an emulator makes a question some ten times as dear."""
    return 1 if full_run() else max(1, count // wanted)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    if not can_chroot(root):
        pytest.skip("this machine gives plain users no namespace to chroot in")
    return root


def test_a_sample_of_packages(folder: Path) -> None:
    packages = PACKAGES if full_run() else SAMPLE
    paths = write_root(fetch(Corpus(packages=packages), cache_folder()), folder)
    figures = compare(folder, paths)
    assert figures.disagreements == []
    assert figures.compared > 1000
    assert figures.libraries > 5 * figures.compared


def _foreign(machine: str) -> Sysroot:
    """The packages of another machine: a mirror may list a rare machine's update before it has the file."""
    newest, older = (
        Corpus(packages=FOREIGN, suite=suite, platform=f"linux/{machine}") for suite in ("trixie", "bookworm")
    )
    try:
        return fetch(newest, cache_folder())
    except NotFoundError:
        return fetch(older, cache_folder())


@pytest.mark.parametrize(
    ("machine", "emulator"),
    [("arm64", "aarch64"), ("s390x", "s390x")],
    ids=["another machine", "the other byte order"],
)
def test_packages_of(machine: str, emulator: str, folder: Path) -> None:
    qemu = Path(f"/usr/bin/qemu-{emulator}-static")
    if not qemu.exists():
        pytest.skip("qemu-user-static is not installed")
    paths = write_root(_foreign(machine), folder)
    figures = compare(folder, paths[:: _step(len(paths), 110)], emulator=qemu)
    assert figures.disagreements == []
    assert figures.compared > 100


def test_objects_for_musl(folder: Path, tmp_path: Path) -> None:
    wheels = WHEELS if full_run() else WHEELS[:2]
    paths = musl_root(folder, cache_folder(), tmp_path / "site", wheels=wheels, npm=NPM[:2])
    if not paths:
        pytest.skip("no package index can be reached")
    figures = compare(folder, paths, flavour=Flavour.MUSL)
    assert figures.disagreements == []
    assert figures.compared > 30


def test_every_explained_difference_has_its_reason() -> None:
    for one in read_explained():
        assert one.files
        assert one.names
        assert len(one.reason) > 20


def test_the_judge_does_find_differences(folder: Path) -> None:
    from builder.elf.scope import MissingLibrary, Scope  # noqa: PLC0415 (for this test alone)
    from builder.sources.folder import FolderSysroot  # noqa: PLC0415 (as above)

    lost = MissingLibrary(dependent="/p", name="libm.so", searched=(), chain=())
    scope = Scope(root="/p", interpreter=None, libraries=("/a", "/b"), variants=(), missing=(lost,))
    question = Question(path="/p", flavour=Flavour.GLIBC, loader="/ld", scope=scope)

    def told(*opened: str, missing: tuple[str, ...] = ("libm.so",)) -> list[str]:
        verdict = Verdict(opened=opened, missing=missing, fatal="", status=0, error="")
        return _differences(question, verdict, FolderSysroot(folder))

    assert told("/a", "/ld", "/b") == []
    assert told("/b", "/a") == ["order"]
    assert told("/a") == ["+/b"]
    assert told("/a", "/b", "/c") == ["-/c"]
    assert told("/a", "/b", missing=()) == ["not found here: libm.so"]
    assert told("/a", "/b", missing=("libm.so", "libx.so")) == ["not found there: libx.so"]


def test_the_judge_survives_what_it_cannot_start(folder: Path) -> None:
    with Judge(folder) as judge:
        verdict = judge.glibc("/none", "/none")
    assert verdict.status == 127
    assert os.strerror(2) in verdict.error
