"""Whole Debian systems, installed for real."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.tools import available_memory, need

# Bootstrapping is thousands of small files: in memory where root may mount, and never waiting for the disk.
_MEMORY = 3 << 30
_IN_MEMORY = 'mount -t tmpfs -o mode=0755 tmpfs "$0" && export TMPDIR="$0"; exec "$@"'


def bootstrap(tar: Path, suite: str, *options: str) -> Path:
    """Install ``suite`` with mmdebstrap's ``options``; give the archive ``tar``."""
    need("mmdebstrap")
    command = ["mmdebstrap", "--quiet", "--dpkgopt=force-unsafe-io", *options, suite, str(tar)]
    subprocess.run([*_in_memory(tar.parent), *command], check=True, timeout=900)
    return tar


def _in_memory(folder: Path) -> list[str]:
    """A prefix for commands; empty where the machine does not have it."""
    may_mount = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)
    if available_memory() < _MEMORY or may_mount.returncode:
        return []
    place = folder / "memory"
    place.mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-c", _IN_MEMORY, str(place)]
