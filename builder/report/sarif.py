"""SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), as code hosts show it beside the code.

A finding stands at the file that brings the package in, or at the recipe where one is given; a remark of a
lint at its line. Fingerprints do not change with versions, so that a host follows a finding over builds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from builder import __version__
from builder.lint.model import LintReport
from builder.recipe.model import Severity
from builder.report.scan import FindingRow, Judgement, Scan, clean

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.NEGLIGIBLE: "note",
    Severity.UNKNOWN: "note",
}
_SCORES = {
    Severity.CRITICAL: 9.5,
    Severity.HIGH: 8.0,
    Severity.MEDIUM: 5.5,
    Severity.LOW: 2.0,
    Severity.NEGLIGIBLE: 1.0,
    Severity.UNKNOWN: 0.0,
}
"""What code hosts sort by where no CVSS score is known."""

Object = dict[str, object]


def scan_sarif(scan: Scan, verdict: Judgement, *, place: str = "") -> str:
    """The findings of a scan; ``place``: the recipe, whose first line they are shown at, "" for none."""
    rules: dict[str, Object] = {}
    results: list[Object] = []
    for finding in verdict.findings:
        rules.setdefault(finding.id, _rule(finding))
        results.append(_result(finding, list(rules).index(finding.id), place))
    for reason in verdict.unjudged:
        rules.setdefault(
            "unscannable", _plain_rule("unscannable", "A part could not be judged", Severity.HIGH)
        )
        index = list(rules).index("unscannable")
        results.append(_plain("unscannable", index, "error", reason, place or scan.subject, 1))
    return _document(rules.values(), results)


def lint_sarif(report: LintReport) -> str:
    """The remarks on a Dockerfile or a recipe, at their lines."""
    rules: dict[str, Object] = {}
    results: list[Object] = []
    for one in report.remarks:
        rules.setdefault(one.rule.id, _plain_rule(one.rule.id, one.rule.title, one.rule.severity))
        index = list(rules).index(one.rule.id)
        message = f"{one.message}. {one.fix}"
        results.append(
            _plain(one.rule.id, index, _LEVELS[one.rule.severity], message, report.file, max(one.line, 1))
        )
    return _document(rules.values(), results)


def _document(rules: Iterable[Object], results: list[Object]) -> str:
    driver = {
        "name": "rootlet",
        "semanticVersion": __version__,
        "rules": list(rules),
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(finding: FindingRow) -> Object:
    score = finding.score if finding.score is not None else _SCORES[finding.severity]
    text = clean(finding.summary) or finding.id
    return {
        "id": finding.id,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "helpUri": f"https://osv.dev/vulnerability/{finding.id}",
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": {"security-severity": f"{score:.1f}", "tags": ["security", "vulnerability"]},
    }


def _plain_rule(name: str, title: str, severity: Severity) -> Object:
    return {
        "id": name,
        "shortDescription": {"text": title},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"security-severity": f"{_SCORES[severity]:.1f}", "tags": ["security"]},
    }


def _result(finding: FindingRow, index: int, place: str) -> Object:
    fixed = f"fixed in {clean(finding.fixed)}" if finding.fixed else "no fix known"
    what = f"{clean(finding.package)} {clean(finding.version)}"
    lines = [f"{what}: {finding.id} ({finding.severity.name.lower()}), {fixed}"]
    if finding.because:
        lines.append(f"It is there because of {' → '.join(clean(one) for one in finding.because)}")
    if finding.mend:
        lines.append(f"What mends it: {clean(finding.mend)}")
    where = place or finding.place or finding.package
    made = _plain(finding.id, index, _LEVELS[finding.severity], ". ".join(lines), where, 1)
    made["partialFingerprints"] = {"rootlet/v1": _fingerprint(finding.id, finding.package)}
    if finding.ignored is not None:
        made["suppressions"] = [{"kind": "external", "justification": clean(finding.ignored.reason)}]
    made["baselineState"] = "unchanged" if finding.known else "new"
    return made


def _plain(rule: str, index: int, level: str, message: str, path: str, line: int) -> Object:
    location = {
        "artifactLocation": {"uri": _uri(path)},
        "region": {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": 1},
    }
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": {"text": clean(message)},
        "locations": [{"physicalLocation": location, "message": {"text": clean(path)}}],
    }


def _uri(path: str) -> str:
    """A relative reference, as code hosts want: paths of the image lose their first slash."""
    import urllib.parse  # noqa: PLC0415 (one format's need)

    return urllib.parse.quote(path.lstrip("/") or ".", safe="/.-_~@+", errors="surrogateescape")


def _fingerprint(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:32]
