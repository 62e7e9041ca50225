from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from builder.inventory.model import ComponentKind
from builder.recipe.model import Ignore, ScanPolicy, Severity
from builder.report.scan import render_json, render_table
from builder.scan.gate import Terms, judge
from builder.scan.model import DatabaseSummary, ScanReport
from tests.support.osv import advisory, component, inventory, match

TODAY = dt.date(2026, 11, 22)
DATABASE = DatabaseSummary(
    ecosystem="Debian",
    source="http://osv.test/Debian/all.zip",
    date=dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC),
    age=2 * 86400 + 5,
    records=25127,
    refused=0,
    partial=False,
)
POLICY = ScanPolicy(
    ignore=(Ignore(id="CVE-2026-2", reason="not reachable", expires=dt.date(2026, 12, 31)),),
)


def report(**changes: Any) -> ScanReport:
    found = inventory((component(), component("bash", "5.2-1", "bash")))
    rows = (
        advisory("DEBIAN-CVE-2026-1", ("introduced", "0"), ("fixed", "3.5.1-1"), severity=Severity.HIGH),
        advisory("DEBIAN-CVE-2026-2", ("introduced", "0"), severity=Severity.LOW, status="unfixed"),
        advisory("DEBIAN-CVE-2026-3", ("introduced", "0"), package="bash", status="no-dsa"),
    )
    fields: dict[str, Any] = {
        "subject": "oci:dist/redis",
        "inventory": found,
        "findings": match(found.components, rows),
        "databases": (DATABASE,),
        "unscannable": (),
    }
    return ScanReport(**{**fields, **changes})


TABLE = (
    """\
SEVERITY  ID          PACKAGE      INSTALLED  FIXED IN  STATUS
high      CVE-2026-1  libssl3t64   3.5.0-1    3.5.1-1   resolved
low       CVE-2026-2  libssl3t64   3.5.0-1    -         unfixed, waived until 2026-12-31: not reachable
unknown   CVE-2026-3  bash         5.2-1      -         no-dsa

oci:dist/redis (debian-13): 2 packages, 3 findings: 1 high, 1 unknown, 1 waived
data: Debian of 2026-11-20 (2 days old), 25,127 records from http://osv.test/Debian/all.zip

warnings:
  1 vulnerability has no severity yet and did not count; fail_on = "unknown" counts them

not passed
  1 finding is at or above fail_on = "high": CVE-2026-1 in libssl3t64 3.5.0-1
""".replace("libssl3t64   ", "libssl3t64  ")
    .replace("PACKAGE      ", "PACKAGE     ")
    .replace("bash         ", "bash        ")
)


def test_the_table() -> None:
    assert render_table(report(), judge(report(), Terms(scan=POLICY, today=TODAY))) == TABLE


def test_a_clean_scan_without_a_verdict() -> None:
    assert render_table(report(findings=(), databases=())) == (
        "oci:dist/redis (debian-13): 2 packages, 0 findings\ndata: none\n"
    )


def test_what_could_not_be_judged_is_listed_once() -> None:
    judged = report(findings=(), unscannable=("no data",))
    text = render_table(judged, judge(judged, Terms(scan=ScanPolicy(), today=TODAY)))
    assert "could not be judged:\n  no data\n\nnot passed\n  no data\n" in text


def test_colour_only_when_asked() -> None:
    verdict = judge(report(), Terms(scan=POLICY, today=TODAY))
    coloured = render_table(report(), verdict, colour=True)
    assert "\x1b[31mhigh" in coloured
    assert "\x1b" not in render_table(report(), verdict)


def test_nothing_of_an_image_reaches_the_terminal_unprinted() -> None:
    evil = "x\x1b[2J\n\udce9\u202e"
    judged = report(subject=evil, unscannable=(evil,), databases=(replace(DATABASE, source=evil),))
    text = render_table(judged, judge(judged, Terms(scan=ScanPolicy(), today=TODAY)))
    assert not {"\x1b", "\udce9", "\u202e"} & set(text)
    text.encode()


def test_json_says_everything() -> None:
    verdict = judge(report(), Terms(scan=POLICY, today=TODAY))
    document = json.loads("".join(render_json(report(), verdict)))
    assert document["findings"][1] == {
        "id": "CVE-2026-2",
        "aliases": ["DEBIAN-CVE-2026-2"],
        "severity": "low",
        "status": "unfixed",
        "ecosystem": "Debian",
        "package": "libssl3t64",
        "version": "3.5.0-1",
        "architecture": "amd64",
        "purl": "pkg:deb/debian/libssl3t64@3.5.0-1",
        "source": "openssl",
        "source_version": "3.5.0-1",
        "fixed": None,
        "cvss": None,
        "kev": False,
        "epss": None,
        "summary": "",
        "known": False,
        "place": "",
        "because": [],
        "mend": "",
        "ignored": {"reason": "not reachable", "expires": "2026-12-31"},
    }
    del document["findings"], document["inventory"]["components"]
    assert document == {
        "schema": 2,
        "subject": "oci:dist/redis",
        "passed": False,
        "reasons": list(verdict.reasons),
        "warnings": list(verdict.warnings),
        "unscannable": [],
        "distribution": {
            "id": "debian",
            "version": "13",
            "name": "Debian GNU/Linux 13 (trixie)",
            "supported_until": None,
        },
        "databases": [
            {
                "ecosystem": "Debian",
                "source": "http://osv.test/Debian/all.zip",
                "date": "2026-11-20T06:00:00Z",
                "age": 2 * 86400 + 5,
                "records": 25127,
                "partial": False,
            }
        ],
        "inventory": {
            "packages": 2,
            "ecosystems": {"deb": 2},
            "files": 10,
            "elf_files": 2,
            "unowned_elf": [],
        },
        "counts": {"high": 1, "unknown": 1},
    }


def test_json_without_a_verdict_has_no_answer() -> None:
    document = json.loads("".join(render_json(report(databases=(), unscannable=("why",)))))
    assert (document["passed"], document["databases"], document["unscannable"]) == (None, [], ["why"])


@pytest.mark.parametrize(
    ("age", "words"),
    [(0, "less than an hour old"), (3600, "1 hour old"), (86399, "23 hours old"), (86400, "1 day old")],
)
def test_the_age_of_the_data_in_words(age: int, words: str) -> None:
    assert words in render_table(report(databases=(replace(DATABASE, age=age),)))


def test_what_was_found_is_said_by_ecosystem() -> None:
    module = replace(
        component("a/b", "1.0.0", "a/b"),
        kind=ComponentKind.GO,
        purl="pkg:golang/a/b@v1.0.0",
        evidence=("/app",),
        layer=2,
        claimed=True,
    )
    found = report(inventory=inventory([component("bash"), component("zlib1g"), module]), findings=())
    assert "3 packages (2 deb, 1 golang), 0 findings" in render_table(found)
    document = json.loads("".join(render_json(found)))
    assert document["inventory"]["ecosystems"] == {"deb": 2, "golang": 1}
    assert document["inventory"]["components"][2] == {
        "ecosystem": "golang",
        "name": "a/b",
        "version": "1.0.0",
        "purl": "pkg:golang/a/b@v1.0.0",
        "evidence": ["/app"],
        "layer": 2,
        "owner": None,
        "development": False,
        "claimed": True,
    }
