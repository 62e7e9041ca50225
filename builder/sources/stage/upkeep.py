"""What stages keep goes: what nobody used for a month, what killed builds left; everything, when asked."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.engine import buildah
from builder.engine.buildah import Engine
from builder.engine.command import Runner
from builder.errors import MachineError, RootletError
from builder.sources.stage.journal import abandoned, forget, names
from builder.staging import remove_tree

ROOM = "stages"
"""Folder of the cache; in it a folder for each user."""

_DAY = 86400.0
_KEPT = 30 * _DAY
_SHELVES = ("images", "trees", "packs", "hashes", "locks", "logs")


def mark_used(paths: Iterable[Path]) -> None:
    """Have files count as used now."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path)


def remove_abandoned(folder: Path, engine: Engine, runner: Runner) -> None:
    """Remove the containers of processes that are gone, by exact name."""
    rooms = folder / "rooms"
    for name in abandoned(rooms):
        with contextlib.suppress(RootletError):
            runner.run(buildah.remove(engine, name))
        if name not in _containers(engine, runner):
            secrets = folder / "scratch" / f"{name}.secrets"
            with contextlib.suppress(OSError):
                secrets.rmdir()  # a room lays memory over it: the folder itself is empty
            forget(rooms, name)


def _containers(engine: Engine, runner: Runner) -> frozenset[str]:
    listed = json.loads(runner.run(buildah.containers(engine)).stdout or b"null") or []
    return frozenset(str(one["containername"]) for one in listed)


def sweep_unused(folder: Path, engine: Engine, runner: Runner) -> None:
    """Remove what nobody used for a month; looked at once a day. What is in the way is left."""
    marker = folder / "swept"
    now = time.time()
    if marker.exists() and now - marker.stat().st_mtime < _DAY:
        return
    marker.touch()
    for path in _older(folder, now - _KEPT):
        with contextlib.suppress(RootletError, OSError, ValueError, KeyError):
            if path.parent.name == "images":
                image = json.loads(path.read_bytes().partition(b"\n")[2])["image"]
                runner.run(buildah.remove_images(engine, str(image)))
            path.unlink()


def _older(folder: Path, limit: float) -> Iterator[Path]:
    for shelf in _SHELVES:
        for path in sorted((folder / shelf).glob("*")):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    yield path


def remove_everything(cache: Path, runner: Runner) -> None:
    """Remove all that this user's stages keep. MachineError while a build runs or something resists."""
    folder = cache / ROOM / str(os.geteuid())
    working = set(names(folder / "rooms")) - set(abandoned(folder / "rooms"))
    if working:
        raise MachineError(
            f"Build stages are being run ({len(working)} of them), so {folder} stays",
            hint="wait for the other build",
        )
    remove_tree(folder)
    program = runner.find("buildah")
    if folder.exists() and os.geteuid() != 0 and program is not None:
        # Files of containers belong to this user's subordinate numbers.
        runner.run(buildah.unshare(program, "rm", "-rf", str(folder)))
    if folder.exists():
        raise MachineError(
            f"{folder} could not be removed: something in it belongs to somebody else, or is mounted",
            hint=f"buildah unshare rm -rf {folder}",
        )
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
