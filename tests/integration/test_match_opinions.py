"""Findings of thousands of packages of every ecosystem there is data for, beside trivy's with the same data.

The packages are a tree: a package database, installed packages of a language, or a lock file. Each has a
version that mends half of its holes, so that every comparison matters. Every difference belongs to a class
that tests/oracle/scan_explained.toml explains.
"""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from builder.scan.database import Database
from builder.scan.ecosystems import ECOSYSTEMS
from builder.scan.merge import groups
from builder.scan.model import Advisory, Finding
from builder.scan.record import RecordError
from builder.scan.subject import Question, scan_reference
from tests.support import rpmdb
from tests.support.opinions import osv_database, trivy_holes, trivy_results, unpack_trivy_cache
from tests.support.osv import NOW, advisories
from tests.support.tools import shared_folder

pytestmark = [pytest.mark.tools]

EXPLAINED = tomllib.loads((Path(__file__).parent.parent / "oracle/scan_explained.toml").read_text())
Hole = tuple[str, str]
"""Package and vulnerability."""
Versions = dict[str, str]


@dataclass(frozen=True)
class Case:
    """An ecosystem, how a tree with its packages is written, and what trivy calls such a tree."""

    ecosystem: str
    release: str
    write: Callable[[Path, Versions], None]
    trivy: str = "rootfs"


def write_rpm(version: str, root: Path, versions: Versions) -> None:
    put(root, "etc/os-release", f'ID="almalinux"\nVERSION_ID="{version}"\n')
    put(root, "etc/redhat-release", f"AlmaLinux release {version}\n")
    (root / "var/lib/rpm").mkdir(parents=True)
    (root / "var/lib/rpm/rpmdb.sqlite").write_bytes(rpmdb.sqlite([*map(rpm_header, versions.items())]))


def rpm_header(package: tuple[str, str]) -> bytes:
    epoch, _, bare = package[1].rpartition(":")
    version, _, release = bare.rpartition("-")
    fields = {"epoch": int(epoch)} if epoch else {}
    return rpmdb.package(package[0], version, release, **fields)


def write_apk(root: Path, versions: Versions) -> None:
    put(root, "etc/os-release", 'ID=alpine\nVERSION_ID="3.11.6"\n')
    put(root, "etc/alpine-release", "3.11.6\n")
    entries = (f"P:{name}\nV:{version}\nA:x86_64\no:{name}\n" for name, version in versions.items())
    put(root, "lib/apk/db/installed", "\n".join(entries))


def write_python(root: Path, versions: Versions) -> None:
    for name, version in versions.items():
        folder = f"usr/lib/python3/site-packages/{name.replace('-', '_')}-{version}.dist-info"
        put(root, f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def write_node(root: Path, versions: Versions) -> None:
    for name, version in versions.items():
        put(root, f"srv/node_modules/{name}/package.json", json.dumps({"name": name, "version": version}))


def write_crates(root: Path, versions: Versions) -> None:
    source = "registry+https://github.com/rust-lang/crates.io-index"
    entries = (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = "{source}"\n'
        for name, version in versions.items()
    )
    put(root, "Cargo.lock", "version = 3\n\n" + "\n".join(entries))


def write_modules(root: Path, versions: Versions) -> None:
    lines = (f"\t{name} v{version}\n" for name, version in versions.items() if is_requirement(name, version))
    put(root, "go.mod", f"module example.com/m\n\ngo 1.21\n\nrequire (\n{''.join(lines)})\n")


def is_requirement(name: str, version: str) -> bool:
    """Whether Go would take it: a path like a host's, whose end is the major version from 2 on."""
    major = version.partition(".")[0]
    ends = f"/v{major}" if int(major) > 1 else ""
    suffix = re.search(r"/v[0-9]+$", name)
    return "." in name.partition("/")[0] and (suffix[0] if suffix else "") == ends and "gopkg.in" not in name


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


CASES = [
    Case("AlmaLinux", "8", partial(write_rpm, "8.9")),
    Case("AlmaLinux", "10", partial(write_rpm, "10.0")),
    Case("Alpine", "v3.11", write_apk),
    Case("PyPI", "", write_python),
    Case("npm", "", write_node),
    Case("crates.io", "", write_crates, "fs"),
    Case("Go", "", write_modules, "fs"),
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
    case.write(tmp_path, versions)
    theirs = trivy_found(case, tmp_path, trivy_cache)
    ours = found_here(tmp_path, database)
    assert len(theirs) > 200
    differing = {*ours} ^ {*theirs}
    classes = {
        hole: explanation(case, hole, versions.get(hole[0], ""), rows.get(hole[0], [])) for hole in differing
    }
    assert [hole for hole, found in classes.items() if not found] == []
    for name in set(classes.values()):
        assert case.ecosystem in EXPLAINED[name]["ecosystems"]
    wrong = [
        (hole, found.fixed, theirs[hole])
        for hole, found in ours.items()
        # Trivy lists every fix, also those below what is installed; and of several errata it keeps one.
        if hole in theirs
        and found.fixed
        and found.fixed not in theirs[hole].split(", ")
        and not several(rows[hole[0]], hole[1])
    ]
    assert wrong == []


def trivy_found(case: Case, root: Path, cache: Path) -> dict[Hole, str]:
    """Fixed version of each hole, the package spelled as its records do."""
    results = trivy_results("os,library", case.trivy, root, cache=cache)
    fold = ECOSYSTEMS[case.ecosystem].fold
    return {(fold(one[0]), one[1]): one[2] for result in results for one in trivy_holes(result)}


def found_here(root: Path, database: Path) -> dict[Hole, Finding]:
    with Database.open(database) as opened:
        report = scan_reference(f"dir:{root}", opened, Question(subject="", now=NOW), platform=None)
    return {(ECOSYSTEMS[one.ecosystem].fold(one.package), one.id): one for one in report.findings}


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


def explanation(case: Case, hole: Hole, version: str, rows: list[Advisory]) -> str:
    """The class of a difference, "" for none."""
    package, identity = hole
    fixes = fixes_of(rows, identity)
    if case.ecosystem == "AlmaLinux":
        return explained_erratum(identity, version, rows)
    if case.ecosystem == "Alpine":
        return "odd-version" if "-" in version and "-r" not in version else ""
    if case.ecosystem == "Go" and version.startswith("0.0.0-"):
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
