"""The machine's own Debian mirror: lock, acquire and lay out a real package on two architectures."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from builder.engine.command import MachineRunner
from builder.lock import Extra
from builder.oci import Platform
from builder.progress import Silent
from builder.recipe.source_model import DebianSource
from builder.sources.debian.apt_sources import Mirrors, machine_mirrors
from builder.sources.debian.archive import (
    DebianArchive,
    Effects,
    Freshness,
    acquire,
    archive_state,
    lock,
    merged_tree,
)
from builder.sysroot import Kind, read_content
from builder.transport import Transport

pytestmark = pytest.mark.network

DAY = Freshness(max_age=86400.0)
EXTRA = (Extra("base-files", "every image"),)
PROXIES = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
EFFECTS = Effects(
    transport=lambda: Transport(progress=Silent(), proxies=PROXIES),
    runner=MachineRunner(os.environ),
    clock=time.time,
    progress=Silent(),
)


@pytest.fixture(scope="module")
def mirrors() -> Mirrors:
    found = machine_mirrors()
    if found is None:
        pytest.skip("this machine has no apt sources of Debian's archive")
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def apt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apt")


def archive_of(
    mirrors: Mirrors, cache: Path, platform: str, *packages: str, suite: str = "trixie"
) -> DebianArchive:
    source = DebianSource(name="os", suite=suite, packages=packages)
    return DebianArchive(source=source, platform=Platform.parse(platform), mirrors=mirrors, cache=cache)


@pytest.mark.parametrize(
    ("platform", "loader", "triplet"),
    [
        ("linux/amd64", "/lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
        ("linux/arm64", "/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
    ],
)
def test_redis_from_lock_to_tree(
    mirrors: Mirrors, cache: Path, platform: str, loader: str, triplet: str
) -> None:
    archive = archive_of(mirrors, cache, platform, "redis-server")
    locked = lock(archive, DAY, EFFECTS, extra=EXTRA)
    names = {one.name for one in locked}
    assert {
        "redis-server",
        "redis-tools",
        "libc6",
        "libssl3t64",
        "libgcc-s1",
        "zlib1g",
        "base-files",
    } <= names
    assert {"libc-bin", "dpkg", "systemd"}.isdisjoint(names)
    assert [one.name for one in locked if one.requested] == ["redis-server"]
    packages = acquire(locked, cache=cache, freshness=DAY, effects=EFFECTS)
    tree = merged_tree(packages)
    for path in ("/usr/bin/redis-server", loader, f"/lib/{triplet}/libc.so.6"):
        node = tree.lookup(path).node
        assert node is not None
        assert node.content is not None
        assert read_content(node.content)[:4] == b"\x7fELF"
    top = tree.get("/lib")
    assert top is not None
    assert top.kind is Kind.SYMLINK
    # The second time nothing is asked, fetched or unpacked.
    assert archive_state(archive, DAY, EFFECTS) is not None
    start = time.perf_counter()
    assert lock(archive, DAY, EFFECTS, extra=EXTRA) == locked
    assert acquire(locked, cache=cache, freshness=DAY, effects=EFFECTS) == packages
    assert time.perf_counter() - start < 0.5


def test_oldstable_needs_no_other_keys(mirrors: Mirrors, cache: Path) -> None:
    locked = lock(archive_of(mirrors, cache, "linux/amd64", "libc6", suite="bookworm"), DAY, EFFECTS)
    assert {one.name for one in locked} == {"gcc-12-base", "libc6", "libgcc-s1"}


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")
@pytest.mark.parametrize(
    "package", ["redis-server", "nginx", "python3-flask", "curl", "sqlite3", "postgresql-17"]
)
def test_the_choice_is_apts(mirrors: Mirrors, cache: Path, apt_folder: Path, package: str) -> None:
    locked = lock(archive_of(mirrors, cache, "linux/amd64", package), DAY, EFFECTS)
    chosen = {f"{one.name} {one.version}" for one in locked}
    assert chosen == apt_choice(mirrors, apt_folder, package)


def apt_choice(mirrors: Mirrors, folder: Path, package: str) -> set[str]:
    """What apt-get would install on an empty system, without Recommends and without Essential packages."""
    lists = folder / "var/lib/lists"
    for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/cache", "var/lib/dpkg"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "var/lib/dpkg/status").write_text("")
    signed = " ".join(map(str, mirrors.keyrings))
    (folder / "etc/apt/sources.list").write_text(
        "".join(
            f"deb [signed-by={signed.replace(' ', ',')}] {mirror} {suite} main\n"
            for mirror, suite in (
                (mirrors.main, "trixie"),
                (mirrors.main, "trixie-updates"),
                (mirrors.security, "trixie-security"),
            )
        )
    )
    options = {
        "Dir": str(folder),
        "Dir::State": str(folder / "var/lib"),
        "Dir::State::lists": str(lists),
        "Dir::State::status": str(folder / "var/lib/dpkg/status"),
        "Dir::Cache": str(folder / "var/cache"),
        "Dir::Etc": str(folder / "etc/apt"),
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "pkgCacheGen::ForceEssential": "none",
        "Acquire::Languages": "none",
    }
    arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    if not lists.exists():
        (lists / "partial").mkdir(parents=True)
        subprocess.run(
            ["apt-get", *arguments, "update"], check=True, capture_output=True
        )  # the judge, not the product
    finished = subprocess.run(
        ["apt-get", *arguments, "-s", "install", package], check=True, capture_output=True, text=True
    )
    installed = (line.split() for line in finished.stdout.splitlines() if line.startswith("Inst "))
    return {f"{words[1].partition(':')[0]} {words[2].lstrip('(')}" for words in installed}
