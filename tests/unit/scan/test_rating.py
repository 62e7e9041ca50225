from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from builder.recipe.model import Severity
from builder.scan.cvss import base_score, severity_of
from tests.support.osv import advisories, record

CRITICAL = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
MEDIUM_V4 = {
    "type": "CVSS_V4",
    "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N",
}
WORST_V2 = {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}


def rated(ecosystem: str, part: dict[str, Any], **fields: Any) -> tuple[str, float | None]:
    document = record("X-1", **fields)
    del document["affected"][0]["ecosystem_specific"]
    document["affected"][0] |= {"package": {"ecosystem": ecosystem, "name": "p"}, **part}
    (one,) = advisories(json.dumps(document).encode(), ecosystem.partition(":")[0])
    return one.severity.name, one.score


@pytest.mark.parametrize(
    ("ecosystem", "part", "fields", "expected"),
    [
        pytest.param(
            "npm",
            {},
            {"database_specific": {"severity": "MODERATE"}, "severity": [CRITICAL]},
            ("MEDIUM", 9.8),
            id="GitHub's word beats the score",
        ),
        pytest.param("npm", {}, {"severity": [CRITICAL]}, ("CRITICAL", 9.8), id="the score alone"),
        pytest.param(
            "npm",
            {},
            {"severity": [WORST_V2, CRITICAL, MEDIUM_V4]},
            ("MEDIUM", 6.9),
            id="the newest version of CVSS counts",
        ),
        pytest.param("npm", {}, {"severity": [WORST_V2]}, ("HIGH", 10.0), id="version 2 knows no critical"),
        pytest.param(
            "npm",
            {},
            {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}]},
            ("UNKNOWN", None),
            id="half a vector says nothing",
        ),
        pytest.param(
            "npm", {"severity": [CRITICAL]}, {}, ("CRITICAL", 9.8), id="a score of the package itself"
        ),
        pytest.param("npm", {}, {}, ("UNKNOWN", None), id="nobody says"),
        pytest.param(
            "Ubuntu:24.04:LTS",
            {},
            {"severity": [{"type": "Ubuntu", "score": "negligible"}, CRITICAL]},
            ("NEGLIGIBLE", 9.8),
            id="Ubuntu's priority beats the score",
        ),
        pytest.param(
            "Ubuntu:24.04:LTS",
            {"ecosystem_specific": {"ubuntu_priority": "low"}},
            {"severity": [CRITICAL]},
            ("LOW", 9.8),
            id="Ubuntu's priority of the package",
        ),
        pytest.param(
            "Ubuntu:24.04:LTS",
            {},
            {"severity": [{"type": "Ubuntu", "score": "untriaged"}]},
            ("UNKNOWN", None),
            id="untriaged is unknown",
        ),
        pytest.param(
            "Debian:13",
            {"ecosystem_specific": {"urgency": "unimportant"}},
            {"severity": [CRITICAL]},
            ("LOW", 9.8),
            id="Debian's urgency beats the score",
        ),
        pytest.param(
            "Debian:13",
            {"ecosystem_specific": {"urgency": "not yet assigned"}},
            {"severity": [CRITICAL]},
            ("CRITICAL", 9.8),
            id="an urgency that is none lets the score count",
        ),
        pytest.param(
            "AlmaLinux:9",
            {},
            {"summary": "Important: kernel security update"},
            ("HIGH", None),
            id="the vendor's word of an erratum",
        ),
        pytest.param(
            "Rocky Linux:9",
            {},
            {"summary": "Moderate: x security update", "severity": [CRITICAL]},
            ("MEDIUM", 9.8),
            id="the vendor's word beats the score",
        ),
    ],
)
def test_whose_word_counts(
    ecosystem: str, part: dict[str, Any], fields: dict[str, Any], expected: tuple[str, float | None]
) -> None:
    assert rated(ecosystem, part, **fields) == expected


def test_an_unmaintained_crate_is_said_to_be_one() -> None:
    document = record("RUSTSEC-2026-1", fixed=None)
    document["affected"][0] |= {
        "package": {"ecosystem": "crates.io", "name": "p"},
        "database_specific": {"informational": "unmaintained"},
    }
    (one,) = advisories(json.dumps(document).encode(), "crates.io")
    assert one.status == "unmaintained"


def _vectors_v4(count: int) -> list[str]:
    chance = random.Random(4)  # noqa: S311
    base = {
        "AV": "NALP",
        "AC": "LH",
        "AT": "NP",
        "PR": "NLH",
        "UI": "NPA",
        **dict.fromkeys(("VC", "VI", "VA", "SC", "SI", "SA"), "HLN"),
    }
    more = {"E": "APUX", "CR": "HMLX", "IR": "HMLX", "AR": "HMLX", "MAV": "NALPX", "MSI": "SHLNX"}
    vectors = []
    for _ in range(count):
        parts = [f"{name}:{chance.choice(values)}" for name, values in base.items()]
        parts += [f"{name}:{chance.choice(values)}" for name, values in more.items() if chance.random() < 0.4]
        vectors.append("/".join(["CVSS:4.0", *parts]))
    return vectors


def _vectors(head: str, metrics: dict[str, str]) -> list[str]:
    return [
        head + "/".join(f"{name}:{value}" for name, value in zip(metrics, values, strict=True))
        for values in itertools.product(*metrics.values())
    ]


V2 = {"AV": "LAN", "AC": "HML", "Au": "MSN", "C": "NPC", "I": "NPC", "A": "NPC"}
V3 = {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", "C": "HLN", "I": "HLN", "A": "HLN"}


@pytest.mark.parametrize(
    ("kind", "vectors"),
    [
        pytest.param("CVSS2", _vectors("", V2), id="every vector of version 2.0"),
        pytest.param("CVSS3", _vectors("CVSS:3.1/", V3), id="every vector of version 3.1"),
        pytest.param("CVSS4", _vectors_v4(1500), id="1,500 vectors of version 4.0"),
    ],
)
def test_scores_are_those_of_the_reference_implementation(kind: str, vectors: list[str]) -> None:
    judge = getattr(pytest.importorskip("cvss"), kind)
    wrong = [vector for vector in vectors if base_score(vector) != float(judge(vector).base_score)]
    assert wrong == []


def test_a_high_score_of_version_2_is_high() -> None:
    assert severity_of("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0) is Severity.HIGH
    assert severity_of("CVSS:3.1/…", 10.0) is Severity.CRITICAL
