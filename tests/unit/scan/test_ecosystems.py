"""From an OSV record of any ecosystem to a finding of an installed package: the whole way, in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builder.inventory.model import Component, ComponentKind, Distribution
from builder.recipe.model import Severity
from builder.scan.ecosystems import ECOSYSTEMS, ecosystem_of
from builder.scan.match import scan_inventory
from builder.scan.model import Finding, ScanReport, Signal
from tests.support.osv import META, MODIFIED, NOW, Source, advisories, inventory

ZERO = {"introduced": "0"}


def osv(identity: str, ecosystem: str, package: str, *events: dict[str, str], **fields: Any) -> bytes:
    part = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
    }
    return json.dumps({"id": identity, "modified": MODIFIED, "affected": [part], **fields}).encode()


def installed(kind: ComponentKind, name: str, version: str, **changes: Any) -> Component:
    plain = Component(
        kind=kind,
        name=name,
        version=version,
        architecture="",
        source_name=name,
        source_version=version,
        purl=f"pkg:{kind.value}/{name}@{version}",
        evidence=("/x",),
        files=0,
    )
    return replace(plain, **changes)


def scan(
    records: list[bytes],
    components: list[Component],
    system: str = "debian:13",
    signals: dict[str, Signal] | None = None,
) -> ScanReport:
    distribution = Distribution(
        id=system.partition(":")[0], version=system.partition(":")[2], pretty_name=system
    )
    kinds = {one.kind.is_system for one in components}
    found = ecosystem_of(distribution)
    assert found is not None
    name = found[0].name if kinds == {True} else _ecosystem(records)
    rows = [row for record in records for row in advisories(record, name)]
    meta = replace(META, ecosystem=name, releases=tuple({row.release for row in rows}))
    source = Source(*rows, meta=meta, signals=signals)
    return scan_inventory(inventory(components, distribution=distribution), source, subject="x", now=NOW)


def _ecosystem(records: list[bytes]) -> str:
    return str(json.loads(records[0])["affected"][0]["package"]["ecosystem"])


def findings(*arguments: Any) -> tuple[Finding, ...]:
    return scan(*arguments).findings


@pytest.mark.parametrize(
    ("ecosystem", "system", "component", "hit"),
    [
        pytest.param(
            "AlmaLinux:9",
            "almalinux:9.4",
            ("openssl-libs", "openssl"),
            True,
            id="binary name in AlmaLinux (R1)",
        ),
        pytest.param(
            "AlmaLinux:9",
            "almalinux:9.4",
            ("openssl-libs", "other"),
            True,
            id="AlmaLinux does not ask for the source",
        ),
        pytest.param(
            "AlmaLinux:8", "almalinux:9.4", ("openssl-libs", "openssl"), False, id="another major release"
        ),
        pytest.param(
            "Red Hat:enterprise_linux:9::baseos",
            "rhel:9.4",
            ("openssl-libs", "openssl"),
            True,
            id="a repository of RHEL",
        ),
        pytest.param(
            "Red Hat:rhel_eus:9.2::baseos",
            "rhel:9.2",
            ("openssl-libs", "openssl"),
            False,
            id="extended support is not told by an image",
        ),
        pytest.param(
            "SUSE:Linux Enterprise Server 15 SP5",
            "sles:15.5",
            ("openssl-libs", "openssl"),
            True,
            id="a service pack",
        ),
        pytest.param(
            "SUSE:Linux Enterprise Module for Basesystem 15 SP5",
            "sles:15.5",
            ("x", "openssl-libs"),
            True,
            id="a module, by its source",
        ),
        pytest.param(
            "SUSE:Linux Enterprise Micro 5.5",
            "sle-micro:5.5",
            ("openssl-libs", "openssl"),
            True,
            id="SLE Micro",
        ),
        pytest.param(
            "SUSE:Linux Enterprise Micro 5.5",
            "sles:5.5",
            ("openssl-libs", "openssl"),
            False,
            id="SLE Micro is not SLES",
        ),
        pytest.param(
            "openSUSE:Leap 15.5", "opensuse-leap:15.5", ("openssl-libs", "openssl"), True, id="Leap"
        ),
        pytest.param(
            "openSUSE:Tumbleweed",
            "opensuse-tumbleweed:20261122",
            ("openssl-libs", "openssl"),
            True,
            id="Tumbleweed",
        ),
        pytest.param(
            "Rocky Linux:9", "rocky:9.4", ("other", "openssl-libs"), True, id="the source in Rocky Linux"
        ),
        pytest.param("Azure Linux:3", "azurelinux:3.0", ("openssl-libs", "openssl"), True, id="Azure Linux"),
        pytest.param("Mageia:9", "mageia:9", ("openssl-libs", "openssl"), True, id="Mageia"),
    ],
)
def test_rpm_distributions(ecosystem: str, system: str, component: tuple[str, str], *, hit: bool) -> None:
    record = osv("X-1", ecosystem, "openssl-libs", ZERO, {"fixed": "1:3.0.7-25.el9"})
    name, source = component
    package = installed(
        ComponentKind.RPM, name, "1:3.0.7-24.el9", source_name=source, source_version="1:3.0.7-24.el9"
    )
    assert bool(findings([record], [package], system)) is hit


@pytest.mark.parametrize(
    ("ecosystem", "system", "hit"),
    [
        pytest.param("Ubuntu:24.04:LTS", "ubuntu:24.04", True, id="a long-term release"),
        pytest.param("Ubuntu:25.10", "ubuntu:25.10", True, id="an interim release"),
        pytest.param("Ubuntu:22.04:LTS", "ubuntu:24.04", False, id="another release"),
        pytest.param("Ubuntu:Pro:24.04:LTS", "ubuntu:24.04", True, id="only subscribers get a fix"),
        pytest.param("Ubuntu:Pro:FIPS-updates:24.04:LTS", "ubuntu:24.04", False, id="FIPS is another system"),
        pytest.param("Alpine:v3.22", "alpine:3.22.1", True, id="Alpine's minor release"),
        pytest.param("Alpine:v3.22", "alpine:3.21.0", False, id="another of Alpine's"),
        pytest.param("Wolfi", "wolfi:20230201", True, id="Wolfi has no releases"),
        pytest.param("Chainguard", "chainguard:20230214", True, id="Chainguard"),
        pytest.param("Debian:13", "debian:13.2", True, id="Debian's point release"),
    ],
)
def test_other_distributions_match_by_source(ecosystem: str, system: str, *, hit: bool) -> None:
    record = osv("X-1", ecosystem, "openssl", ZERO, {"fixed": "3.0.14-r1"})
    kind = ComponentKind.DEB if system.startswith(("ubuntu", "debian")) else ComponentKind.APK
    package = installed(kind, "libssl3", "3.0.14-r0", source_name="openssl", source_version="3.0.14-r0")
    other = installed(kind, "openssl", "1", source_name="other", source_version="1")
    assert [one.package for one in findings([record], [package, other], system)] == ["libssl3"] * hit


def test_what_subscribers_have_counts_only_for_their_packages() -> None:
    both = [
        osv("UBUNTU-CVE-2026-1", "Ubuntu:22.04:LTS", "openssl", ZERO),
        osv("UBUNTU-CVE-2026-1", "Ubuntu:Pro:22.04:LTS", "openssl", ZERO, {"fixed": "1-0ubuntu1+esm1"}),
    ]
    plain, mended = (
        installed(ComponentKind.DEB, "openssl", version) for version in ("1-0ubuntu1", "1-0ubuntu1+esm1")
    )
    assert [(one.id, one.fixed) for one in findings(both, [plain], "ubuntu:22.04")] == [("CVE-2026-1", "")]
    assert findings(both, [mended], "ubuntu:22.04") == ()


@pytest.mark.parametrize(
    ("kind", "ecosystem", "name", "recorded", "version", "fixed"),
    [
        pytest.param(
            ComponentKind.PYTHON, "PyPI", "Foo_Bar", "foo-bar", "1.0rc1", "1.0", id="PEP 503 and PEP 440"
        ),
        pytest.param(ComponentKind.NPM, "npm", "@a/b", "@a/b", "1.0.0-9", "1.0.0-10", id="npm"),
        pytest.param(
            ComponentKind.GO, "Go", "stdlib", "stdlib", "1.21rc2", "1.21.0-rc.3", id="Go's own library"
        ),
        pytest.param(
            ComponentKind.GO,
            "Go",
            "example.com/m/v2",
            "example.com/m/v2",
            "2.0.0-20240101000000-abcdefabcdef",
            "2.0.0",
            id="a pseudo-version",
        ),
        pytest.param(ComponentKind.RUST, "crates.io", "time", "time", "0.1.43", "0.2.23", id="a crate"),
        pytest.param(ComponentKind.JAVA, "Maven", "g:a", "g:a", "2.0-rc1", "2.0", id="Maven"),
        pytest.param(ComponentKind.RUBY, "RubyGems", "rack", "rack", "2.2.a", "2.2", id="a gem"),
        pytest.param(
            ComponentKind.PHP,
            "Packagist",
            "Vendor/Name",
            "vendor/name",
            "1.0-beta2",
            "1.0-RC1",
            id="Composer",
        ),
        pytest.param(
            ComponentKind.DOTNET,
            "NuGet",
            "Newtonsoft.Json",
            "newtonsoft.json",
            "13.0.1-Beta",
            "13.0.1",
            id="NuGet",
        ),
    ],
)
def test_languages(
    kind: ComponentKind, ecosystem: str, name: str, recorded: str, version: str, fixed: str
) -> None:
    record = osv("GHSA-1", ecosystem, recorded, ZERO, {"fixed": fixed}, aliases=["CVE-2026-1"])
    (one,) = findings([record], [installed(kind, name, version)])
    assert (one.id, one.aliases, one.ecosystem, one.fixed) == ("CVE-2026-1", ("GHSA-1",), ecosystem, fixed)
    assert findings([record], [installed(kind, name, fixed)]) == ()


def test_a_program_of_an_unknown_version_is_never_matched() -> None:
    record = osv("GO-1", "Go", "example.com/m", ZERO)
    assert findings([record], [installed(ComponentKind.GO, "example.com/m", "")]) == ()


def test_ids_of_one_vulnerability_are_one_finding() -> None:
    records = [
        osv("GHSA-aaaa", "PyPI", "flask", ZERO, {"fixed": "2"}, aliases=["CVE-2026-1", "PYSEC-2026-7"]),
        osv("PYSEC-2026-7", "PyPI", "flask", ZERO, {"fixed": "2.1"}, aliases=["GHSA-aaaa"]),
        osv("PYSEC-2026-8", "PyPI", "flask", ZERO, {"fixed": "2"}, aliases=["GHSA-bbbb"]),
        osv("GHSA-bbbb", "PyPI", "flask", ZERO, {"fixed": "2"}, aliases=["PYSEC-2026-8"]),
    ]
    found = findings(records, [installed(ComponentKind.PYTHON, "Flask", "1")])
    assert [(one.id, one.aliases, one.fixed) for one in found] == [
        ("CVE-2026-1", ("GHSA-aaaa", "PYSEC-2026-7"), "2.1"),
        ("GHSA-bbbb", ("PYSEC-2026-8",), "2"),
    ]


def test_an_erratum_speaks_of_each_of_its_vulnerabilities() -> None:
    record = osv(
        "ALSA-2026:1",
        "AlmaLinux:9",
        "p",
        ZERO,
        {"fixed": "2-1"},
        related=["CVE-2026-1", "CVE-2026-2"],
        summary="Important: p security update",
    )
    found = findings([record], [installed(ComponentKind.RPM, "p", "1-1")], "almalinux:9.4")
    assert [(one.id, one.aliases, one.severity) for one in found] == [
        ("CVE-2026-1", ("ALSA-2026:1",), Severity.HIGH),
        ("CVE-2026-2", ("ALSA-2026:1",), Severity.HIGH),
    ]


@pytest.mark.parametrize(
    ("version", "modularity", "hit"),
    [
        pytest.param("16.1-1.module_el8.6.0+1+abc", "nodejs:16:82006:abc", True, id="the stream itself"),
        pytest.param("14.1-1.module_el8.6.0+1+abc", "nodejs:14:82006:abc", False, id="another stream"),
        pytest.param("16.1-1.module_el8.6.0+1+abc", "", True, id="a module whose label nobody kept"),
        pytest.param("16.1-1.el8", "", False, id="what no module brings"),
        pytest.param("16.1-1.el8", "nodejs:160:82006:abc", False, id="a stream that only begins alike"),
    ],
)
def test_modules_of_enterprise_linux(version: str, modularity: str, *, hit: bool) -> None:
    record = osv(
        "ALSA-2026:1",
        "AlmaLinux:8",
        "nodejs",
        ZERO,
        {"fixed": "16.2-1.module_el8.7.0+2+def"},
        summary="Moderate: nodejs:16 security update",
    )
    package = installed(ComponentKind.RPM, "nodejs", version, modularity=modularity)
    assert bool(findings([record], [package], "almalinux:8.9")) is hit


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        pytest.param("5.14.0-362.1.el9_3", "5.14.0-362.24.el9_3", id="below the fix of its minor release"),
        pytest.param("5.14.0-362.24.el9_3", None, id="mended in its minor release"),
        pytest.param("5.14.0-427.el9_4", "5.14.0-427.13.el9_4", id="newer than another release's fix"),
        pytest.param("5.14.0-427.13.el9_4", None, id="mended in the next minor release"),
        pytest.param("5.14.0-503.el9_5", None, id="a later minor release that no erratum names"),
        pytest.param("5.14.0-1.el9", "5.14.0-362.24.el9_3", id="no minor release: the first fix"),
    ],
)
def test_errata_of_several_minor_releases(version: str, fixed: str | None) -> None:
    records = [
        osv(identity, "AlmaLinux:9", "kernel", ZERO, {"fixed": at}, related=["CVE-2026-1"])
        for identity, at in (("ALSA-1", "5.14.0-362.24.el9_3"), ("ALSA-2", "5.14.0-427.13.el9_4"))
    ]
    found = findings(records, [installed(ComponentKind.RPM, "kernel", version)], "almalinux:9.4")
    assert [one.fixed for one in found] == ([] if fixed is None else [fixed])


def test_of_several_fixes_in_a_release_of_alpine_the_first_counts() -> None:
    record = json.loads(osv("ALPINE-CVE-2026-1", "Alpine:v3.22", "tor", ZERO, {"fixed": "0.4.0.5-r0"}))
    record["affected"].append(json.loads(json.dumps(record["affected"][0])))
    record["affected"][1]["ranges"][0]["events"][1]["fixed"] = "0.3.5.8-r0"
    payload = json.dumps(record).encode()
    old, new = (installed(ComponentKind.APK, "tor", version) for version in ("0.3.5.7-r0", "0.3.5.8-r0"))
    assert [one.fixed for one in findings([payload], [old], "alpine:3.22.0")] == ["0.3.5.8-r0"]
    assert findings([payload], [new], "alpine:3.22.0") == ()


def test_a_fix_at_version_0_means_never_affected() -> None:
    record = osv("ALPINE-CVE-2026-1", "Alpine:v3.22", "curl", ZERO, {"fixed": "0"})
    assert findings([record], [installed(ComponentKind.APK, "curl", "8.0-r0")], "alpine:3.22.0") == ()


def test_a_version_that_cannot_be_compared_is_no_clean_one() -> None:
    record = osv("GHSA-1", "PyPI", "p", ZERO, {"fixed": "2"})
    report = scan([record], [installed(ComponentKind.PYTHON, "p", "unknown")])
    assert report.findings == ()
    assert "the version of p unknown cannot be compared with what GHSA-1 says" in report.unscannable


def test_a_record_with_a_version_that_is_none_leaves_a_doubt() -> None:
    record = osv("PYSEC-1", "PyPI", "p", ZERO, {"fixed": "2019-09-12"})
    report = scan([record], [installed(ComponentKind.PYTHON, "p", "1.0")])
    assert "the version of p 1.0 cannot be compared with what PYSEC-1 says" in report.unscannable


def test_versions_that_are_only_listed() -> None:
    part = {"package": {"ecosystem": "npm", "name": "p"}, "versions": ["1.0", "odd one"]}
    record = osv("MAL-2026-1", "npm", "p", affected=[part])
    (one,) = findings([record], [installed(ComponentKind.NPM, "p", "1.0.0")])
    assert (one.severity, one.summary, one.fixed) == (Severity.CRITICAL, "malicious code", "")
    assert findings([record], [installed(ComponentKind.NPM, "p", "1.0.1")]) == ()


@pytest.mark.parametrize(
    ("limit", "hit"),
    [("2.0", True), ("1.5", False), ("*", True)],
    ids=["below the limit", "above it", "without end"],
)
def test_limits(limit: str, *, hit: bool) -> None:
    record = osv("X-1", "npm", "p", ZERO, {"limit": limit})
    assert bool(findings([record], [installed(ComponentKind.NPM, "p", "1.7.0")])) is hit


def test_packages_of_a_language_without_data_are_unjudged() -> None:
    packages = [installed(ComponentKind.NPM, name, "1.0.0") for name in ("a", "b")]
    report = scan_inventory(inventory(packages), Source(), subject="x", now=NOW)
    assert report.unscannable == (
        "there is no vulnerability data for npm, so 2 packages could not be judged: a, b",
    )


def test_programs_that_only_say_what_they_are_are_unjudged() -> None:
    program = installed(ComponentKind.GENERIC, "nginx", "1.25.3")
    report = scan_inventory(inventory([program]), Source(), subject="x", now=NOW)
    assert report.unscannable == ("no vulnerability data speaks of 1 program: nginx 1.25.3",)


def test_packages_of_another_system_are_unjudged() -> None:
    foreign = installed(ComponentKind.RPM, "bash", "5.1-1.el9")
    report = scan_inventory(inventory([foreign]), Source(), subject="x", now=NOW)
    assert report.unscannable == ("1 package of another system than debian-13 could not be judged: bash",)


def test_exploits_are_said() -> None:
    record = osv("GHSA-1", "npm", "p", ZERO, aliases=["CVE-2026-1"])
    package = installed(ComponentKind.NPM, "p", "1.0.0")
    report = scan([record], [package], signals={"CVE-2026-1": Signal(kev=True, epss=0.5)})
    (one,) = report.findings
    assert (one.kev, one.epss) == (True, 0.5)


def test_every_ecosystem_has_an_order() -> None:
    for one in ECOSYSTEMS.values():
        assert one.scheme.key("1.0") < one.scheme.key("1.1")
