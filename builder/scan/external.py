"""Findings of trivy or grype, read from their JSON and judged by our gate. A scanner that errs is no pass.

What is in the image is still taken by ourselves: a scanner that sees none of the packages has not scanned.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.engine.command import Command, Runner
from builder.engine.scanners import grype_layout, trivy_layout, trivy_version
from builder.errors import MachineError, RootletError, ScanError
from builder.inventory.model import Inventory
from builder.recipe.model import Scanner, Severity
from builder.scan.gaps import tree_gaps
from builder.scan.model import DatabaseSummary, Finding, ScanReport

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a scanner said: findings, how many packages it saw, and its data (None where it does not say)."""

    findings: tuple[Finding, ...]
    packages: int
    date: dt.datetime | None


def external_report(
    scanner: Scanner, layout: Path, inventory: Inventory, *, subject: str, now: dt.datetime, runner: Runner
) -> ScanReport:
    """A layout with one image, judged. MachineError without the program, ScanError when it errs."""
    name = scanner.value
    program = runner.find(name)
    if program is None:
        raise MachineError(f"{name} is not on the PATH", hint=f'install {name}, or set scanner = "builtin"')
    answer = _SCANNERS[scanner](program, layout, runner)
    order = sorted(answer.findings, key=lambda one: (-one.severity, one.id, one.package, one.version))
    return ScanReport(
        subject=subject,
        inventory=inventory,
        findings=tuple(order),
        databases=_data(name, answer, now),
        unscannable=(*tree_gaps(inventory), *_unseen(name, answer, inventory)),
    )


def _unseen(name: str, answer: _Answer, inventory: Inventory) -> Iterator[str]:
    if inventory.components and not answer.packages:
        yield f"{name} saw none of the {len(inventory.components)} packages of the image"
    if answer.date is None:
        yield f"{name} does not say how old its data is"


def _data(name: str, answer: _Answer, now: dt.datetime) -> tuple[DatabaseSummary, ...]:
    if answer.date is None:
        return ()
    age = max(int((now - answer.date).total_seconds()), 0)
    made = DatabaseSummary(
        ecosystem=name, source=name, date=answer.date, age=age, records=0, refused=0, partial=False
    )
    return (made,)


def _run(runner: Runner, command: Command) -> Object:
    try:
        output = runner.run(command).stdout
    except RootletError as error:
        raise ScanError(f"{command.description} could not scan: {error.message}", hint=error.hint) from error
    try:
        document = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise ScanError(f"{command.description} gave no JSON: {str(error)[:100]}") from error
    if not isinstance(document, dict):
        raise ScanError(f"{command.description} gave something else than a report")
    return document


def _trivy(program: str, layout: Path, runner: Runner) -> _Answer:
    document = _run(runner, trivy_layout(program, layout))
    version = _run(runner, trivy_version(program))
    try:
        results = [one for one in document.get("Results") or () if isinstance(one, dict)]
        findings = tuple(
            _of_trivy(one, result) for result in results for one in result.get("Vulnerabilities") or ()
        )
        packages = sum(len(result.get("Packages") or ()) for result in results)
        moment = (version.get("VulnerabilityDB") or {}).get("UpdatedAt")
        return _Answer(findings=findings, packages=packages, date=_moment(moment))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ScanError(f"trivy gave a report that cannot be read: {error!r:.100}") from error


def _of_trivy(plain: Object, result: Object) -> Finding:
    version = str(plain["InstalledVersion"])
    scores = [
        one for one in (plain.get("CVSS") or {}).values() if isinstance(one, dict) and one.get("V3Score")
    ]
    best: Object = max(scores, key=lambda one: float(one["V3Score"]), default={})
    return Finding(
        id=str(plain["VulnerabilityID"]),
        aliases=tuple(str(one) for one in plain.get("VendorIDs") or ()),
        package=str(plain["PkgName"]),
        version=version,
        architecture="",
        purl=str((plain.get("PkgIdentifier") or {}).get("PURL", "")),
        source_name=str(plain["PkgName"]),
        source_version=version,
        fixed=str(plain.get("FixedVersion", "")),
        status=str(plain.get("Status", "")),
        severity=_severity(plain.get("Severity")),
        ecosystem=str(result.get("Type", "")),
        score=float(best["V3Score"]) if best else None,
        vector=str(best.get("V3Vector", "")),
        summary=str(plain.get("Title", "")),
    )


def _grype(program: str, layout: Path, runner: Runner) -> _Answer:
    document = _run(runner, grype_layout(program, layout))
    try:
        matches = document["matches"]
        findings = tuple(_of_grype(one["vulnerability"], one["artifact"], one) for one in matches)
        data = (document.get("descriptor") or {}).get("db") or {}
        built = data.get("built") or (data.get("status") or {}).get("built")
        # grype lists what it matched alone: that it saw the distribution shows that it read packages.
        packages = len(matches) or int(bool((document.get("distro") or {}).get("name")))
        return _Answer(findings=findings, packages=packages, date=_moment(built))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ScanError(f"grype gave a report that cannot be read: {error!r:.100}") from error


def _of_grype(plain: Object, artifact: Object, match: Object) -> Finding:
    fix = plain.get("fix") or {}
    versions = fix.get("versions") or []
    related = [str(one["id"]) for one in match.get("relatedVulnerabilities") or ()]
    name = next((one for one in (str(plain["id"]), *related) if one.startswith("CVE-")), str(plain["id"]))
    version = str(artifact["version"])
    return Finding(
        id=name,
        aliases=tuple(dict.fromkeys(one for one in (str(plain["id"]), *related) if one != name)),
        package=str(artifact["name"]),
        version=version,
        architecture="",
        purl=str(artifact.get("purl", "")),
        source_name=str(artifact["name"]),
        source_version=version,
        fixed=str(versions[0]) if versions else "",
        status=str(fix.get("state", "")),
        severity=_severity(plain.get("severity")),
        ecosystem=str(artifact.get("type", "")),
        summary=str(plain.get("description", ""))[:300],
    )


def _severity(word: object) -> Severity:
    return Severity.__members__.get(str(word).upper(), Severity.UNKNOWN)


def _moment(text: object) -> dt.datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


_SCANNERS: Mapping[Scanner, Callable[[str, Path, Runner], _Answer]] = {
    Scanner.TRIVY: _trivy,
    Scanner.GRYPE: _grype,
}
