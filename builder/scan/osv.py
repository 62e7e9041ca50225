"""OSV records to advisories (https://ossf.github.io/osv-schema/). Pure. Rules D5, D9 and O1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from builder.dpkg.version import is_version
from builder.recipe.model import Severity
from builder.scan.cvss import base_score, severity_of_score
from builder.scan.model import Advisory

MAX_VERSION = 256
MAX_SUMMARY = 200

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}")
_PACKAGE = re.compile(r"[!-~]{1,214}")
_VERSION = re.compile(rf"[ -~]{{1,{MAX_VERSION}}}")
_STATUS = re.compile(r"[A-Za-z0-9 _-]{0,40}")
_SAFE = frozenset({"not-affected", "undetermined"})
_EVENTS = frozenset({"introduced", "fixed", "last_affected"})
_NOTHING: list[dict[str, Any]] = []
_URGENCY = {
    "unimportant": Severity.LOW,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
}
_LABELS = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}


class RecordError(ValueError):
    """Bytes that are not an OSV record, and what is wrong with them."""


def parse_record(payload: bytes) -> dict[str, Any]:
    """One JSON document as an OSV record; RecordError when it is none."""
    try:
        record = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {type(error).__name__}") from error
    if not isinstance(record, dict) or not _ID.fullmatch(_text(record.get("id"))):
        raise RecordError("no OSV id")
    if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", _text(record.get("modified")), re.ASCII):
        raise RecordError(f"{record['id']}: modified is not a time")
    return record


def advisories(record: dict[str, Any], ecosystem: str) -> tuple[Advisory, ...]:
    """Read what ``record`` says of packages of ``ecosystem`` ("Debian"); nothing for a withdrawn one.

    RecordError when a part that decides about a match is malformed: a record that is half understood
    could hide a hole, so it is refused whole and counted.
    """
    if record.get("withdrawn"):
        return ()
    names = tuple(dict.fromkeys(_ids(record, "aliases") + _ids(record, "upstream")))
    whole = _record_severity(record)
    summary = _plain(_text(record.get("summary")))
    found: list[Advisory] = []
    for affected, release, package in _affected(record, ecosystem):
        ranges = _ranges(affected, ecosystem)
        versions = _versions(affected, ecosystem)
        status = _status(affected, ranges)
        if status in _SAFE or not (ranges or versions):
            continue
        found.append(
            Advisory(
                id=record["id"],
                names=names,
                release=release,
                package=package,
                status=status,
                severity=_severity(affected, whole),
                ranges=ranges,
                versions=versions,
                summary=summary,
            )
        )
    return tuple(found)


def _affected(record: dict[str, Any], ecosystem: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    for affected in _list(record, "affected"):
        package = _dict(affected, "package")
        if not package:
            continue  # a record may speak of commits only
        name, release_of = _text(package.get("name")), _text(package.get("ecosystem"))
        base, _, release = release_of.partition(":")
        if base != ecosystem:
            continue
        if not _PACKAGE.fullmatch(name) or len(release) > MAX_VERSION:
            raise RecordError(f"{record['id']}: {name[:40]!r} is not a package")
        yield affected, release, name


def _ranges(affected: dict[str, Any], ecosystem: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(
        tuple(
            (kind, _version(at, ecosystem))
            for event in _list(one, "events")
            for kind, at in event.items()
            if kind in _EVENTS
        )
        for one in _list(affected, "ranges")
        if one.get("type") != "GIT"
    )


def _versions(affected: dict[str, Any], ecosystem: str) -> tuple[str, ...]:
    versions = affected.get("versions") or []
    if not isinstance(versions, list):
        raise RecordError("versions is not a list")
    return tuple(_version(version, ecosystem) for version in versions)


def _version(version: object, ecosystem: str) -> str:
    if version == "0":
        return "0"  # the commonest by far
    text = _text(version)
    if not _VERSION.fullmatch(text) or (ecosystem == "Debian" and not is_version(text)):
        raise RecordError(f"{text[:40]!r} is not a version")
    return text


def _status(affected: dict[str, Any], ranges: Iterable[tuple[tuple[str, str], ...]]) -> str:
    for place in ("database_specific", "ecosystem_specific"):
        status = _text(_dict(affected, place).get("status"))
        if status and _STATUS.fullmatch(status):
            return status
    mended = any(event[0] == "fixed" for events in ranges for event in events)
    return "resolved" if mended else "unfixed"


def _severity(affected: dict[str, Any], whole: Severity) -> Severity:
    # The distribution's own word about its package comes before a score of the vulnerability (D9).
    urgency = _text(_dict(affected, "ecosystem_specific").get("urgency")).rstrip("*")
    return _URGENCY.get(urgency) or _score(affected) or whole


def _record_severity(record: dict[str, Any]) -> Severity:
    label = _text(_dict(record, "database_specific").get("severity")).upper()
    return _score(record) or _LABELS.get(label, Severity.UNKNOWN)


def _score(part: dict[str, Any]) -> Severity:
    if "severity" not in part:
        return Severity.UNKNOWN
    scores = (base_score(_text(one.get("score"))) for one in _list(part, "severity"))
    return max((severity_of_score(score) for score in scores if score is not None), default=Severity.UNKNOWN)


def _ids(record: dict[str, Any], key: str) -> tuple[str, ...]:
    values = record.get(key)
    if not values:
        return ()
    if not isinstance(values, list):
        raise RecordError(f"{record['id']}: {key} is not a list")
    return tuple(value for value in values if isinstance(value, str) and _ID.fullmatch(value))


def _list(part: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = part.get(key)
    if not values:
        return _NOTHING
    if not isinstance(values, list):
        raise RecordError(f"{key} is not a list")
    for value in values:
        if not isinstance(value, dict):
            raise RecordError(f"{key} is not a list of objects")
    return values


def _dict(part: dict[str, Any], key: str) -> dict[str, Any]:
    value = part.get(key) or {}
    if not isinstance(value, dict):
        raise RecordError(f"{key} is not an object")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """One line without control characters: summaries end on terminals."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= MAX_SUMMARY else f"{line[: MAX_SUMMARY - 1]}…"
