"""Release files: what is accepted, and the words for what is not."""

from __future__ import annotations

import pytest

from builder.errors import BuildError, ResolutionError, RootletError
from builder.sources.debian.release import check_release, packages_indexes, parse_release
from tests.support.debian_archive import NOW, SuiteText, release_text

SUM = "a" * 64
SUMS = "".join(f" {SUM} 10 main/binary-amd64/Packages{end}\n" for end in (".xz", "", ".gz"))


def text(sums: str = SUMS, **changes: object) -> bytes:
    return release_text(SuiteText(name="test", **changes), sums).encode()  # type: ignore[arg-type]  # fields by name


def test_fields_are_read() -> None:
    release = parse_release(text(), name="R")
    assert (release.codename, release.suite, release.by_hash) == ("test", "stable", True)
    assert release.is_debian_stable
    assert not release.separate_all
    (index,) = packages_indexes(release, "main", "amd64")
    assert [form.path.rpartition("/")[2] for form in index.forms] == [
        "Packages.gz",
        "Packages.xz",
        "Packages",
    ]


@pytest.mark.parametrize(
    ("changes", "stable"),
    [
        pytest.param({"suite": "oldstable"}, True, id="oldstable"),
        pytest.param({"suite": "oldoldstable-security"}, True, id="security of oldoldstable"),
        pytest.param({"suite": "unstable"}, False, id="unstable"),
        pytest.param({"suite": "stable-backports"}, False, id="backports"),
        pytest.param({"origin": "Ubuntu"}, False, id="another distribution"),
    ],
)
def test_which_suites_debian_keeps_companions_for(changes: dict[str, str], *, stable: bool) -> None:
    assert parse_release(text(**changes), name="R").is_debian_stable is stable


@pytest.mark.parametrize(
    ("asked", "now", "valid_until", "words"),
    [
        pytest.param("test", NOW, None, "", id="by code name"),
        pytest.param("stable", NOW, None, "", id="by suite name"),
        pytest.param("test/updates", NOW, None, "", id="an old security suite"),
        pytest.param("test", NOW, NOW + 1, "", id="still valid"),
        pytest.param("other", NOW, None, "is the release file of test, not of other", id="another suite"),
        pytest.param("test", NOW - 3 * 86400, None, "was made in the future", id="from the future"),
        pytest.param("test", NOW, NOW - 1, "expired on ", id="expired"),
    ],
)
def test_check(asked: str, now: float, valid_until: float | None, words: str) -> None:
    release = parse_release(text(valid_until=valid_until), name="R")
    if not words:
        check_release(release, suite=asked, now=now, expires=True)
        return
    with pytest.raises(BuildError, match=words):
        check_release(release, suite=asked, now=now, expires=True)


def test_expiry_can_be_turned_off() -> None:
    release = parse_release(text(valid_until=NOW - 1), name="R")
    check_release(release, suite="test", now=NOW, expires=False)


@pytest.mark.parametrize(
    ("component", "architecture", "error", "words"),
    [
        pytest.param(
            "contrib", "amd64", ResolutionError, "no component 'contrib'; it has main", id="component"
        ),
        pytest.param(
            "main", "s390x", ResolutionError, "no packages for s390x; it has amd64", id="architecture"
        ),
        pytest.param("main", "arm64", BuildError, "lists no main/binary-arm64/Packages", id="no index"),
    ],
)
def test_what_a_suite_lacks(component: str, architecture: str, error: type[RootletError], words: str) -> None:
    release = parse_release(text(), name="R")
    with pytest.raises(error, match=words):
        packages_indexes(release, component, architecture)


def test_security_suite_declares_its_components_otherwise() -> None:
    release = parse_release(text(components="updates/main"), name="R")
    assert len(packages_indexes(release, "main", "amd64")) == 1


def test_packages_of_all_architectures_in_an_index_of_their_own() -> None:
    sums = SUMS + f" {'b' * 64} 5 main/binary-all/Packages\n"
    release = parse_release(text(sums, extra="", architectures="all amd64"), name="R")
    assert [index.plain.sha256[0] for index in packages_indexes(release, "main", "amd64")] == ["a", "b"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"", "has no Date field", id="empty"),
        pytest.param(b"nonsense\n", "cannot be read: not a control field", id="no fields"),
        pytest.param(b"Date: yesterday\nSHA256:\n", "cannot be read", id="a date that is none"),
        pytest.param(
            b"Date: Sat, 12 Sep 2026 07:55:41 UTC\nMD5Sum:\n x", "has no SHA256 field", id="only MD5"
        ),
        pytest.param(b"\xff\xfe: x\n", "cannot be read", id="not UTF-8"),
    ],
)
def test_damaged_release(raw: bytes, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        parse_release(raw, name="R")
