"""Packages fetched and unpacked into the store, several at once."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from builder.errors import BuildError, MachineError
from builder.lock import LockedPackage
from builder.progress import Progress
from builder.sources.debian.store import PackageStore
from builder.sources.debian.unpack import unpack
from builder.sysroot import Package
from builder.transport import Download, Transport

_JOBS = 4


def fetch_packages(
    packages: tuple[LockedPackage, ...],
    store: PackageStore,
    downloads: Path,
    transport: Callable[[], Transport],
    progress: Progress,
) -> Mapping[str, Package]:
    """Fetch and unpack what the store lacks; the packages by the checksum of their .deb.

    One process at a time works on a store: another that wants the same packages finds them when it is its
    turn.
    """
    by_sum = {package.sha256: package for package in packages}
    with _turn(store.folder, progress):
        missing = {sha256: package for sha256, package in by_sum.items() if store.open(package) is None}
        if missing:
            # The largest first: it would otherwise be unpacked alone at the end.
            ordered = sorted(missing.values(), key=lambda package: package.size, reverse=True)
            progress.step(f"fetch {len(missing)} packages" if len(missing) > 1 else "fetch 1 package")
            with transport() as door:
                door.fetch_all(
                    (_download(package, downloads) for package in ordered),
                    jobs=_JOBS,
                    then=lambda download: _store(missing[download.sha256 or ""], download, store),
                )
    return {sha256: _opened(store, package) for sha256, package in by_sum.items()}


def _download(package: LockedPackage, downloads: Path) -> Download:
    return Download(
        url=package.url,
        destination=downloads / f"{package.sha256}.deb",
        size=package.size,
        sha256=package.sha256,
    )


def _store(package: LockedPackage, download: Download, store: PackageStore) -> None:
    try:
        stored = unpack(download.destination, package, store.tar_path(package.sha256))
        store.write(package.sha256, stored)
    except OSError as error:
        raise MachineError(
            f"{package.name} could not be unpacked: {error.strerror or error}", hint="free some space"
        ) from error
    finally:
        download.destination.unlink(missing_ok=True)


def _opened(store: PackageStore, package: LockedPackage) -> Package:
    opened = store.open(package)
    if opened is None:
        raise BuildError(
            f"{package.name} {package.version} was unpacked and cannot be read again",
            hint=f"look whether something else writes to {store.folder}",
        )
    return opened


@contextlib.contextmanager
def _turn(folder: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other process works on the store. A file system without locks is used as it is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / ".lock").open("ab")
    except OSError as error:
        raise MachineError(
            f"{folder} cannot be written: {error.strerror}", hint="make the cache folder writable"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note(f"another process works on {folder}; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
