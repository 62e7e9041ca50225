"""Formats of a scan that other programs read: well-formed, complete, and not to be broken by an image."""

from __future__ import annotations

import datetime as dt
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sarif_pydantic import Sarif

from builder.cli.formats import Look, rendered
from builder.cli.scan import FORMATS
from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.lint.run import lint_dockerfile
from builder.policy.model import Sightings
from builder.recipe.model import Ignore, ImagePolicy, ScanPolicy, Severity
from builder.report.sarif import lint_sarif
from builder.scan.gate import Terms, judge
from builder.scan.model import Finding, ScanReport

NOW = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
NASTY = "</td><script>alert(1)</script>]]>&\x1b[31m|`\udcff"
FINDING = Finding(
    id="CVE-2026-1",
    aliases=("GHSA-1",),
    package="libx1",
    version="1.0-1",
    architecture="amd64",
    purl="pkg:deb/debian/libx1@1.0-1",
    source_name="libx",
    source_version="1.0-1",
    fixed="1.0-2",
    status="resolved",
    severity=Severity.CRITICAL,
    score=9.8,
    summary="it breaks",
    place="/usr/lib/libx.so.1",
    because=("the recipe's entrypoint", "/usr/bin/app", "/usr/lib/libx.so.1"),
    mend="rebuild: libx 1.0-2 has the fix",
)
WAIVED = replace(FINDING, id="CVE-2026-2", severity=Severity.LOW, fixed="")
COMPONENT = Component(
    kind=ComponentKind.DEB,
    name="libx1",
    version="1.0-1",
    architecture="amd64",
    source_name="libx",
    source_version="1.0-1",
    purl=FINDING.purl,
    evidence=("/var/lib/dpkg/status.d/libx1",),
    files=1,
)


def report(*findings: Finding, **more: Any) -> ScanReport:
    inventory = Inventory(
        distribution=Distribution(id="debian", version="13", pretty_name="Debian 13"),
        components=(COMPONENT,),
        unowned_elf=(),
        elf_files=1,
        files=3,
        notes=(),
    )
    fields: dict[str, Any] = {"subject": "shop/api:1", "databases": (), "unscannable": ()}
    return ScanReport(inventory=inventory, findings=findings, **(fields | more))


def write(
    form: str, found: ScanReport, *, recipe: Path | None = None, image: ImagePolicy | None = None
) -> str:
    policy = ScanPolicy(ignore=(Ignore(id="CVE-2026-2", reason="not called"),))
    verdict = judge(found, Terms(scan=policy, today=NOW.date(), image=image or ImagePolicy()))
    return "".join(rendered(form, found, verdict, Look(now=NOW, recipe=recipe)))


BOTH = report(FINDING, WAIVED)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_every_finding_and_is_the_same_twice(form: str) -> None:
    text = write(form, BOTH)
    assert text == write(form, BOTH)
    assert "CVE-2026-1" in text
    assert "libx1" in text


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_of_an_image_breaks_a_format(form: str) -> None:
    nasty = replace(
        FINDING, package=NASTY, version=NASTY, summary=NASTY, place=f"/{NASTY}", because=(NASTY,), mend=NASTY
    )
    text = write(form, report(nasty, subject=NASTY, unscannable=(NASTY,)))
    assert "\x1b" not in text
    if form in {"json", "sarif", "gitlab", "openvex"}:
        json.loads(text)
    if form == "junit":
        xml(text)
    if form == "html":
        assert "<script>" not in text
    if form == "markdown":
        assert re.search(r"(?<!\\)<script", text) is None


def xml(text: str) -> ET.Element:
    return ET.fromstring(text.encode(errors="replace"))  # noqa: S314 (our own)


def sarif(text: str) -> Any:
    document = json.loads(text)
    assert Sarif.model_validate(document).version == "2.1.0"
    return document["runs"][0]


def test_sarif_says_where_how_bad_and_what_is_waived() -> None:
    run = sarif(write("sarif", BOTH))
    first, second = run["results"]
    rule = run["tool"]["driver"]["rules"][first["ruleIndex"]]
    assert (rule["id"], rule["properties"]["security-severity"]) == ("CVE-2026-1", "9.8")
    assert (first["level"], second["level"]) == ("error", "note")
    location = first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert location == "usr/lib/libx.so.1"
    assert second["suppressions"] == [{"kind": "external", "justification": "not called"}]
    assert "suppressions" not in first
    assert first["message"]["text"] == (
        "libx1 1.0-1: CVE-2026-1 (critical), fixed in 1.0-2. It is there because of "
        "the recipe's entrypoint → "
        "/usr/bin/app → /usr/lib/libx.so.1. What mends it: rebuild: libx 1.0-2 has the fix"
    )


def test_sarif_shows_findings_at_the_recipe_where_there_is_one() -> None:
    run = sarif(write("sarif", BOTH, recipe=Path("recipes/api.toml")))
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]}
    assert places == {"recipes/api.toml"}


def test_a_fingerprint_stays_when_the_version_changes() -> None:
    newer = replace(FINDING, version="1.0-3")
    prints = [
        sarif(write("sarif", report(one)))["results"][0]["partialFingerprints"] for one in (FINDING, newer)
    ]
    assert prints[0] == prints[1]


def test_what_could_not_be_judged_is_an_error_in_sarif_a_failure_in_junit_and_gitlab() -> None:
    gap = report(unscannable=("no data for this distribution",))
    (result,) = sarif(write("sarif", gap))["results"]
    assert (result["ruleId"], result["level"]) == ("unscannable", "error")
    assert xml(write("junit", gap)).attrib["failures"] == "1"
    assert json.loads(write("gitlab", gap))["scan"]["status"] == "failure"


def test_sarif_of_a_dockerfile_has_its_lines() -> None:
    found = lint_dockerfile("FROM scratch\nENV API_TOKEN=abc\nUSER app\n", "Dockerfile", has_ignore_file=True)
    (result,) = sarif(lint_sarif(found))["results"]
    location = result["locations"][0]["physicalLocation"]
    assert (location["artifactLocation"]["uri"], location["region"]["startLine"]) == ("Dockerfile", 2)


def test_junit_fails_for_what_stops_the_image_alone() -> None:
    suite = xml(write("junit", report(FINDING, replace(WAIVED, package="liby"))))
    cases = {one.attrib["name"]: one for one in suite.iter("testcase")}
    assert suite.attrib == {"name": "rootlet", "tests": "2", "failures": "1"}
    failure = cases["libx1 1.0-1"].find("failure")
    assert failure is not None
    assert failure.text == "critical CVE-2026-1: fixed in 1.0-2"
    assert cases["liby 1.0-1"].find("failure") is None


def test_junit_has_breaches_of_the_policy_and_is_never_without_a_test() -> None:
    open_shell = report(sightings=Sightings(shells=("/bin/sh",)))
    suite = xml(write("junit", open_shell, image=ImagePolicy(shell=False)))
    assert [(one.attrib["classname"], one.attrib["name"]) for one in suite.iter("testcase")] == [
        ("policy", "shell")
    ]
    assert xml(write("junit", report())).attrib["tests"] == "1"


def test_gitlab_has_what_its_schema_asks_for() -> None:
    document = json.loads(write("gitlab", BOTH))
    assert {"version", "scan", "vulnerabilities"} <= document.keys()
    assert re.fullmatch(r"15\.\d+\.\d+", document["version"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", document["scan"]["start_time"])
    (row,) = document["vulnerabilities"]
    assert {"id", "identifiers", "location"} <= row.keys()
    assert row["severity"] == "Critical"
    assert row["location"] == {
        "dependency": {"package": {"name": "libx1"}, "version": "1.0-1"},
        "operating_system": "debian-13",
        "image": "shop/api:1",
    }
    assert [one["type"] for one in row["identifiers"]] == ["cve", "ghsa"]


def test_markdown_is_short_and_says_how_much_it_leaves_out() -> None:
    many = report(*(replace(FINDING, id=f"CVE-{n}") for n in range(250)))
    text = write("markdown", many)
    assert text.count("\n| critical |") == 200
    assert "and 50 more" in text
    assert text.startswith("### ✗ shop/api:1 did not pass\n")


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "srcset", "data", "action"}]


def test_the_page_needs_nothing_else() -> None:
    page = Page()
    text = write("html", BOTH)
    page.feed(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.loads == []
    assert "the recipe&#39;s entrypoint → /usr/bin/app" in text
    assert "waived: not called" in text
