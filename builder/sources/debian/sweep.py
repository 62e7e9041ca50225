"""Old files of the cache go: indexes and answers that nobody used for a month, what killed runs left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_DAY = 86400.0
_AGES = {
    "indexes": 30 * _DAY,
    "locks": 30 * _DAY,
    "releases": 180 * _DAY,
    "downloads": 2 * _DAY,
    "trees": 30 * _DAY,
    "wheels": 30 * _DAY,
    "images/blobs/sha256": 30 * _DAY,
    "images/tags": 30 * _DAY,
    "layers": 30 * _DAY,
}
_LITTER = 2 * _DAY
"""Age of a temporary file that no living process still writes."""


def sweep(cache: Path, now: float) -> None:
    """Remove what is older than its folder's age. Packages stay: a lock may name them at any time.

    Files that cannot be removed are left; another process may have been quicker.
    """
    for name, age in _AGES.items():
        for path in _older(cache / name, now - age):
            _remove(path)
    for path in _older(cache / "packages", now - _LITTER):
        if path.name.endswith(".tmp"):
            _remove(path)


def _older(folder: Path, limit: float) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    yield path


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
