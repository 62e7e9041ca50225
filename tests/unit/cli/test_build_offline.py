"""The whole way through the command line without a network: from a signed archive in a folder to an image."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from builder.image.layout import layout_names
from builder.image.validate import validate
from tests.support.debian_archive import Deb, Key, SuiteText, make_key, wait_until, write_suite
from tests.support.osv import record, write_export
from tests.support.tools import REPOSITORY

RELEASE = b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'
BASE = Deb(
    name="base-files",
    version="13.8",
    files={
        "/usr/lib/os-release": RELEASE,
        "/etc/os-release": "../usr/lib/os-release",
        "/etc/debian_version": b"13.2\n",
    },
)
APP = Deb(
    name="app",
    fields={"Depends": "base-files"},
    files={
        "/usr/share/app/data": b"data" * 100,
        "/usr/share/app/odd\udcff": b"x",
        "/usr/share/doc/app/copyright": b"free",
        "/usr/share/man/man1/app.1": b"man",
    },
)
RECIPE = """schema = 1
name = "demo"
entrypoint = ["/usr/bin/start"]
tags = ["1"]

[sources.os]
type = "debian"
suite = "trixie"
packages = ["app"]
security = false
keyring = "keys.pgp"

[[file]]
path = "/usr/bin/start"
content = "data"
mode = "0755"

[scan]
max_database_age = "any"
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    """Debian as it is today: two signed suites in a folder."""
    folder, key = tmp_path_factory.mktemp("mirror"), make_key()
    for name, suite, debs in (("trixie", "stable", (APP, BASE)), ("trixie-updates", "stable-updates", ())):
        write_suite(folder, SuiteText(name=name, suite=suite, debs=debs, date=time.time() - 60), key)
    return folder, key


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, mirror: tuple[Path, Key], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a recipe, a key and data about vulnerabilities; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOTLET_CACHE", str(tmp_path / "cache"))
    for name in ("ROOTLET_DATABASE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    folder, key = mirror
    monkeypatch.setenv("ROOTLET_MIRROR", f"file://{folder}")
    (tmp_path / "keys.pgp").write_bytes(key.public)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    data(tmp_path, "bash")
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def data(desk: Path, package: str) -> None:
    severe: dict[str, Any] = {
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
    }
    write_export(desk / "osv", [record("DEBIAN-CVE-2026-1", package, fixed=None, **severe)])
    assert main.run(["database", "import", "-q", str(desk / "osv")]) == 0


def litter(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".rootlet-*")]


def test_a_recipe_becomes_a_named_scanned_image(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["build", "recipe.toml", "--summary", "summary.md"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("demo:1@sha256:")
    assert "built, scanned and named" in err
    assert layout_names(desk / "dist/demo") == ("1",)
    assert validate(desk / "dist/demo") == ()
    assert "demo:1" in (desk / "summary.md").read_text()
    assert litter(desk) == []
    assert main.run(["build", "recipe.toml"]) == 0
    again = capsys.readouterr()
    assert again.out == out
    assert "unchanged" in again.err
    assert main.run(["build", "recipe.toml", "--force", "--offline", "--json", "-q"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert out.strip().endswith(summary["digest"])
    assert main.run(["scan", "oci:dist/demo", "--max-database-age", "any"]) == 0


def test_what_an_author_changes_is_built_anew(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").rename(desk / "real.toml")
    (desk / "recipe.toml").symlink_to("real.toml")
    assert main.run(["build", "recipe.toml"]) == 0
    first = capsys.readouterr().out
    (desk / "real.toml").write_text(
        (desk / "real.toml").read_text().replace('content = "data"', 'content = "more"')
    )
    assert main.run(["build", "recipe.toml"]) == 0
    second = capsys.readouterr().out
    assert first != second
    for path in (desk / "dist/demo/blobs/sha256").iterdir():
        path.unlink()
        break
    assert main.run(["build", "recipe.toml"]) == 0
    third = capsys.readouterr()
    assert "unchanged" not in third.err
    assert third.out == second


def test_a_finding_over_the_limit_names_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data(desk, "app")
    assert main.run(["build", "recipe.toml", "--progress", "json"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    events = [json.loads(line) for line in err.splitlines() if line.startswith('{"event"')]
    assert [event["event"] for event in events].count("end") == 1
    assert events[-1]["event"] == "end"
    assert "CVE-2026-1" in err
    assert not (desk / "dist").exists()


def test_other_recipes_are_built_and_the_first_failure_counts(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "bad.toml").write_text("schema = 1\n")
    assert main.run(["build", "bad.toml", "recipe.toml"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("demo:1@")
    assert "bad.toml" in err


def test_without_data_nothing_is_named(desk: Path) -> None:
    assert main.run(["build", "recipe.toml", "--database", "none"]) == 8
    assert not (desk / "dist").exists()


def test_a_plan_says_why_and_is_json(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["plan", "recipe.toml"]) == 0
    text = capsys.readouterr().out
    assert r"/usr/share/app/odd\udcff" in text
    assert "payload of the named package app" in text
    assert main.run(["plan", "recipe.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["distribution"] == "debian-13"
    assert not (desk / "dist").exists()


WRONG = {
    "an output folder that is a file": ("--to", "oci:file", 9),
    "an output below a file": ("--to", "docker-archive:file/x.tar", 9),
    "an output folder that is someone's": ("--to", "oci:.", 9),
    "no such setting": ("--set", "x=1", 2),
    "no such profile": ("--profile", "x", 2),
}


@pytest.mark.parametrize("case", WRONG)
def test_ways_to_fail_leave_nothing(desk: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "file").write_text("mine")
    option, value, code = WRONG[case]
    assert main.run(["build", "recipe.toml", option, value]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert (desk / "file").read_text() == "mine"
    assert litter(desk) == []


@pytest.mark.parametrize("key", ['packages = ["nothere"]', 'packages = ["app"]\npin = { app = "9" }'])
def test_what_the_archive_does_not_have_is_exit_3(desk: Path, key: str) -> None:
    text = (desk / "recipe.toml").read_text().replace('packages = ["app"]', key)
    (desk / "recipe.toml").write_text(text)
    assert main.run(["build", "recipe.toml"]) == 3
    assert litter(desk) == []


def test_an_archive_signed_by_someone_else_is_refused(desk: Path) -> None:
    (desk / "keys.pgp").write_bytes(make_key().public)
    assert main.run(["build", "recipe.toml"]) == 4
    assert not (desk / "dist").exists()


def test_a_full_disk_at_the_end_names_nothing(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.fsync

    def full(descriptor: int) -> None:
        if "dist" in os.readlink(f"/proc/self/fd/{descriptor}"):  # noqa: PTH115 (a descriptor's own name)
            raise OSError(28, "No space left on device")
        write(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert main.run(["build", "recipe.toml"]) == 9
    assert not (desk / "dist").exists()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_stopped_leaves_no_staging_folder(desk: Path, stop: signal.Signals) -> None:
    """The build waits in the middle, in its staging folder, for a pipe that nobody writes to."""
    os.mkfifo(desk / "pipe")
    script = (
        "import builder.pipeline as p\n"
        "p.plan_recipe = lambda *_: open('pipe').read()\n"
        "from builder.cli.main import main\nmain()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", script, "build", "recipe.toml"]
    with subprocess.Popen(command, cwd=desk, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert wait_until(lambda: bool(litter(desk)))
            with contextlib.suppress(OSError):
                time.sleep(0.1)
            process.send_signal(stop)
            assert process.wait(10) == 130
            assert process.stderr is not None
            assert "interrupted" in process.stderr.read()
        finally:
            process.kill()
    assert not (desk / "dist").exists()
    assert litter(desk) == []


def test_what_is_saved_during_a_build_is_seen_by_the_next(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder import pipeline  # noqa: PLC0415 (replaced for this test)

    real = pipeline.lock_sources

    def slow(*arguments: object) -> object:
        text = (desk / "recipe.toml").read_text()
        (desk / "recipe.toml").write_text(text.replace('content = "data"', 'content = "later"'))
        return real(*arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(pipeline, "lock_sources", slow)
    assert main.run(["build", "recipe.toml"]) == 0
    monkeypatch.setattr(pipeline, "lock_sources", real)
    first = capsys.readouterr().out
    assert main.run(["build", "recipe.toml"]) == 0
    assert capsys.readouterr().out != first


def test_an_image_without_a_tag_is_not_begun(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").write_text(RECIPE.replace('tags = ["1"]', "tags = []"))
    assert main.run(["build", "recipe.toml"]) == 2
    assert "tags: expected a tag" in capsys.readouterr().err
    assert not (desk / "cache" / "packages").exists()


def test_a_set_backwards_in_a_pattern_matches_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").write_text(RECIPE + '[runtime]\nkeep = ["/usr/[z-a]"]\n')
    assert main.run(["build", "recipe.toml"]) == 3
    assert "matches no file" in capsys.readouterr().err


PAPERS = '[output]\nto = ["oci:out/demo"]\nsbom = ["cyclonedx", "spdx"]\nreport = "out/demo.html"\n'


def test_papers_are_written_beside_the_image(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").write_text(RECIPE + PAPERS)
    assert main.run(["build", "recipe.toml"]) == 0
    components = json.loads((desk / "out/demo.cdx.json").read_text())["components"]
    assert {one["name"] for one in components} == {"debian", "app", "base-files"}
    packages = json.loads((desk / "out/demo.spdx.json").read_text())["packages"]
    assert {"app", "base-files"} <= {one["name"] for one in packages}
    assert "<title>demo (linux/" in (desk / "out/demo.html").read_text()
    capsys.readouterr()
    assert main.run(["build", "recipe.toml"]) == 0
    assert "unchanged" in capsys.readouterr().err
    (desk / "out/demo.cdx.json").unlink()
    assert main.run(["build", "recipe.toml"]) == 0
    assert (desk / "out/demo.cdx.json").is_file(), "a paper that is gone is written again"


def test_an_image_that_is_not_what_the_policy_asks_for_gets_no_name(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "recipe.toml").write_text(RECIPE + PAPERS + "[policy]\nroot = false\n")
    assert main.run(["build", "recipe.toml"]) == 5
    assert "[policy] root: the program runs as root" in capsys.readouterr().err
    assert not (desk / "out").exists()
