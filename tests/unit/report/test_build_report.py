"""What a person, a CI job and a program read when a build ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from builder.recipe.model import Severity
from builder.report.build import (
    count_findings,
    findings_text,
    render_markdown,
    render_text,
    summary_to_plain,
)
from builder.report.templates import render
from tests.support.summaries import DIGEST, PLATFORM, SUMMARY


def test_the_text_says_everything() -> None:
    text = render_text(SUMMARY, colour=False)
    for words in (
        *(
            "shop/api:1, shop/api:latest",
            "built, scanned and named in 1.25 s",
            "linux/arm/v7",
            "7.2 MB unpacked",
        ),
        *("10 % of the 72.0 MB", "1,234 from 3 packages (of 9,876 in 12)", "2 high, 5 low, 1 waived"),
        *("Debian, 2026-11-01", str(DIGEST), "oci:/dist/api:1", "was not proven"),
    ):
        assert words in text
    assert "\x1b" not in text
    assert "\x1b[32m" in render_text(SUMMARY, colour=True)


def test_an_unchanged_build_says_so() -> None:
    assert "unchanged in 1.25 s" in render_text(replace(SUMMARY, unchanged=True), colour=False)


def test_figures_that_are_not_there_are_left_out() -> None:
    small = replace(PLATFORM, full_size=0, full_packages=0, findings=(), waived=0, warnings=())
    text = render_text(replace(SUMMARY, platforms=(small,), outputs=()), colour=False)
    assert "%" not in text
    assert "none known" in text
    assert "written to" not in text


def test_a_warning_of_two_platforms_is_said_once() -> None:
    text = render_text(replace(SUMMARY, platforms=(PLATFORM, PLATFORM)), colour=False)
    assert text.count("was not proven") == 1


def test_findings_are_counted_worst_first() -> None:
    found = [Severity.LOW, Severity.CRITICAL, Severity.LOW, Severity.UNKNOWN]
    assert count_findings(found) == (("critical", 1), ("low", 2), ("unknown", 1))
    assert count_findings(()) == ()
    assert findings_text(replace(PLATFORM, findings=())) == "1 waived"


def test_the_json_has_plain_words() -> None:
    plain_summary = json.loads(json.dumps(summary_to_plain(SUMMARY)))
    assert plain_summary["digest"] == str(DIGEST)
    assert plain_summary["platforms"][0]["platform"] == "linux/arm/v7"
    assert plain_summary["platforms"][0]["findings"] == {"high": 2, "low": 5}


def test_the_markdown_names_image_and_findings() -> None:
    text = render_markdown(SUMMARY)
    for words in ("shop/api:1", str(DIGEST), "linux/arm/v7", "2 high, 5 low, 1 waived"):
        assert words in text
    assert text.endswith("\n")


def test_a_template_with_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError):
        render("x.j2", folder=tmp_path, values={})


def test_html_is_escaped_and_text_is_not(tmp_path: Path) -> None:
    for name, expected in (("x.html.j2", "&lt;b&gt;\n"), ("x.md.j2", "<b>\n")):
        (tmp_path / name).write_text("{{ value }}\n")
        assert render(name, folder=tmp_path, values={"value": "<b>"}) == expected
