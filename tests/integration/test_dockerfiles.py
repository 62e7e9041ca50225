"""Dockerfiles that rootlet writes, built by others: the same files and configuration as rootlet's images."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import engines
from tests.support.registry import real_registry
from tests.support.tools import REPOSITORY, full_run, need, rootlet

pytestmark = [pytest.mark.network, pytest.mark.tools]

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.toml"))
SAMPLE = ("busybox", "caddy", "nginx", "python", "sftp")
"""Of every kind: links, a CA bundle, settings, thousands of paths, accounts and setgid programs."""
DOCKER_SAMPLE = ("busybox", "memcached", "nginx", "ripgrep", "rsync", "sqlite3")

# Debian's Essential packages: what Debian's own image has besides apt.
ESSENTIAL = (
    *(
        "base-files",
        "base-passwd",
        "bash",
        "bsdutils",
        "coreutils",
        "dash",
        "debianutils",
        "diffutils",
        "dpkg",
    ),
    *("findutils", "grep", "gzip", "hostname", "init-system-helpers", "libc-bin", "ncurses-bin", "perl-base"),
    *("sed", "sysvinit-utils", "tar", "util-linux"),
)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A folder with vulnerability data, and a registry with the image that unpacks packages."""

    folder: Path
    unpack: str
    buildah: engines.Buildah

    def dockerfile(self, recipe: Path, folder: Path, *options: str) -> Path:
        """Write the Dockerfile of a recipe."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "Dockerfile"
        rootlet(
            "dockerfile", recipe, "-q", "-o", path, "--unpack-image", self.unpack, *options, cwd=self.folder
        )
        return path

    def same(self, recipe: Path, image: Path, *options: str) -> None:
        """Hold an image against what rootlet would build, times included."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "builder"),
                "diff",
                "-q",
                "--exit-code",
                "--times",
                recipe,
                f"docker-archive:{image}",
                *options,
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr
        assert "\nidentical: " in done.stdout


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Debian's Essential packages as an image (by rootlet itself) in a registry on the loopback."""
    need("skopeo", "buildah", "docker-registry")
    folder = tmp_path_factory.mktemp("dockerfiles")
    (folder / "debian.toml").write_text(
        'schema = 1\nname = "debian"\nsuite = "trixie"\ncmd = ["/bin/bash"]\n'
        f'packages = {json.dumps(ESSENTIAL)}\n[scan]\nfail_on = "none"\nmax_database_age = "any"\n'
    )
    rootlet("database", "--database", folder / "db", "import", REPOSITORY / "tests/data/osv", cwd=folder)
    rootlet(
        "build", "debian.toml", "--database", "db", "--unscannable", "warn", "--to", "oci:debian", cwd=folder
    )
    with real_registry(folder) as address, engines.buildah() as builder:
        name = f"{address}/library/debian:trixie-slim"
        engines.checked(
            [
                "skopeo",
                "copy",
                "-q",
                "--preserve-digests",
                "--dest-tls-verify=false",
                f"oci:{folder}/debian:latest",
                f"docker://{name}",
            ]
        )
        digest = json.loads((folder / "debian/index.json").read_text())["manifests"][0]["digest"]
        yield Bench(folder=folder, unpack=f"{name}@{digest}", buildah=builder)


@pytest.fixture(scope="module")
def docker() -> Iterator[engines.Docker]:
    with engines.docker() as daemon:
        yield daemon


@pytest.mark.parametrize("name", RECIPES if full_run() else SAMPLE)
def test_buildah_makes_what_rootlet_makes(name: str, bench: Bench, tmp_path: Path) -> None:
    recipe = REPOSITORY / f"recipes/{name}.toml"
    dockerfile = bench.dockerfile(recipe, tmp_path)
    bench.buildah.build(dockerfile, tmp_path, tmp_path / "image.tar")
    bench.same(recipe, tmp_path / "image.tar")


@pytest.mark.parametrize("builder", ["classic", "buildkit"])
@pytest.mark.parametrize("name", RECIPES if full_run() else DOCKER_SAMPLE)
def test_docker_makes_what_rootlet_makes(
    name: str, builder: str, bench: Bench, docker: engines.Docker, tmp_path: Path
) -> None:
    recipe = REPOSITORY / f"recipes/{name}.toml"
    dockerfile = bench.dockerfile(recipe, tmp_path)
    docker.build(dockerfile, tmp_path, tmp_path / "image.tar", buildkit=builder == "buildkit")
    bench.same(recipe, tmp_path / "image.tar")
