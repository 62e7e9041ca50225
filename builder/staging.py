"""Folders for work in progress that leave no litter: removed at the end, and by the next run after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from builder.files import IN_PROGRESS

_PREFIX = IN_PROGRESS
_LOCK = "lock"
_NAME = re.compile(r"\.rootlet-[0-9a-f]{16}")


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A new folder inside ``parent``, gone afterwards; ``parent`` goes too if it was made here and is empty.

    The folder holds a lock as long as its process lives. Folders whose lock is free were left by a process
    that was killed: they are removed first.
    """
    made = _missing(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        with _locked_folder(parent) as folder:
            work = folder / "work"
            work.mkdir()
            yield work
    finally:
        for empty in made:
            with contextlib.suppress(OSError):  # something was written there, so it stays
                empty.rmdir()


@contextlib.contextmanager
def _locked_folder(parent: Path) -> Iterator[Path]:
    while True:
        folder = parent / f"{_PREFIX}{os.urandom(8).hex()}"
        folder.mkdir(mode=0o700)
        try:
            lock = _lock(folder)
            if lock is not None:
                with lock:
                    yield folder
                return
        finally:
            remove_tree(folder)


def _lock(folder: Path) -> BinaryIO | None:
    """The lock of a new folder; None when another process took it for abandoned before it was locked."""
    try:
        lock = (folder / _LOCK).open("xb")
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.fstat(lock.fileno()).st_nlink:
        return lock
    lock.close()
    return None


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it as far as that is possible, folders that forbid it included."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.is_dir():
        return
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    for parent, folders, _ in os.walk(os.fsencode(folder)):  # from the top: what is opened can be walked
        for name in folders:
            path = os.path.join(parent, name)  # noqa: PTH118 (bytes: names need not be UTF-8)
            if not os.path.islink(path):  # noqa: PTH114 (as above)
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)  # noqa: PTH101 (as above)
    shutil.rmtree(folder, ignore_errors=True)


def _missing(folder: Path) -> list[Path]:
    """Folders from ``folder`` upwards that are not there, innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        if _NAME.fullmatch(folder.name):
            with contextlib.suppress(OSError):
                _remove_if_free(folder)


def _remove_if_free(folder: Path) -> None:
    with contextlib.suppress(OSError):  # refused where there is a lock
        folder.rmdir()  # killed before there was one
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(folder)
    finally:
        os.close(descriptor)
