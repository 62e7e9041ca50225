"""One OSV export to one file of the database, and many of them on several processors."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NoReturn

from builder.errors import ScanError
from builder.scan.ecosystems import ECOSYSTEMS
from builder.scan.model import DatabaseMeta
from builder.scan.osvzip import Coverage, Tally, read_records
from builder.scan.store import Database, database_file, writing

_CLOCK_SKEW = dt.timedelta(days=1)
_UNDATED = "1990"
"""Records that were "modified" before have no date: Go's are of the year 1 in its own repository."""
_ALONE = 8 << 20
"""Bytes of exports that are compiled faster than another Python starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An export and where it came from.

    ``file`` is the zip on this machine, ``source`` what people call it, ``live`` whether a server gave it
    just now; ``now`` is the time (UTC).
    """

    folder: Path
    ecosystem: str
    file: Path
    source: str
    etag: str
    live: bool
    coverage: Coverage | None
    now: dt.datetime


def compile_export(job: Job) -> DatabaseMeta:
    """Turn a zip into the ecosystem's file; ScanError when it is damaged or nothing in it is of use.

    The old file is left as it was until the new one is whole.
    """
    try:
        with job.file.open("rb") as stream:
            return _compile(job, stream)
    except OSError as error:
        raise ScanError(f"{job.source} could not be read: {error.strerror}") from error


def confirm(folder: Path, ecosystem: str, now: dt.datetime) -> DatabaseMeta:
    """Note that the data is current as of ``now``, without compiling it again."""
    path = database_file(folder, ecosystem)
    with writing(path, start=path) as writer:
        writer.set_meta({"fetched": now.isoformat()})
    return _meta(folder, ecosystem)


@contextlib.contextmanager
def compiling(sizes: Iterable[int]) -> Iterator[Callable[[Job], Future[DatabaseMeta]]]:
    """Give what takes jobs and does them, on other processors where that pays.

    ``sizes``: bytes of the exports that will come, as far as known. Whoever is interrupted ends the workers.
    """
    expected = list(sizes)
    if len(expected) < 2 or sum(expected) < _ALONE or (os.cpu_count() or 1) < 2:  # noqa: PLR2004 (two of each)
        yield _at_once
        return
    context = multiprocessing.get_context("spawn")
    count = min(len(expected), os.cpu_count() or 1)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_be_quiet) as pool:
        try:
            yield lambda job: pool.submit(compile_export, job)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _at_once(job: Job) -> Future[DatabaseMeta]:
    future: Future[DatabaseMeta] = Future()
    try:
        future.set_result(compile_export(job))
    except ScanError as error:
        future.set_exception(error)
    return future


def _be_quiet() -> None:
    """In a worker: an interruption is the parent's to handle; it ends the workers, which clean up."""

    def end(*_: object) -> NoReturn:
        raise SystemExit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)


def _compile(job: Job, stream: BufferedReader) -> DatabaseMeta:
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    tally = Tally()
    latest = f"{job.now + _CLOCK_SKEW:%Y-%m-%dT%H:%M:%S}"
    records = read_records(stream, ECOSYSTEMS[job.ecosystem], tally, not_after=latest)
    with writing(database_file(job.folder, job.ecosystem)) as writer:
        entries = writer.add(records)
        _check(tally, entries, job)
        releases = job.coverage.releases if job.coverage else writer.releases()
        writer.set_meta(
            {
                "ecosystem": job.ecosystem,
                "source": job.source,
                "etag": job.etag,
                "live": job.live,
                "partial": job.coverage is not None,
                "sha256": sha256,
                "fetched": job.now.isoformat(),
                "newest": _newest(tally, stream, job.now),
                "records": tally.records,
                "refused": tally.refused,
                "advisories": entries,
                "releases": releases,
            }
        )
        if job.coverage is not None:
            writer.cover(map(ECOSYSTEMS[job.ecosystem].fold, job.coverage.sources))
    return _meta(job.folder, job.ecosystem)


def _newest(tally: Tally, stream: BinaryIO, now: dt.datetime) -> str:
    """The newest record; where none has a date, the file itself."""
    if tally.newest > _UNDATED:
        return f"{tally.newest}+00:00"
    written = dt.datetime.fromtimestamp(int(os.fstat(stream.fileno()).st_mtime), dt.UTC)
    return min(written, now).isoformat()


def _check(tally: Tally, entries: int, job: Job) -> None:
    if entries and not tally.newest:
        raise ScanError(
            f"{job.source} is dated in the future: every record is newer than this machine's clock",
            hint="set the machine's clock",
        )
    if entries:
        return
    why = f"; the first was refused because of: {tally.problems[0]}" if tally.problems else ""
    raise ScanError(
        f"{job.source} says nothing of {job.ecosystem}: {tally.records} records read, "
        f"{tally.refused} refused{why}",
        hint="give the all.zip of that ecosystem's OSV export",
    )


def _meta(folder: Path, ecosystem: str) -> DatabaseMeta:
    with Database(folder) as database:
        for meta in database.metas(ecosystem):
            return meta
    raise ScanError(f"{database_file(folder, ecosystem)} was removed while it was written")
