"""One sqlite file an ecosystem: the only importer of sqlite3 in the scan.

    FOLDER/Debian.sqlite    meta (one row a key), covered (of a partial cut), record (ids, summary, CVSS),
                            entry (one row for each package and release that a record speaks of)
    FOLDER/KEV.signals      meta, and signal: what a list of exploits says of CVEs

Reading opens a file immutably and looks up single packages: nothing is loaded that a scan does not need.
A finished file is never written again; a new one takes its place by a rename.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from builder.errors import MachineError, ScanError
from builder.files import replacing
from builder.recipe.model import Severity
from builder.scan.model import Advisory, DatabaseMeta, Ranges, Signal
from builder.scan.ranges import unpack

if TYPE_CHECKING:
    from builder.scan.osv import Entry, Header  # reading needs no parser of records

FORMAT = 2
"""``PRAGMA user_version`` of the files this code reads."""
UPDATE_HINT = "rootlet database update"
_SEVERITIES = {int(severity): severity for severity in Severity}
_MALWARE = "malicious code"
_BATCH = 4096
"""Records that are handed to sqlite at a time."""
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE covered (package TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE record (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, names TEXT NOT NULL, summary TEXT NOT NULL,
    vector TEXT NOT NULL, score REAL
);
CREATE TABLE signal (cve TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
    package TEXT NOT NULL, release TEXT NOT NULL, record INTEGER NOT NULL, status TEXT NOT NULL,
    severity INTEGER NOT NULL, ranges TEXT NOT NULL, versions TEXT NOT NULL, module TEXT NOT NULL
);
"""
_ADD_RECORD = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)"
_ADD_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_INDEX = "CREATE INDEX entry_of ON entry (package, release)"
_SELECT_SIGNAL = "SELECT value FROM signal WHERE cve = ?"
_SELECT = """
SELECT id, names, summary, vector, score, package, release, status, severity, ranges, versions, module
FROM entry JOIN record ON record.number = entry.record
WHERE package = ? AND release IN (%s) ORDER BY release, record, entry.rowid
"""


@dataclass(frozen=True, slots=True)
class _File:
    """One open file."""

    path: Path
    connection: sqlite3.Connection
    meta: DatabaseMeta


class Database:
    """Open database folders. Immutable while open; files are opened when first asked for.

    Of an ecosystem that several folders hold, all of them are asked. A file that cannot be used raises
    ScanError, never reads as "no findings".
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._open: dict[str, tuple[_File, ...]] = {}
        self._signals: list[tuple[str, sqlite3.Connection]] | None = None
        self._stack = contextlib.ExitStack()

    @classmethod
    def open(cls, *folders: Path) -> Database:
        """Open folders of which each holds at least one ecosystem; ScanError when one holds none."""
        for folder in folders:
            if not any(folder.glob("*.sqlite")):
                raise ScanError(f"There is no vulnerability database in {folder}", hint=UPDATE_HINT)
        return cls(*folders)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every file."""
        self._stack.close()
        self._open.clear()
        self._signals = None

    def metas(self, ecosystem: str) -> tuple[DatabaseMeta, ...]:
        """Where the data of ``ecosystem`` comes from and how old it is; () when there is none."""
        return tuple(file.meta for file in self._ecosystem(ecosystem))

    def advisories_for(
        self, ecosystem: str, releases: tuple[str, ...], packages: Iterable[str]
    ) -> tuple[Advisory, ...]:
        """Give every advisory of these packages in ``releases``, and those that name no release.

        ScanError when there is no data, or it is damaged.
        """
        files = self._ecosystem(ecosystem)
        if not files:
            raise ScanError(f"There is no vulnerability data for {ecosystem}", hint=UPDATE_HINT)
        wanted = tuple(dict.fromkeys((*releases, "")))
        select = _SELECT % ", ".join("?" * len(wanted))
        names = dict.fromkeys(packages)
        found: list[Advisory] = []
        for file in files:
            with _reading(file.path):
                for name in names:
                    found += map(_advisory, file.connection.execute(select, (name, *wanted)))
        return tuple(found)

    def signals(self, cves: Iterable[str]) -> dict[str, Signal]:
        """What the lists of exploits say of these CVEs, if they say anything."""
        if self._signals is None:
            paths = [path for folder in self._folders for path in sorted(folder.glob("*.signals"))]
            self._signals = [(path.stem, self._connect(path, path.stem).connection) for path in paths]
        found: dict[str, Signal] = {}
        for cve in dict.fromkeys(cves):
            for kind, connection in self._signals:
                row = connection.execute(_SELECT_SIGNAL, (cve,)).fetchone()
                if row is not None:
                    found[cve] = _with(found.get(cve, Signal()), kind, row[0])
        return found

    def signal_metas(self) -> tuple[DatabaseMeta, ...]:
        """Where the lists of exploits come from and how old they are."""
        paths = [path for folder in self._folders for path in sorted(folder.glob("*.signals"))]
        return tuple(self._connect(path, path.stem).meta for path in paths)

    def _ecosystem(self, ecosystem: str) -> tuple[_File, ...]:
        if ecosystem not in self._open:
            paths = [database_file(folder, ecosystem) for folder in self._folders]
            self._open[ecosystem] = tuple(self._connect(path, ecosystem) for path in paths if path.exists())
        return self._open[ecosystem]

    def _connect(self, path: Path, name: str) -> _File:
        return self._stack.enter_context(_opened(path, name))


def _with(signal: Signal, kind: str, value: str) -> Signal:
    return replace(signal, kev=True) if kind == "KEV" else replace(signal, epss=float(value))


def database_file(folder: Path, ecosystem: str) -> Path:
    """Where the data of an ecosystem lies in a database folder."""
    return folder / f"{ecosystem}.sqlite"


def signal_file(folder: Path, kind: str) -> Path:
    """Where a list of exploits lies in a database folder."""
    return folder / f"{kind}.signals"


def status(folder: Path) -> tuple[DatabaseMeta, ...]:
    """Tell what a database folder holds, sorted by ecosystem, then its lists; empty when there is nothing."""
    with Database(folder) as database:
        names = [path.stem for path in sorted(folder.glob("*.sqlite"))]
        metas = tuple(meta for name in names for meta in database.metas(name))
        return (*metas, *database.signal_metas())


def check_file(path: Path, name: str) -> DatabaseMeta:
    """Open a file of the database, read all of it once, and tell what it holds; ScanError if damaged."""
    with _opened(path, name) as file, _reading(path):
        (word,) = file.connection.execute("PRAGMA quick_check(1)").fetchone()
        if word != "ok":
            raise ValueError(word)
        return file.meta


class Writer:
    """Fills a new file, or changes the meta rows of a copy; see :func:`writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, records: Iterable[tuple[Header, tuple[Entry, ...]] | None]) -> int:
        """Add what a stream of records says; give the number of entries. None is a record without any."""
        execute = self._connection.executemany
        number = count = 0
        headers: list[tuple[object, ...]] = []
        entries: list[tuple[object, ...]] = []
        for record in records:
            if record is None:
                continue
            header, found = record
            number += 1
            names, summary = " ".join(header.names), _summary(header)
            headers.append((number, header.id, names, summary, header.vector, header.score))
            entries += [(one[0], one[1], number, *one[2:]) for one in found]
            if len(headers) >= _BATCH:
                count += len(entries)
                execute(_ADD_RECORD, headers)
                execute(_ADD_ENTRY, entries)
                headers.clear()
                entries.clear()
        execute(_ADD_RECORD, headers)
        execute(_ADD_ENTRY, entries)
        self._connection.execute(_INDEX)
        return count + len(entries)

    def add_signals(self, values: Mapping[str, str]) -> None:
        """Add what a list says of CVEs."""
        self._connection.executemany("INSERT INTO signal VALUES (?, ?)", sorted(values.items()))

    def cover(self, packages: Iterable[str]) -> None:
        """Add source packages that a partial cut speaks of."""
        self._connection.executemany("INSERT INTO covered VALUES (?)", ((name,) for name in sorted(packages)))

    def releases(self) -> tuple[str, ...]:
        """List the releases that the advisories added so far name."""
        rows = self._connection.execute("SELECT DISTINCT release FROM entry ORDER BY release")
        return tuple(release for (release,) in rows)

    def set_meta(self, values: Mapping[str, object]) -> None:
        """Set meta rows; the values are anything that JSON holds."""
        rows = ((key, json.dumps(value)) for key, value in values.items())
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


@contextlib.contextmanager
def writing(path: Path, *, start: Path | None = None) -> Iterator[Writer]:
    """Write a new file (or a copy of ``start``) that takes the place of ``path`` when the block ends well."""
    try:
        with replacing(path) as temporary:
            if start is not None:
                shutil.copyfile(start, temporary)
            with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
                # The file is nobody's yet: a journal would protect nothing.
                connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
                if start is None:
                    connection.executescript(_SCHEMA)
                    connection.execute(f"PRAGMA user_version = {FORMAT}")
                connection.execute("BEGIN")
                yield Writer(connection)
                connection.execute("COMMIT")
            _sync(temporary)
    except (OSError, sqlite3.Error) as error:
        raise MachineError(
            f"The vulnerability database {path} could not be written: {error}",
            hint="make room on that disk, or choose a folder that you may write with --database",
        ) from error


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _summary(header: Header) -> str:
    # There are some hundred thousand records of malware; what they say is the same for all.
    return "" if header.id.startswith("MAL-") else header.summary


def _advisory(row: tuple[Any, ...]) -> Advisory:
    identity, names, summary, vector, score, package, release, status, severity, ranges, versions, module = (
        row
    )
    unpacked = unpack(ranges)
    return Advisory(
        id=identity,
        names=tuple(names.split(" ")) if names else (),
        release=release,
        package=package,
        status=status or _status(unpacked),
        severity=_SEVERITIES[severity],
        ranges=unpacked,
        versions=tuple(versions.split("\n")) if versions else (),
        summary=summary or (_MALWARE if identity.startswith("MAL-") else ""),
        module=module,
        vector=vector,
        score=score,
    )


def _status(ranges: Ranges) -> str:
    mended = any(event[0] == "fixed" for events in ranges for event in events)
    return "resolved" if mended else "unfixed"


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
        raise ScanError(f"The vulnerability database {path} is damaged: {error}", hint=UPDATE_HINT) from error


@contextlib.contextmanager
def _opened(path: Path, name: str) -> Iterator[_File]:
    with contextlib.ExitStack() as stack:
        with _reading(path):
            # Nobody ever writes into a finished file, so sqlite need not look for locks and journals.
            connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
            stack.callback(connection.close)
            connection.execute("PRAGMA trusted_schema = OFF")  # the file may come from elsewhere
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != FORMAT:
                raise ScanError(
                    f"The vulnerability database {path} has format {version}, this rootlet reads {FORMAT}",
                    hint=UPDATE_HINT,
                )
            file = _File(path, connection, _meta(path, connection, name))
        yield file


def _meta(path: Path, connection: sqlite3.Connection, name: str) -> DatabaseMeta:
    values = {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
    covered = None
    if values["partial"]:
        covered = frozenset(package for (package,) in connection.execute("SELECT package FROM covered"))
    if values["ecosystem"] != name:
        raise ValueError(f"it holds data of {values['ecosystem']}")
    return DatabaseMeta(
        ecosystem=name,
        source=values["source"],
        etag=values["etag"],
        sha256=values["sha256"],
        fetched=dt.datetime.fromisoformat(values["fetched"]),
        newest=dt.datetime.fromisoformat(values["newest"]),
        live=values["live"],
        records=values["records"],
        refused=values["refused"],
        advisories=values["advisories"],
        releases=tuple(values["releases"]),
        size=path.stat().st_size,
        coverage=covered,
    )
