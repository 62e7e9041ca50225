"""Which containers belong to which running process; those of processes that are gone are to be removed.

<folder>/<name>.lock    one for each room, named like its container, locked as long as its process lives
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "rootlet-"
_NAME = re.compile(rf"{_PREFIX}[0-9a-f]{{16}}")


@contextlib.contextmanager
def container_name(folder: Path) -> Iterator[str]:
    """A new container's name, written down before there is a container; forgotten when the block ends.

    Whoever gives the name must remove the container before the end of the block.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{_PREFIX}{os.urandom(8).hex()}"
    path = folder / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield name
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def names(folder: Path) -> tuple[str, ...]:
    """Names that were not forgotten, whoever they belong to."""
    locks = sorted(folder.glob(f"{_PREFIX}*.lock"))
    return tuple(path.stem for path in locks if _NAME.fullmatch(path.stem))


def abandoned(folder: Path) -> tuple[str, ...]:
    """Names whose process is gone, or failed to remove its container."""
    return tuple(name for name in names(folder) if _is_free(folder / f"{name}.lock"))


def forget(folder: Path, name: str) -> None:
    """The container of an abandoned name is gone."""
    (folder / f"{name}.lock").unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Hold the lock ``path``; gives whether somebody else held it before, so that one has to look again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        waited = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield waited
    finally:
        os.close(descriptor)
