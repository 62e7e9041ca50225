"""Advisories that speak of one vulnerability are one (rule O1), and who of them decides (D6, D7). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from builder.scan.model import Advisory

_ORDERS = ("DSA-", "DLA-")
_OWN = ("DEBIAN-", "UBUNTU-", "ALPINE-")
"""What distributions put before a CVE that they speak of."""
_CVE = "CVE-"
_PRO = "Pro:"
_MINOR = re.compile(r"[.]el[0-9]+_[0-9]+")


def groups(rows: Iterable[Advisory]) -> Mapping[str, list[Advisory]]:
    """The advisories of one package by the vulnerability they speak of.

    A record with CVEs is under each of them: an order or erratum names many. One without is under those of a
    record that it is an alias of, else under the least id of all records that are tied together.
    """
    records = list(rows)
    cves = {id(row): _cves(row) for row in records}
    loose = [row for row in records if not cves[id(row)]]
    if loose:
        cves |= _of_aliases(loose, [row for row in records if cves[id(row)]], cves)
    found: dict[str, list[Advisory]] = {}
    for row in records:
        for identity in cves[id(row)]:
            found.setdefault(identity, []).append(row)
    return found


def identities(row: Advisory) -> tuple[str, ...]:
    """The vulnerabilities that a record is about, as far as it says itself."""
    return _cves(row) or (row.id,)


def aliases(identity: str, rows: Iterable[Advisory]) -> tuple[str, ...]:
    """Every other id of a vulnerability, sorted."""
    found = list(rows)
    names = {row.id for row in found}
    for row in found:
        # A DSA names many CVEs: they are its contents, not other names of this one.
        if len(identities(row)) == 1:
            names.update(row.names)
    return tuple(sorted(names - {identity}))


def decisive_release(rows: list[Advisory], version: str) -> list[Advisory]:
    """Leave those that speak for the system.

    A record that names no release speaks for those that have no word of their own. What Ubuntu mends for
    subscribers only counts where their packages are installed, or where nothing else is said.
    """
    named = [row for row in rows if row.release] or rows
    subscribed = "esm" in version
    own = [row for row in named if row.release.startswith(_PRO) is subscribed]
    return own or named


def decisive(rows: list[Advisory], key: Callable[[str], Any]) -> list[Advisory]:
    """Let a DSA or DLA override the tracker's note on the CVE; of several the highest fix counts (D7)."""
    orders = [row for row in rows if is_order(row)]
    if not orders:
        return rows
    mended = [(max(map(key, fixes)), row) for row in orders if (fixes := _fixes(row))]
    return [max(mended, key=lambda pair: pair[0])[1]] if mended else orders[:1]


def of_minor_release(rows: list[Advisory], version: str) -> list[Advisory]:
    """Leave the rpm errata of the installed package's minor release ("el9_4"), if there are any.

    An erratum of the next minor release names again what was mended before, and a package of the next one can
    be newer than the fix of the one before without having it: between minor releases versions tell nothing.
    """
    here = _MINOR.search(version)
    if here is None:
        return rows
    same = [row for row in rows if any(here[0] in _MINOR.findall(at) for at in _fixes(row))]
    return same or rows


def is_order(row: Advisory) -> bool:
    """Whether it is a security announcement of Debian."""
    return row.id.startswith(_ORDERS)


def _fixes(row: Advisory) -> list[str]:
    return [at for events in row.ranges for kind, at in events if kind == "fixed"]


def _cves(row: Advisory) -> tuple[str, ...]:
    found = [name for name in row.names if name.startswith(_CVE)]
    own = row.id if row.id.startswith(_CVE) else row.id.partition("-")[2]
    if own.startswith(_CVE) and (own == row.id or row.id.startswith(_OWN)):
        found.insert(0, own)
    return tuple(dict.fromkeys(found))


def _of_aliases(
    loose: list[Advisory], sure: Iterable[Advisory], cves: Mapping[int, tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """For each record without a CVE the ids it goes under."""
    known: dict[str, tuple[str, ...]] = {}
    for row in sure:
        for name in (row.id, *row.names):
            if not name.startswith("CVE-"):
                known[name] = cves[id(row)]
    found: dict[int, tuple[str, ...]] = {}
    for tied in _tied(loose):
        names = sorted({name for row in tied for name in (row.id, *row.names)})
        adopted = tuple(dict.fromkeys(cve for name in names for cve in known.get(name, ())))
        found |= dict.fromkeys(map(id, tied), adopted or (min(row.id for row in tied),))
    return found


def _tied(rows: list[Advisory]) -> list[list[Advisory]]:
    """Records that share a name, or are tied by others that do."""
    parts: list[tuple[set[str], list[Advisory]]] = []
    for row in rows:
        names = {row.id, *row.names}
        touching = [part for part in parts if not part[0].isdisjoint(names)]
        parts = [part for part in parts if part not in touching]
        merged = [one for part in touching for one in part[1]]
        parts.append((names.union(*(part[0] for part in touching)), [*merged, row]))
    return [part[1] for part in parts]
