"""OpenVEX: read leniently, what is unused is told, and written so that it can be read back."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from builder.errors import ScanError
from builder.inventory.model import Inventory
from builder.recipe.model import Ignore, ScanPolicy, Severity
from builder.scan.gate import Terms, judge
from builder.scan.model import Finding, ScanReport
from builder.scan.vex import parse_vex, write_vex

TODAY = dt.date(2026, 11, 27)
NOW = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
FINDING = Finding(
    id="CVE-2023-45853",
    aliases=("DEBIAN-CVE-2023-45853",),
    package="zlib1g",
    version="1:1.2.13.dfsg-1",
    architecture="amd64",
    purl="pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12.15&upstream=zlib",
    source_name="zlib",
    source_version="1:1.2.13.dfsg-1",
    fixed="",
    status="unfixed",
    severity=Severity.CRITICAL,
    mend="no fix yet",
)


def report(*findings: Finding) -> ScanReport:
    inventory = Inventory(distribution=None, components=(), unowned_elf=(), elf_files=0, files=0, notes=())
    return ScanReport(subject="x", inventory=inventory, findings=findings, databases=(), unscannable=())


def document(*products: Any, **statement: Any) -> bytes:
    made: dict[str, Any] = {"vulnerability": {"name": "CVE-2023-45853"}, "status": "not_affected"}
    if products:
        made["products"] = list(products)
    return json.dumps(
        {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [made | statement]}
    ).encode()


PURL = "pkg:deb/debian/zlib1g"
IMAGE = "pkg:oci/app@sha256%3Aabc"


@pytest.mark.parametrize(
    "product",
    [
        pytest.param({"@id": PURL}, id="the name alone"),
        pytest.param(f"{PURL}@1.2.13.dfsg-1", id="a version without the epoch, as a text"),
        pytest.param({"@id": f"{PURL}@1:1.2.13.dfsg-1"}, id="a version with the epoch"),
        pytest.param({"@id": f"{PURL}@1%3A1.2.13.dfsg-1?epoch=1"}, id="a quoted version, and an epoch"),
        pytest.param({"@id": f"{PURL}?distro=debian-12"}, id="the release stands for its point releases"),
        pytest.param({"@id": f"{PURL}?distro=debian-12.15"}, id="the point release"),
        pytest.param({"@id": "pkg:deb/debian/zlib"}, id="the source package"),
        pytest.param({"@id": "x", "identifiers": {"purl": PURL}}, id="a package URL among identifiers"),
        pytest.param({"@id": IMAGE, "subcomponents": [{"@id": PURL}]}, id="a part of the image"),
        pytest.param({"@id": IMAGE}, id="the whole image"),
        pytest.param("zlib1g", id="a plain name"),
    ],
)
def test_a_statement_covers(product: Any) -> None:
    (statement,) = parse_vex(document(product), "a.json")
    assert statement.covers(FINDING)


@pytest.mark.parametrize(
    "product",
    [
        pytest.param({"@id": "pkg:deb/debian/zlib1g-dev"}, id="another package"),
        pytest.param({"@id": "pkg:deb/ubuntu/zlib1g"}, id="another distribution"),
        pytest.param({"@id": "pkg:rpm/debian/zlib1g"}, id="another format"),
        pytest.param({"@id": f"{PURL}@1.2.12"}, id="another version"),
        pytest.param({"@id": f"{PURL}?distro=debian-13"}, id="another release"),
        pytest.param({"@id": f"{PURL}?arch=arm64"}, id="another architecture"),
        pytest.param({"@id": IMAGE, "subcomponents": [{"@id": "pkg:deb/debian/libc6"}]}, id="another part"),
    ],
)
def test_a_statement_does_not_cover(product: Any) -> None:
    (statement,) = parse_vex(document(product), "a.json")
    assert not statement.covers(FINDING)


def test_names_are_aliases_too_and_may_be_plain_texts() -> None:
    by_alias = document(vulnerability={"name": "GHSA-1", "aliases": ["debian-cve-2023-45853"]})
    assert parse_vex(by_alias, "a")[0].covers(FINDING)
    assert parse_vex(document(vulnerability="CVE-2023-45853"), "a")[0].covers(FINDING)
    assert not parse_vex(document(vulnerability="CVE-1"), "a")[0].covers(FINDING)


@pytest.mark.parametrize(
    ("status", "passed"),
    [("not_affected", True), ("fixed", True), ("affected", False), ("under_investigation", False)],
)
def test_only_not_affected_and_fixed_suppress(status: str, passed: bool) -> None:
    statements = parse_vex(document(status=status, justification="component_not_present"), "app.json")
    verdict = judge(report(FINDING), Terms(scan=ScanPolicy(), today=TODAY, statements=statements))
    assert verdict.passed is passed
    (finding,) = verdict.findings
    words = f"app.json: {status.replace('_', ' ')} (component not present)"
    assert (finding.ignored.reason if finding.ignored else None) == (words if passed else None)


def test_a_statement_that_matches_nothing_is_told() -> None:
    statements = parse_vex(document({"@id": "pkg:deb/debian/gone"}), "app.json")
    verdict = judge(report(FINDING), Terms(scan=ScanPolicy(), today=TODAY, statements=statements))
    assert (
        "app.json: the statement on CVE-2023-45853 matches nothing: it says nothing of this image"
        in verdict.warnings
    )


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"{", "it is not JSON", id="no JSON"),
        pytest.param(b"[]", "its @context is 'None'", id="another JSON"),
        pytest.param(b'{"@context": "https://cyclonedx.org"}', "its @context is", id="another document"),
        pytest.param(
            b'{"@context": "https://openvex.dev/ns"}', "statements is not a list", id="no statements"
        ),
        pytest.param(document(status="maybe"), "statements[0].status is 'maybe'", id="an unknown status"),
        pytest.param(document(vulnerability={}), "statements[0].vulnerability names none", id="no name"),
        pytest.param(b"[" * 100_000, "it is not JSON", id="nested too deep"),
    ],
)
def test_what_is_no_vex_is_an_error_and_never_a_pass(payload: bytes, words: str) -> None:
    with pytest.raises(ScanError) as error:
        parse_vex(payload, "a.json")
    assert words in error.value.message


def test_a_written_document_is_read_back() -> None:
    waived = replace(
        FINDING,
        ignored=Ignore(
            id="CVE-2023-45853", reason="not called", justification="vulnerable_code_not_in_execute_path"
        ),
    )
    accepted = replace(FINDING, id="CVE-2", ignored=Ignore(id="CVE-2", reason="for now", expires=TODAY))
    text = write_vex(report(waived, accepted, replace(FINDING, id="CVE-3")), author="shop", now=NOW)
    said = {one.names[0]: one for one in parse_vex(text.encode(), "own.json")}
    assert {name: one.status for name, one in said.items()} == {
        "CVE-2023-45853": "not_affected",
        "CVE-2": "affected",
        "CVE-3": "affected",
    }
    assert said["CVE-2023-45853"].covers(FINDING)
    statements = json.loads(text)["statements"]
    assert statements[0]["impact_statement"] == "not called"
    assert statements[1]["action_statement"] == "accepted until 2026-11-27: for now"
    assert statements[2]["action_statement"] == "no fix yet"
    assert write_vex(report(waived), author="a", now=NOW) == write_vex(report(waived), author="a", now=NOW)
