"""The vulnerability database of this machine: brought up to date, imported, carried elsewhere.

An OSV export (``<Ecosystem>/all.zip``, one JSON record a member) is compiled into one sqlite file beside the
old one, which it then replaces: whoever interrupts that leaves the old one. The lists of exploits
(:mod:`builder.scan.signals`) are kept in the same way.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from builder.errors import MachineError, RootletError, ScanError
from builder.progress import Progress
from builder.scan.compile import Job, compiling, confirm
from builder.scan.ecosystems import ECOSYSTEMS, LANGUAGES
from builder.scan.model import DatabaseMeta
from builder.scan.osvzip import ecosystem_of, read_coverage
from builder.scan.signals import MAX_SIGNALS, SignalList, parse_signals
from builder.scan.store import Database, signal_file, status, writing

if TYPE_CHECKING:
    from builder.transport import Transport  # only update() needs the network room

__all__ = ["Database", "Feed", "Machine", "default_feeds", "import_path", "status", "update"]

MAX_DOWNLOAD = 4 << 30
"""Bytes of an export; the largest has some hundred MB."""
SIGNALS: Mapping[str, tuple[str, str]] = {
    "KEV": (
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "kev.json",
    ),
    "EPSS": ("https://epss.empiricalsecurity.com/epss_scores-current.csv.gz", "epss.csv.gz"),
}
"""Lists of exploits: where they are published, and their name in a mirror or folder."""

_NOT_MODIFIED = 304
_STALE = 86400.0
"""Seconds after which a temporary file is one that a killed run left."""
_MD5 = "md5="


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the database needs of the machine: its folder, the clock (seconds since the epoch), a display."""

    folder: Path
    clock: Callable[[], float]
    progress: Progress

    def now(self) -> dt.datetime:
        """The time, to the second, UTC."""
        return dt.datetime.fromtimestamp(int(self.clock()), dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One thing to fetch. ``required``: whether its absence is an error (a mirror may have no lists)."""

    name: str
    url: str
    required: bool = True


def default_feeds(
    folder: Path, base_url: str, wanted: tuple[str, ...], *, official: bool
) -> tuple[Feed, ...]:
    """Say what an update fetches from ``base_url``.

    ``wanted`` names ecosystems, "KEV" and "EPSS". Without a name: what ``folder`` holds already; into an
    empty one Debian, every language, and both lists. ``official``: the lists come from their publishers.
    """
    held = tuple(sorted(path.stem for path in folder.glob("*.sqlite") if path.stem in ECOSYSTEMS))
    names = wanted or held or ("Debian", *LANGUAGES)
    if not wanted:
        names = (*names, *(kind for kind in SIGNALS if kind not in names))
    return tuple(_feed(name, base_url, required=bool(wanted), official=official) for name in names)


def _feed(name: str, base_url: str, *, required: bool, official: bool) -> Feed:
    base = base_url.rstrip("/")
    if name not in SIGNALS:
        return Feed(name=name, url=f"{base}/{quote(name)}/all.zip")
    url, file = SIGNALS[name]
    return Feed(name=name, url=url if official else f"{base}/{file}", required=required)


def update(machine: Machine, feeds: tuple[Feed, ...], transport: Transport) -> tuple[DatabaseMeta, ...]:
    """Bring the database up to date.

    What the server says is unchanged (ETag) is not fetched again. MachineError when the server cannot be
    reached, ScanError when it gives something else than it should: the old data of that ecosystem is then
    left as it was, and the other ecosystems are updated nevertheless.
    """
    from builder.transport import NotFoundError  # noqa: PLC0415 (whoever has a transport has read it)

    _sweep(machine)
    found: list[Future[DatabaseMeta] | DatabaseMeta] = []
    problems: list[RootletError] = []
    with contextlib.ExitStack() as stack:
        submit = stack.enter_context(compiling([1 << 30 for feed in feeds if feed.name in ECOSYSTEMS]))
        for feed in feeds:
            try:
                found.append(_fetch(machine, feed, transport, submit, stack))
            except RootletError as error:
                if feed.required:
                    problems.append(error)
                    if isinstance(error, MachineError) and not isinstance(error, NotFoundError):
                        break  # nothing answers there: the rest would only wait in vain
                else:
                    machine.progress.step(f"{feed.name} was not updated: {error.message}")
        metas = _results(found, problems)
    if problems:
        raise _joined(problems, metas)
    return metas


def _results(
    found: list[Future[DatabaseMeta] | DatabaseMeta], problems: list[RootletError]
) -> tuple[DatabaseMeta, ...]:
    metas = []
    for one in found:
        try:
            metas.append(one.result() if isinstance(one, Future) else one)
        except RootletError as error:
            problems.append(error)
    return tuple(metas)


def _joined(problems: list[RootletError], metas: tuple[DatabaseMeta, ...]) -> RootletError:
    first = next((error for error in problems if isinstance(error, ScanError)), problems[0])
    others = "".join(f"\n  and: {error.message}" for error in problems if error is not first)
    done = f"; updated were {', '.join(meta.ecosystem for meta in metas)}" if metas else ""
    return type(first)(f"{first.message}{others}{done}", hint=first.hint)


def _fetch(
    machine: Machine,
    feed: Feed,
    transport: Transport,
    submit: Callable[[Job], Future[DatabaseMeta]],
    stack: contextlib.ExitStack,
) -> Future[DatabaseMeta] | DatabaseMeta:
    machine.progress.step(f"fetch vulnerability data of {feed.name}")
    if feed.name in SIGNALS:
        payload = transport.get(feed.url, limit=MAX_SIGNALS).body
        listed = _of_kind(parse_signals(payload, source=feed.url), feed)
        return _write_signals(machine, listed, feed.url, live=not feed.url.startswith("file:"))
    path = stack.enter_context(_temporary(machine.folder, feed.name))
    etag = _known_etag(machine.folder, feed)
    with path.open("w+b") as stream:
        asked = {"If-None-Match": etag} if etag else {}
        response = transport.get_into(stream, feed.url, limit=MAX_DOWNLOAD, headers=asked)
        if response.status == _NOT_MODIFIED:
            if not etag:
                raise ScanError(
                    f"{feed.url} is unchanged, says the server, but nothing was ever fetched there"
                )
            return confirm(machine.folder, feed.name, machine.now())
        _check_sum(stream, response.headers, feed.url)
    machine.progress.step(f"compile vulnerability data of {feed.name}")
    return submit(
        Job(
            folder=machine.folder,
            ecosystem=feed.name,
            file=path,
            source=feed.url,
            etag=response.etag,
            # A disk answers however old its files are: there only the records themselves can date the data.
            live=not feed.url.startswith("file:"),
            coverage=None,
            now=machine.now(),
        )
    )


def import_path(machine: Machine, path: Path, wanted: tuple[str, ...] = ()) -> tuple[DatabaseMeta, ...]:
    """Compile what lies on this machine into the database; ``wanted`` names the only ecosystems to take.

    ``path`` is an ``all.zip``, a folder with one, a folder with ``<Ecosystem>/all.zip``, or a list of
    exploits (which a folder may hold as well); a ``coverage.json`` beside a zip says that it is a partial
    cut. The data is as old as its newest record. ScanError when there is nothing of use, or it is damaged;
    the old data is left as it was.
    """
    _sweep(machine)
    lists = _lists(path, wanted)
    exports = [] if path in lists else [one for one in _exports(path) if _is_wanted(one[0], wanted)]
    if not exports and not lists:
        raise ScanError(
            f"{path} holds no vulnerability data of {' or '.join(wanted or ECOSYSTEMS)}",
            hint="give an all.zip of an OSV export, or a folder with <Ecosystem>/all.zip",
        )
    for name, _ in exports:
        machine.progress.step(f"compile vulnerability data of {name}")
    jobs = [_import_job(machine, name, file) for name, file in exports]
    problems: list[RootletError] = []
    with compiling(file.stat().st_size for _, file in exports) as submit:
        metas = _results([submit(job) for job in jobs], problems)
    if problems:
        raise _joined(problems, metas)
    signals = (_write_signals(machine, _read_list(file), str(file), live=False) for file in lists)
    return (*metas, *signals)


def _is_wanted(name: str, wanted: tuple[str, ...]) -> bool:
    return name in (wanted or ECOSYSTEMS)


def _import_job(machine: Machine, ecosystem: str, file: Path) -> Job:
    return Job(
        folder=machine.folder,
        ecosystem=ecosystem,
        file=file,
        source=str(file),
        etag="",
        live=False,
        coverage=read_coverage(file.with_name("coverage.json")),
        now=machine.now(),
    )


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


def _lists(path: Path, wanted: tuple[str, ...]) -> list[Path]:
    if path.is_dir():
        kinds = {"KEV": "kev*.json", "EPSS": "epss*.csv*"}
        return [file for kind in wanted or kinds if kind in kinds for file in sorted(path.glob(kinds[kind]))]
    return [path] if path.name.endswith((".json", ".csv", ".csv.gz")) else []


def _read_list(file: Path) -> SignalList:
    try:
        with file.open("rb") as stream:
            return parse_signals(stream.read(MAX_SIGNALS), source=str(file))
    except OSError as error:
        raise ScanError(f"{file} could not be read: {error.strerror}") from error


def _of_kind(listed: SignalList, feed: Feed) -> SignalList:
    if listed.kind != feed.name:
        raise ScanError(f"{feed.url} is {listed.kind}, not {feed.name}")
    return listed


def _write_signals(machine: Machine, listed: SignalList, source: str, *, live: bool) -> DatabaseMeta:
    with writing(signal_file(machine.folder, listed.kind)) as writer:
        writer.add_signals(listed.values)
        writer.set_meta(
            {
                "ecosystem": listed.kind,
                "source": source,
                "etag": "",
                "live": live,
                "partial": False,
                "sha256": "",
                "fetched": machine.now().isoformat(),
                "newest": min(listed.date, machine.now()).isoformat(),
                "records": len(listed.values),
                "refused": 0,
                "advisories": 0,
                "releases": (),
            }
        )
    with Database(machine.folder) as database:
        return next(meta for meta in database.signal_metas() if meta.ecosystem == listed.kind)


def _known_etag(folder: Path, feed: Feed) -> str:
    # A file that cannot be read, or came from elsewhere, is replaced and not asked about.
    try:
        with Database(folder) as database:
            metas = database.metas(feed.name)
    except ScanError:
        return ""
    return next((meta.etag for meta in metas if meta.live and meta.source == feed.url), "")


def _check_sum(stream: BufferedRandom, headers: Mapping[str, str], url: str) -> None:
    """Hold what came against the checksum that Google's storage sends along (``x-goog-hash: md5=…``)."""
    sums = [one.strip() for one in headers.get("x-goog-hash", "").split(",")]
    wanted = next((one.removeprefix(_MD5) for one in sums if one.startswith(_MD5)), "")
    if not wanted:
        return
    stream.seek(0)
    found = base64.b64encode(hashlib.file_digest(stream, "md5").digest()).decode()
    if found != wanted:
        raise ScanError(f"{url} came damaged: its checksum is {found} instead of {wanted}", hint="try again")


@contextlib.contextmanager
def _temporary(folder: Path, name: str) -> Iterator[Path]:
    """A place for a download in the database's folder: its disk has room for it, or nothing would help."""
    path = folder / f".{name}.{os.urandom(6).hex()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield path
    except OSError as error:
        raise MachineError(
            f"{path} could not be written: {error.strerror or error}",
            hint="make room on that disk, or choose a folder that you may write with --database",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _sweep(machine: Machine) -> None:
    """Remove what a killed run left."""
    for path in machine.folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < machine.clock() - _STALE:
                path.unlink()
