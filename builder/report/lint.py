"""What a look at a Dockerfile or a recipe found, for people and for programs. Pure: both give a string."""

from __future__ import annotations

import json

from builder.lint.model import LintReport, Remark
from builder.recipe.model import Severity
from builder.report.scan import clean

_COLOURS = {Severity.CRITICAL: "\x1b[1;31m", Severity.HIGH: "\x1b[31m", Severity.MEDIUM: "\x1b[33m"}
_PLAIN = "\x1b[0m"


def render_lint_table(report: LintReport, *, colour: bool) -> str:
    """One paragraph a remark: where and how bad, what is there, how to mend it."""
    if not report.remarks:
        return f"{report.file}: nothing to say\n"
    counts = [
        (one, sum(remark.rule.severity is one for remark in report.remarks)) for one in reversed(Severity)
    ]
    total = ", ".join(f"{count} {one.name.lower()}" for one, count in counts if count)
    return "".join((*(_paragraph(one, report.file, colour=colour) for one in report.remarks), f"\n{total}\n"))


def _paragraph(one: Remark, file: str, *, colour: bool) -> str:
    word = one.rule.severity.name.lower()
    shade = _COLOURS.get(one.rule.severity, "") if colour else ""
    place = f"{file}:{one.line}" if one.line else file
    return (
        f"{place}: {shade}{word}{_PLAIN if shade else ''} {clean(one.message)} [{one.rule.id}]\n"
        f"    {clean(one.fix)}\n"
    )


def render_lint_json(report: LintReport) -> str:
    """``remarks`` in the order of the file, each with its rule, line, message and fix."""
    remarks = [
        {
            "rule": one.rule.id,
            "also": list(one.rule.also),
            "title": one.rule.title,
            "severity": one.rule.severity.name.lower(),
            "line": one.line,
            "message": one.message,
            "fix": one.fix,
        }
        for one in report.remarks
    ]
    document = {"schema": 1, "file": report.file, "kind": report.kind, "remarks": remarks}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
