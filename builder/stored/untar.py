"""Reading tar archives that anyone wrote, as a stream: ustar, pax, GNU long names and base-256 numbers.

Follows what engines do (Go's archive/tar): links and folders have no payload, global pax headers are passed
over, an archive may end without its zero blocks. Sparse files and unknown types are refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from builder.errors import BuildError

BLOCK = 512
"""Bytes of a header; payloads are padded to a multiple of it."""

FILE, LINK, SYMLINK, DIRECTORY = b"0", b"1", b"2", b"5"
SPECIAL = frozenset({b"3", b"4", b"6"})
"""Character device, block device, pipe."""

_FILES = frozenset({b"0", b"\0", b"7"})
_KNOWN = SPECIAL | {LINK, SYMLINK, DIRECTORY}
_XATTR = "SCHILY.xattr."
_ENDS = b"\0 "
_EXTENDED = {b"x", b"g", b"L", b"K"}
_MAX_EXTENDED = 1 << 20
"""Bytes of the largest pax header or long name; Go's limit too."""
_MAX_NUMBER = 1 << 62
_EMPTY = bytes(BLOCK)
_SPACES = 8 * ord(" ")


def padding(size: int) -> int:
    """Zero bytes after a payload of ``size`` bytes."""
    return -size % BLOCK


def checksum(header: bytes) -> int:
    """Give the sum of the 512 bytes of a header; its checksum field must hold spaces."""
    # Adler-32 keeps 1 + the sum of the bytes (below 65521 for 256 bytes) in its low half: five times faster
    # than sum().
    low = zlib.adler32(header[:256]) & 0xFFFF
    return low + (zlib.adler32(header[256:]) & 0xFFFF) - 2


class Member(NamedTuple):
    """One entry. Names are as spelled; bytes that are not UTF-8 are surrogate escapes.

    ``kind`` is the type flag; regular files are always ``FILE``.
    """

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: str
    xattrs: tuple[tuple[str, bytes], ...]


class TarReader:
    """Iterates over the members of a stream. The payload of a member is there until the next one is taken.

    ``seek``, where given, moves the source of ``chunks`` forward, so that payloads need not be read.
    BuildError for anything that is no archive; ``where`` names it.
    """

    def __init__(
        self, chunks: Iterator[bytes], where: str, seek: Callable[[int], None] | None = None
    ) -> None:
        self._chunks = chunks
        self._where = where
        self._seek = seek
        self._window = b""
        self._at = 0
        self._base = 0
        self._left = 0
        self._pad = 0
        self.serial = 0
        """Counts members: it tells whether a payload is still there."""
        self.taken = False
        """Whether the present payload was taken."""

    @property
    def position(self) -> int:
        """Offset in the stream of the next byte: of the payload, right after a member was taken."""
        return self._base + self._at

    def __iter__(self) -> Iterator[Member]:
        extended: dict[str, bytes] = {}
        while (header := self._header()) is not None:
            kind = header[156:157]
            size = self._number(header[124:136])
            if kind in _EXTENDED:
                self._extend(extended, kind, size)
                continue
            member = self._member(header, kind, size, extended)
            extended = {}
            self._left = member.size
            self._pad = padding(member.size)
            self.serial += 1
            self.taken = False
            yield member
            self._skip(self._left + self._pad)
            self._left = 0

    def peek(self, limit: int) -> bytes:
        """Give the next bytes of the payload, at most ``limit``, and leave them there."""
        wanted = min(limit, self._left)
        self._fill(wanted)
        return self._window[self._at : self._at + wanted]

    def payload(self) -> Iterator[bytes]:
        """Take the payload in chunks, once."""
        self.taken = True
        return self._payload()

    def _payload(self) -> Iterator[bytes]:
        while self._left:
            self._fill(1)
            chunk = self._window[self._at : self._at + self._left]
            self._at += len(chunk)
            self._left -= len(chunk)
            yield chunk

    def drain(self) -> None:
        """Take what follows the archive, so that the digests of the whole stream are known."""
        for _ in self._chunks:
            pass

    def _header(self) -> bytes | None:
        if len(self._window) - self._at < BLOCK and not self._more(BLOCK):
            if len(self._window) > self._at:
                raise self._damaged("it ends inside a header")
            return None
        header = self._window[self._at : self._at + BLOCK]
        self._at += BLOCK
        if header == _EMPTY:
            return None
        said = self._number(header[148:156])
        if checksum(header) - sum(header[148:156]) + _SPACES != said:
            raise self._damaged("a header has a wrong checksum")
        return header

    def _extend(self, extended: dict[str, bytes], kind: bytes, size: int) -> None:
        if size > _MAX_EXTENDED:
            raise self._damaged(f"an extended header has {size} bytes")
        self._fill(size)
        body = self._window[self._at : self._at + size]
        self._skip(size + padding(size))
        if kind == b"x":
            extended.update(self._records(body))
        elif kind != b"g":
            extended["path" if kind == b"L" else "linkpath"] = body.partition(b"\0")[0]

    def _records(self, body: bytes) -> Iterator[tuple[str, bytes]]:
        at = 0
        while at < len(body):
            digits, space, _ = body[at : at + 20].partition(b" ")
            length = int(digits) if space and digits.isdigit() else 0
            record = body[at + len(digits) + 1 : at + length - 1]
            key, equals, value = record.partition(b"=")
            if not equals or body[at + length - 1 : at + length] != b"\n":
                raise self._damaged("an extended header is malformed")
            yield key.decode("utf-8", "surrogateescape"), value
            at += length

    def _member(self, header: bytes, kind: bytes, size: int, extended: dict[str, bytes]) -> Member:
        name = extended.get("path") or self._plain_name(header)
        link = extended.get("linkpath") or header[157:257].partition(b"\0")[0]
        if b"\0" in name or b"\0" in link:
            raise self._damaged("a name holds a NUL byte")
        if kind in _FILES:
            kind = DIRECTORY if kind == b"\0" and name.endswith(b"/") else FILE
        elif kind not in _KNOWN:
            raise self._damaged(f"{_text(name)!a} has the type {_text(kind)!a}, which no engine unpacks")
        number = self._number
        plain = Member(
            _text(name),
            kind,
            number(header[100:108]),
            number(header[108:116]),
            number(header[116:124]),
            size if kind == FILE else 0,
            number(header[136:148]),
            _text(link) if link else "",
            (),
        )
        return self._extended(plain, size, extended) if extended else plain

    def _extended(self, plain: Member, size: int, extended: dict[str, bytes]) -> Member:
        if any(key.startswith("GNU.sparse") for key in extended):
            raise self._damaged(f"{plain.name!a} is a sparse file, which no engine writes")
        size = self._decimal(extended, "size", size)
        found = (
            (key.removeprefix(_XATTR), value) for key, value in extended.items() if key.startswith(_XATTR)
        )
        return plain._replace(
            uid=self._decimal(extended, "uid", plain.uid),
            gid=self._decimal(extended, "gid", plain.gid),
            size=size if plain.kind == FILE else 0,
            mtime=self._decimal(extended, "mtime", plain.mtime),
            xattrs=tuple(sorted(found)),
        )

    def _plain_name(self, header: bytes) -> bytes:
        name = header[:100].partition(b"\0")[0]
        # GNU's magic ("ustar  ") uses the bytes of the prefix for other things.
        if header[257:263] == b"ustar\0" and header[345]:
            return header[345:500].partition(b"\0")[0] + b"/" + name
        return name

    def _decimal(self, extended: dict[str, bytes], key: str, plain: int) -> int:
        value = extended.get(key)
        if value is None:
            return plain
        whole = value.partition(b".")[0]
        if not whole.isdigit() or len(whole) > 19:  # noqa: PLR2004 (digits of 2**62)
            if key == "mtime" and whole[:1] == b"-":
                return 0
            raise self._damaged(f"an extended header has {_text(value)[:40]!a} for {key}")
        return int(whole)

    def _number(self, field: bytes) -> int:
        # The usual form first: octal digits up to one NUL or space.
        digits = field[:-1]
        if digits.isdigit() and field[-1] in _ENDS:
            try:
                return int(digits, 8)
            except ValueError:
                return self._no_number()
        if field[0] & 0x80:
            value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
            if field[0] == 0xFF or value > _MAX_NUMBER:  # noqa: PLR2004 (0xFF: negative)
                raise self._damaged("a header holds a number that is out of range")
            return value
        digits = field.partition(b"\0")[0].strip(b" ")
        try:
            return int(digits or b"0", 8) if digits.isdigit() or not digits else self._no_number()
        except ValueError:
            return self._no_number()

    def _no_number(self) -> int:
        raise self._damaged("a header holds a number that is not octal")

    def _fill(self, wanted: int) -> None:
        if len(self._window) - self._at < wanted and not self._more(wanted):
            raise self._damaged("it ends too early")

    def _more(self, wanted: int) -> bool:
        parts = [self._window[self._at :]]
        have = len(parts[0])
        while have < wanted and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._base += self._at
        self._window = b"".join(parts) if len(parts) != 2 or parts[0] else parts[1]  # noqa: PLR2004 (one new chunk)
        self._at = 0
        return have >= wanted

    def _skip(self, count: int) -> None:
        have = len(self._window) - self._at
        if count > have and self._seek is not None:
            self._seek(count - have)
            self._base += len(self._window) + count - have
            self._window, self._at = b"", 0
            return
        while count > have:
            count -= have
            self._at += have
            self._fill(1)
            have = len(self._window) - self._at
        self._at += count

    def _damaged(self, what: str) -> BuildError:
        return BuildError(f"{self._where} is not a sound tar archive: {what}")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
