"""One sqlite file an ecosystem: the only importer of sqlite3 in the scan.

    FOLDER/Debian.sqlite    meta (one row a key), covered (of a partial cut), advisory (by package, release)

Reading opens a file immutably and looks up single packages: nothing is loaded that a scan does not need.
A finished file is never written again; a new one takes its place by a rename.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from builder.errors import MachineError, ScanError
from builder.files import replacing
from builder.recipe.model import Severity
from builder.scan.model import Advisory, DatabaseMeta, Ranges

FORMAT = 1
"""``PRAGMA user_version`` of the files this code reads."""

ECOSYSTEMS = ("Debian",)
"""What rootlet matches today."""
MAX_DOWNLOAD = 1 << 30
"""Bytes of an export; Debian's has some 60 MB."""

_NOT_MODIFIED = 304
_CLOCK_SKEW = dt.timedelta(days=1)
UPDATE_HINT = "rootlet database update"
_SEVERITIES = {int(severity): severity for severity in Severity}
_ALWAYS = ("introduced", "0")
_SIMPLE = 2
"""Events of a range from the beginning to a fix."""
_dumps = json.JSONEncoder(separators=(",", ":")).encode
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE covered (package TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE advisory (
    package TEXT NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,
    id TEXT NOT NULL, names TEXT NOT NULL, status TEXT NOT NULL, severity INTEGER NOT NULL,
    ranges TEXT NOT NULL, versions TEXT NOT NULL, summary TEXT NOT NULL,
    PRIMARY KEY (package, release, number)
) WITHOUT ROWID;
"""
_SELECT = """
SELECT id, names, release, package, status, severity, ranges, versions, summary FROM advisory
WHERE package = ? AND release IN (?, '') ORDER BY release, number
"""


class Database:
    """An open database folder. Immutable while open; files are opened when first asked for.

    A file that cannot be used raises ScanError, never reads as "no findings".
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[sqlite3.Connection, DatabaseMeta]] = {}

    @classmethod
    def open(cls, folder: Path) -> Database:
        """Open a folder that holds at least one ecosystem; ScanError when it holds none."""
        if not any(folder.glob("*.sqlite")):
            raise ScanError(f"There is no vulnerability database in {folder}", hint=UPDATE_HINT)
        return cls(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every file."""
        for connection, _ in self._open.values():
            connection.close()
        self._open.clear()

    def meta(self, ecosystem: str) -> DatabaseMeta | None:
        """Where the data of ``ecosystem`` comes from and how old it is; None when there is none."""
        opened = self._ecosystem(ecosystem)
        return opened[1] if opened is not None else None

    def advisories_for(self, ecosystem: str, release: str, packages: Iterable[str]) -> tuple[Advisory, ...]:
        """Give every advisory of these (source) packages in ``release``, and those that name no release."""
        opened = self._ecosystem(ecosystem)
        if opened is None:
            raise ScanError(f"There is no vulnerability data for {ecosystem}", hint=UPDATE_HINT)
        execute = opened[0].execute
        with _reading(database_file(self._folder, ecosystem)):
            return tuple(
                _advisory(row)
                for package in dict.fromkeys(packages)
                for row in execute(_SELECT, (package, release))
            )

    def _ecosystem(self, ecosystem: str) -> tuple[sqlite3.Connection, DatabaseMeta] | None:
        if ecosystem not in self._open:
            path = database_file(self._folder, ecosystem)
            if not path.exists():
                return None
            self._open[ecosystem] = _connect(path, ecosystem)
        return self._open[ecosystem]


def database_file(folder: Path, ecosystem: str) -> Path:
    """Where the data of an ecosystem lies in a database folder."""
    return folder / f"{ecosystem}.sqlite"


def status(folder: Path) -> tuple[DatabaseMeta, ...]:
    """Tell what a database folder holds, sorted by ecosystem; empty when there is nothing."""
    found: list[DatabaseMeta] = []
    with Database(folder) as database:
        for path in sorted(folder.glob("*.sqlite")):
            meta = database.meta(path.stem)
            if meta is not None:
                found.append(meta)
    return tuple(found)


class Writer:
    """Fills a new file, or changes the meta rows of a copy; see :func:`writing`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, records: Iterable[tuple[Advisory, ...]]) -> int:
        """Add the advisories of a stream of records; give their number."""
        numbers = itertools.count()
        self._connection.executemany(
            "INSERT INTO advisory VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_row(next(numbers), advisory) for found in records for advisory in found),
        )
        return next(numbers)

    def cover(self, packages: Iterable[str]) -> None:
        """Add source packages that a partial cut speaks of."""
        self._connection.executemany("INSERT INTO covered VALUES (?)", ((name,) for name in sorted(packages)))

    def releases(self) -> tuple[str, ...]:
        """List the releases that the advisories added so far name."""
        rows = self._connection.execute("SELECT DISTINCT release FROM advisory ORDER BY release")
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


def _row(number: int, advisory: Advisory) -> tuple[object, ...]:
    return (
        advisory.package,
        advisory.release,
        number,
        advisory.id,
        " ".join(advisory.names),
        advisory.status,
        int(advisory.severity),
        _packed(advisory.ranges),
        _dumps(advisory.versions) if advisory.versions else "",
        advisory.summary,
    )


def _packed(ranges: Ranges) -> str:
    """Write ranges as text: "<2" for what is mended in 2, which nearly all are, else JSON."""
    if (
        len(ranges) == 1
        and len(ranges[0]) == _SIMPLE
        and ranges[0][0] == _ALWAYS
        and ranges[0][1][0] == "fixed"
    ):
        return f"<{ranges[0][1][1]}"
    return _dumps(ranges)


def _unpacked(text: str) -> Ranges:
    if text.startswith("<"):
        return ((_ALWAYS, ("fixed", text[1:])),)
    return tuple(tuple((kind, at) for kind, at in events) for events in json.loads(text))


def _advisory(row: tuple[Any, ...]) -> Advisory:
    identity, names, release, package, state, severity, ranges, versions, summary = row
    return Advisory(
        id=identity,
        names=tuple(names.split(" ")) if names else (),
        release=release,
        package=package,
        status=state,
        severity=_SEVERITIES[severity],
        ranges=_unpacked(ranges),
        versions=tuple(json.loads(versions)) if versions else (),
        summary=summary,
    )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise ScanError(f"The vulnerability database {path} is damaged: {error}", hint=UPDATE_HINT) from error


def _connect(path: Path, ecosystem: str) -> tuple[sqlite3.Connection, DatabaseMeta]:
    with _reading(path), contextlib.ExitStack() as stack:
        # Nobody ever writes into a finished file, so sqlite need not look for locks and journals.
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        stack.callback(connection.close)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            raise ScanError(
                f"The vulnerability database {path} has format {version}, this rootlet reads {FORMAT}",
                hint=UPDATE_HINT,
            )
        meta = _meta(connection, ecosystem)
        stack.pop_all()
        return connection, meta


def _meta(connection: sqlite3.Connection, ecosystem: str) -> DatabaseMeta:
    values = {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
    covered = None
    if values["partial"]:
        covered = frozenset(package for (package,) in connection.execute("SELECT package FROM covered"))
    if values["ecosystem"] != ecosystem:
        raise ValueError(f"it holds data of {values['ecosystem']}")
    return DatabaseMeta(
        ecosystem=ecosystem,
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
        coverage=covered,
    )
