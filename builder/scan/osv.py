"""What OSV records say of packages. Pure. Rules D5, D9, O1, O2 and R1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from builder.scan.ecosystems import Ecosystem
from builder.scan.ranges import always, below, pack
from builder.scan.rating import Rating, rate, rate_record
from builder.scan.record import Affected, Event, Record, RecordError, names_of, parse_versions

MAX_VERSION = 256
MAX_SUMMARY = 200
MAX_EVENTS = 2000
"""Events of one range; real ones have fewer than 200."""

_PACKAGE = re.compile(r"[!-~]{1,214}")
_VERSION = re.compile(rf"[ -~]{{1,{MAX_VERSION}}}")
_STATUS = re.compile(r"[A-Za-z0-9 _-]{1,40}")
_MODULE = re.compile(r"\w+: ([\w.+-]+:[\w.+-]+) ")
_MODULAR = re.compile(r"[.]module[_+]el")
_SAFE = frozenset({"not-affected", "undetermined"})
_SIMPLE = 2
"""Events of a range from the beginning to a fix, which nearly all are."""


class Header(NamedTuple):
    """What a record says of all its packages. ``names``: its aliases and upstream ids."""

    id: str
    names: tuple[str, ...]
    summary: str
    vector: str
    score: float | None


class Entry(NamedTuple):
    """What it says of one package in one release, as :class:`builder.scan.model.Advisory` does.

    ``ranges`` are packed (:mod:`builder.scan.ranges`), ``versions`` stand on a line each. ``status`` is ""
    where the record has no word of its own.
    """

    package: str
    release: str
    status: str
    severity: int
    ranges: str
    versions: str
    module: str


def read_record(record: Record, ecosystem: Ecosystem) -> tuple[Header, tuple[Entry, ...]] | None:
    """Read what ``record`` says of packages of ``ecosystem``; None when that is nothing, or it was withdrawn.

    RecordError when a part that decides about a match is malformed: a record that is half understood
    could hide a hole, so it is refused whole and counted.
    """
    if record.withdrawn:
        return None
    whole = rate_record(record)
    entries = tuple(dict.fromkeys(_entries(record, ecosystem, whole)))
    if not entries:
        return None
    rated = whole if whole.vector else _rating_of_any(record, whole)
    summary = _plain(record.summary or "")
    return Header(record.id, _names(record, ecosystem), summary, rated.vector, rated.score), entries


def _names(record: Record, ecosystem: Ecosystem) -> tuple[str, ...]:
    names = tuple(dict.fromkeys((*names_of(record.aliases), *names_of(record.upstream))))
    if ecosystem.system and record.related and not any(name.startswith("CVE-") for name in names):
        # Errata name their CVEs as related; elsewhere that word means something else.
        names += tuple(name for name in names_of(record.related) if name.startswith("CVE-"))
    return names


def _rating_of_any(record: Record, whole: Rating) -> Rating:
    rated = (rate(affected, whole) for affected in record.affected or () if affected.severity)
    return next((rating for rating in rated if rating.vector), whole)


def _entries(record: Record, ecosystem: Ecosystem, whole: Rating) -> Iterator[Entry]:
    stream = _MODULE.match(record.summary or "") if ecosystem.order == "rpm" else None
    for affected in record.affected or ():
        named = _package(record, affected, ecosystem)
        if named is None:
            continue
        ranges = _ranges(affected, ecosystem)
        versions = "" if ranges and ecosystem.system else _versions(affected)
        status = _status(affected)
        if status in _SAFE or not (ranges or versions):
            continue
        module = stream[1] if stream is not None and _MODULAR.search(ranges) else ""
        severity = int(rate(affected, whole).severity)
        yield Entry(*named, status, severity, ranges, versions, module)


def _package(record: Record, affected: Affected, ecosystem: Ecosystem) -> tuple[str, str] | None:
    """Name and release; None for another ecosystem's, and where a record speaks of commits only."""
    package = affected.package
    if package is None:
        return None
    base, _, suffix = package.ecosystem.partition(":")
    if base != ecosystem.name:
        return None
    if not _PACKAGE.fullmatch(package.name) or len(suffix) > MAX_VERSION:
        raise RecordError(f"{record.id}: {package.name[:40]!r} is not a package")
    release = ecosystem.release(suffix) if suffix else ""
    return None if release is None else (ecosystem.fold(package.name), release)


def _ranges(affected: Affected, ecosystem: Ecosystem) -> str:
    ranges = [one.events for one in affected.ranges or () if one.type != "GIT" and one.events]
    if not ranges:
        return ""
    if len(ranges) == 1:
        (events,) = ranges
        if events[0].introduced == "0":
            if len(events) == _SIMPLE and events[1].fixed is not None:
                return below(_version(events[1].fixed, ecosystem))
            if len(events) == 1:
                return always()
    if any(len(events) > MAX_EVENTS for events in ranges):
        raise RecordError(f"a range has more than {MAX_EVENTS} events")
    return pack([[_event(event, ecosystem) for event in events] for events in ranges])


def _event(event: Event, ecosystem: Ecosystem) -> tuple[str, str]:
    for kind in ("introduced", "fixed", "last_affected", "limit"):
        at: str | None = getattr(event, kind)
        if at is not None:
            special = (kind, at) in {("introduced", "0"), ("limit", "*")}
            return kind, at if special else _version(at, ecosystem)
    raise RecordError("an event says nothing")


def _version(text: str, ecosystem: Ecosystem) -> str:
    # In the languages' data there are versions that are none; whether they matter is seen when one is
    # compared.
    if not _VERSION.fullmatch(text) or (ecosystem.system and not ecosystem.scheme.valid(text)):
        raise RecordError(f"{text[:40]!r} is not a version")
    return text


def _versions(affected: Affected) -> str:
    if len(affected.versions) <= len(b"null"):
        return ""
    versions = parse_versions(affected)
    for version in versions:
        if not _VERSION.fullmatch(version):
            raise RecordError(f"{version[:40]!r} is not a version")
    return "\n".join(versions)


def _status(affected: Affected) -> str:
    for specific in (affected.database_specific, affected.ecosystem_specific):
        if specific is None:
            continue
        for word in (specific.status, specific.informational):
            if isinstance(word, str) and _STATUS.fullmatch(word):
                return word
    return ""


def _plain(text: str) -> str:
    """One line without control characters: summaries end on terminals."""
    line = text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
    return line if len(line) <= MAX_SUMMARY else f"{line[: MAX_SUMMARY - 1]}…"
