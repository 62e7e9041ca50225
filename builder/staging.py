"""Folders for work in progress that leave no litter: removed at the end, and by the next run after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".rootlet-"
_LOCK = "lock"


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A new folder inside ``parent``, gone afterwards; ``parent`` goes too if it was made here and is empty.

    The folder holds a lock as long as its process lives. Folders whose lock is free were left by a process
    that was killed: they are removed first.
    """
    made = _make(parent)
    _remove_abandoned(parent)
    folder = parent / f"{_PREFIX}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        with (folder / _LOCK).open("xb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            work = folder / "work"
            work.mkdir()
            yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for empty in made:
            with contextlib.suppress(OSError):  # something was written there, so it stays
                empty.rmdir()


def _make(folder: Path) -> list[Path]:
    """Create ``folder``; the folders that were missing, innermost first."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            _remove_if_free(folder)


def _remove_if_free(folder: Path) -> None:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
