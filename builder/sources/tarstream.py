"""A reader of tar streams that trusts nothing: POSIX ustar, PAX and GNU headers, one pass, bounded memory.

POSIX.1-2024 pax, "ustar Interchange Format"; tar(5). Python's tarfile is not used: it needs a file to seek in
for speed and lets much pass that no archive should contain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from builder.errors import BuildError
from builder.sysroot import Kind

BLOCK = 512
_MOST_ENTRIES = 500_000
_LONGEST_PATH = 4095
_LONGEST_NAME = 255
_LONGEST_EXTENSION = 1 << 20
_MOST_RECORDS = 100
_REGULAR, _HARDLINK, _SYMLINK, _DIRECTORY = b"0\0" + b"7", b"1", b"2", b"5"
_REFUSED = {b"3": "a character device", b"4": "a block device", b"6": "a pipe", b"S": "a sparse file"}
_XATTR = "SCHILY.xattr."
_KNOWN = re.compile(r"path|linkpath|size|uid|gid|uname|gname|mtime|GNU\.sparse.*|SCHILY\.xattr\..+")
_FORBIDDEN = re.compile(r"[\0\n]")


class Input(Protocol):
    """What is read: fewer bytes than asked for come only at the end."""

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes."""


class Tee:
    """Reads an uncompressed archive in the sizes asked for, and keeps a copy of it."""

    def __init__(self, pieces: Iterator[bytes], out: BinaryIO | None = None) -> None:
        self._pieces = pieces
        self._out = out
        self._piece = b""
        self._start = 0
        self.size = 0

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        end = self._start + size
        if end <= len(self._piece):
            part = self._piece[self._start : end]
            self._start = end
            return part
        parts = [self._piece[self._start :]]
        missing = size - len(parts[0])
        self._start = len(self._piece)
        while missing > 0 and self._advance():
            parts.append(self._piece[:missing])
            self._start = len(parts[-1])
            missing -= self._start
        return b"".join(parts)

    def drain(self) -> None:
        """Read to the end, so that checksums at the end of the stream are looked at."""
        while self._advance():
            pass

    def _advance(self) -> bool:
        self._piece, self._start = next(self._pieces, b""), 0
        if self._out is not None:
            self._out.write(self._piece)
        self.size += len(self._piece)
        return bool(self._piece)


@dataclass(slots=True, kw_only=True)
class TarEntry:
    """One member. ``path`` is absolute and normalised; ``offset`` counts from the start of the stream.

    A hard link has ``link`` and Kind.FILE; its ``target`` is an absolute path of an earlier member. A
    symbolic link's ``target`` is its text, whatever it says.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    user: str
    group: str
    mtime: int
    size: int
    offset: int
    target: str
    link: bool
    xattrs: tuple[tuple[str, bytes], ...]


def entries(stream: Input, *, name: str, hint: str) -> Iterator[TarEntry]:
    """Yield the members; the caller reads exactly ``size`` bytes of a regular file before the next one.

    BuildError that starts with ``name`` for anything an archive may not contain: devices, pipes, ``..``,
    absolute names, a path twice, a path below something that is not a folder, links to nothing.
    """
    reader = _Reader(stream, name, hint)
    while (entry := reader.next()) is not None:
        yield entry
        reader.skip_padding(entry)


class _Reader:
    """State of one pass."""

    def __init__(self, stream: Input, name: str, hint: str) -> None:
        self._stream = stream
        self._name = name
        self._hint = hint
        self._offset = 0
        self._kinds: dict[str, Kind] = {}
        self._global: dict[str, str] = {}

    def next(self) -> TarEntry | None:
        """Read headers up to the next member; None at the end of the archive."""
        extended: dict[str, str] = {}
        while (header := self._header()) is not None:
            size = self._number(header[124:136], "size")
            flag = header[156:157]
            if flag in b"xgLK":
                self._extension(flag, size, extended)
                continue
            return self._member(header, {**self._global, **extended})
        if extended:
            raise self._bad("ends after an extended header")
        return None

    def skip_padding(self, entry: TarEntry) -> None:
        """Step over what fills the last block of a file."""
        if entry.size:
            self._offset += entry.size
            self._take(-entry.size % BLOCK)

    def _header(self) -> bytes | None:
        header = self._take(BLOCK)
        if header.count(0) == BLOCK:
            # Two blocks of zeros end an archive; some writers leave it at one.
            return None
        if _sum_of(header) != self._number(header[148:156], "checksum"):
            raise self._bad("has a damaged header")
        return header

    def _extension(self, flag: bytes, size: int, extended: dict[str, str]) -> None:
        if size > _LONGEST_EXTENSION:
            raise self._bad(f"has an extended header of {size} bytes")
        payload = self._take(size)
        self._take(-size % BLOCK)
        if flag == b"L":
            extended["path"] = _text(payload.rstrip(b"\0"))
        elif flag == b"K":
            extended["linkpath"] = _text(payload.rstrip(b"\0"))
        else:
            records = extended if flag == b"x" else self._global
            records.update((key, value) for key, value in self._records(payload) if _KNOWN.fullmatch(key))
        if len(extended) + len(self._global) > _MOST_RECORDS:
            raise self._bad("has too many extended headers")

    def _records(self, payload: bytes) -> Iterator[tuple[str, str]]:
        """Yield ``length key=value`` records (pax, "pax Extended Header")."""
        while payload.strip(b"\0"):
            digits, space, _ = payload[:12].partition(b" ")
            length = int(digits) if digits.isdigit() else 0
            record, payload = payload[:length], payload[length:]
            key, equals, value = record[len(digits) + 1 :].partition(b"=")
            if not space or not equals or not record.endswith(b"\n") or len(record) != length:
                raise self._bad("has a damaged extended header")
            yield _text(key), _text(value[:-1])

    def _member(self, header: bytes, extended: dict[str, str]) -> TarEntry:
        if len(self._kinds) >= _MOST_ENTRIES:
            raise self._bad(f"has more than {_MOST_ENTRIES} members")
        if any(key.startswith("GNU.sparse") for key in extended):
            raise self._bad("contains a sparse file")
        path = self._path(extended.get("path") or _header_path(header), "path")
        kind, link = self._kind(header[156:157], header, path)
        size = self._size(header, extended) if kind is Kind.FILE and not link else 0
        target = extended.get("linkpath") or _text(_string(header[157:257]))
        self._place(path, kind, link=link, target=target)
        return TarEntry(
            path=path,
            kind=kind,
            mode=self._number(header[100:108], "mode") & 0o7777,
            uid=self._owner(header[108:116], extended.get("uid")),
            gid=self._owner(header[116:124], extended.get("gid")),
            user=extended.get("uname") or _text(_string(header[265:297])),
            group=extended.get("gname") or _text(_string(header[297:329])),
            mtime=self._time(header, extended.get("mtime")),
            size=size,
            offset=self._offset,
            target=self._path(target, "target") if link else target if kind is Kind.SYMLINK else "",
            link=link,
            xattrs=_xattrs(extended),
        )

    def _kind(self, flag: bytes, header: bytes, path: str) -> tuple[Kind, bool]:
        if flag in _REGULAR:
            # Before ustar, a folder was a file whose name ends with a slash.
            is_folder = flag == b"\0" and _string(header[:100]).endswith(b"/")
            return (Kind.DIRECTORY if is_folder else Kind.FILE), False
        if flag == _DIRECTORY:
            return Kind.DIRECTORY, False
        if flag == _SYMLINK:
            return Kind.SYMLINK, False
        if flag == _HARDLINK:
            return Kind.FILE, True
        what = _REFUSED.get(flag, f"a member of unknown type {flag!r}")
        raise self._bad(f"contains {what} at {path}")

    def _place(self, path: str, kind: Kind, *, link: bool, target: str) -> None:
        """Check the member against those before it."""
        before = self._kinds.get(path)
        if before is not None and not before is kind is Kind.DIRECTORY:
            raise self._bad(f"contains {path} twice")
        parent = path.rpartition("/")[0]
        while parent and parent not in self._kinds:
            parent = parent.rpartition("/")[0]
        if parent and self._kinds[parent] is not Kind.DIRECTORY:
            raise self._bad(f"contains {path}, and {parent} is not a folder")
        if link and self._kinds.get(self._path(target, "target")) is not Kind.FILE:
            raise self._bad(f"links {path} to {target}, which is no earlier file of it")
        if kind is Kind.SYMLINK and not is_target(target):
            raise self._bad(f"contains a symbolic link {path} without a proper target")
        self._kinds[path] = kind

    def _path(self, text: str, what: str) -> str:
        path = inner_path(text)
        if path is None:
            raise self._bad(f"contains a {what} that leaves it or is no name: {text[:200]!r}")
        return path

    def _size(self, header: bytes, extended: dict[str, str]) -> int:
        if "size" in extended:
            return self._decimal(extended["size"], "size")
        return self._number(header[124:136], "size")

    def _owner(self, field: bytes, extended: str | None) -> int:
        owner = self._number(field, "owner") if extended is None else self._decimal(extended, "owner")
        if owner >= 1 << 32:
            raise self._bad(f"has a member of owner {owner}")
        return owner

    def _time(self, header: bytes, extended: str | None) -> int:
        if extended is not None:
            return self._decimal(extended.partition(".")[0], "time")
        return min(self._number(header[136:148], "time"), 1 << 40)

    def _decimal(self, text: str, what: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 (below 2**64)
            raise self._bad(f"has a damaged {what}: {text[:40]!r}")
        return int(text)

    def _number(self, field: bytes, what: str) -> int:
        """Octal digits, or GNU's base 256 when the highest bit is set."""
        if field[0] & 0x80:
            return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        digits = field.strip(b" \0")
        if digits.strip(b"01234567"):
            raise self._bad(f"has a damaged {what}: {digits!r}")
        return int(digits or b"0", 8)

    def _take(self, size: int) -> bytes:
        payload = self._stream.read(size)
        if len(payload) != size:
            raise self._bad("ends in the middle")
        self._offset += size
        return payload

    def _bad(self, what: str) -> BuildError:
        return BuildError(f"{self._name} {what}", hint=self._hint)


def inner_path(text: str) -> str | None:
    """``./usr/bin/x`` as ``/usr/bin/x``, "/" for the root; None for what leaves an archive or is no name."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if (
        text.startswith("/")
        or ".." in parts
        or len(text) > _LONGEST_PATH
        or any(len(part.encode(errors="surrogateescape")) > _LONGEST_NAME for part in parts)
        or _FORBIDDEN.search(text)
    ):
        return None
    return "/" + "/".join(parts)


def is_target(text: str) -> bool:
    """Whether a symbolic link may say ``text``; where it leads is not asked."""
    return 0 < len(text) <= _LONGEST_PATH and not _FORBIDDEN.search(text)


def starts_tar(head: bytes) -> bool:
    """Whether a tar archive may start with the block ``head``."""
    digits = head[148:156].strip(b" \0")
    is_header = len(digits) > 0 and not digits.strip(b"01234567") and int(digits, 8) == _sum_of(head[:BLOCK])
    return len(head) >= BLOCK and (is_header or head[:BLOCK].count(0) == BLOCK)


def _sum_of(header: bytes) -> int:
    return sum(header) - sum(header[148:156]) + 8 * 32


def _header_path(header: bytes) -> str:
    name = _string(header[:100])
    # The prefix belongs to POSIX ustar; GNU's magic has other things there.
    prefix = _string(header[345:500]) if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _string(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _xattrs(extended: dict[str, str]) -> tuple[tuple[str, bytes], ...]:
    if not extended:
        return ()
    return tuple(
        (key.removeprefix(_XATTR), value.encode(errors="surrogateescape"))
        for key, value in sorted(extended.items())
        if key.startswith(_XATTR)
    )
