"""The vulnerability database of this machine: opened, brought up to date, imported.

An OSV export (``<Ecosystem>/all.zip``, one JSON record a member) is compiled into one sqlite file beside the
old one, which it then replaces: whoever interrupts that leaves the old one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from builder.errors import ScanError
from builder.progress import Progress
from builder.scan.model import DatabaseMeta
from builder.scan.osvzip import Coverage, Tally, ecosystem_of, read_advisories, read_coverage
from builder.scan.store import (
    Database,
    database_file,
    status,
    writing,
)

if TYPE_CHECKING:
    from builder.transport import Transport  # only update() needs the network room

__all__ = ["ECOSYSTEMS", "Database", "import_folder", "status", "update"]

ECOSYSTEMS = ("Debian",)
"""What rootlet matches today."""
MAX_DOWNLOAD = 1 << 30
"""Bytes of an export; Debian's has some 60 MB."""

_NOT_MODIFIED = 304
_CLOCK_SKEW = dt.timedelta(days=1)


def import_folder(
    folder: Path,
    path: Path,
    *,
    clock: Callable[[], float],
    progress: Progress,
    ecosystems: tuple[str, ...] = ECOSYSTEMS,
) -> tuple[DatabaseMeta, ...]:
    """Compile OSV exports that lie on this machine into the database at ``folder``.

    ``path`` is an ``all.zip``, a folder with one, or a folder with ``<Ecosystem>/all.zip``; a
    ``coverage.json`` beside a zip says that it is a partial cut. The data is as old as its newest record.
    ``clock`` gives seconds since the epoch. ScanError when there is nothing of ``ecosystems`` there, or it
    is damaged; the old database is left as it was.
    """
    exports = [(name, file) for name, file in _exports(path) if name in ecosystems]
    if not exports:
        raise ScanError(
            f"{path} holds no vulnerability data of {' or '.join(ecosystems)}",
            hint="give an all.zip of an OSV export, or a folder with <Ecosystem>/all.zip",
        )
    compiler = _Compiler(folder, clock, progress)
    return tuple(_import_zip(compiler, name, file) for name, file in exports)


def update(
    folder: Path,
    *,
    base_url: str,
    transport: Transport,
    clock: Callable[[], float],
    progress: Progress,
    ecosystems: tuple[str, ...] = ECOSYSTEMS,
) -> tuple[DatabaseMeta, ...]:
    """Bring the database at ``folder`` up to date from ``<base_url>/<Ecosystem>/all.zip``.

    What the server says is unchanged (ETag) is not fetched again. A ``base_url`` without a scheme is a path
    on this machine, as :func:`import_folder` takes it. MachineError when the server cannot be reached,
    ScanError when it gives something else than an OSV export; the old database is then left as it was.
    """
    if "://" not in base_url:
        return import_folder(folder, Path(base_url), clock=clock, progress=progress, ecosystems=ecosystems)
    compiler = _Compiler(folder, clock, progress)
    return tuple(_fetch_zip(compiler, name, base_url, transport) for name in ecosystems)


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Writes one ecosystem's file. ``clock`` gives seconds since the epoch."""

    folder: Path
    clock: Callable[[], float]
    progress: Progress

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(int(self.clock()), dt.UTC)

    def compile(self, origin: _Origin, stream: BinaryIO) -> DatabaseMeta:
        """Turn a zip into the ecosystem's file; ScanError when nothing in it is of use."""
        self.progress.step(f"compile vulnerability data of {origin.ecosystem}")
        sha256 = _sha256(stream)
        stream.seek(0)
        now = self.now()
        tally = Tally()
        latest = f"{now + _CLOCK_SKEW:%Y-%m-%dT%H:%M:%S}"
        records = read_advisories(stream, origin.ecosystem, tally, not_after=latest)
        path = database_file(self.folder, origin.ecosystem)
        with writing(path) as writer:
            rows = writer.add(records)
            _check(tally, rows, origin)
            releases = origin.coverage.releases if origin.coverage else writer.releases()
            values = origin.values(tally, sha256, now)
            writer.set_meta({**values, "advisories": rows, "releases": releases})
            if origin.coverage is not None:
                writer.cover(origin.coverage.sources)
        return _required_meta(self.folder, origin.ecosystem)

    def confirm(self, ecosystem: str) -> DatabaseMeta:
        """Note that the data is current as of now, without compiling it again."""
        path = database_file(self.folder, ecosystem)
        with writing(path, start=path) as writer:
            writer.set_meta({"fetched": self.now().isoformat()})
        return _required_meta(self.folder, ecosystem)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where a zip came from."""

    ecosystem: str
    source: str
    etag: str
    live: bool
    coverage: Coverage | None

    def values(self, tally: Tally, sha256: str, now: dt.datetime) -> dict[str, object]:
        return {
            "ecosystem": self.ecosystem,
            "source": self.source,
            "etag": self.etag,
            "live": self.live,
            "partial": self.coverage is not None,
            "sha256": sha256,
            "fetched": now.isoformat(),
            "newest": f"{tally.newest}+00:00",
            "records": tally.records,
            "refused": tally.refused,
        }


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _import_zip(compiler: _Compiler, ecosystem: str, file: Path) -> DatabaseMeta:
    coverage = read_coverage(file.with_name("coverage.json"))
    origin = _Origin(ecosystem=ecosystem, source=str(file), etag="", live=False, coverage=coverage)
    try:
        with file.open("rb") as stream:
            return compiler.compile(origin, stream)
    except OSError as error:
        raise ScanError(f"{file} could not be read: {error.strerror}") from error


def _fetch_zip(compiler: _Compiler, ecosystem: str, base_url: str, transport: Transport) -> DatabaseMeta:
    url = f"{base_url.rstrip('/')}/{quote(ecosystem)}/all.zip"
    compiler.progress.step(f"fetch vulnerability data of {ecosystem}")
    etag = _known_etag(compiler.folder, ecosystem, url)
    response = transport.get(url, limit=MAX_DOWNLOAD, headers={"If-None-Match": etag} if etag else {})
    if response.status == _NOT_MODIFIED:
        return compiler.confirm(ecosystem)
    # A disk answers however old its files are: there only the records themselves can date the data.
    live = not url.startswith("file:")
    origin = _Origin(ecosystem=ecosystem, source=url, etag=response.etag, live=live, coverage=None)
    return compiler.compile(origin, io.BytesIO(response.body))


def _known_etag(folder: Path, ecosystem: str, url: str) -> str:
    # A file that cannot be read, or came from elsewhere, is replaced and not asked about.
    try:
        with Database(folder) as database:
            meta = database.meta(ecosystem)
    except ScanError:
        return ""
    return meta.etag if meta is not None and meta.live and meta.source == url else ""


def _exports(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir() and not (path / "all.zip").is_file():
        yield from ((inner.parent.name, inner) for inner in sorted(path.glob("*/all.zip")))
        return
    file = path / "all.zip" if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            ecosystem = ecosystem_of(stream)
    except OSError as error:
        raise ScanError(
            f"{file} could not be read: {error.strerror}", hint="give a file or folder of vulnerability data"
        ) from error
    yield ecosystem, file


def _check(tally: Tally, rows: int, origin: _Origin) -> None:
    if rows and not tally.newest:
        raise ScanError(
            f"{origin.source} is dated in the future: every record is newer than this machine's clock",
            hint="set the machine's clock",
        )
    if rows:
        return
    why = f"; the first was refused because of: {tally.problems[0]}" if tally.problems else ""
    raise ScanError(
        f"{origin.source} says nothing of {origin.ecosystem}: {tally.records} records read, "
        f"{tally.refused} refused{why}",
        hint="give the all.zip of that ecosystem's OSV export",
    )


def _required_meta(folder: Path, ecosystem: str) -> DatabaseMeta:
    with Database(folder) as database:
        meta = database.meta(ecosystem)
    if meta is None:
        raise ScanError(f"{database_file(folder, ecosystem)} was removed while it was written")
    return meta
