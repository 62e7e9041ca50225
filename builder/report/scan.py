"""A scan for people (an aligned table) and for programs (JSON). Pure: both give a string.

Everything that came from an image or a database is printed without control characters: a package cannot
repaint the terminal.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from builder.inventory.model import Component, Inventory
from builder.policy.model import Breach
from builder.recipe.model import Ignore, Severity

_COLOURS = {
    Severity.CRITICAL: "\x1b[1;31m",
    Severity.HIGH: "\x1b[31m",
    Severity.MEDIUM: "\x1b[33m",
}
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_HEADER = ("SEVERITY", "ID", "PACKAGE", "INSTALLED", "FIXED IN", "STATUS")
_PROBABLE = 0.1
"""EPSS from which a row of the table says how probable an exploit is."""
_STEPS = 5
_DAY = 86400
_HOUR = 3600


class FindingRow(Protocol):
    """What a report needs of one finding; ``builder.scan.model.Finding`` is one."""

    @property
    def id(self) -> str:
        """The CVE, or another id where there is none."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other ids of it."""

    @property
    def ecosystem(self) -> str:
        """Whose data says so."""

    @property
    def package(self) -> str:
        """Binary package, or a language's."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def architecture(self) -> str:
        """Its architecture."""

    @property
    def purl(self) -> str:
        """Its package URL."""

    @property
    def source_name(self) -> str:
        """Source package."""

    @property
    def source_version(self) -> str:
        """Its version."""

    @property
    def fixed(self) -> str:
        """Version that mends it, "" for none."""

    @property
    def status(self) -> str:
        """Raw word of the data."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""

    @property
    def score(self) -> float | None:
        """Of the CVSS vector."""

    @property
    def vector(self) -> str:
        """The CVSS vector, or ""."""

    @property
    def kev(self) -> bool:
        """Whether CISA knows that it is exploited."""

    @property
    def epss(self) -> float | None:
        """How probable an exploit is, 0 to 1."""

    @property
    def summary(self) -> str:
        """One line, or ""."""

    @property
    def ignored(self) -> Ignore | None:
        """The waiver that covers it."""

    @property
    def known(self) -> bool:
        """Whether an earlier report has it too."""

    @property
    def place(self) -> str:
        """The file that brings the package in."""

    @property
    def because(self) -> tuple[str, ...]:
        """What asked for it, and the files that lead to ``place``."""

    @property
    def mend(self) -> str:
        """What takes the finding away."""


class DataSource(Protocol):
    """What a report says of the data; ``builder.scan.model.DatabaseSummary`` is one."""

    @property
    def ecosystem(self) -> str:
        """As OSV names it."""

    @property
    def source(self) -> str:
        """Address or path it came from."""

    @property
    def date(self) -> dt.datetime:
        """Date of the data."""

    @property
    def age(self) -> int:
        """Seconds."""

    @property
    def records(self) -> int:
        """Records in it."""

    @property
    def partial(self) -> bool:
        """Whether it speaks of a part of the ecosystem only."""


class Scan(Protocol):
    """What a report needs of a scan; ``builder.scan.model.ScanReport`` is one."""

    @property
    def subject(self) -> str:
        """What was scanned."""

    @property
    def inventory(self) -> Inventory:
        """What is in it."""

    @property
    def findings(self) -> Sequence[FindingRow]:
        """Sorted."""

    @property
    def databases(self) -> Sequence[DataSource]:
        """The data used."""

    @property
    def supported_until(self) -> dt.date | None:
        """Last day of the distribution's security support."""

    @property
    def unscannable(self) -> tuple[str, ...]:
        """Why parts could not be judged."""


class Judgement(Protocol):
    """What a report needs of a verdict; ``builder.scan.model.Verdict`` is one."""

    @property
    def passed(self) -> bool:
        """Whether the policy lets it through."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to read all the same."""

    @property
    def findings(self) -> Sequence[FindingRow]:
        """With waivers marked."""

    @property
    def over_limit(self) -> Sequence[FindingRow]:
        """Those that stop it."""

    @property
    def breaches(self) -> Sequence[Breach]:
        """Where it is not what the policy asks for."""

    @property
    def unjudged(self) -> tuple[str, ...]:
        """Why parts could not be judged."""


def render_table(scan: Scan, verdict: Judgement | None = None, *, colour: bool = False) -> str:
    """Give the findings as a table, a summary line, the date of the data, and the verdict if any."""
    findings = verdict.findings if verdict is not None else scan.findings
    blocks = [
        _table(findings, colour=colour),
        _mends(findings),
        [_summary(scan, findings, colour=colour), *_data(scan.databases)],
    ]
    unjudged = verdict.unjudged if verdict is not None else scan.unscannable
    blocks.append(_listed("could not be judged:", unjudged))
    if verdict is not None:
        blocks.append(_listed("warnings:", [one for one in verdict.warnings if one not in unjudged]))
        blocks.append(_verdict(verdict, colour=colour))
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def render_json(scan: Scan, verdict: Judgement | None = None) -> Iterator[str]:
    """Give the same as one JSON object, in pieces; each finding is on a line of its own.

    ``schema``: 2; ``subject``; ``passed`` (null without a verdict), ``reasons``, ``warnings``,
    ``unscannable``: texts; ``distribution``: null or ``id``, ``version``, ``name``, ``supported_until`` (a
    day or null); ``databases``: ``ecosystem``, ``source``, ``date`` (RFC 3339, UTC), ``age`` (seconds),
    ``records``, ``partial``; ``inventory``: ``packages``, ``files``, ``elf_files`` (numbers),
    ``ecosystems`` (purl type → packages), ``unowned_elf`` (paths), ``components``: ``ecosystem``, ``name``,
    ``version``, ``purl``, ``evidence`` (paths), ``layer`` (0 is the lowest; null outside of images),
    ``owner`` (null or a package), ``development``, ``claimed`` (by a bill of materials only); ``counts``:
    severity → number of findings that are not waived, severities without any left out; ``findings``:
    ``id``, ``aliases``, ``severity``, ``status`` (raw), ``ecosystem``, ``package``, ``version``,
    ``architecture``, ``purl``, ``source``, ``source_version``, ``fixed`` (null where nothing mends it),
    ``cvss`` (null or ``vector``, ``score``), ``kev`` (whether CISA knows of exploits), ``epss`` (0 to 1 or
    null), ``summary``, ``known`` (whether the baseline has it), ``place`` (the file that brings the package
    in), ``because`` (what asked for it, then the files that lead to ``place``; empty where nobody has written
    it down), ``mend`` (what takes the finding away), ``ignored`` (null or ``reason`` and ``expires``, a day
    or null).
    """
    findings = verdict.findings if verdict is not None else scan.findings
    inventory = scan.inventory
    distribution = inventory.distribution
    document = {
        "schema": 2,
        "subject": scan.subject,
        "passed": verdict.passed if verdict is not None else None,
        "reasons": verdict.reasons if verdict is not None else (),
        "warnings": verdict.warnings if verdict is not None else (),
        "unscannable": verdict.unjudged if verdict is not None else scan.unscannable,
        "distribution": None
        if distribution is None
        else {
            "id": distribution.id,
            "version": distribution.version,
            "name": distribution.pretty_name,
            "supported_until": scan.supported_until.isoformat() if scan.supported_until else None,
        },
        "databases": [_database_fields(database) for database in scan.databases],
        "inventory": _inventory_fields(inventory),
        "counts": {severity.name.lower(): count for severity, count in _counts(findings)},
    }
    yield json.dumps(document, indent=2).removesuffix("\n}") + ',\n  "findings": ['
    start = "\n"
    for finding in findings:
        yield f"{start}    {json.dumps(_finding_fields(finding))}"
        start = ",\n"
    yield "\n  ]\n}\n" if findings else "]\n}\n"


def _table(findings: Iterable[FindingRow], *, colour: bool) -> list[str]:
    found = list(findings)
    if not found:
        return []
    rows = [_HEADER, *(_row(finding) for finding in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if colour:
        lines = [_BOLD + lines[0] + _PLAIN, *(_painted(*pair) for pair in zip(lines[1:], found, strict=True))]
    return lines


def _row(finding: FindingRow) -> tuple[str, ...]:
    status = f"{finding.status}{_exploits(finding)}{', known' if finding.known else ''}"
    if finding.ignored is not None:
        until = f" until {finding.ignored.expires}" if finding.ignored.expires is not None else ""
        status = f"{status}, waived{until}: {finding.ignored.reason}"
    cells = (finding.id, finding.package, finding.version, finding.fixed or "-", status)
    return (finding.severity.name.lower(), *(clean(cell) for cell in cells))


def _exploits(finding: FindingRow) -> str:
    if finding.kev:
        return ", exploited (KEV)"
    return f", EPSS {finding.epss:.0%}" if finding.epss is not None and finding.epss >= _PROBABLE else ""


def _mends(findings: Iterable[FindingRow]) -> list[str]:
    """For each package that counts, what takes most of its findings away and why it is there."""
    lines: dict[tuple[str, str], list[FindingRow]] = {}
    for finding in findings:
        if finding.ignored is None and (finding.mend or finding.because):
            lines.setdefault((finding.package, finding.mend), []).append(finding)
    found = []
    for (package, mend), same in lines.items():
        why = f" — {_arrows(same[0].because)}" if same[0].because else ""
        found.append(f"  {clean(package)}: {_many(len(same), 'finding')}: {clean(mend)}{why}")
    return ["what mends them, and why they are there:", *found] if found else []


def _arrows(because: tuple[str, ...]) -> str:
    """The chain, its middle left out where it is long."""
    shown = because if len(because) <= _STEPS else (*because[:2], "…", *because[-2:])
    return " → ".join(clean(one) for one in shown)


def _painted(line: str, finding: FindingRow) -> str:
    colour = _DIM if finding.ignored is not None else _COLOURS.get(finding.severity, "")
    return f"{colour}{line}{_PLAIN}" if colour else line


def _summary(scan: Scan, findings: Iterable[FindingRow], *, colour: bool) -> str:
    found = list(findings)
    distribution = scan.inventory.distribution
    name = f" ({distribution})" if distribution is not None else ""
    parts = [f"{count} {severity.name.lower()}" for severity, count in _counts(found)]
    waived = sum(finding.ignored is not None for finding in found)
    parts += [f"{waived} waived"] if waived else []
    text = f"{clean(scan.subject)}{name}: {_packages(scan.inventory)}, {_many(len(found), 'finding')}"
    text += f": {', '.join(parts)}" if parts else ""
    return f"{_BOLD}{text}{_PLAIN}" if colour else text


def _packages(inventory: Inventory) -> str:
    kinds = ecosystems(inventory)
    text = _many(len(inventory.components), "package")
    # Debian's packages alone are the usual case, which needs no words.
    return (
        text
        if kinds.keys() <= {"deb"}
        else f"{text} ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})"
    )


def ecosystems(inventory: Inventory) -> dict[str, int]:
    """How many packages of each kind there are, by the type of their purl."""
    return dict(Counter(component.kind.value for component in inventory.components))


def described(one: DataSource) -> str:
    """One source of the data, in words."""
    return (
        f"data: {one.ecosystem} of {one.date:%Y-%m-%d} ({_age(one.age)}"
        f"{', a partial cut' if one.partial else ''}), {one.records:,} records from {clean(one.source)}"
    )


def _data(databases: Iterable[DataSource]) -> list[str]:
    return [described(one) for one in databases] or ["data: none"]


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {clean(line)}" for line in lines]
    return [title, *found] if found else []


def _verdict(verdict: Judgement, *, colour: bool) -> list[str]:
    word, paint = ("passed", "\x1b[32m") if verdict.passed else ("not passed", "\x1b[31m")
    title = f"{paint}{word}{_PLAIN}" if colour else word
    return [title, *(f"  {clean(reason)}" for reason in verdict.reasons)]


def counted(findings: Iterable[FindingRow]) -> list[tuple[str, int]]:
    """Severity words with their number of findings that are not waived, worst first."""
    return [(severity.name.lower(), count) for severity, count in _counts(findings)]


def _counts(findings: Iterable[FindingRow]) -> list[tuple[Severity, int]]:
    counts = dict.fromkeys(sorted(Severity, reverse=True), 0)
    for finding in findings:
        if finding.ignored is None:
            counts[finding.severity] += 1
    return [(severity, count) for severity, count in counts.items() if count]


def _database_fields(database: DataSource) -> dict[str, object]:
    return {
        "ecosystem": database.ecosystem,
        "source": database.source,
        "date": database.date.isoformat().replace("+00:00", "Z"),
        "age": database.age,
        "records": database.records,
        "partial": database.partial,
    }


def _inventory_fields(inventory: Inventory) -> dict[str, object]:
    return {
        "packages": len(inventory.components),
        "ecosystems": ecosystems(inventory),
        "files": inventory.files,
        "elf_files": inventory.elf_files,
        "unowned_elf": [clean(path) for path in inventory.unowned_elf],
        "components": [_component_fields(component) for component in inventory.components],
    }


def _component_fields(component: Component) -> dict[str, object]:
    return {
        "ecosystem": component.kind.value,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
        "evidence": [clean(path) for path in component.evidence],
        "layer": component.layer,
        "owner": component.owner or None,
        "development": component.development,
        "claimed": component.claimed,
    }


def _finding_fields(finding: FindingRow) -> dict[str, object]:
    ignored = finding.ignored
    return {
        "id": finding.id,
        "aliases": finding.aliases,
        "severity": finding.severity.name.lower(),
        "status": finding.status,
        "ecosystem": finding.ecosystem,
        "package": finding.package,
        "version": finding.version,
        "architecture": finding.architecture,
        "purl": finding.purl,
        "source": finding.source_name,
        "source_version": finding.source_version,
        "fixed": finding.fixed or None,
        "cvss": {"vector": finding.vector, "score": finding.score} if finding.vector else None,
        "kev": finding.kev,
        "epss": finding.epss,
        "summary": finding.summary,
        "known": finding.known,
        "place": clean(finding.place),
        "because": [clean(one) for one in finding.because],
        "mend": clean(finding.mend),
        "ignored": None
        if ignored is None
        else {"reason": ignored.reason, "expires": ignored.expires.isoformat() if ignored.expires else None},
    }


def clean(text: str) -> str:
    """Put "?" for every control character and every byte that is no UTF-8."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)


def _age(seconds: int) -> str:
    if seconds < _HOUR:
        return "less than an hour old"
    return f"{_many(seconds // _DAY, 'day') if seconds >= _DAY else _many(seconds // _HOUR, 'hour')} old"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
