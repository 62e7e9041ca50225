"""A scan as Markdown for CI job summaries, and as one HTML page that needs nothing else."""

from __future__ import annotations

from builder import __version__
from builder.report.scan import FindingRow, Judgement, Scan, clean, counted, described
from builder.resources import shipped

_MOST_ROWS = 200
"""Rows of a job summary: services cut off what is longer than a megabyte."""

Values = dict[str, object]


def scan_markdown(scan: Scan, verdict: Judgement) -> str:
    """A paragraph, the reasons, and the worst findings as a table."""
    return _render("scan.md.j2", scan, verdict, most=_MOST_ROWS)


def scan_html(scan: Scan, verdict: Judgement) -> str:
    """Everything: findings with what mends them and why they are there, and all packages. No script in it."""
    return _render("scan.html.j2", scan, verdict, most=None)


def _render(template: str, scan: Scan, verdict: Judgement, *, most: int | None) -> str:
    from builder.report.templates import render  # noqa: PLC0415 (jinja2 is heavy and rarely needed)

    inventory = scan.inventory
    shown = verdict.findings if most is None else verdict.findings[:most]
    values: Values = {
        "subject": clean(scan.subject),
        "verdict": _clean_verdict(verdict),
        "packages": len(inventory.components),
        "distribution": str(inventory.distribution) if inventory.distribution is not None else "",
        "counts": ", ".join(f"{count} {word}" for word, count in counted(verdict.findings)),
        "data": [described(one) for one in scan.databases] or ["data: none"],
        "rows": [_row(one) for one in shown],
        "more": len(verdict.findings) - len(shown),
        "components": [
            {
                "name": clean(one.name),
                "version": clean(one.version),
                "kind": one.kind.value,
                "evidence": clean(one.evidence[0]) if one.evidence else "",
            }
            for one in inventory.components
        ],
        "rootlet": __version__,
    }
    return render(template, folder=shipped("templates"), values=values)


def _clean_verdict(verdict: Judgement) -> Values:
    return {
        "passed": verdict.passed,
        "reasons": [clean(one) for one in verdict.reasons],
        "warnings": [clean(one) for one in verdict.warnings],
    }


def _row(finding: FindingRow) -> Values:
    ignored = finding.ignored
    return {
        "severity": finding.severity.name.lower(),
        "id": clean(finding.id),
        "url": f"https://osv.dev/vulnerability/{clean(finding.id)}",
        "package": clean(finding.package),
        "version": clean(finding.version),
        "fixed": clean(finding.fixed) or "—",
        "kev": finding.kev,
        "mend": clean(finding.mend) if ignored is None else f"waived: {clean(ignored.reason)}",
        "waived": f"waived: {clean(ignored.reason)}" if ignored is not None else "",
        "because": " → ".join(clean(one) for one in finding.because),
    }
