"""One OSV record as JSON to a value (https://ossf.github.io/osv-schema/): the only importer of msgspec.

Of a record only the fields below are made into objects: most of its bytes are prose, references and lists
that say nothing about a match. Where a field has another type than the schema says, the record is refused.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}")
_TIME = re.compile(r"\d{1,4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


class RecordError(ValueError):
    """Bytes that are not an OSV record, and what is wrong with them."""


class Package(msgspec.Struct, frozen=True, gc=False):
    """``affected[].package``."""

    ecosystem: str = ""
    name: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """``affected[].ranges[].events[]``: one of these."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(msgspec.Struct, frozen=True, gc=False):
    """``affected[].ranges[]``."""

    type: str = ""
    events: list[Event] | None = None


class Score(msgspec.Struct, frozen=True, gc=False):
    """``severity[]``."""

    type: str = ""
    score: str = ""


class Specific(msgspec.Struct, frozen=True, gc=False):
    """What is read of ``database_specific`` and ``ecosystem_specific``: words, if they are words."""

    status: Any = None
    severity: Any = None
    urgency: Any = None
    informational: Any = None
    ubuntu_priority: Any = None
    cvss: Any = None


class Affected(msgspec.Struct, frozen=True, gc=False):
    """``affected[]``. ``versions`` stays JSON: it is long, and rarely wanted."""

    package: Package | None = None
    ranges: list[Range] | None = None
    versions: msgspec.Raw = msgspec.Raw(b"null")
    severity: list[Score] | None = None
    ecosystem_specific: Specific | None = None
    database_specific: Specific | None = None


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record."""

    id: str
    modified: str
    withdrawn: str | None = None
    aliases: list[str] | None = None
    upstream: list[str] | None = None
    related: list[str] | None = None
    severity: list[Score] | None = None
    summary: str | None = None
    affected: list[Affected] | None = None
    database_specific: Specific | None = None


_RECORD = msgspec.json.Decoder(Record)
_VERSIONS = msgspec.json.Decoder(list[str] | None)


def parse_record(payload: bytes) -> Record:
    """One JSON document as an OSV record; RecordError when it is none."""
    try:
        record = _RECORD.decode(payload)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not an OSV record: {error}") from error
    if not _ID.fullmatch(record.id):
        raise RecordError("no OSV id")
    if not _TIME.match(record.modified):
        raise RecordError(f"{record.id}: modified is not a time")
    return record


def parse_versions(affected: Affected) -> list[str]:
    """``affected[].versions``; RecordError when it is no list of texts."""
    try:
        return _VERSIONS.decode(affected.versions) or []
    except (ValueError, RecursionError) as error:
        raise RecordError(f"versions is not a list of texts: {error}") from error


def names_of(values: list[str] | None) -> tuple[str, ...]:
    """Those of ``aliases``, ``upstream`` or ``related`` that have the form of an id."""
    return tuple(value for value in values or () if _ID.fullmatch(value))
