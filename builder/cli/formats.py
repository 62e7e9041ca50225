"""The formats of ``rootlet scan``; each is imported when it is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.scan.model import ScanReport, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a report needs besides itself. ``recipe``: the file that its findings are shown at, if any."""

    now: dt.datetime
    colour: bool = False
    recipe: Path | None = None


def rendered(form: str, report: ScanReport, verdict: Verdict, look: Look) -> Iterable[str]:
    """The report in pieces; ``form`` is one of the formats of the command."""
    return _FORMATS[form](report, verdict, look)


def _table(report: ScanReport, verdict: Verdict, look: Look) -> Iterable[str]:
    from builder.report.scan import render_table  # noqa: PLC0415 (one format's)

    return (render_table(report, verdict, colour=look.colour),)


def _json(report: ScanReport, verdict: Verdict, _: Look) -> Iterable[str]:
    from builder.report.scan import render_json  # noqa: PLC0415 (one format's)

    return render_json(report, verdict)


def _sarif(report: ScanReport, verdict: Verdict, look: Look) -> Iterable[str]:
    from builder.report.sarif import scan_sarif  # noqa: PLC0415 (one format's)

    return (scan_sarif(report, verdict, place=str(look.recipe) if look.recipe is not None else ""),)


def _junit(report: ScanReport, verdict: Verdict, _: Look) -> Iterable[str]:
    from builder.report.junit import scan_junit  # noqa: PLC0415 (one format's)

    return (scan_junit(report, verdict),)


def _gitlab(report: ScanReport, verdict: Verdict, look: Look) -> Iterable[str]:
    from builder.report.gitlab import scan_gitlab  # noqa: PLC0415 (one format's)

    return (scan_gitlab(report, verdict, look.now),)


def _markdown(report: ScanReport, verdict: Verdict, _: Look) -> Iterable[str]:
    from builder.report.page import scan_markdown  # noqa: PLC0415 (one format's)

    return (scan_markdown(report, verdict),)


def _html(report: ScanReport, verdict: Verdict, _: Look) -> Iterable[str]:
    from builder.report.page import scan_html  # noqa: PLC0415 (one format's)

    return (scan_html(report, verdict),)


def _openvex(report: ScanReport, verdict: Verdict, look: Look) -> Iterable[str]:
    from builder.scan.vex import write_vex  # noqa: PLC0415 (one format's)

    return (write_vex(replace(report, findings=verdict.findings), author="rootlet", now=look.now),)


_FORMATS: Mapping[str, Callable[[ScanReport, Verdict, Look], Iterable[str]]] = {
    "table": _table,
    "json": _json,
    "sarif": _sarif,
    "junit": _junit,
    "gitlab": _gitlab,
    "markdown": _markdown,
    "html": _html,
    "openvex": _openvex,
}
