"""What advisories make of one version of one package. Pure. Rules D6 to D9, O1 and R1 of this room."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.recipe.model import Severity
from builder.scan.ecosystems import Ecosystem
from builder.scan.merge import aliases, decisive, decisive_release, is_order, of_minor_release
from builder.scan.model import Advisory
from builder.scan.ranges import affects, fixed_in, key

_MODULAR = re.compile(r"[.]module[_+]el")


@dataclass(frozen=True, slots=True)
class Sought:
    """A package under the name that its ecosystem's records use; ``module`` is rpm's label of a stream."""

    ecosystem: Ecosystem
    name: str
    version: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Hole:
    """One vulnerability of it, as :class:`builder.scan.model.Finding` says.

    ``doubt`` is "", or the advisory that its version cannot be compared with: then nothing else counts.
    """

    id: str
    aliases: tuple[str, ...] = ()
    fixed: str = ""
    status: str = ""
    severity: Severity = Severity.UNKNOWN
    score: float | None = None
    vector: str = ""
    summary: str = ""
    doubt: str = ""


def holes_of(sought: Sought, groups: Mapping[str, list[Advisory]]) -> Iterator[Hole]:
    """Every vulnerability of the package; ``groups`` has its advisories by vulnerability.

    A version that nobody knows is never matched (G1).
    """
    if not sought.version:
        return
    is_rpm = sought.ecosystem.order == "rpm"
    for identity, group in groups.items():
        rows = group if len(group) == 1 else decisive_release(group, sought.version)
        if is_rpm:
            rows = [row for row in rows if _same_stream(row, sought)]
        yield from _judged(sought, identity, rows)


def _judged(sought: Sought, identity: str, rows: list[Advisory]) -> Iterator[Hole]:
    scheme = sought.ecosystem.scheme
    deciding = rows if len(rows) == 1 else _deciding(rows, sought)
    hits = []
    for row in deciding:
        try:
            if affects(row, sought.version, scheme):
                hits.append(row)
        except ValueError:
            yield Hole(identity, doubt=row.id)
    if not hits or (len(hits) < len(deciding) and _one_mends(sought.ecosystem)):
        return
    rated = _best_rated(rows)
    yield Hole(
        id=identity,
        aliases=aliases(identity, rows),
        fixed=_fixed(hits, sought),
        status=next((row for row in rows if not is_order(row)), hits[0]).status,
        severity=rated.severity,
        score=rated.score,
        vector=rated.vector,
        summary=next((row.summary for row in rows if row.summary), ""),
    )


def _one_mends(ecosystem: Ecosystem) -> bool:
    """Whether of several fixes of one vulnerability any mends it (D7).

    In a release of a distribution versions only rise, so the first fix counts. Debian corrects itself by
    orders; records of the languages are several views, of which each has its reason.
    """
    return ecosystem.system and ecosystem.name != "Debian"


def _deciding(rows: list[Advisory], sought: Sought) -> list[Advisory]:
    if sought.ecosystem.order == "rpm":
        return of_minor_release(rows, sought.version)
    return decisive(rows, functools.partial(key, sought.ecosystem.order))


def _best_rated(rows: list[Advisory]) -> Advisory:
    """Whose severity counts: GitHub's reviewers' where they gave one, else the worst of all (D9)."""
    if len(rows) == 1:
        return rows[0]
    reviewed = [row for row in rows if row.id.startswith("GHSA-") and row.severity]
    return max(reviewed or rows, key=lambda row: (row.severity, row.score or 0.0))


def _fixed(hits: list[Advisory], sought: Sought) -> str:
    """The version that mends it: of several records the least where one is enough, else the greatest."""
    scheme = sought.ecosystem.scheme
    try:
        found = [fixed for row in hits if (fixed := fixed_in(row, sought.version, scheme))]
        if len(found) < 2:  # noqa: PLR2004 (nothing to choose from)
            return found[0] if found else ""
        choose = min if _one_mends(sought.ecosystem) else max
        return choose(found, key=functools.partial(key, scheme.name))
    except ValueError:  # a version that was only listed
        return ""


def _same_stream(row: Advisory, sought: Sought) -> bool:
    """Whether a modular rpm erratum is about the stream that is installed (rule R1).

    What no module brings is never mended by a module's package, nor the other way round.
    """
    modular = bool(sought.module) or _MODULAR.search(sought.version) is not None
    if modular is not _is_modular(row):
        return False
    known = sought.module and row.module
    return not known or f"{sought.module}:".startswith(f"{row.module}:")


def _is_modular(row: Advisory) -> bool:
    return bool(row.module) or any(_MODULAR.search(at) for events in row.ranges for _, at in events)
