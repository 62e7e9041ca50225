"""Which findings stop an image: exploited ones, too many of them, and only new ones against a baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from builder.cli.terms import make_terms
from builder.errors import PolicyError, ScanError
from builder.policy.model import Sightings
from builder.recipe.model import Ignore, ImagePolicy, ScanPolicy, Severity
from builder.scan.gate import Terms, enforce, judge
from tests.unit.scan.test_vex import FINDING, TODAY, report

LOW = replace(FINDING, severity=Severity.LOW)


def terms(policy: ScanPolicy, known: frozenset[tuple[str, str]] = frozenset()) -> Terms:
    return Terms(scan=policy, today=TODAY, known=known)


def test_what_is_known_to_be_exploited_counts_whatever_the_policy_says() -> None:
    exploited = replace(LOW, kev=True)
    verdict = judge(report(exploited), terms(ScanPolicy(fail_on=None, only_fixed=True)))
    assert verdict.reasons == (
        "1 finding known to be exploited (CISA KEV): CVE-2023-45853 in zlib1g 1:1.2.13.dfsg-1",
    )
    waived = ScanPolicy(ignore=(Ignore(id="CVE-2023-45853", reason="r"),))
    assert judge(report(exploited), terms(waived)).passed


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        pytest.param({Severity.LOW: 2}, True, id="as many as are allowed"),
        pytest.param({Severity.LOW: 1}, False, id="one more than is allowed"),
        pytest.param({Severity.MEDIUM: 0}, True, id="of another severity"),
    ],
)
def test_numbers_of_findings_by_severity(limits: dict[Severity, int], passed: bool) -> None:
    two = report(LOW, replace(LOW, id="CVE-2"))
    verdict = judge(two, terms(ScanPolicy(limits=tuple(limits.items()))))
    assert verdict.passed is passed
    if not passed:
        assert verdict.reasons[0].startswith(
            "2 findings of the severity low; limits allow 1: CVE-2023-45853 in zlib1g"
        )
        with pytest.raises(PolicyError):
            enforce(two, verdict)


def test_limits_leave_out_waived_known_and_unfixed_ones() -> None:
    limits = ((Severity.LOW, 0),)
    waived = ScanPolicy(limits=limits, ignore=(Ignore(id="CVE-2023-45853", reason="r"),))
    assert judge(report(LOW), terms(waived)).passed
    known = frozenset({("CVE-2023-45853", "zlib1g")})
    assert judge(report(LOW), terms(ScanPolicy(limits=limits), known)).passed
    assert judge(report(LOW), terms(ScanPolicy(limits=limits, only_fixed=True))).passed


def test_against_a_baseline_only_new_findings_count() -> None:
    known = frozenset({("CVE-2023-45853", "zlib1g")})
    new = replace(FINDING, id="CVE-9")
    assert judge(report(FINDING), terms(ScanPolicy(), known)).passed
    verdict = judge(report(FINDING, new), terms(ScanPolicy(), known))
    assert [(one.id, one.known) for one in verdict.findings] == [("CVE-2023-45853", True), ("CVE-9", False)]
    assert [one.id for one in verdict.over_limit] == ["CVE-9"]
    exploited = replace(FINDING, kev=True)
    assert not judge(report(exploited), terms(ScanPolicy(), known)).passed


def test_a_breach_of_the_policy_stops_an_image_without_findings() -> None:
    found = replace(report(), sightings=Sightings(shells=("/bin/sh",)))
    verdict = judge(found, Terms(scan=ScanPolicy(), today=TODAY, image=ImagePolicy(shell=False)))
    assert verdict.reasons == ("[policy] shell: /bin/sh: a shell; rootlet why says what needs it",)
    with pytest.raises(PolicyError, match="is not what the policy asks for"):
        enforce(found, verdict)


def test_a_baseline_is_an_earlier_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"findings": [{"id": "CVE-1", "package": "a"}]}))
    assert make_terms(ScanPolicy(), None, path).known == {("CVE-1", "a")}


@pytest.mark.parametrize("text", ["{", "[]", '{"findings": [1]}', '{"findings": [{"id": "x"}]}'])
def test_another_file_is_no_baseline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ScanError, match=r"is no report of rootlet scan"):
        make_terms(ScanPolicy(), None, path)


def test_terms_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(
        '{"@context": "https://openvex.dev/ns/v0.2.0", "statements": '
        '[{"vulnerability": {"name": "CVE-1"}, "status": "fixed"}]}'
    )
    path = tmp_path / "recipe.toml"
    path.write_text(
        'schema = 1\nname = "x"\n[scan]\nfail_on = "low"\nvex = ["app.json"]\nlimits = { medium = 3 }\n'
        '[policy]\nshell = false\nmax_size = "1.5MiB"\nhardening = ["pie"]\n'
    )
    made = make_terms(ScanPolicy(), path, None)
    assert (made.scan.fail_on, made.scan.limits) == (Severity.LOW, ((Severity.MEDIUM, 3),))
    assert made.image == ImagePolicy(shell=False, max_size=3 << 19, hardening=("pie",))
    assert [one.names for one in made.statements] == [("CVE-1",)]
