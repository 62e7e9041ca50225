"""A reader of zip archives that trusts nothing: bounded pieces, limits against bombs, Unix modes and links.

APPNOTE.TXT, sections 4.3 to 4.5. The standard library reads the directory; names, kinds and sizes are judged
here, and what comes twice by the caller.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from builder.errors import BuildError
from builder.sources.decompress import PIECE, Meter
from builder.sources.tarstream import inner_path, is_target
from builder.sysroot import Kind

_MOST_ENTRIES = 500_000
_LONGEST_TARGET = 4096
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_KINDS = {
    0: Kind.FILE,
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFDIR: Kind.DIRECTORY,
}
_ENCRYPTED = 0x1
_UTF8 = 0x800
_UNIX = 3
_BAD = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # wrong names, wrong offsets
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
"""What reading a damaged archive raises; the file itself was opened before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEntry:
    """One member. ``path`` is absolute and normalised; ``mode`` None where the archive says none.

    ``target`` is the text of a symbolic link. ``size`` is what the directory promises.
    """

    path: str
    kind: Kind
    mode: int | None
    size: int
    target: str
    member: zipfile.ZipInfo


class ZipReader:
    """One archive. BuildError that starts with ``name`` for anything damaged, hostile or oversized."""

    def __init__(self, stream: BinaryIO, *, name: str, limit: int, hint: str) -> None:
        self._name = name
        self._hint = hint
        self._meter = Meter(name, limit)
        self._meter.count(stream.seek(0, os.SEEK_END), 0)  # as a whole: parts of hostile ones overlap
        try:
            self._zip = zipfile.ZipFile(stream)
        except _BAD as error:
            raise self._bad(f"is no sound zip archive: {error}") from error
        if len(self._zip.infolist()) > _MOST_ENTRIES:
            raise self._bad(f"has more than {_MOST_ENTRIES} members")

    def __iter__(self) -> Iterator[ZipEntry]:
        for member in self._zip.infolist():
            yield self._entry(member)

    def read(self, entry: ZipEntry) -> Iterator[bytes]:
        """Yield the bytes of a file, checked against its checksum."""
        return self._read(entry.member)

    def bytes_of(self, entry: ZipEntry, limit: int) -> bytes:
        """The bytes of a small file. BuildError when it has more than ``limit``."""
        if entry.size > limit:
            raise self._bad(f"has {entry.size} bytes in {entry.path}; at most {limit} are read")
        return b"".join(self._read(entry.member))

    def _read(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        left = member.file_size
        try:
            with self._zip.open(member) as stream:
                while piece := stream.read(PIECE):
                    self._meter.count(0, len(piece))
                    left -= len(piece)
                    yield piece
        except _BAD as error:
            raise self._bad(f"is damaged at {member.filename}: {error}") from error
        if left:
            raise self._bad(f"is damaged at {member.filename}: it has another size than promised")

    def _entry(self, member: zipfile.ZipInfo) -> ZipEntry:
        text = _name(member)
        path = inner_path(text)
        if path is None or "\\" in text:
            raise self._bad(f"contains a path that leaves it or is no name: {text[:200]!r}")
        if member.flag_bits & _ENCRYPTED:
            raise self._bad(f"is encrypted at {path}")
        if member.compress_type not in _METHODS:
            raise self._bad(f"is compressed at {path} in a way that is not known ({member.compress_type})")
        mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
        kind = self._kind(text, path, mode)
        target = self._target(member, path) if kind is Kind.SYMLINK else ""
        return ZipEntry(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(mode) if mode else None,
            size=member.file_size,
            target=target,
            member=member,
        )

    def _kind(self, text: str, path: str, mode: int) -> Kind:
        if text.endswith("/"):
            return Kind.DIRECTORY
        kinds = {
            0: Kind.FILE,
            stat.S_IFREG: Kind.FILE,
            stat.S_IFLNK: Kind.SYMLINK,
            stat.S_IFDIR: Kind.DIRECTORY,
        }
        kind = kinds.get(stat.S_IFMT(mode))
        if kind is None:
            raise self._bad(f"contains a device, a pipe or a socket at {path}")
        return kind

    def _target(self, member: zipfile.ZipInfo, path: str) -> str:
        raw = b"".join(self._read(member)) if member.file_size <= _LONGEST_TARGET else b""
        target = raw.decode(errors="surrogateescape")
        if not is_target(target):
            raise self._bad(f"contains a symbolic link {path} without a proper target")
        return target

    def _bad(self, what: str) -> BuildError:
        return BuildError(f"{self._name} {what}", hint=self._hint)


def _name(member: zipfile.ZipInfo) -> str:
    """The name as Unix programs write it: their own bytes, also without the mark of UTF-8."""
    if member.flag_bits & _UTF8:
        return member.orig_filename
    return member.orig_filename.encode("cp437").decode(errors="surrogateescape")
