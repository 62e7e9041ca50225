"""Every recipe's image: trivy and syft list what rootlet says is in it, trivy finds what rootlet finds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.built import Built
from tests.support.opinions import (
    syft,
    syft_of_bill,
    trivy,
    trivy_holes,
    trivy_packages,
    trivy_program,
    unpack_trivy_cache,
)
from tests.support.tools import REPOSITORY, rootlet, shared_folder

LANGUAGES = (
    "gem",
    "go-module",
    "java-archive",
    "jar",
    "npm",
    "php-pecl",
    "python",
    "R-package",
    "rust-crate",
)
"""Kinds of modules that syft finds inside of packages."""

pytestmark = [pytest.mark.network, pytest.mark.tools]

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.toml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("opinions")
    rootlet("database", "--database", found / "db", "import", shared_folder() / "osv", cwd=found)
    unpack_trivy_cache(found)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory)


def scan(layout: Path, folder: Path) -> dict[str, Any]:
    options = ("--database", folder / "db", "--max-database-age", "any")
    report = rootlet("scan", f"oci:{layout}", *options, "--format", "json", cwd=folder)
    return dict(json.loads(report.stdout))


@pytest.mark.parametrize("name", RECIPES)
def test_scanners_agree(name: str, folder: Path, built: Built) -> None:
    layout = built.layout(name)
    report = scan(layout, folder)
    planned = json.loads(rootlet("plan", REPOSITORY / f"recipes/{name}.toml", "--json", cwd=folder).stdout)
    packages = {(one["name"], one["version"]) for one in planned["packages"]}
    theirs = trivy("image", "--input", layout, cache=folder)
    assert trivy_packages(theirs) == packages
    ours = sorted((one["package"], one["id"], one["fixed"] or "") for one in report["findings"])
    assert trivy_holes(theirs) == ours
    artifacts = syft(f"oci-dir:{layout}")
    assert {(one["name"], one["version"]) for one in artifacts if one["type"] == "deb"} == packages
    # A package must not appear a second time, found in its files instead of its record; what else syft finds
    # are modules of languages, and each lies in a file that a package of the image owns.
    others = [one for one in artifacts if one["type"] != "deb"]
    assert [one["name"] for one in others if one["type"] not in LANGUAGES] == []
    owned = {
        entry["path"] for layer in planned["layers"] for entry in layer["entries"] if entry.get("package")
    }
    places = {(one["name"], place["path"]) for one in others for place in one["locations"]}
    assert {(name, path) for name, path in places if path not in owned} == set()


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_bills_are_read_back(form: str, folder: Path, built: Built) -> None:
    """Others find in a bill of materials what they find in the image itself."""
    layout = built.layout("redis")
    bill = folder / f"redis.{'cdx' if form == 'cyclonedx' else 'spdx'}.json"
    rootlet("sbom", f"oci:{layout}:latest", "--format", form, "-o", bill, cwd=folder)
    image, read = trivy("image", "--input", layout, cache=folder), trivy("sbom", bill, cache=folder)
    assert trivy_packages(read) == trivy_packages(image)
    assert trivy_holes(read) == trivy_holes(image) != []
    document = syft_of_bill(bill)
    assert (document["distro"]["id"], document["distro"]["versionID"]) == ("debian", "13")
    # The operating system, which trivy wants, is a package of no type to syft: grype passes it over.
    ours = [one for one in document["artifacts"] if one["type"] == "deb"]
    theirs = [one for one in syft(f"oci-dir:{layout}") if one["type"] == "deb"]
    assert sorted((one["name"], one["version"]) for one in ours) == sorted(
        (one["name"], one["version"]) for one in theirs
    )
    assert all("distro=debian-13" in one["purl"] for one in ours)


def test_trivy_finds_and_our_gate_judges(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``scanner = "trivy"``: the same findings as trivy's own, by the data of its cache."""
    recipe = folder / "judged.toml"
    text = (REPOSITORY / "recipes/redis.toml").read_text(encoding="utf-8")
    recipe.write_text(f'{text}\n[scan]\nscanner = "trivy"\nmax_database_age = "any"\n', encoding="utf-8")
    monkeypatch.setenv("PATH", f"{trivy_program().parent}:{os.environ['PATH']}")
    for name, value in {"CACHE_DIR": str(folder), "SKIP_DB_UPDATE": "true", "OFFLINE_SCAN": "true"}.items():
        monkeypatch.setenv(f"TRIVY_{name}", value)
    monkeypatch.setenv("TRIVY_SKIP_JAVA_DB_UPDATE", "true")
    done = rootlet("build", recipe, "--no-test", "--to", f"oci:{folder}/judged", "--json", cwd=folder)
    holes = trivy_holes(trivy("image", "--input", folder / "judged", cache=folder))
    (platform,) = json.loads(done.stdout)["platforms"]
    assert sum(dict(platform["findings"]).values()) == len(holes) > 0
