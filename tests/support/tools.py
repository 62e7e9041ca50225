"""Programs of the machine that tests use, and folders they share."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108 (each run makes a folder of its own there)
_ROOMY = "rootlet-tests"
_PLENTY = 8 << 30
"""Bytes that must be free: two workers fill a tenth of it each."""
REPOSITORY = Path(__file__).resolve().parents[2]


def need(*programs: str) -> None:
    """Skip the test when a program is missing (a machine that claims to be complete fails then)."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def of_environment(program: str) -> str:
    """A program that a Python package brings: beside this Python, else on the PATH; skips where it is not."""
    beside = Path(sys.executable).with_name(program)
    if beside.exists():
        return str(beside)
    need(program)
    return program


def shared_folder() -> Path:
    """The folder with real vulnerability data and the oracle; skips where it is absent."""
    folder = Path(os.environ.get("ROOTLET_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        pytest.skip("needs the shared folder of vulnerability data (ROOTLET_SHARED)")
    return folder


def cache_folder() -> Path:
    """The machine's own package cache: tests that only need real packages fetch each of them once."""
    return Path(os.environ.get("ROOTLET_CACHE") or Path.home() / ".cache/rootlet")


@contextlib.contextmanager
def roomy(folder: Path) -> Iterator[Path]:
    """Give ``folder``, or one in memory where the machine has plenty: for thousands of small files.

    It is removed at the end, and so are those that killed runs left.
    """
    if not _has_room(_MEMORY):
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in _MEMORY.glob(f"{_ROOMY}-*"):
        if not Path("/proc", path.name.split("-")[2]).exists():
            shutil.rmtree(path, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"{_ROOMY}-{os.getpid()}-", dir=_MEMORY))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    free = min(found.f_bavail * found.f_frsize, available_memory())
    return free > _PLENTY and not found.f_flag & os.ST_NOEXEC


def available_memory() -> int:
    """Bytes of memory that programs may take; 0 where that is not known."""
    try:
        text = Path("/proc/meminfo").read_text("ascii")
    except OSError:
        return 0
    match = re.search(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) << 10 if match else 0


def full_run() -> bool:
    """Whether ROOTLET_FULL asks for everything, however long it takes."""
    return bool(os.environ.get("ROOTLET_FULL"))


def python_of_all() -> str:
    """A Python of this version that other users may start; skips where there is none."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"):
        path = Path(candidate).resolve()
        if not path.exists() or not all(parent.stat().st_mode & 0o001 for parent in path.parents):
            continue
        version = [candidate, "-c", "import sys; print(sys.version_info[:2])"]
        shown = subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip()
        if shown == str(sys.version_info[:2]):
            return candidate
    pytest.skip("needs a Python outside of root's folders")


def python_path() -> str:
    """PYTHONPATH with which another Python finds this checkout and the libraries of this environment."""
    return os.pathsep.join([str(REPOSITORY), *(path for path in sys.path if path.endswith("-packages"))])


def rootlet(
    *arguments: str | Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
    prefix: Sequence[str] = (),
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does; shows both outputs when the exit code is another than expected."""
    done = subprocess.run(
        [*prefix, python, "-m", "builder", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": python_path(), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
