"""Files of the network that sources unpack: fetched by checksum, resumed, and gone once they are unpacked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from builder.download import Download, shown
from builder.errors import MachineError
from builder.files import file_sha256
from builder.sources.supply import Supply

_FOLDER = "downloads"


def not_offline(what: str, supplies: Supply) -> None:
    """MachineError when nothing may be fetched."""
    if supplies.freshness.offline:
        raise MachineError(
            f"{what} is not in the cache, and --offline was given", hint="run once without --offline"
        )


@contextlib.contextmanager
def fetched(url: str, sha256: str, supplies: Supply, *, limit: int = 8 << 30) -> Iterator[BinaryIO]:
    """Open the file of this checksum, from ``url``. MachineError offline, or when it cannot be had.

    BuildError when other bytes come. What an interrupted run left is continued.
    """
    not_offline(shown(url), supplies)
    destination = supplies.cache / _FOLDER / f"{sha256}.file"
    try:
        if not destination.is_file() or file_sha256(destination) != sha256:
            supplies.effects.progress.step(f"fetch {PurePosixPath(url).name}")
            with supplies.effects.transport() as door:
                door.fetch(Download(url=url, destination=destination, sha256=sha256, limit=limit))
        with destination.open("rb") as stream:
            yield stream
    finally:
        with contextlib.suppress(OSError):
            destination.unlink(missing_ok=True)
