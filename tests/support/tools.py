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


def rootlet(
    *arguments: str | Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
    prefix: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does; shows both outputs when the exit code is another than expected."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "builder", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
