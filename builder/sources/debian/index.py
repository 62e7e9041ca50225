"""Packages indexes: parsed once into an SQLite file that opens in milliseconds. Imports sqlite3.

Debian Wiki, "DebianRepository/Format", "Packages indices". A compiled index is named after the
SHA-256 of the Packages file it was made from, so it never goes stale. It keeps only the fields that are read,
as text in buckets: a look-up reads one bucket and parses the paragraphs it finds there.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.dpkg.control import source_of
from builder.dpkg.version import version_key
from builder.errors import BuildError, MachineError
from builder.files import replacing
from builder.sources.debian.candidates import Candidate, Provider
from builder.sources.debian.relations import parse_relations

FORMAT = 1
"""Raised when the tables change; files of another format are compiled anew."""

_FIELDS = (
    rb"(Package|Version|Architecture|Source|Pre-Depends|Depends|Conflicts|Breaks|Provides|Multi-Arch|Priority"
    rb"|Filename|Size|SHA256)"
)
_FIELD = re.compile(rb"\n" + _FIELDS + rb": *(.*(?:\n[ \t].*)*)")
_KEPT = re.compile(rb"\n(?:" + _FIELDS.replace(b"(", b"(?:") + rb":.*(?:\n[ \t].*)*|(?=\n))")
"""The fields that are read, and the blank lines between paragraphs."""
_PACKAGE = re.compile(rb"^Package: *(\S+)", re.MULTILINE)
_PROVIDED_NAME = re.compile(rb"(?:^|,)\s*([^\s,:(]+)")
_FORMS = {
    "Filename": re.compile(r"(?:\./)?[A-Za-z0-9][A-Za-z0-9+._~%:@/=-]*"),
    "Package": re.compile(r"[a-z0-9][a-z0-9+.-]+"),
    "Version": re.compile(r"[0-9A-Za-z.+:~-]+"),
    "Architecture": re.compile(r"[a-z0-9-]+"),
    "Size": re.compile(r"[0-9]{1,12}"),
    "SHA256": re.compile(r"[0-9a-f]{64}"),
}
_LONGEST = 4 << 20
"""Bytes of one paragraph; the longest real ones have 30 kB."""
_BUCKETS = 1024


def index_path(folder: Path, sha256: str) -> Path:
    """Where the compiled form of the Packages file with this checksum is kept."""
    return folder / f"{sha256}.{FORMAT}.sqlite"


def compile_index(pieces: Iterable[bytes], path: Path, *, name: str, size: int, sha256: str) -> None:
    """Parse an uncompressed Packages file into ``path``, which appears whole or not at all.

    ``size`` and ``sha256`` are what the signed release file promises of the text. BuildError when the text is
    another or is not a Packages file; it starts with ``name``.
    """
    try:
        with replacing(path) as temporary:
            _fill(temporary, _checked(pieces, name=name, size=size, sha256=sha256), name)
    except (OSError, sqlite3.Error) as error:
        raise MachineError(f"{path} could not be written: {error}", hint="free some space") from error


def _checked(pieces: Iterable[bytes], *, name: str, size: int, sha256: str) -> Iterator[bytes]:
    total, digest = 0, hashlib.sha256()
    for piece in pieces:
        total += len(piece)
        digest.update(piece)
        if total > size:
            break
        yield piece
    if total != size or digest.hexdigest() != sha256:
        raise BuildError(
            f"{name} is not the one that the release file promises",
            hint="the mirror is being updated or is damaged: try again, or use another mirror",
        )


def _fill(path: Path, pieces: Iterable[bytes], name: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"PRAGMA user_version = {FORMAT}",
            "BEGIN",
            "CREATE TABLE bucket (number INTEGER PRIMARY KEY, paragraphs BLOB, provided BLOB)",
        ):
            connection.execute(statement)
        connection.executemany("INSERT INTO bucket VALUES (?, ?, ?)", _buckets(pieces, name))
        connection.execute("COMMIT")
    finally:
        connection.close()


def _buckets(pieces: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Sort paragraphs and provided names into buckets: a row a package would cost most of a second."""
    paragraphs: list[list[bytes]] = [[] for _ in range(_BUCKETS)]
    provided: list[list[bytes]] = [[] for _ in range(_BUCKETS)]
    for block in _blocks(pieces, name):
        for paragraph in b"".join(_KEPT.findall(b"\n" + block)).split(b"\n\n"):
            if paragraph and not paragraph.isspace():
                package = _package_of(paragraph, name)
                paragraphs[_bucket(package)].append(paragraph.strip(b"\n"))
                for one in _provided_by(paragraph):
                    provided[_bucket(one)].append(one + b" " + package)
    for number in range(_BUCKETS):
        yield number, b"\n\n".join(paragraphs[number]), b"\n".join(provided[number])


def _bucket(package: bytes) -> int:
    return zlib.crc32(package) % _BUCKETS


def _package_of(paragraph: bytes, name: str) -> bytes:
    match = _PACKAGE.search(paragraph)
    if match is None:
        raise BuildError(f"{name} has a paragraph without a Package field: {paragraph[:60]!r}")
    return match[1]


def _provided_by(paragraph: bytes) -> list[bytes]:
    start = paragraph.find(b"\nProvides:")
    if start < 0:
        return []
    match = _FIELD.match(paragraph, start)
    return _PROVIDED_NAME.findall(match[2]) if match else []


def _blocks(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield whole paragraphs, as many as have come."""
    rest = b""
    for piece in pieces:
        whole, blank, tail = (rest + piece).rpartition(b"\n\n")
        rest = tail
        if blank:
            yield whole
        if len(rest) > _LONGEST:
            raise BuildError(f"{name} has a paragraph of more than {_LONGEST} bytes")
    yield rest


class DamagedIndexError(BuildError):
    """A compiled index cannot be read; ``path`` is its file. Removing it mends that."""

    def __init__(self, path: Path, error: object) -> None:
        super().__init__(f"{path} is damaged: {error}", hint=f"remove {path}; rootlet makes it again")
        self.path = path


class PackagesFile:
    """One compiled index, open for reading. ``base`` is the address that its file names are relative to."""

    def __init__(self, path: Path, base: str) -> None:
        self.path = path
        self._base = base.rstrip("/")
        try:
            # immutable: no locks and no journal are looked for; the file never changes under its name.
            self._connection = sqlite3.connect(f"file:{_quoted(path)}?immutable=1", uri=True)
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise DamagedIndexError(path, error) from error
        if found != FORMAT:
            raise DamagedIndexError(path, f"format {found}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def named(self, name: str) -> Iterator[Candidate]:
        """Every version of the package in this index."""
        package = name.encode(errors="replace")
        line = re.compile(rb"^Package: *" + re.escape(package) + rb" *$", re.MULTILINE)
        for paragraph in self._column("paragraphs", package).split(b"\n\n"):
            if line.search(paragraph):
                yield self._candidate(paragraph)

    def provided(self, name: str) -> Iterator[Candidate]:
        """Every package that has ``name`` among its Provides, in some version."""
        start = name.encode(errors="replace") + b" "
        lines = self._column("provided", start[:-1]).split(b"\n")
        for package in dict.fromkeys(line[len(start) :] for line in lines if line.startswith(start)):
            yield from self.named(package.decode(errors="replace"))

    def names(self) -> Iterator[str]:
        """Every package's name; slow, for messages."""
        for (paragraphs,) in self._query("SELECT paragraphs FROM bucket"):
            for package in _PACKAGE.findall(paragraphs):
                yield package.decode(errors="replace")

    def _column(self, column: str, package: bytes) -> bytes:
        query = f"SELECT {column} FROM bucket WHERE number = {_bucket(package)}"  # noqa: S608 (own constants)
        return next((text for (text,) in self._query(query)), b"")

    def _query(self, query: str) -> list[tuple[bytes]]:
        try:
            return self._connection.execute(query).fetchall()
        except sqlite3.Error as error:
            raise DamagedIndexError(self.path, error) from error

    def _candidate(self, paragraph: bytes) -> Candidate:
        fields = {
            name.decode(): value.decode(errors="replace").strip()
            for name, value in _FIELD.findall(b"\n" + paragraph)
        }
        for name, form in _FORMS.items():
            if form.fullmatch(fields.get(name, "")) is None or ".." in fields["Filename"].split("/"):
                raise BuildError(
                    f"the archive at {self._base} describes {fields['Package'][:80]!r} wrongly: "
                    f"{name} is {fields.get(name, '')[:80]!r}",
                    hint="use another mirror",
                )
        source = source_of(fields)
        return Candidate(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            source_name=source.name,
            source_version=source.version,
            pre_depends=fields.get("Pre-Depends", ""),
            depends=fields.get("Depends", ""),
            conflicts=fields.get("Conflicts", ""),
            breaks=fields.get("Breaks", ""),
            provides=fields.get("Provides", ""),
            multi_arch=fields.get("Multi-Arch", ""),
            priority=fields.get("Priority", ""),
            url=f"{self._base}/{fields['Filename'].removeprefix('./')}",
            size=int(fields["Size"]),
            sha256=fields["SHA256"],
        )


class CombinedIndex:
    """Several indexes seen as one: main, updates and security. An ``Index`` for the resolver."""

    def __init__(self, files: Iterable[PackagesFile]) -> None:
        self._files = tuple(files)
        self._named: dict[str, tuple[Candidate, ...]] = {}
        self._providers: dict[str, tuple[Provider, ...]] = {}

    def named(self, name: str) -> tuple[Candidate, ...]:
        """Every version of a package, the highest first; one of each version, from the first index."""
        if name not in self._named:
            self._named[name] = self._find_named(name)
        return self._named[name]

    def providers(self, name: str) -> tuple[Provider, ...]:
        """Every package version that provides ``name``, by package name, the highest version first."""
        if name not in self._providers:
            self._providers[name] = self._find_providers(name)
        return self._providers[name]

    def _find_named(self, name: str) -> tuple[Candidate, ...]:
        found: dict[str, Candidate] = {}
        for file in self._files:
            for candidate in file.named(name):
                found.setdefault(candidate.version, candidate)
        return tuple(sorted(found.values(), key=lambda one: version_key(one.version), reverse=True))

    def _find_providers(self, name: str) -> tuple[Provider, ...]:
        found: dict[tuple[str, str], Provider] = {}
        for file in self._files:
            for candidate in file.provided(name):
                for relation in parse_relations(candidate.provides):
                    if relation.name == name:
                        provider = Provider(candidate=candidate, version=relation.version)
                        found.setdefault((candidate.name, candidate.version), provider)
        newest = sorted(found.values(), key=lambda one: version_key(one.candidate.version), reverse=True)
        return tuple(sorted(newest, key=lambda one: one.candidate.name))

    def names(self) -> Iterator[str]:
        """Every name; slow, for messages."""
        for file in self._files:
            yield from file.names()

    def close(self) -> None:
        """Close every index."""
        for file in self._files:
            file.close()


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
