"""``rootlet diff``, offline: a recipe, its image, and an image of a changed recipe."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from tests.support.debian_archive import Deb, SuiteText, make_key, write_suite
from tests.support.osv import record, write_export

BASE = Deb(name="base-files", files={"/usr/lib/os-release": b'ID=debian\nVERSION_ID="13"\n'})
APP = Deb(name="app", files={"/usr/bin/interpreter": b"binary", "/usr/bin/run": "start"})
EXTRA = Deb(name="extra", files={"/usr/bin/extra": b"more"})
RECIPE = """schema = 1
name = "demo"
entrypoint = ["/usr/bin/start"]

[sources.os]
type = "debian"
suite = "trixie"
packages = ["app"]
security = false
keyring = "keys.pgp"

[[file]]
path = "/usr/bin/start"
content = "#!/usr/bin/interpreter\\n"
mode = "0755"

[config]
env = { MODE = "plain" }

[scan]
max_database_age = "any"
fail_on = "none"

[profile.more.sources.os]
packages = ["extra"]

[profile.more.config]
env = { MODE = "more" }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a mirror, a recipe, data about vulnerabilities and two built images."""
    folder, key = tmp_path_factory.mktemp("diff"), make_key()
    mirror = folder / "mirror"
    for name, suite, debs in (
        ("trixie", "stable", (APP, BASE, EXTRA)),
        ("trixie-updates", "stable-updates", ()),
    ):
        write_suite(mirror, SuiteText(name=name, suite=suite, debs=debs, date=time.time() - 60), key)
    (folder / "keys.pgp").write_bytes(key.public)
    (folder / "recipe.toml").write_text(RECIPE)
    write_export(folder / "osv", [record("DEBIAN-CVE-2026-1", "extra", fixed=None)])
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        assert main.run(["database", "import", "-q", str(folder / "osv")]) == 0
        assert main.run(["build", "-q", "recipe.toml", "--to", "oci:plain"]) == 0
        assert main.run(["build", "-q", "recipe.toml", "--profile", "more", "--to", "oci:more"]) == 0
        assert main.run(["build", "-q", "recipe.toml", "--to", "docker-archive:plain.tar"]) == 0
    return folder


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("ROOTLET_CACHE", str(folder / "cache"))
    patch.setenv("ROOTLET_MIRROR", f"file://{folder / 'mirror'}")
    for name in ("ROOTLET_DATABASE", "SOURCE_DATE_EPOCH"):
        patch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def desk(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enter(place, monkeypatch)
    return place


Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("one", "other"),
    [("recipe.toml", "plain"), ("oci:plain:latest", "plain.tar"), ("plain", "docker-archive:plain.tar")],
)
def test_a_recipe_and_its_images_are_identical(one: str, other: str, capsys: Captured) -> None:
    assert main.run(["diff", "-q", "--exit-code", "--times", one, other]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("identical: ")


def test_files_configuration_packages_and_findings_that_differ(capsys: Captured) -> None:
    assert main.run(["diff", "-q", "plain", "more"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("- plain")
    assert lines[1].startswith("+ more")
    digest = "187897ce0afcf20b50ba2b37dca84a951b7046f29ed5ab94f010619f69d6e189"[:12]
    assert f"  + /usr/bin/extra  file 0644 0:0 4 B {digest}  (extra)" in lines
    assert "  ~ env MODE=plain -> more" in lines
    assert "  + extra  1.0-1  4 B" in lines
    assert any(line.startswith("  + ") and "CVE-2026-1 in extra 1.0-1" in line for line in lines)
    assert lines[-1].startswith("different: paths: ")
    assert lines[-1].endswith("; configuration: 1 key")


def test_exit_code_5_for_images_that_differ_when_asked_for(capsys: Captured) -> None:
    assert main.run(["diff", "-q", "--exit-code", "plain", "more"]) == 5
    assert "different" in capsys.readouterr().out


def test_the_same_as_json(capsys: Captured) -> None:
    assert main.run(["diff", "-q", "--json", "plain", "more"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["identical"] is False
    assert document["configuration"] == [
        {"key": "env", "before": {"MODE": "plain"}, "after": {"MODE": "more"}}
    ]
    extra = next(one for one in document["files"] if one["path"] == "/usr/bin/extra")
    assert (extra["before"], extra["after"]["mode"], extra["after"]["size"]) == (None, "0644", 4)
    assert [(one["name"], one["before"], one["after"]) for one in document["packages"]] == [
        ("extra", None, "1.0-1")
    ]
    assert [one["id"] for one in document["findings"]["came"]] == ["CVE-2026-1"]
    assert document["findings"]["gone"] == []


def test_without_data_the_findings_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("ROOTLET_DATABASE", str(tmp_path / "none"))
    assert main.run(["diff", "-q", "--exit-code", "plain", "plain.tar"]) == 0
    assert "not looked up" in capsys.readouterr().out
    assert main.run(["diff", "-q", "--json", "plain", "plain.tar"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] is None


def test_a_recipe_with_settings_against_an_image(capsys: Captured) -> None:
    assert main.run(["diff", "-q", "--exit-code", "recipe.toml", "more", "--profile", "more"]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_recipe_of_several_platforms_must_be_chosen_from(desk: Path, capsys: Captured) -> None:
    text = RECIPE.replace('name = "demo"\n', "").replace(
        "[sources.os]", '[image]\nname = "demo"\nplatforms = ["linux/amd64", "linux/arm64"]\n\n[sources.os]'
    )
    (desk / "two.toml").write_text(text)
    assert main.run(["diff", "-q", "two.toml", "plain"]) == 2
    assert "several platforms" in capsys.readouterr().err


def test_nothing_at_a_path_is_an_error(capsys: Captured) -> None:
    assert main.run(["diff", "-q", "nothing", "plain"]) == 3
    assert "nothing does not exist" in capsys.readouterr().err
