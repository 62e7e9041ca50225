"""Tar headers of layers: ustar with pax extended headers (POSIX.1-2001 pax, OCI layer.md).

Every number is exact and every name is spelled as engines write it: no leading slash, folders end in one.
Owners are numbers only. What ustar cannot say (long or non-ASCII names, big numbers, extended attributes)
goes to a pax header before the entry; names that are not UTF-8 are announced by ``hdrcharset=BINARY``.

The root folder is left out where it is plain (0755, 0:0): every engine makes it so by itself. A root with
another mode or owner is written as ``./``, the spelling that they all apply to the root.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TypeAlias

from builder.errors import BuildError
from builder.plan.model import Entry
from builder.stored.untar import BLOCK, checksum, padding
from builder.sysroot import Kind

END = bytes(2 * BLOCK)
"""What closes an archive."""

_NAME = 100
_PREFIX = 155
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777
_PAX_NAME = b"././@PaxHeader"
_REG, _LINK, _SYMLINK, _DIR, _PAX = b"0", b"1", b"2", b"5", b"x"


def is_written(entry: Entry) -> bool:
    """Whether ``entry`` becomes a tar entry: all but a plain root folder."""
    return entry.path != "/" or bool((entry.mode, entry.uid, entry.gid) != (0o755, 0, 0) or entry.xattrs)


def path_bytes(path: str) -> bytes:
    """Give a path or link target as the archive spells it; BuildError where it cannot be a name."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BuildError(
            f"The name {path!a} cannot be written to a layer: it is no sequence of bytes"
        ) from error
    if b"\0" in raw:
        raise BuildError(f"The name {path!a} cannot be written to a layer: it holds a NUL byte")
    return raw


def tar_header(entry: Entry, created: int) -> bytes:
    """Give the header of ``entry``, after a pax header where it needs one; ``created`` is its time (s).

    BuildError where a name or an attribute cannot be written.
    """
    name = path_bytes(entry.path)[1:]
    if entry.kind is Kind.DIRECTORY:
        name = name + b"/" if name else b"./"
    if entry.hardlink:
        kind, link = _LINK, path_bytes(entry.hardlink)[1:]
    elif entry.kind is Kind.SYMLINK:
        kind, link = _SYMLINK, path_bytes(entry.target)
    else:
        kind, link = (_DIR if entry.kind is Kind.DIRECTORY else _REG), b""
    return _headers(name, link, kind, (entry.mode, entry.uid, entry.gid, entry.size, created), entry.xattrs)


def file_header(name: str, size: int) -> bytes:
    """Give the header of a plain file of an archive of ours (mode 0644, owner 0:0, time 0)."""
    return _headers(path_bytes(name), b"", _REG, (0o644, 0, 0, size, 0), ())


_Numbers: TypeAlias = tuple[int, int, int, int, int]
"""Mode, user, group, size, time."""


def _headers(
    name: bytes, link: bytes, kind: bytes, numbers: _Numbers, xattrs: tuple[tuple[str, bytes], ...]
) -> bytes:
    mode, uid, gid, size, mtime = numbers
    prefix, short = _split(name)
    records: dict[bytes, bytes] = {}
    if len(short) > _NAME or not name.isascii():
        records[b"path"] = name
        prefix, short = b"", name[:_NAME]
    if len(link) > _NAME or not link.isascii():
        records[b"linkpath"] = link
        link = link[:_NAME]
    if uid > _MAX_ID or gid > _MAX_ID or size > _MAX_SIZE or mtime > _MAX_SIZE:
        records |= _big(numbers)
        uid, gid, size, mtime = (uid & _MAX_ID, gid & _MAX_ID, size & _MAX_SIZE, mtime & _MAX_SIZE)
    for key, value in xattrs:
        records[b"SCHILY.xattr." + _attribute(key)] = value
    plain = _ustar(prefix, short, kind, link, (mode, uid, gid, size, mtime))
    return _pax(records) + plain if records else plain


def _split(name: bytes) -> tuple[bytes, bytes]:
    # ustar: 155 bytes of folder, a slash that is not stored, 100 bytes of name.
    if len(name) <= _NAME:
        return b"", name
    cut = name.rfind(b"/", 0, min(_PREFIX + 1, len(name) - 1))
    return (name[:cut], name[cut + 1 :]) if cut > 0 else (b"", name)


def _big(numbers: _Numbers) -> dict[bytes, bytes]:
    _, uid, gid, size, mtime = numbers
    limits = (
        (b"uid", uid, _MAX_ID),
        (b"gid", gid, _MAX_ID),
        (b"size", size, _MAX_SIZE),
        (b"mtime", mtime, _MAX_SIZE),
    )
    return {key: b"%d" % value for key, value, limit in limits if value > limit}


def _attribute(key: str) -> bytes:
    if "=" in key or not key:
        raise BuildError(
            f"The extended attribute {key!a} cannot be written to a layer: its name is empty or holds '='"
        )
    return path_bytes(key)


def _pax(records: dict[bytes, bytes]) -> bytes:
    names = [value for key, value in records.items() if key in {b"path", b"linkpath"}]
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    if not all(_is_utf8(name) for name in names):
        body = _record(b"hdrcharset", b"BINARY") + body
    header = _ustar(b"", _PAX_NAME, _PAX, b"", (0o644, 0, 0, len(body), 0))
    return header + body + bytes(padding(len(body)))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _record(key: bytes, value: bytes) -> bytes:
    # The length counts its own digits.
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(prefix: bytes, name: bytes, kind: bytes, link: bytes, numbers: _Numbers) -> bytes:
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME, b"\0"), *numbers)
    if prefix or link:
        tail = _tail(kind, link, prefix)
        return b"%s%06o\0 %s" % (head, checksum(head + _BLANK + tail), tail)
    # The usual case: only the first 148 bytes differ from header to header.
    return b"%s%06o\0 %s" % (head, (zlib.adler32(head) & 0xFFFF) - 1 + _TAIL_SUMS[kind], _TAILS[kind])


def _tail(kind: bytes, link: bytes = b"", prefix: bytes = b"") -> bytes:
    """Give what follows the checksum in a header."""
    return b"".join(
        (
            kind,
            link.ljust(_NAME, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"0000000\x000000000\0",
            prefix.ljust(_PREFIX + 12, b"\0"),
        )
    )


_BLANK = b" " * 8
_TAILS: Mapping[bytes, bytes] = {kind: _tail(kind) for kind in (_REG, _DIR, _PAX, _LINK, _SYMLINK)}
_TAIL_SUMS: Mapping[bytes, int] = {kind: sum(_BLANK + tail) for kind, tail in _TAILS.items()}
