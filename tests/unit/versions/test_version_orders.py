from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from builder.versions.schemes import scheme as scheme_of

TABLES = Path(__file__).parent.parent.parent / "data/versions"
SIGNS = {-1: "<", 0: "=", 1: ">"}


def sign(scheme: str, one: str, other: str) -> str:
    key = scheme_of(scheme).key
    return SIGNS[(key(one) > key(other)) - (key(one) < key(other))]


@pytest.mark.parametrize("table", sorted(TABLES.glob("*.txt")), ids=lambda path: path.stem)
def test_the_order_is_that_of_the_ecosystems_own_tool(table: Path) -> None:
    lines = [line.split(" ") for line in table.read_text().splitlines()]
    wrong = [line for line in lines if sign(table.stem, line[0], line[2]) != line[1]]
    assert wrong == []
    assert len(lines) > 100


CHAINS = {
    # https://semver.org, section 11
    "semver": """1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1
        1.0.0 1.0.1 1.2 1.10.0 2.0.0-0 2.0.0 2.0.0.1""",
    # https://go.dev/ref/mod, "Pseudo-versions"
    "go": """0.0.0-20200101000000-abcdefabcdef v0.0.1 1.2.3-pre.0.20191109021931-daa7c04131f5 v1.2.3
        v1.2.4-0.20191109021931-daa7c04131f5 v1.2.4 1.20rc1 go1.20 go1.20.1 1.21-0 go1.21beta1 go1.21rc2
        go1.21.0""",
    # NuGet's documentation, "Package versioning"
    "nuget": """1.0.1-alpha 1.0.1-alpha10 1.0.1-alpha2 1.0.1-beta.2 1.0.1-beta.10 1.0.1-Open 1.0.1-zzz 1.0.1
        1.0.1.1 1.0.2""",
    # the manual page apk-package, "pkgver"
    "apk": """1.0_alpha 1.0_alpha1 1.0_beta 1.0_beta2 1.0_pre 1.0_rc1 1.0_rc10 1.0 1.0-r0 1.0-r1 1.0_cvs
        1.0_svn 1.0_git20200101 1.0_hg 1.0_p 1.0_p1 1.0_p1-r3 1.0a 1.0a-r1 1.0b 1.0.1 1.09 1.1 1.9-what 1.9
        1.10 2""",
    "rpm": """1.0~rc1-1 1.0~rc2-1 1.0-1 1.0-1.el9 1.0-1.el9_2 1.0-2 1.0^git1-1 1.0a-1 1.0.a.1-1 1.0.1-1
        1:0.1-1""",
    "pep440": """1.0.dev1 1.0a1.dev1 1.0a1 1.0b1 1.0rc1 1.0 1.0+abc 1.0+abc.2 1.0+5 1.0.post1.dev1 1.0.post1
        1.0.1 1!0.5""",
    "maven": "1-alpha-1 1-beta 1-milestone 1-rc1 1-SNAPSHOT 1 1-sp 1-foo 1-1 1.0.1 1.1",
    "rubygems": "1.0.a 1.0.a.2 1.0.b 1.0-rc1 1.0 1.0.0.1 1.1 1.10 2.0",
    "packagist": "1.0-dev 1.0-alpha1 1.0-beta 1.0b2 1.0-RC1 1.0.0 1.0.0-p1 1.0.1 v2.0",
}


@pytest.mark.parametrize("scheme", CHAINS)
def test_each_version_of_the_row_is_below_all_that_follow(scheme: str) -> None:
    row = CHAINS[scheme].split()
    wrong = [pair for pair in itertools.combinations(row, 2) if sign(scheme, *pair) != "<"]
    assert wrong == []


@pytest.mark.parametrize(
    ("scheme", "one", "other"),
    [
        pytest.param("semver", "v1.2", "1.2.0+build", id="a v, a missing number and metadata say nothing"),
        pytest.param("go", "v2.0.0+incompatible", "2.0.0", id="+incompatible says nothing"),
        pytest.param("go", "go1.20.1 X:boringcrypto", "1.20.1", id="Go's experiments say nothing"),
        pytest.param("go", "go1.21rc2", "1.21.0-rc.2", id="Go's own candidates are those of the advisories"),
        pytest.param("nuget", "1.0.0-RC1+abc", "1.0-rc1", id="NuGet is blind to case and metadata"),
        pytest.param("pep440", "1.0.0-ALPHA.1", "1.0a1", id="Python's spellings are one"),
        pytest.param("rubygems", "1.0-1", "1.pre.1", id="a dash is .pre. in Ruby"),
        pytest.param("packagist", "v1.0-stable", "1", id="stable is the release itself"),
        pytest.param("packagist", "1.0-pl1", "1.0p1", id="patch levels have three names"),
        pytest.param("maven", "1.0.final", "1-ga", id="final and ga are the release itself"),
        pytest.param("rpm", "0:1.0-1", "1..0-1", id="an epoch of 0 and separators say nothing"),
        pytest.param("rpm", "1" + "0" * 6000 + "-1", "01" + "0" * 6000 + "-1", id="numbers of any length"),
    ],
)  # fmt: skip
def test_these_are_equal(scheme: str, one: str, other: str) -> None:
    key = scheme_of(scheme).key
    assert sign(scheme, one, other) == "="
    assert key(one) == key(other)
    assert hash(key(one)) == hash(key(other))


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("semver", "latest"),
        ("semver", "1.2.x"),
        ("go", "(devel)"),
        ("nuget", "1.2.3.4.5"),
        ("apk", "r1"),
        ("apk", "1 0"),
        ("pep440", "1.0-what"),
        ("pep440", ""),
        ("rpm", "1 0"),
        ("rpm", ""),
        ("maven", ""),
        ("maven", "1" + "-1" * 5000),
        ("rubygems", "a.1"),
        ("packagist", "dev-main"),
        ("packagist", "1.2.3.4.5"),
    ],
)
def test_these_are_no_versions(scheme: str, text: str) -> None:
    assert not scheme_of(scheme).valid(text)
    with pytest.raises(ValueError, match="is no "):
        scheme_of(scheme).key(text)
