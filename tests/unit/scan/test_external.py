"""Findings of trivy and grype, judged by our gate; a scanner that errs is never a pass."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from builder.engine.command import Command, Finished
from builder.engine.scanners import grype_layout, trivy_layout
from builder.errors import BuildError, MachineError, ScanError
from builder.inventory.model import Component, ComponentKind, Inventory
from builder.recipe.model import Scanner, Severity
from builder.scan.external import external_report

NOW = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
COMPONENT = Component(
    kind=ComponentKind.DEB,
    name="libx1",
    version="1.0-1",
    architecture="amd64",
    source_name="libx",
    source_version="1.0-1",
    purl="pkg:deb/debian/libx1@1.0-1",
    evidence=("/var/lib/dpkg/status.d/libx1",),
    files=1,
)
INVENTORY = Inventory(
    distribution=None, components=(COMPONENT,), unowned_elf=(), elf_files=1, files=3, notes=()
)
TRIVY = {
    "Results": [
        {
            "Type": "debian",
            "Packages": [{"Name": "libx1"}],
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2026-1",
                    "PkgName": "libx1",
                    "InstalledVersion": "1.0-1",
                    "FixedVersion": "1.0-2",
                    "Severity": "HIGH",
                    "Status": "fixed",
                    "PkgIdentifier": {"PURL": "pkg:deb/debian/libx1@1.0-1"},
                    "CVSS": {"nvd": {"V3Score": 7.5, "V3Vector": "CVSS:3.1/x"}, "ghsa": {"V3Score": 5}},
                    "Title": "it breaks",
                }
            ],
        }
    ]
}
VERSION = {"VulnerabilityDB": {"UpdatedAt": "2026-11-22T00:00:00Z"}}
GRYPE = {
    "matches": [
        {
            "vulnerability": {
                "id": "GHSA-1",
                "severity": "Critical",
                "fix": {"versions": ["2.0"], "state": "fixed"},
            },
            "relatedVulnerabilities": [{"id": "CVE-2026-9"}],
            "artifact": {
                "name": "libx1",
                "version": "1.0-1",
                "type": "deb",
                "purl": "pkg:deb/debian/libx1@1.0-1",
            },
        }
    ],
    "descriptor": {"db": {"built": "2026-11-20T00:00:00Z"}},
}


class Machine:
    """A machine whose scanners say what the test wants."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def find(self, program: str) -> str | None:
        return f"/bin/{program}" if self.answers else None

    def run(self, command: Command) -> Finished:
        answer = self.answers[command.description]
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Finished(status=0, stdout=text.encode(), stderr=b"")


def report(scanner: Scanner, **answers: Any) -> Any:
    named = {name.replace("_", " "): answer for name, answer in answers.items()}
    return external_report(scanner, Path("/l"), INVENTORY, subject="x", now=NOW, runner=Machine(named))


def test_findings_of_trivy() -> None:
    found = report(Scanner.TRIVY, trivy=TRIVY, trivy_version=VERSION)
    (finding,) = found.findings
    assert (finding.id, finding.package, finding.fixed, finding.severity) == (
        "CVE-2026-1",
        "libx1",
        "1.0-2",
        Severity.HIGH,
    )
    assert (finding.score, finding.vector, finding.summary) == (7.5, "CVSS:3.1/x", "it breaks")
    (data,) = found.databases
    assert (data.ecosystem, data.age) == ("trivy", 5 * 86400)
    assert found.unscannable == ()


def test_findings_of_grype_have_the_cve_for_a_name() -> None:
    found = report(Scanner.GRYPE, grype=GRYPE)
    (finding,) = found.findings
    assert (finding.id, finding.aliases, finding.severity, finding.fixed) == (
        "CVE-2026-9",
        ("GHSA-1",),
        Severity.CRITICAL,
        "2.0",
    )
    assert found.databases[0].date == dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def test_a_scanner_that_saw_no_package_did_not_scan() -> None:
    found = report(Scanner.TRIVY, trivy={"Results": None}, trivy_version=VERSION)
    assert found.unscannable == ("trivy saw none of the 1 packages of the image",)


def test_data_of_unknown_age_is_said() -> None:
    found = report(Scanner.TRIVY, trivy=TRIVY, trivy_version={})
    assert found.unscannable == ("trivy does not say how old its data is",)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"trivy": BuildError("trivy failed with status 1"), "trivy_version": VERSION},
            "trivy could not scan",
        ),
        ({"trivy": "no", "trivy_version": VERSION}, "trivy gave no JSON"),
        ({"trivy": "[]", "trivy_version": VERSION}, "trivy gave something else than a report"),
        ({"trivy": {"Results": [{"Vulnerabilities": [{}]}]}, "trivy_version": VERSION}, "cannot be read"),
        ({"trivy": TRIVY, "trivy_version": "no"}, "trivy version gave no JSON"),
    ],
)
def test_a_scanner_that_errs_is_no_pass(answers: dict[str, Any], words: str) -> None:
    with pytest.raises(ScanError, match=words):
        report(Scanner.TRIVY, **answers)


def test_a_report_of_grype_without_matches_cannot_be_read() -> None:
    with pytest.raises(ScanError, match="grype gave a report that cannot be read"):
        report(Scanner.GRYPE, grype={})


def test_a_scanner_that_is_not_there_is_named() -> None:
    with pytest.raises(MachineError, match="grype is not on the PATH"):
        report(Scanner.GRYPE)


def test_their_gates_and_filters_are_off() -> None:
    trivy = trivy_layout("/t", Path("/l")).argv
    assert trivy[:4] == ("/t", "image", "--input", "/l")
    assert {"--exit-code", "0", "--ignorefile", "/dev/null", "--ignore-unfixed=false"} <= set(trivy)
    assert grype_layout("/g", Path("/l")).argv == (
        "/g",
        "oci-dir:/l",
        "-o",
        "json",
        "-q",
        "--config",
        "/dev/null",
    )
