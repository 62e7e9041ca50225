"""Reading ``all.zip`` of an OSV export: one JSON record a member. Nothing in it is trusted."""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from builder.errors import ScanError
from builder.scan.ecosystems import Ecosystem
from builder.scan.osv import Entry, Header, read_record
from builder.scan.record import RecordError, parse_record

MAX_RECORDS = 2_000_000
MAX_RECORD = 16 << 20
MAX_TOTAL = 8 << 30
"""Limits: members of a zip, bytes of one record and of all of them."""

_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, zlib.error)
"""What zipfile raises for damaged, encrypted and unknown members."""
_INFLATE = -zlib.MAX_WBITS
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_MAX_COVERAGE = 16 << 20
_ECOSYSTEM = re.compile(r"[A-Za-z][A-Za-z0-9. -]{0,40}")


@dataclass(slots=True)
class Tally:
    """What a pass over a zip saw, filled while it streams by. ``newest`` as ``2026-11-22T00:00:00``."""

    records: int = 0
    refused: int = 0
    newest: str = ""
    problems: list[str] = field(default_factory=list)
    """The first few reasons why a record was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """``coverage.json`` beside a partial zip: the source packages and releases that it speaks of."""

    sources: frozenset[str]
    releases: tuple[str, ...]


def read_records(
    stream: BinaryIO, ecosystem: Ecosystem, tally: Tally, *, not_after: str
) -> Iterator[tuple[Header, tuple[Entry, ...]] | None]:
    """Give what each record says (None for nothing) and keep count in ``tally``.

    Records that are not OSV are counted and left out; ``modified`` later than ``not_after`` does not date
    the data. ScanError when the file is no zip, is damaged, or is larger than any such export.
    """
    total = 0
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > MAX_RECORDS:
                raise ScanError(f"the vulnerability data has {len(members)} members, more than {MAX_RECORDS}")
            for member in members:
                if not member.filename.endswith(".json"):
                    continue
                payload = _payload(stream, member)
                total += len(payload)
                if total > MAX_TOTAL:
                    raise ScanError(f"the vulnerability data unpacks to more than {MAX_TOTAL >> 30} GiB")
                yield _record(payload, ecosystem, tally, not_after)
    except _DAMAGE as error:
        raise _damaged(error) from error


def ecosystem_of(stream: BinaryIO) -> str:
    """Tell which ecosystem a zip is of, by the first record that says; ScanError when none does."""
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist()[:100]:
                found = _named(_payload(stream, member))
                if found:
                    return found
    except _DAMAGE as error:
        raise _damaged(error) from error
    raise ScanError("the file holds no OSV record", hint="give an all.zip of an OSV export")


def read_coverage(path: Path) -> Coverage | None:
    """Read the ``coverage.json`` of a partial cut; None without one. ScanError when it is malformed."""
    try:
        with path.open("rb") as stream:
            payload = stream.read(_MAX_COVERAGE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ScanError(f"{path} could not be read: {error.strerror}") from error
    try:
        document = json.loads(payload)
        sources, releases = document["sources"], document["releases"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise _bad_coverage(path) from error
    if not (_are_texts(sources) and _are_texts(releases)):
        raise _bad_coverage(path)
    return Coverage(sources=frozenset(sources), releases=tuple(sorted(set(releases))))


def _payload(stream: BinaryIO, member: zipfile.ZipInfo) -> bytes:
    """Read a member, at most ``MAX_RECORD`` + 1 bytes (APPNOTE.TXT 4.3.7): ZipFile.open is far slower."""
    stream.seek(member.header_offset)
    header = stream.read(_LOCAL_HEADER.size)
    if member.flag_bits & 1 or len(header) < _LOCAL_HEADER.size:
        raise zipfile.BadZipFile(f"member {member.filename[:80]!r} is encrypted or cut short")
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    if signature != b"PK\3\4":
        raise zipfile.BadZipFile(f"member {member.filename[:80]!r} has no header")
    stream.seek(name_length + extra_length, 1)
    if member.compress_type == zipfile.ZIP_STORED:
        payload = stream.read(min(member.compress_size, MAX_RECORD + 1))
    elif member.compress_type == zipfile.ZIP_DEFLATED:
        packed = stream.read(min(member.compress_size, MAX_RECORD + 1))
        payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, MAX_RECORD + 1)
    else:
        raise zipfile.BadZipFile(f"member {member.filename[:80]!r} is compressed by an unknown method")
    if len(payload) <= MAX_RECORD and zlib.crc32(payload) != member.CRC:
        raise zipfile.BadZipFile(f"member {member.filename[:80]!r} is damaged")
    return payload


def _record(
    payload: bytes, ecosystem: Ecosystem, tally: Tally, not_after: str
) -> tuple[Header, tuple[Entry, ...]] | None:
    try:
        record = parse_record(payload[:MAX_RECORD])  # a longer one is no JSON any more
        found = read_record(record, ecosystem)
    except RecordError as error:
        tally.refused += 1
        if len(tally.problems) < 5:  # noqa: PLR2004 (enough to see what is wrong)
            tally.problems.append(str(error))
        return None
    tally.records += 1
    modified = record.modified[:19]
    if tally.newest < modified <= not_after:
        tally.newest = modified
    return found


def _named(payload: bytes) -> str:
    try:
        packages = [one.package for one in parse_record(payload).affected or ()]
    except RecordError:
        return ""
    names = (package.ecosystem.partition(":")[0] for package in packages if package is not None)
    return next((name for name in names if _ECOSYSTEM.fullmatch(name)), "")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _bad_coverage(path: Path) -> ScanError:
    return ScanError(
        f"{path} does not say what its data covers",
        hint='it needs "sources" and "releases", two lists of names',
    )


def _damaged(error: Exception) -> ScanError:
    return ScanError(
        f"the vulnerability data is not a readable zip: {error}", hint="fetch it again, or give another file"
    )
