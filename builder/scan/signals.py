"""What is known of exploits: CISA's list of exploited vulnerabilities (KEV), FIRST's forecast (EPSS). Pure.

https://www.cisa.gov/known-exploited-vulnerabilities-catalog, https://www.first.org/epss/data_stats.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import ScanError

MAX_SIGNALS = 256 << 20
"""Bytes of a list, unpacked; EPSS has 10 MB."""

_CVE = re.compile(r"CVE-\d{4}-\d{4,19}", re.ASCII)
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)")
_GZIP = b"\x1f\x8b"
_LEAST = 0.5
"""Share of a list's lines that must be readable: less is another format, or an error page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalList:
    """One list: ``kind`` "KEV" or "EPSS", the day it was made (UTC), and CVE → value.

    The value is the day that it was listed (KEV, "2025-08-25") or the probability of an exploit within 30
    days (EPSS, "0.97432").
    """

    kind: str
    date: dt.datetime
    values: dict[str, str]


def parse_signals(payload: bytes, *, source: str) -> SignalList:
    """Tell which of the two lists the bytes are (EPSS also packed by gzip), and read it.

    ScanError when they are neither, or most of it cannot be read.
    """
    text = _unpacked(payload, source)
    found = _kev(text, source) if text.lstrip()[:1] == b"{" else _epss(text, source)
    if found is None or not found.values:
        raise ScanError(
            f"{source} is neither CISA's list of exploited vulnerabilities nor an EPSS list",
            hint="give known_exploited_vulnerabilities.json or epss_scores-current.csv.gz",
        )
    return found


def _unpacked(payload: bytes, source: str) -> bytes:
    if not payload.startswith(_GZIP):
        return payload
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = inflate.decompress(payload, MAX_SIGNALS)
    except zlib.error as error:
        raise ScanError(f"{source} is damaged: {error}") from error
    if inflate.unconsumed_tail:
        raise ScanError(f"{source} unpacks to more than {MAX_SIGNALS >> 20} MiB")
    if not inflate.eof:
        raise ScanError(f"{source} is damaged: it ends too early")
    return text


def _kev(text: bytes, source: str) -> SignalList | None:
    try:
        document = json.loads(text)
        listed = document["vulnerabilities"]
        rows = [(one["cveID"], one.get("dateAdded")) for one in listed if "cveID" in one]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ScanError(f"{source} is no list of exploited vulnerabilities: {error!r}") from error
    values = {}
    for identity, when in rows:
        added = _DAY.match(str(when))
        if isinstance(identity, str) and _CVE.fullmatch(identity):
            values[identity] = added[1] if added else ""
    _check_share(len(values), len(listed), source)
    return _list("KEV", str(document.get("dateReleased")), values)


def _epss(text: bytes, source: str) -> SignalList | None:
    first, _, rest = text.decode(errors="replace").partition("\n")
    if not first.startswith("#"):
        rest = f"{first}\n{rest}"
    lines = csv.reader(io.StringIO(rest))
    if next(lines, [])[:2] != ["cve", "epss"]:
        return None
    total = 0
    values = {}
    for identity, score in _pairs(lines):
        total += 1
        if _CVE.fullmatch(identity) and _is_probability(score):
            values[identity] = score
    _check_share(len(values), total, source)
    return _list("EPSS", first if first.startswith("#") else "", values)


def _pairs(lines: Iterator[list[str]]) -> Iterator[tuple[str, str]]:
    try:
        yield from ((cells[0], cells[1]) for cells in lines if len(cells) > 1)
    except csv.Error:
        return


def _is_probability(text: str) -> bool:
    try:
        return 0.0 <= float(text) <= 1.0
    except ValueError:
        return False


def _check_share(read: int, total: int, source: str) -> None:
    if read < total * _LEAST:
        raise ScanError(f"{source} is damaged: of {total} vulnerabilities {read} could be read")


def _list(kind: str, dated: str, values: dict[str, str]) -> SignalList:
    days = [match[1] for match in [_DAY.search(dated)] if match]
    if not days:
        days = [max(values.values(), default="")] if kind == "KEV" else []
    try:
        date = dt.datetime.fromisoformat(days[0]).replace(tzinfo=dt.UTC)
    except (IndexError, ValueError):
        date = dt.datetime.fromtimestamp(0, dt.UTC)
    return SignalList(kind=kind, date=date, values=values)
