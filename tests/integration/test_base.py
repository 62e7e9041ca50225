"""An image over a base that rootlet made, with real packages: it runs, and scanners see both halves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder.stored.read import open_image
from builder.stored.tree import flatten
from tests.support.opinions import syft
from tests.support.osv import record, write_export
from tests.support.tools import cache_folder, rootlet

pytestmark = pytest.mark.network

BASE = """schema = 1
name = "base"
packages = ["libssl3t64", "ca-certificates", "busybox"]
entrypoint = ["/usr/bin/busybox"]
[image]
platforms = ["linux/amd64"]
[users.web]
uid = 10001
[config]
env = { BASE = "yes" }
user = "web"
"""
APP = """schema = 1
name = "app"
packages = ["curl"]
entrypoint = ["/usr/bin/curl"]
[image]
platforms = ["linux/amd64"]
base = "oci:dist/base:latest"
[[test]]
run = ["/usr/bin/curl", "--version"]
stdout = "OpenSSL"
[[test]]
run = ["/usr/bin/busybox", "env"]
stdout = "BASE=yes"
[[test]]
run = ["/usr/bin/busybox", "id", "-un"]
stdout = "^web$"
"""
SCAN = '[scan]\nfail_on = "none"\nunscannable = "warn"\nmax_database_age = "any"\n'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.uname().machine != "x86_64":
        pytest.skip("the tests of the recipe are for linux/amd64")
    folder = tmp_path_factory.mktemp("base")
    write_export(folder / "osv", [record("DEBIAN-CVE-2026-1", "bash", fixed=None)])
    environment = {"ROOTLET_CACHE": str(cache_folder()), "ROOTLET_DATABASE": str(folder / "data")}
    rootlet("database", "import", "-q", "osv", cwd=folder, environment=environment)
    for name, text in (("base", BASE), ("app", APP)):
        (folder / f"{name}.toml").write_text(text + SCAN)
        rootlet("build", f"{name}.toml", cwd=folder, environment=environment)
    return folder


def test_libraries_of_the_base_are_not_added_again(desk: Path) -> None:
    base, app = (open_image(desk / "dist" / name) for name in ("base", "app"))
    assert [layer.diff_id for layer in app.layers[:-1]] == [layer.diff_id for layer in base.layers]
    below, whole = flatten(base), flatten(app)
    again = [
        path for path in below if whole[path].layer == len(base.layers) and below[path].kind.value == "file"
    ]
    assert [path for path in again if not path.startswith(("/var/lib/dpkg/", "/usr/share/rootlet/"))] == [
        "/etc/ld.so.cache"
    ]


def test_scanners_see_the_packages_of_both(desk: Path) -> None:
    bill = json.loads(rootlet("sbom", "dist/app", cwd=desk).stdout)
    packages = [one for one in bill["components"] if one.get("purl", "").startswith("pkg:deb")]
    ours = {f"{one['name']} {one['version']}" for one in packages}
    theirs = {
        f"{one['name']} {one['version']}" for one in syft(f"oci-dir:{desk}/dist/app") if one["type"] == "deb"
    }
    assert ours == theirs
    names = [one.partition(" ")[0] for one in ours]
    assert {"libssl3t64", "busybox", "curl", "libc6"} <= set(names)
    assert len(names) == len(set(names)), "one version of each"
