"""Programs of the machine that tests use, and folders they share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

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
