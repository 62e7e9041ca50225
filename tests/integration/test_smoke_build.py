"""Smoke tests through the command line: exit codes, names, receipts, and builds without tests."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from builder.cli import main
from builder.engine.platforms import runs_here
from builder.image.layout import layout_names
from builder.oci import Platform
from tests.support.debian_archive import Deb, Key, SuiteText, make_key, write_suite
from tests.support.osv import record, write_export
from tests.support.smoke import NATIVE, busybox

pytestmark = pytest.mark.tools

BASE = Deb(
    name="base-files",
    version="13.8",
    files={
        "/usr/lib/os-release": b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
        "/etc/os-release": "../usr/lib/os-release",
        "/etc/debian_version": b"13.2\n",
    },
)
RECIPE = """schema = 1
name = "demo"
entrypoint = ["/usr/bin/busybox"]
tags = ["1"]
user = "app"

[users.app]
uid = 10001

[sources.os]
suite = "trixie"
security = false
keyring = "keys.pgp"

[[install]]
context = "busybox"
to = "/usr/bin/busybox"
mode = "0755"

[scan]
max_database_age = "any"
unscannable = "warn"

[[test]]
name = "reads its file"
run = ["/usr/bin/busybox", "cat", "/etc/extra"]
stdout = "^right$"
files = [{ path = "/etc/extra", context = "extra" }]
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    """Debian with nothing but its base, signed, in a folder."""
    folder, key = tmp_path_factory.mktemp("mirror"), make_key()
    for name, suite, debs in (("trixie", "stable", (BASE,)), ("trixie-updates", "stable-updates", ())):
        write_suite(folder, SuiteText(name=name, suite=suite, debs=debs, date=time.time() - 60), key)
    return folder, key


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, mirror: tuple[Path, Key], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe that has a test; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOTLET_CACHE", str(tmp_path / "cache"))
    for name in ("ROOTLET_DATABASE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    folder, key = mirror
    monkeypatch.setenv("ROOTLET_MIRROR", f"file://{folder}")
    (tmp_path / "keys.pgp").write_bytes(key.public)
    (tmp_path / "busybox").write_bytes(busybox())
    (tmp_path / "extra").write_text("right\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1", "bash", fixed=None)])
    assert main.run(["database", "import", "-q", str(tmp_path / "osv")]) == 0
    return tmp_path


def litter(folder: Path) -> list[Path]:
    return list(folder.rglob(".rootlet-*"))


def test_an_image_that_passes_is_named_and_its_tests_are_counted(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["build", "recipe.toml", "--summary", "summary.md"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("demo:1@sha256:")
    assert "built, tested, scanned and named" in err
    assert "1 passed in " in err
    assert "1 passed in " in (desk / "summary.md").read_text()
    assert "run 1 test of demo for linux/" in err
    assert litter(desk) == []
    assert main.run(["build", "recipe.toml", "--json"]) == 0
    again = capsys.readouterr()
    assert "unchanged" in again.err
    assert "1 passed in " in again.err
    platform = json.loads(again.out)["platforms"][0]
    assert (platform["tests"], platform["untested"]) == (1, 0)


def test_an_image_that_fails_has_no_name(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["build", "recipe.toml"]) == 0
    named = (desk / "dist/demo/index.json").read_bytes()
    (desk / "extra").write_text("wrong\n")
    capsys.readouterr()
    assert main.run(["build", "recipe.toml"]) == 6
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 of 1 smoke tests of demo failed" in err
    assert "test reads its file (recipe.toml:" in err
    assert r"came:     'wrong\n'" in err
    assert (desk / "dist/demo/index.json").read_bytes() == named
    shutil.rmtree(desk / "dist")
    assert main.run(["build", "recipe.toml"]) == 6
    assert not (desk / "dist").exists()
    assert litter(desk) == []


def test_a_build_without_tests_says_so_and_proves_nothing(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "extra").write_text("wrong\n")
    assert main.run(["build", "recipe.toml", "--no-test"]) == 0
    assert layout_names(desk / "dist/demo") == ("1",)
    assert "not tested: --no-test left out 1 of the recipe" in capsys.readouterr().err
    assert main.run(["build", "recipe.toml", "--no-test", "--json", "-q"]) == 0
    platform = json.loads(capsys.readouterr().out)["platforms"][0]
    assert (platform["tests"], platform["untested"]) == (0, 1)
    assert main.run(["build", "recipe.toml"]) == 6


def test_another_processor_is_refused_before_anything_is_fetched(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Platform("linux", "s390x")
    if runs_here(other, NATIVE):
        pytest.skip("needs a machine without an emulator for s390x")
    assert main.run(["build", "recipe.toml", "--platform", str(other)]) == 9
    err = capsys.readouterr().err
    assert "The tests of demo for linux/s390x cannot run on this machine" in err
    assert "--no-test" in err
    assert "ask for trixie" not in err
    assert litter(desk) == []
