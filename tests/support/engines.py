"""Builders of Dockerfiles: buildah with a storage of its own, and Debian's Docker in a daemon of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.tools import need

DOCKER = "/usr/bin/docker"
"""Debian's client; another ``docker`` may come first on the PATH."""
_WAIT = 30.0
_ROOM = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Buildah:
    """buildah with its storage in ``folder``, whose path must be short."""

    folder: Path

    def build(self, dockerfile: Path, context: Path, to: Path) -> None:
        """Build into the docker-archive ``to``: the one form that keeps health checks."""
        self.run(
            "bud",
            "--isolation",
            "chroot",
            "--layers=false",
            "--identity-label=false",
            "--format",
            "docker",
            "--tls-verify=false",
            "-t",
            f"docker-archive:{to}",
            "-f",
            str(dockerfile),
            str(context),
        )

    def run(self, *arguments: str) -> str:
        """Run a command of buildah's; its output."""
        storage = ["--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run"]
        command, *rest = arguments
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        return checked(["buildah", *storage, command, *rest], environment)


@dataclass(frozen=True, kw_only=True)
class Docker:
    """A Docker daemon at ``socket``."""

    socket: Path

    def build(self, dockerfile: Path, context: Path, to: Path, *, buildkit: bool) -> None:
        """Build with the classic builder or BuildKit into the docker-archive ``to``."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "1" if buildkit else "0"}
        name = f"rootlet-test-{os.urandom(4).hex()}"
        client = [DOCKER, "-H", f"unix://{self.socket}"]
        checked(
            [*client, "build", "--network", "none", "-q", "-t", name, "-f", str(dockerfile), str(context)],
            environment,
        )
        checked([*client, "save", "-o", str(to), name], environment)
        checked([*client, "rmi", "-f", name], environment)
        checked([*client, "builder", "prune", "-af"], environment)  # all of it is in memory


def checked(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command; its output, which is shown when it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextlib.contextmanager
def buildah() -> Iterator[Buildah]:
    """A storage that is gone afterwards."""
    need("buildah")
    folder = _folder("rlb-")
    try:
        yield Buildah(folder=folder)
    finally:
        _unmount(folder)
        subprocess.run(
            ["buildah", "unshare", "rm", "-rf", folder] if os.geteuid() else ["rm", "-rf", folder],
            check=False,
        )


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """A daemon without networks for containers, ended by its number. Skips where there can be none."""
    need("dockerd")
    if os.geteuid() != 0:
        pytest.skip("needs root: a Docker daemon")
    folder = _folder("rld-")
    quiet = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--log-level=warn"]
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [shutil.which("dockerd") or "", *quiet, *places, "-H", f"unix://{folder}/socket"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(daemon, folder)
        yield Docker(socket=folder / "socket")
    finally:
        _stop(daemon)
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _folder(prefix: str) -> Path:
    """A short path, in memory where there is room: engines unpack thousands of files."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder of its own inside)
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else None))


def _wait(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + _WAIT
    while time.monotonic() < until and daemon.poll() is None:
        asked = subprocess.run(
            [DOCKER, "-H", f"unix://{folder}/socket", "version"], capture_output=True, check=False
        )
        if asked.returncode == 0:
            return
        time.sleep(0.1)
    pytest.fail(f"the Docker daemon did not start:\n{(folder / 'log').read_text()[-3000:]}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _unmount(folder: Path) -> None:
    for line in Path("/proc/self/mounts").read_text().splitlines()[::-1]:
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], check=False)
