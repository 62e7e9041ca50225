from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.recipe.model import Severity
from builder.scan.cvss import base_score, severity_of_score
from builder.scan.model import Advisory
from builder.scan.record import RecordError, parse_record
from tests.support.osv import advisories, record


def parsed(**changes: Any) -> tuple[Advisory, ...]:
    return advisories(json.dumps({**record("DEBIAN-CVE-2026-1"), **changes}).encode())


def affected(**changes: Any) -> tuple[Advisory, ...]:
    return parsed(affected=[{**record("DEBIAN-CVE-2026-1")["affected"][0], **changes}])


def test_a_record_becomes_one_advisory_for_each_release() -> None:
    one, other = (record("DEBIAN-CVE-2026-1", release=release)["affected"][0] for release in ("12", "13"))
    assert parsed(affected=[one, other]) == tuple(
        Advisory(
            id="DEBIAN-CVE-2026-1",
            names=("CVE-2026-1",),
            release=release,
            package="openssl",
            status="resolved",
            severity=Severity.UNKNOWN,
            ranges=((("introduced", "0"), ("fixed", "3.5.1-1")),),
        )
        for release in ("12", "13")
    )


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        pytest.param(
            {"ecosystem_specific": {"urgency": "unimportant"}}, Severity.LOW, id="unimportant is low"
        ),
        pytest.param({"ecosystem_specific": {"urgency": "low**"}}, Severity.LOW, id="stars say nothing"),
        pytest.param({"ecosystem_specific": {"urgency": "medium"}}, Severity.MEDIUM, id="medium"),
        pytest.param({"ecosystem_specific": {"urgency": "high"}}, Severity.HIGH, id="high"),
        pytest.param(
            {"ecosystem_specific": {"urgency": "not yet assigned"}}, Severity.UNKNOWN, id="nobody said"
        ),
        pytest.param({"ecosystem_specific": {"urgency": "end-of-life"}}, Severity.UNKNOWN, id="end of life"),
        pytest.param(
            {"ecosystem_specific": {"urgency": 3}}, Severity.UNKNOWN, id="an urgency that is no word"
        ),
        pytest.param(
            {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]},
            Severity.CRITICAL,
            id="a score counts where there is no urgency",
        ),
        pytest.param(
            {
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
                "ecosystem_specific": {"urgency": "low"},
            },
            Severity.LOW,
            id="the distribution's urgency beats a score",
        ),
    ],
)
def test_severity(changes: dict[str, Any], severity: Severity) -> None:
    assert affected(**changes)[0].severity is severity


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        pytest.param({"withdrawn": "2026-01-01T00:00:00Z"}, 0, id="a withdrawn record says nothing"),
        pytest.param({"affected": []}, 0, id="a record without packages says nothing"),
        pytest.param({"affected": [{"ranges": []}]}, 0, id="a part that names no package is passed over"),
        pytest.param({"affected": record("x", "p", release="13")["affected"]}, 1, id="an ordinary one"),
    ],
)
def test_which_records_count(changes: dict[str, Any], count: int) -> None:
    assert len(parsed(**changes)) == count


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        pytest.param({"package": {"ecosystem": "PyPI", "name": "x"}}, 0, id="another ecosystem"),
        pytest.param({"package": {"ecosystem": "Debian", "name": "x"}}, 1, id="an ecosystem without release"),
        pytest.param({"database_specific": {"status": "not-affected"}}, 0, id="not affected (D5)"),
        pytest.param({"database_specific": {"status": "undetermined"}}, 0, id="undetermined (D5)"),
        pytest.param({"database_specific": {"status": "no-dsa"}}, 1, id="no-dsa is a hole"),
        pytest.param({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, 0, id="commits only"),
        pytest.param({"ranges": [], "versions": ["1.0-1"]}, 1, id="versions without ranges"),
        pytest.param({"ranges": []}, 0, id="neither ranges nor versions"),
    ],
)
def test_which_parts_count(changes: dict[str, Any], count: int) -> None:
    assert len(affected(**changes)) == count


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"", "not an OSV record", id="nothing"),
        pytest.param(b"\xff\xfe", "not an OSV record", id="no text"),
        pytest.param(b"[" * 200_000, "not an OSV record", id="very deep"),
        pytest.param(b'{"id": ' + b"9" * 6000 + b"}", "not an OSV record", id="a number of 6,000 digits"),
        pytest.param(b"[]", "not an OSV record", id="a list"),
        pytest.param(
            b'{"id": "x\\u001b[31m", "modified": "2026-01-01T00:00:00Z"}',
            "no OSV id",
            id="a colour in the id",
        ),
        pytest.param(b'{"id": "CVE-1"}', "modified", id="no modified"),
        pytest.param(
            b'{"id": "CVE-1", "modified": "yesterday"}', "modified is not a time", id="a word for a time"
        ),
    ],
)
def test_bytes_that_are_no_record_are_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parse_record(payload)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"affected": "all"}, id="affected is a word"),
        pytest.param({"affected": ["x"]}, id="affected holds words"),
        pytest.param({"affected": [{"package": "x"}]}, id="package is a word"),
        pytest.param(
            {"affected": [{"package": {"ecosystem": "Debian:13", "name": ""}}]}, id="no package name"
        ),
        pytest.param({"aliases": "CVE-1"}, id="aliases is a word"),
    ],
)
def test_a_record_that_is_half_understood_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        parsed(**changes)


@pytest.mark.parametrize("version", ["", "1 2", "1\n2", "9" * 300, 7, None, "1:2:3;4"])
def test_a_version_that_is_none_is_refused(version: object) -> None:
    with pytest.raises(RecordError):
        affected(ranges=[{"type": "ECOSYSTEM", "events": [{"fixed": version}]}])


def test_summaries_are_one_short_printable_line() -> None:
    (found,) = parsed(summary="a\x1b[2Jb\n" + "c" * 500)
    assert found.summary.startswith("a [2Jb c")
    assert len(found.summary) == 200


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:L", 3.7),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N/E:P", 6.4),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N", None),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:S/SI:N/SA:N", None),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5),
        ("(AV:L/AC:H/Au:M/C:N/I:N/A:N)", 0.0),
        ("CVSS:2.0/AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0),
        ("CVSS:9.0/AV:N/AC:L/Au:N/C:C/I:C/A:C", None),
        ("CVSS:3.1/" + "/" * 10_000, None),
        ("CVSS:3.1/AV:N", None),
        ("", None),
    ],
)
def test_cvss_base_scores_of_the_specification(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


def test_ratings() -> None:
    assert [severity_of_score(score).name for score in (0.0, 0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0)] == [
        "NEGLIGIBLE", "LOW", "LOW", "MEDIUM", "MEDIUM", "HIGH", "HIGH", "CRITICAL",
    ]  # fmt: skip


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
_KEYS = [
    "id",
    "modified",
    "affected",
    "aliases",
    "upstream",
    "withdrawn",
    "severity",
    "summary",
    "database_specific",
]
_PARTS = ["package", "ranges", "versions", "severity", "ecosystem_specific", "database_specific"]


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(_KEYS), part=st.sampled_from(_PARTS), value=_JSON, inner=st.booleans())
def test_any_json_is_read_or_refused(key: str, part: str, value: object, *, inner: bool) -> None:
    document = record("DEBIAN-CVE-2026-1")
    if inner:
        document["affected"][0][part] = value
    else:
        document[key] = value
    with contextlib.suppress(RecordError):
        advisories(json.dumps(document).encode())
