from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.dpkg.version import compare
from builder.inventory.model import Distribution
from builder.recipe.model import Severity
from builder.scan import ranges
from builder.scan.match import natural, scan_inventory
from builder.scan.model import Advisory, ScanReport
from builder.versions.schemes import scheme
from tests.support.osv import META, NOW, Source, advisory, component, inventory, match

ZERO = ("introduced", "0")
DPKG = scheme("dpkg")


def affects(one: Advisory, version: str) -> bool:
    return ranges.affects(one, version, DPKG)


def fixed_in(one: Advisory, version: str) -> str:
    return ranges.fixed_in(one, version, DPKG)


def scan(source: Source | None = None, **changes: Any) -> ScanReport:
    found = inventory(**{"components": (component(),), **changes})
    return scan_inventory(found, source or Source(), subject="x", now=NOW)


@pytest.mark.parametrize(
    ("events", "version", "hit"),
    [
        pytest.param((ZERO, ("fixed", "2")), "1", True, id="below the fix"),
        pytest.param((ZERO, ("fixed", "2")), "2", False, id="at the fix"),
        pytest.param((ZERO, ("fixed", "2")), "2~rc1", True, id="a pre-release of the fix is below it"),
        pytest.param((ZERO, ("fixed", "2")), "1:1", False, id="the epoch decides"),
        pytest.param((ZERO,), "99", True, id="without a fix every version"),
        pytest.param((ZERO,), "0~~", True, id="introduced 0 is below everything"),
        pytest.param((ZERO, ("fixed", "0")), "1", False, id="fixed 0 means never affected"),
        pytest.param((("introduced", "2"), ("fixed", "3")), "1", False, id="before it came in"),
        pytest.param((("introduced", "2"), ("fixed", "3")), "2", True, id="the version it came in with"),
        pytest.param((ZERO, ("last_affected", "2")), "2", True, id="last_affected is inclusive"),
        pytest.param((ZERO, ("last_affected", "2")), "2.1", False, id="after last_affected"),
        pytest.param(
            (("fixed", "2"), ("introduced", "4"), ZERO, ("fixed", "5")), "4.5", True, id="events in any order"
        ),
        pytest.param(
            (("fixed", "2"), ("introduced", "4"), ZERO, ("fixed", "5")), "3", False, id="between two holes"
        ),
        pytest.param(
            (ZERO, ("fixed", "2"), ("introduced", "2")),
            "2",
            True,
            id="mended and broken again in one version",
        ),
        pytest.param(
            (("introduced", "2"), ("last_affected", "2")), "3", False, id="broken in one version only"
        ),
        pytest.param((("introduced", "2"), ("last_affected", "2")), "2", True, id="that one version"),
        pytest.param((), "1", False, id="no events"),
    ],
)
def test_ranges(events: tuple[tuple[str, str], ...], version: str, *, hit: bool) -> None:
    assert affects(advisory("CVE-1", *events), version) is hit


def test_listed_versions_count_beside_ranges() -> None:
    one = replace(advisory("CVE-1", ZERO, ("fixed", "2")), versions=("3",))
    assert [affects(one, version) for version in ("1", "2", "3")] == [True, False, True]


def test_the_fix_is_the_next_one_above() -> None:
    one = advisory("CVE-1", ZERO, ("fixed", "2"), ("introduced", "4"), ("fixed", "5"))
    assert [fixed_in(one, version) for version in ("1", "4", "6")] == ["2", "5", ""]


_VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.~+]{0,5}(-[0-9a-z~+.]{1,3})?", fullmatch=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines may be busy
@given(_VERSIONS, _VERSIONS)
def test_a_single_fix_splits_versions_in_two(fixed: str, version: str) -> None:
    assert affects(advisory("CVE-1", ZERO, ("fixed", fixed)), version) is (compare(version, fixed) < 0)


def test_the_source_version_is_compared_and_not_the_rebuild() -> None:
    rebuilt = replace(component(version="3.5.1-1+b2"), source_version="3.5.1-1")
    later = advisory("DEBIAN-CVE-2026-1", ZERO, ("fixed", "3.5.1-1+b1"))
    assert [one.id for one in match([rebuilt], [later])] == ["CVE-2026-1"]


def test_each_binary_package_of_a_source_has_the_finding() -> None:
    both = [component("openssl"), component("libssl3t64"), component("bash", source="bash")]
    found = match(both, [advisory("DEBIAN-CVE-2026-1", ZERO, ("fixed", "3.5.1-1"))])
    assert [(one.id, one.package, one.fixed) for one in found] == [
        ("CVE-2026-1", "libssl3t64", "3.5.1-1"),
        ("CVE-2026-1", "openssl", "3.5.1-1"),
    ]


def test_the_tracker_and_an_order_about_one_hole_are_one_finding() -> None:
    rows = [
        advisory("DEBIAN-CVE-2026-1", ZERO, names=("CVE-2026-1",), status="no-dsa", severity=Severity.HIGH),
        advisory("DSA-9-1", ZERO, ("fixed", "3.5.1-1"), names=("CVE-2026-1", "CVE-2026-2")),
        advisory("DSA-9-2", ZERO, ("fixed", "3.5.1-2"), names=("CVE-2026-1",)),
    ]
    first, second = match([component()], rows)
    assert (first.id, first.fixed, first.severity, first.status) == (
        "CVE-2026-1",
        "3.5.1-2",
        Severity.HIGH,
        "no-dsa",
    )
    assert first.aliases == ("DEBIAN-CVE-2026-1", "DSA-9-1", "DSA-9-2")
    assert (second.id, second.fixed, second.aliases) == ("CVE-2026-2", "3.5.1-1", ("DSA-9-1",))


def test_an_order_overrides_the_note_on_the_hole() -> None:
    rows = [
        advisory("DEBIAN-CVE-2026-1", ZERO, status="unfixed"),
        advisory("DLA-9-1", ZERO, ("fixed", "3.4-1"), names=("CVE-2026-1",)),
    ]
    assert match([component()], rows) == ()


def test_a_record_without_release_gives_way_to_one_with() -> None:
    general = advisory("CVE-2026-1", ZERO, release="")
    own = advisory("DEBIAN-CVE-2026-1", ZERO, ("fixed", "1"))
    assert len(match([component()], [general])) == 1
    assert match([component()], [general, own]) == ()


def test_an_order_without_a_cve_keeps_its_own_name() -> None:
    assert [one.id for one in match([component()], [advisory("DSA-9-1", ZERO)])] == ["DSA-9-1"]


def test_findings_are_sorted_worst_first_and_by_number() -> None:
    rows = [
        advisory("CVE-2026-10000", ZERO),
        advisory("CVE-2026-999", ZERO),
        advisory("CVE-2027-1", ZERO, severity=Severity.CRITICAL),
    ]
    assert [one.id for one in match([component()], rows)] == ["CVE-2027-1", "CVE-2026-999", "CVE-2026-10000"]


def test_natural_order_of_ids() -> None:
    ids = ["CVE-2024-999", "CVE-2024-10000", "CVE-1999-0001", "DSA-5", "TEMP-0-ABC", "9" * 5000]
    assert sorted(ids[:3], key=natural) == ["CVE-1999-0001", "CVE-2024-999", "CVE-2024-10000"]
    assert len({str(natural(one)) for one in ids}) == len(ids)


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        pytest.param({"files": 0, "elf_files": 0}, "the tree holds no file at all", id="an empty tree"),
        pytest.param(
            {"components": ()}, "no package is recorded, but there are 2 ELF files", id="programs, no package"
        ),
        pytest.param(
            {"unowned_elf": ("/app",)}, "no package owns 1 ELF file: /app", id="a program of nobody"
        ),
        pytest.param({"distribution": None}, "no distribution", id="no distribution"),
        pytest.param(
            {"distribution": Distribution(id="ubuntu", version="24.04", pretty_name="")},
            "there is no vulnerability data for ubuntu-24.04",
            id="a distribution without data",
        ),
        pytest.param(
            {"distribution": Distribution(id="debian", version="", pretty_name="")},
            "says nothing of debian",
            id="a Debian without a release number",
        ),
        pytest.param(
            {"distribution": Distribution(id="debian", version="10", pretty_name="")},
            "says nothing of debian-10",
            id="a release without data",
        ),
        pytest.param(
            {"notes": ("/x could not be read",)}, "/x could not be read", id="a note of the inventory"
        ),
    ],
)
def test_what_cannot_be_judged_is_said(changes: dict[str, Any], gap: str) -> None:
    assert any(gap in one for one in scan(**changes).unscannable)


def test_a_tidy_tree_leaves_nothing_unjudged() -> None:
    report = scan()
    assert (report.unscannable, report.findings) == ((), ())
    (database,) = report.databases
    assert (database.age, database.date) == (5 * 3600, META.fetched)


def test_a_tree_of_plain_files_is_judged() -> None:
    assert scan(components=(), elf_files=0, distribution=None).unscannable == ()


def test_packages_outside_a_partial_cut_are_unjudged() -> None:
    report = scan(Source(meta=replace(META, coverage=frozenset({"bash"}))))
    assert report.unscannable == (
        "the vulnerability data is a partial cut without 1 source package: openssl",
    )


def test_no_data_for_the_ecosystem_is_said() -> None:
    assert scan(Source(meta=None)).unscannable == ("there is no vulnerability data for debian-13",)


def test_data_from_the_future_has_no_age() -> None:
    report = scan(Source(meta=replace(META, fetched=NOW + dt.timedelta(days=3))))
    assert "dated in the future (2026-11-25)" in report.unscannable[0]


def test_imported_data_is_as_old_as_its_newest_record() -> None:
    report = scan(Source(meta=replace(META, live=False)))
    assert [one.age for one in report.databases] == [9 * 86400]


@pytest.mark.parametrize(
    ("system", "version", "end"),
    [
        ("debian", "11.9", "2026-08-31"),
        ("ubuntu", "24.04", "2029-05-31"),
        ("alpine", "3.22.1", "2027-05-01"),
        ("almalinux", "9.4", "2032-05-31"),
        ("sles", "15.5", "2024-12-31"),
        ("sles", "15", "2019-12-31"),
        ("wolfi", "20230201", "None"),
        ("debian", "", "None"),
    ],
)
def test_how_long_a_release_is_supported(system: str, version: str, end: str) -> None:
    report = scan(distribution=Distribution(id=system, version=version, pretty_name=""))
    assert str(report.supported_until) == end
