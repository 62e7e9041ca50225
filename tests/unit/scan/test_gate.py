from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.errors import PolicyError, RootletError, ScanError
from builder.image.write import Image
from builder.inventory.model import Distribution
from builder.oci import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor, Digest
from builder.recipe.model import Ignore, ScanPolicy, Severity, Unscannable
from builder.scan.gate import Candidate, Terms, approve, enforce, judge
from builder.scan.model import ApprovedImage, DatabaseSummary, Finding, ScanReport
from tests.support.osv import component, inventory

TODAY = dt.date(2026, 11, 22)
DATABASE = DatabaseSummary(
    ecosystem="Debian",
    source="x",
    date=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
    age=2 * 86400,
    records=5,
    refused=0,
    partial=False,
)


def finding(
    identity: str = "CVE-2026-1", severity: Severity = Severity.HIGH, fixed: str = "2", **changes: Any
) -> Finding:
    fields = {
        "id": identity,
        "aliases": ("DSA-9-1",),
        "package": "libssl3t64",
        "version": "1",
        "architecture": "amd64",
        "purl": "",
        "source_name": "openssl",
        "source_version": "1",
        "fixed": fixed,
        "status": "resolved",
        "severity": severity,
    }
    return Finding(**{**fields, **changes})


def report(*findings: Finding, **changes: Any) -> ScanReport:
    fields: dict[str, Any] = {
        "subject": "image",
        "inventory": inventory((component(),)),
        "findings": findings,
        "databases": (DATABASE,),
        "unscannable": (),
    }
    return ScanReport(**{**fields, **changes})


def ignore(identity: str = "CVE-2026-1", expires: dt.date | None = None, package: str = "") -> Ignore:
    return Ignore(id=identity, reason="no such feature", expires=expires, package=package)


@pytest.mark.parametrize(
    ("policy", "found", "passed"),
    [
        pytest.param(ScanPolicy(), finding(), False, id="high fails at high"),
        pytest.param(ScanPolicy(), finding(severity=Severity.MEDIUM), True, id="medium passes at high"),
        pytest.param(ScanPolicy(), finding(severity=Severity.UNKNOWN), True, id="unknown passes at high"),
        pytest.param(
            ScanPolicy(fail_on=Severity.UNKNOWN),
            finding(severity=Severity.UNKNOWN),
            False,
            id="unknown fails at unknown",
        ),
        pytest.param(
            ScanPolicy(fail_on=None), finding(severity=Severity.CRITICAL), True, id="none never fails"
        ),
        pytest.param(
            ScanPolicy(only_fixed=True), finding(fixed=""), True, id="only_fixed passes what has no fix"
        ),
        pytest.param(ScanPolicy(only_fixed=True), finding(), False, id="only_fixed fails what has one"),
        pytest.param(ScanPolicy(), finding(fixed="", status="ignored"), False, id="won't-fix is not safe"),
        pytest.param(ScanPolicy(ignore=(ignore(),)), finding(), True, id="an ignored one passes"),
        pytest.param(ScanPolicy(ignore=(ignore("cve-2026-1"),)), finding(), True, id="ids have no case"),
        pytest.param(ScanPolicy(ignore=(ignore("DSA-9-1"),)), finding(), True, id="an alias names it too"),
        pytest.param(
            ScanPolicy(ignore=(ignore(package="openssl"),)), finding(), True, id="by source package"
        ),
        pytest.param(
            ScanPolicy(ignore=(ignore(package="libssl3t64"),)), finding(), True, id="by binary package"
        ),
        pytest.param(
            ScanPolicy(ignore=(ignore(package="bash"),)), finding(), False, id="another package's ignore"
        ),
        pytest.param(ScanPolicy(ignore=(ignore("CVE-2026-10"),)), finding(), False, id="another id's ignore"),
        pytest.param(
            ScanPolicy(ignore=(ignore(expires=TODAY),)), finding(), True, id="it holds through its last day"
        ),
        pytest.param(
            ScanPolicy(ignore=(ignore(expires=TODAY - dt.timedelta(days=1)),)),
            finding(),
            False,
            id="not a day longer",
        ),
    ],
)
def test_what_passes(policy: ScanPolicy, found: Finding, *, passed: bool) -> None:
    verdict = judge(report(found), Terms(scan=policy, today=TODAY))
    assert verdict.passed is passed
    assert bool(verdict.reasons) is not passed


def test_reasons_name_the_findings_and_the_limit() -> None:
    verdict = judge(report(finding(), finding("CVE-2026-2")), Terms(scan=ScanPolicy(), today=TODAY))
    assert verdict.reasons == (
        '2 findings are at or above fail_on = "high": CVE-2026-1 in libssl3t64 1, CVE-2026-2 in libssl3t64 1',
    )


def test_an_expired_ignore_says_so() -> None:
    policy = ScanPolicy(ignore=(ignore(expires=dt.date(2026, 1, 1)),))
    sentence = (
        "the ignore of CVE-2026-1 for libssl3t64 ran out on 2026-01-01: it waives no more "
        "(its reason was: no such feature)"
    )
    assert sentence in judge(report(finding()), Terms(scan=policy, today=TODAY)).reasons
    low = judge(report(finding(severity=Severity.LOW)), Terms(scan=policy, today=TODAY))
    assert (low.passed, low.warnings) == (True, (sentence,))


def test_a_valid_ignore_beside_an_expired_one_waives() -> None:
    policy = ScanPolicy(ignore=(ignore(expires=dt.date(2026, 1, 1)), ignore()))
    verdict = judge(report(finding()), Terms(scan=policy, today=TODAY))
    assert (verdict.passed, verdict.warnings) == (True, ())
    assert verdict.findings[0].ignored == ignore()


def test_an_ignore_that_matches_nothing_is_a_warning() -> None:
    verdict = judge(report(), Terms(scan=ScanPolicy(ignore=(ignore(package="bash"),)), today=TODAY))
    assert verdict.warnings == ("the ignore of CVE-2026-1 in bash matches nothing: take it out",)


@pytest.mark.parametrize(
    ("changes", "policy", "warning"),
    [
        pytest.param(
            {"findings": (finding(severity=Severity.UNKNOWN),)},
            ScanPolicy(),
            '1 vulnerability has no severity yet and did not count; fail_on = "unknown" counts them',
            id="severities that nobody gave",
        ),
        pytest.param(
            {
                "inventory": inventory(distribution=Distribution(id="debian", version="11", pretty_name="")),
                "supported_until": dt.date(2026, 8, 31),
            },
            ScanPolicy(),
            "debian-11 has had no security support since 2026-08-31: new holes are not recorded",
            id="a release without support",
        ),
        pytest.param(
            {"inventory": inventory(elf_files=0)},
            ScanPolicy(),
            "there is no package and no program in it, so there was nothing to judge",
            id="nothing to judge",
        ),
        pytest.param(
            {"databases": (replace(DATABASE, refused=3),)},
            ScanPolicy(),
            "3 records of the vulnerability data were no OSV: left out",
            id="data with bad records",
        ),
        pytest.param(
            {"unscannable": ("why",)}, ScanPolicy(unscannable=Unscannable.WARN), "why", id="warn about gaps"
        ),
    ],
)
def test_warnings(changes: dict[str, Any], policy: ScanPolicy, warning: str) -> None:
    verdict = judge(report(**changes), Terms(scan=policy, today=TODAY))
    assert (verdict.passed, verdict.warnings) == (True, (warning,))


@pytest.mark.parametrize(
    ("age", "limit", "passed"),
    [
        pytest.param(86400, 7 * 86400, True, id="young"),
        pytest.param(7 * 86400, 7 * 86400, True, id="exactly as old as allowed"),
        pytest.param(7 * 86400 + 1, 7 * 86400, False, id="a second older"),
        pytest.param(7200, 3600, False, id="hours"),
        pytest.param(10**9, None, True, id="any age"),
    ],
)
def test_the_age_of_the_data(age: int, limit: int | None, *, passed: bool) -> None:
    policy = ScanPolicy(max_database_age=limit)
    verdict = judge(report(databases=(replace(DATABASE, age=age),)), Terms(scan=policy, today=TODAY))
    assert verdict.passed is passed
    assert bool(verdict.unjudged) is not passed


@pytest.mark.parametrize(
    ("found", "gaps", "error", "code", "words"),
    [
        pytest.param((finding(),), (), PolicyError, 5, ["CVE-2026-1"], id="findings are exit 5"),
        pytest.param((), ("no data",), ScanError, 8, ["no data"], id="gaps are exit 8"),
        pytest.param(
            (finding(),),
            ("no data",),
            PolicyError,
            5,
            ["CVE-2026-1", "no data"],
            id="both are exit 5, both named",
        ),
    ],
)
def test_enforce(
    found: tuple[Finding, ...], gaps: tuple[str, ...], error: type[RootletError], code: int, words: list[str]
) -> None:
    judged = report(*found, unscannable=gaps)
    with pytest.raises(error) as raised:
        enforce(judged, judge(judged, Terms(scan=ScanPolicy(), today=TODAY)))
    assert raised.value.exit_code == code
    assert all(word in str(raised.value) for word in words)


def test_enforce_lets_a_pass_through() -> None:
    enforce(report(), judge(report(), Terms(scan=ScanPolicy(), today=TODAY)))


def digest(letter: str) -> Digest:
    return Digest("sha256", letter * 64)


def image(*, files: tuple[int, ...] = (10,), manifest: str = "a") -> Image:
    layers = tuple(SimpleNamespace(diff_id=digest("d")) for _ in files)
    descriptor = Descriptor(media_type=MEDIA_TYPE_MANIFEST, digest=digest(manifest), size=3)
    return cast("Image", SimpleNamespace(manifest=descriptor, layers=layers, files=sum(files)))


def candidate(**changes: Any) -> Candidate:
    fields: dict[str, Any] = {"image": image(), "report": report(), "read": (digest("d"),)}
    return Candidate(**{**fields, **changes})


def approved(one: Candidate, **changes: Any) -> ApprovedImage:
    fields: dict[str, Any] = {
        "layout": Path("/nowhere"),
        "descriptor": one.image.manifest,
        "terms": Terms(scan=changes.pop("policy", ScanPolicy()), today=TODAY),
    }
    return approve((one,), **{**fields, **changes})


def test_a_clean_image_is_approved() -> None:
    one = candidate()
    found = approved(one)
    assert (found.descriptor, found.reports) == (one.image.manifest, (one.report,))
    assert found.verdicts[0].passed


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        pytest.param({"report": report(finding())}, PolicyError, "did not pass", id="findings"),
        pytest.param({"report": report(unscannable=("why",))}, ScanError, "could not be judged", id="gaps"),
        pytest.param({"read": ()}, ScanError, "read other layers", id="no layer was read"),
        pytest.param({"read": (digest("e"),)}, ScanError, "read other layers", id="another layer was read"),
        pytest.param({"read": (digest("d"),) * 2}, ScanError, "read other layers", id="a layer too many"),
        pytest.param(
            {"image": image(files=(11,))}, ScanError, "read 10 files, but 11", id="a file was not seen"
        ),
    ],
)
def test_what_is_not_approved(changes: dict[str, Any], error: type[RootletError], words: str) -> None:
    with pytest.raises(error, match=words):
        approved(candidate(**changes))


def test_naming_something_else_than_what_was_scanned_is_refused() -> None:
    other = Descriptor(media_type=MEDIA_TYPE_MANIFEST, digest=digest("b"), size=3)
    with pytest.raises(ScanError, match="not what was scanned"):
        approved(candidate(), descriptor=other)
    with pytest.raises(ScanError, match="no image"):
        approve((), layout=Path("/nowhere"), descriptor=other, terms=Terms(scan=ScanPolicy(), today=TODAY))


@pytest.mark.parametrize(
    ("manifests", "passes"),
    [(("a", "b"), True), (("a",), False), (("a", "b", "c"), False), (("a", "c"), False)],
)
def test_an_index_names_exactly_what_was_scanned(
    tmp_path: Path, manifests: tuple[str, ...], *, passes: bool
) -> None:
    entries = [{"mediaType": MEDIA_TYPE_MANIFEST, "digest": str(digest(one)), "size": 3} for one in manifests]
    payload = json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries}).encode()
    hexadecimal = hashlib.sha256(payload).hexdigest()
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "blobs/sha256" / hexadecimal).write_bytes(payload)
    index = Descriptor(media_type=MEDIA_TYPE_INDEX, digest=Digest("sha256", hexadecimal), size=len(payload))
    both = (candidate(), candidate(image=image(manifest="b")))
    if passes:
        assert (
            len(
                approve(
                    both, layout=tmp_path, descriptor=index, terms=Terms(scan=ScanPolicy(), today=TODAY)
                ).manifests
            )
            == 2
        )
    else:
        with pytest.raises(ScanError, match="not what was scanned"):
            approve(both, layout=tmp_path, descriptor=index, terms=Terms(scan=ScanPolicy(), today=TODAY))


def test_nobody_else_makes_an_approved_image() -> None:
    one = approved(candidate())
    fields: dict[str, Any] = {
        "layout": one.layout,
        "descriptor": one.descriptor,
        "manifests": one.manifests,
        "reports": one.reports,
        "verdicts": one.verdicts,
    }
    with pytest.raises(TypeError, match="gate"):
        ApprovedImage(**fields, seal=object())
    with pytest.raises((TypeError, ValueError), match="seal"):
        replace(one, layout=Path("/elsewhere"))  # type: ignore[call-arg]
