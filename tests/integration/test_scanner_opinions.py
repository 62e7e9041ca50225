"""rootlet's inventory and findings beside those of trivy and syft, on whole systems, with the same data."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.dpkg.version import version_key
from builder.inventory.collect import take_inventory
from builder.inventory.files import walk_root
from builder.inventory.model import Inventory
from builder.scan.database import Database
from builder.scan.match import scan_inventory
from builder.scan.model import ScanReport
from tests.support.bootstrap import bootstrap
from tests.support.opinions import (
    osv_database,
    run,
    syft,
    trivy,
    trivy_holes,
    unpack_trivy_cache,
    whole_version,
)
from tests.support.osv import advisories
from tests.support.tools import need, shared_folder

pytestmark = [pytest.mark.tools]

_POINT_RELEASE = re.compile(r"[+~]deb\d+u\d+")


@dataclass(frozen=True)
class Case:
    """One root folder and rootlet's own view of it."""

    root: Path
    inventory: Inventory
    report: ScanReport


def whole(root: Path) -> None:
    """Leave a system as it was installed."""


def aged(root: Path) -> None:
    """Take every security update back, in the package database only: then much is to be found."""
    status = root / "var/lib/dpkg/status"
    status.write_text(_POINT_RELEASE.sub("", status.read_text()))


def split(root: Path) -> None:
    """Turn the package database into status.d, the form of images without a package manager."""
    folder = root / "var/lib/dpkg"
    (folder / "status.d").mkdir()
    for text in _POINT_RELEASE.sub("", (folder / "status").read_text()).strip().split("\n\n"):
        name = text.split("\n", 1)[0].removeprefix("Package: ")
        lines = [line for line in text.split("\n") if not line.startswith("Status:")]
        (folder / "status.d" / name).write_text("\n".join(lines) + "\n")
        for sums in folder.glob(f"info/{name}*.md5sums"):
            if sums.stem.partition(":")[0] == name:
                shutil.copy(sums, folder / f"status.d/{name}.md5sums")
    (folder / "status").unlink()
    shutil.rmtree(folder / "info")


@pytest.fixture(scope="session")
def minbase(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("tar")
    shared_folder()
    folder = tmp_path_factory.mktemp("minbase")
    root = folder / "root"
    archive = bootstrap(folder / "root.tar", "trixie", "--variant=minbase")
    root.mkdir()
    run("tar", "-xf", str(archive), "-C", str(root), "--exclude=./dev/*")
    archive.unlink()
    return root


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osv_database(tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="session")
def trivy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_trivy_cache(tmp_path_factory.mktemp("trivy"))


@pytest.fixture(scope="module", params=[whole, aged, split], ids=lambda change: change.__name__)
def case(
    request: pytest.FixtureRequest, minbase: Path, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    change: Callable[[Path], None] = request.param
    root = tmp_path_factory.mktemp(change.__name__) / "root"
    shutil.copytree(minbase, root, symlinks=True)
    change(root)
    found = take_inventory(walk_root(root))
    with Database.open(database) as opened:
        report = scan_inventory(found, opened, subject=str(root), now=dt.datetime.now(dt.UTC))
    return Case(root, found, report)


def trivy_of(root: Path, cache: Path) -> dict[str, Any]:
    return trivy("rootfs", root, cache=cache)


def syft_of(root: Path) -> list[dict[str, Any]]:
    found = syft(f"dir:{root}", "--select-catalogers", "dpkg")
    return [one for one in found if one["type"] == "deb"]


@pytest.mark.network
def test_every_program_of_a_whole_system_has_an_owner(case: Case) -> None:
    assert case.inventory.unowned_elf == ()
    assert case.inventory.notes == ()
    assert case.report.unscannable == ()
    assert case.inventory.elf_files > 300
    assert len(case.inventory.components) > 60


@pytest.mark.network
def test_trivy_sees_the_same_packages_and_sources(case: Case, trivy_cache: Path) -> None:
    theirs = {
        (one["Name"], whole_version(one), one["SrcName"], whole_version(one, "Src"))
        for one in trivy_of(case.root, trivy_cache)["Packages"]
    }
    assert theirs == {
        (one.name, one.version, one.source_name, one.source_version) for one in case.inventory.components
    }


@pytest.mark.network
def test_trivy_finds_the_same_holes(case: Case, trivy_cache: Path) -> None:
    ours = holes(case.report)
    assert ours == trivy_holes(trivy_of(case.root, trivy_cache))
    assert ours


@pytest.mark.parametrize("release", ["11", "12", "13"])
def test_trivy_finds_the_same_holes_in_every_source_there_is_data_for(
    release: str, database: Path, trivy_cache: Path, tmp_path: Path
) -> None:
    versions = middle_versions(shared_folder() / "osv/Debian/all.zip", release)
    entries = (
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n"
        for name, version in versions.items()
    )
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text("\n".join(entries))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(f'ID=debian\nVERSION_ID="{release}"\n')
    (tmp_path / "etc/debian_version").write_text(f"{release}.1\n")
    with Database.open(database) as opened:
        found = take_inventory(walk_root(tmp_path))
        report = scan_inventory(found, opened, subject=release, now=dt.datetime.now(dt.UTC))
    assert len(found.components) == len(versions)
    assert holes(report) == trivy_holes(trivy_of(tmp_path, trivy_cache))
    assert len(report.findings) > 1000


def middle_versions(export: Path, release: str) -> dict[str, str]:
    """For each source a version that mends half of its holes, so that every comparison matters."""
    fixes: dict[str, set[str]] = {}
    with zipfile.ZipFile(export) as archive:
        for name in archive.namelist():
            for advisory in advisories(archive.read(name)):
                if advisory.release == release:
                    at = (
                        version for events in advisory.ranges for kind, version in events if kind == "fixed"
                    )
                    fixes.setdefault(advisory.package, set()).update(at)
    ordered = {name: sorted(versions, key=version_key) for name, versions in sorted(fixes.items())}
    return {name: versions[len(versions) // 2] if versions else "1" for name, versions in ordered.items()}


def holes(report: ScanReport) -> list[tuple[str, str, str]]:
    return sorted((one.package, one.id, one.fixed) for one in report.findings)


@pytest.mark.network
def test_syft_sees_the_same_packages_under_the_same_names(case: Case) -> None:
    theirs = {(one["name"], one["version"], one["purl"]) for one in syft_of(case.root)}
    assert theirs == {(one.name, one.version, one.purl) for one in case.inventory.components}
