"""A .deb taken apart: deb(5), ar(5). The data archive goes to the store uncompressed, with an index of it.

Nothing of a package is run, and no path of it is ever made on this machine.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.dpkg.control import paragraphs, source_of
from builder.errors import BuildError
from builder.files import atomic_write
from builder.lock import LockedPackage
from builder.sources.debian.store import Stored
from builder.sources.decompress import PIECE, decompressed
from builder.sources.tarstream import TarEntry, Tee, entries
from builder.sysroot import Content, Kind, Node, Package

MOST_BYTES = 4 << 30
"""A package may unpack to so many bytes."""
_HINT = "the package is damaged or hostile: use another mirror"
_MOST_CONTROL = 64 << 20
_MOST_SCRIPT = 16 << 20
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_PARTS = ("debian-binary", "control", "data")
"""What comes after these is ignored (deb(5))."""
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config", "templates")
_ALWAYS = "triggers"
"""Kept of every package, "" where it has none: who misses it knows that an older version unpacked it."""
_CONTROL_FILES = frozenset(
    {"/control", "/md5sums", "/conffiles", *(f"/{name}" for name in (*_SCRIPTS, _ALWAYS))}
)


def unpack(deb: Path, locked: LockedPackage, tar: Path) -> Stored:
    """Write the package's data archive to ``tar`` and say what is in it.

    BuildError when the .deb is damaged, hostile or another package than the one locked; ``tar`` appears whole
    or not at all.
    """
    name = f"{locked.name} {locked.version} ({deb.name})"
    with deb.open("rb") as stream:
        members = _Members(stream, name)
        control = _read_control(members.control(), name)
        fields = _check_control(control.get("/control"), locked, name)
        with atomic_write(tar, durable=False) as out:
            source = Tee(members.data(), out)
            nodes = tuple(_index(source, name, locked.name, tar))
            source.drain()
    package = Package(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        source_name=source_of(fields).name,
        source_version=source_of(fields).version,
        control=_decoded(control["/control"]).strip("\n") + "\n",
        md5sums=_md5sums(_decoded(control.get("/md5sums", b""))),
        conffiles=_conffiles(_decoded(control.get("/conffiles", b""))),
        nodes=nodes,
        scripts={
            **{one: _decoded(control[f"/{one}"]) for one in _SCRIPTS if f"/{one}" in control},
            _ALWAYS: _decoded(control.get(f"/{_ALWAYS}", b"")),
        },
        newest=0,
    )
    return Stored(package=package, size=source.size)


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of the outer archive: where it starts and how many bytes it has."""

    name: str
    offset: int
    size: int


class _Members:
    """The outer archive: debian-binary, then control.tar, then data.tar (deb(5))."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._members = self._read()
        kinds = tuple(member.name.partition(".tar")[0] for member in self._members)
        if kinds != _PARTS:
            raise self._bad(f"has other parts than a Debian package: {', '.join(kinds) or 'none'}")
        stream.seek(self._members[0].offset)
        version = stream.read(min(self._members[0].size, 16))
        if not version.startswith(b"2."):
            raise self._bad(f"is a Debian package of another format: {version!r}")

    def control(self) -> Iterator[bytes]:
        """Yield control.tar, uncompressed."""
        return self._open(self._members[1], _MOST_CONTROL)

    def data(self) -> Iterator[bytes]:
        """Yield data.tar, uncompressed."""
        return self._open(self._members[2], MOST_BYTES)

    def _open(self, member: _Member, limit: int) -> Iterator[bytes]:
        kind = member.name.partition(".tar")[2].removeprefix(".")
        return decompressed(self._chunks(member), kind, name=f"{member.name} of {self._name}", limit=limit)

    def _chunks(self, member: _Member) -> Iterator[bytes]:
        self._stream.seek(member.offset)
        left = member.size
        while left:
            chunk = self._stream.read(min(left, PIECE))
            if not chunk:
                raise self._bad("is shorter than it says")
            left -= len(chunk)
            yield chunk

    def _read(self) -> list[_Member]:
        size = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(0)
        if self._stream.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise self._bad("is not a Debian package")
        members: list[_Member] = []
        offset = len(_AR_MAGIC)
        while offset < size and len(members) < len(_PARTS):
            self._stream.seek(offset)
            member = self._header(self._stream.read(_AR_HEADER), offset + _AR_HEADER, size)
            # A name that starts with "_" is for others to use (deb(5)).
            if not member.name.startswith("_"):
                members.append(member)
            offset = member.offset + member.size + member.size % 2
        return members

    def _header(self, header: bytes, offset: int, end: int) -> _Member:
        digits = header[48:58].strip()
        if len(header) != _AR_HEADER or header[58:] != b"`\n" or not digits.isdigit():
            raise self._bad("has a damaged ar header")
        size = int(digits)
        if offset + size > end:
            raise self._bad("is shorter than it says")
        name = header[:16].decode("ascii", errors="replace").strip().removesuffix("/")
        return _Member(name, offset, size)

    def _bad(self, what: str) -> BuildError:
        return BuildError(f"{self._name} {what}", hint=_HINT)


def _index(source: Tee, name: str, package: str, tar: Path) -> Iterator[Node]:
    files: dict[str, Node] = {}
    for entry in entries(source, name=f"data.tar of {name}", hint=_HINT):
        content = _content(source, entry, name, tar) if entry.kind is Kind.FILE and not entry.link else None
        if entry.path == "/":
            continue
        first = files.get(entry.target) if entry.link else None
        node = Node(
            path=entry.path,
            kind=entry.kind,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            user=entry.user,
            group=entry.group,
            mtime=entry.mtime,
            content=content if first is None else first.content,
            target=entry.target if entry.kind is Kind.SYMLINK else "",
            hardlink="" if first is None else (first.hardlink or first.path),
            xattrs=entry.xattrs if first is None else first.xattrs,
            package=package,
        )
        if node.kind is Kind.FILE:
            files[node.path] = node
        yield node


def _content(source: Tee, entry: TarEntry, name: str, tar: Path) -> Content:
    digest = _digest(source, entry, name)
    return Content(store=tar, offset=entry.offset, size=entry.size, sha256=digest)


def _digest(source: Tee, entry: TarEntry, name: str) -> str:
    digest = hashlib.sha256()
    left = entry.size
    while left:
        chunk = source.read(min(left, PIECE))
        if not chunk:
            raise BuildError(f"data.tar of {name} ends inside {entry.path}", hint="use another mirror")
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _read_control(pieces: Iterator[bytes], name: str) -> dict[str, bytes]:
    """Read the files of control.tar that are kept."""
    source = Tee(pieces)
    kept: dict[str, bytes] = {}
    for entry in entries(source, name=f"control.tar of {name}", hint=_HINT):
        if entry.size > _MOST_SCRIPT:
            raise BuildError(f"control.tar of {name} has {entry.size} bytes in {entry.path}")
        content = source.read(entry.size)
        if entry.path in _CONTROL_FILES and entry.kind is Kind.FILE:
            kept[entry.path] = content
    source.drain()
    return kept


def _check_control(control: bytes | None, locked: LockedPackage, name: str) -> dict[str, str]:
    if control is None:
        raise BuildError(f"{name} has no control file", hint="use another mirror")
    try:
        fields = next(paragraphs(_decoded(control)), {})
    except ValueError as error:
        raise BuildError(f"the control file of {name} cannot be read: {error}") from error
    for field, wanted in (
        ("Package", locked.name),
        ("Version", locked.version),
        ("Architecture", locked.architecture),
    ):
        if fields.get(field) != wanted:
            raise BuildError(
                f"{name} says {field}: {fields.get(field, 'nothing')[:80]}, and {wanted} was locked",
                hint="the mirror is mixed up or hostile: use another one",
            )
    return fields


def _md5sums(text: str) -> dict[str, str]:
    """Map absolute paths to MD5 sums: ``sum  path`` a line, relative to the root. Others are skipped."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        digest, _, path = line.partition(" ")
        if len(digest) == 32 and not digest.strip("0123456789abcdef"):  # noqa: PLR2004 (hex digits of MD5)
            sums["/" + path.lstrip(" *").removeprefix("./").lstrip("/")] = digest
    return sums


def _conffiles(text: str) -> tuple[str, ...]:
    """List absolute paths; a flag before one ("remove-on-upgrade") means that it is not in the package."""
    return tuple(line.strip() for line in text.splitlines() if line.startswith("/"))


def _decoded(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
