"""Findings of thousands of packages of every ecosystem there is data for, beside trivy's with the same data.

The packages are a bill of materials: each has a version that mends half of its holes, so that every
comparison matters. Every difference belongs to a class that tests/oracle/scan_explained.toml explains.
"""

from __future__ import annotations

import json
import tomllib
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from builder.inventory.model import Component, ComponentKind, Distribution
from builder.scan.database import Database
from builder.scan.ecosystems import ECOSYSTEMS
from builder.scan.match import scan_inventory
from builder.scan.merge import groups
from builder.scan.model import Advisory, Finding
from builder.scan.record import RecordError
from tests.support.opinions import osv_database, trivy_holes, trivy_results, unpack_trivy_cache
from tests.support.osv import NOW, advisories, component, inventory
from tests.support.tools import shared_folder

pytestmark = [pytest.mark.tools]

EXPLAINED = tomllib.loads((Path(__file__).parent.parent / "oracle/scan_explained.toml").read_text())
Hole = tuple[str, str]
"""Package and vulnerability."""


@dataclass(frozen=True)
class Case:
    ecosystem: str
    release: str
    kind: ComponentKind
    system: Distribution
    trivy: str
    """Trivy's name of the system or of the kind of package."""


def distribution(name: str, version: str) -> Distribution:
    return Distribution(id=name, version=version, pretty_name=name)


DEBIAN = distribution("debian", "13")
CASES = [
    Case("AlmaLinux", "8", ComponentKind.RPM, distribution("almalinux", "8.9"), "alma"),
    Case("AlmaLinux", "10", ComponentKind.RPM, distribution("almalinux", "10.0"), "alma"),
    Case("Alpine", "v3.11", ComponentKind.APK, distribution("alpine", "3.11.6"), "alpine"),
    Case("PyPI", "", ComponentKind.PYTHON, DEBIAN, "python-pkg"),
    Case("npm", "", ComponentKind.NPM, DEBIAN, "node-pkg"),
    Case("Go", "", ComponentKind.GO, DEBIAN, "gobinary"),
    Case("crates.io", "", ComponentKind.RUST, DEBIAN, "rustbinary"),
]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osv_database(tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="session")
def trivy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_trivy_cache(tmp_path_factory.mktemp("trivy"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.ecosystem} {case.release}".strip())
def test_trivy_finds_the_same_holes(case: Case, database: Path, trivy_cache: Path, tmp_path: Path) -> None:
    rows = rows_of(case)
    versions = {name: middle_version(case.ecosystem, found) for name, found in rows.items()}
    bill = tmp_path / "bill.cdx.json"
    bill.write_text(json.dumps(bill_of(case, versions)))
    results = trivy_results("os,library", "sbom", bill, cache=trivy_cache)
    theirs = {(one[0], one[1]): one[2] for result in results for one in trivy_holes(result)}
    ours = findings_of(case, versions, database)
    assert len(theirs) > 200
    differing = {*ours} ^ {*theirs}
    classes = Counter(explanation(case, hole, versions[hole[0]], rows[hole[0]]) for hole in differing)
    assert "" not in classes, sorted(
        hole for hole in differing if not explanation(case, hole, versions[hole[0]], rows[hole[0]])
    )[:10]
    for name in classes:
        assert case.ecosystem in EXPLAINED[name]["ecosystems"]
    fixes = {hole: ours[hole].fixed for hole in ours if hole in theirs}
    wrong = [
        (hole, fixed, theirs[hole])
        for hole, fixed in fixes.items()
        # Trivy lists every fix, also those below what is installed; and of several errata it keeps one.
        if fixed and fixed not in theirs[hole].split(", ") and not several(rows[hole[0]], hole[1])
    ]
    assert wrong == []


def rows_of(case: Case) -> dict[str, list[Advisory]]:
    """Every advisory of the release by package."""
    found: dict[str, list[Advisory]] = {}
    with zipfile.ZipFile(shared_folder() / f"osv/{case.ecosystem}/all.zip") as archive:
        for name in archive.namelist():
            try:
                for row in advisories(archive.read(name), case.ecosystem):
                    if row.release == case.release:
                        found.setdefault(row.package, []).append(row)
            except RecordError:
                continue
    return dict(sorted(found.items()))


def middle_version(ecosystem: str, rows: list[Advisory]) -> str:
    named = {at for row in rows for events in row.ranges for kind, at in events if at != "0"}
    order = ECOSYSTEMS[ecosystem].scheme
    versions = [
        one for one in {*named, *(one for row in rows for one in row.versions[:3])} if order.valid(one)
    ]
    return sorted(versions, key=order.key)[len(versions) // 2] if versions else "1.0.0"


def findings_of(case: Case, versions: dict[str, str], database: Path) -> dict[Hole, Finding]:
    packages = [installed(case.kind, name, version) for name, version in versions.items()]
    with Database.open(database) as opened:
        report = scan_inventory(inventory(packages, distribution=case.system), opened, subject="x", now=NOW)
    return {(one.package, one.id): one for one in report.findings}


def installed(kind: ComponentKind, name: str, version: str) -> Component:
    return replace(component(name, version, name), kind=kind, purl="")


def bill_of(case: Case, versions: dict[str, str]) -> dict[str, object]:
    parts: list[object] = []
    if case.kind.is_system:
        about = {"Class": "os-pkgs", "Type": case.trivy}
        parts.append(part("operating-system", case.trivy, case.system.version, "os", about))
    for name, version in versions.items():
        epoch, _, bare = version.rpartition(":")
        if case.kind is ComponentKind.RPM:
            suffix = f"?arch=x86_64&distro={case.trivy}-{case.system.version}" + (
                f"&epoch={epoch}" if epoch else ""
            )
        else:
            suffix, bare = "", f"v{version}" if case.kind is ComponentKind.GO else version
        purl = f"pkg:{purl_name(case, name)}@{quote(bare, safe='')}{suffix}"
        about = {"PkgType": case.trivy, "SrcName": name, "SrcVersion": version}
        about = about if case.kind is ComponentKind.APK else {"PkgType": case.trivy}
        parts.append(part("library", name, bare, purl, about))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts}


def purl_name(case: Case, name: str) -> str:
    space = f"{case.trivy}/" if case.kind.is_system else ""
    return f"{case.kind.value}/{space}{quote(name, safe='/')}"


def part(kind: str, name: str, version: str, ref: str, about: dict[str, str]) -> dict[str, object]:
    properties = [{"name": f"aquasecurity:trivy:{word}", "value": value} for word, value in about.items()]
    one: dict[str, object] = {
        "type": kind,
        "name": name,
        "version": version,
        "bom-ref": ref,
        "properties": properties,
    }
    return {**one, "purl": ref} if ref.startswith("pkg:") else one


def explanation(case: Case, hole: Hole, version: str, rows: list[Advisory]) -> str:
    """The class of a difference, "" for none."""
    package, identity = hole
    fixes = fixes_of(rows, identity)
    if case.kind is ComponentKind.RPM:
        return explained_erratum(identity, version, rows)
    if case.kind is ComponentKind.APK:
        return "odd-version" if "-" in version and "-r" not in version else ""
    if case.kind is ComponentKind.GO and version.startswith("0.0.0-"):
        return "below-zero"
    if version in fixes:
        return "named-as-fix"
    return "spelling" if case.ecosystem == "npm" and package != package.lower() else ""


def explained_erratum(identity: str, version: str, rows: list[Advisory]) -> str:
    if any(".module_el" in one for one in (version, *fixes_of(rows, identity))):
        return "module"
    if not identity.startswith("CVE-"):
        return "erratum-without-cve"
    return "several-errata" if several(rows, identity) else ""


def fixes_of(rows: list[Advisory], identity: str) -> set[str]:
    found = groups(rows).get(identity, [])
    return {at for row in found for events in row.ranges for kind, at in events if kind == "fixed"}


def several(rows: list[Advisory], identity: str) -> bool:
    return len(fixes_of(rows, identity)) > 1 and rows[0].id.startswith("ALSA-")
