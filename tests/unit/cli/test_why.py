"""``rootlet why`` and ``why-not``, offline: a recipe from a signed archive in a folder, and its image."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from tests.support.debian_archive import Deb, SuiteText, make_key, write_suite
from tests.support.images import foreign_layout, member, tar_of
from tests.support.osv import record, write_export

BASE = Deb(
    name="base-files",
    files={
        "/usr/lib/os-release": b'ID=debian\nVERSION_ID="13"\n',
        "/etc/os-release": "../usr/lib/os-release",
    },
)
APP = Deb(
    name="app",
    fields={"Depends": "lib, interpreter"},
    files={
        "/usr/bin/start": b"#!/usr/bin/interpreter\n",
        "/usr/bin/run": "start",
        "/usr/share/app/samples/one": b"1",
        "/usr/share/app/odd\udcff": b"x",
        "/usr/share/app/link": "/usr/share/lib/data",
        "/usr/share/man/man1/app.1": b"man",
        **{f"/usr/share/app/many/{number}": b"n" for number in range(12)},
    },
)
INTERPRETER = Deb(name="interpreter", files={"/usr/bin/interpreter": b"binary"})
LIB = Deb(name="lib", files={"/usr/share/lib/data": b"data", "/usr/share/lib/more": b"more"})
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

[[install]]
from = "os"
path = "/usr/bin/start"
to = "/opt/start"
mode = "0755"

[[file]]
path = "/usr/bin/start"
content = "#!/usr/bin/interpreter\\n"
mode = "0755"

[runtime]
drop = ["/usr/share/app/samples/**"]

[scan]
max_database_age = "any"
fail_on = "none"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a mirror, a recipe, data about vulnerabilities and the built image."""
    folder, key = tmp_path_factory.mktemp("why"), make_key()
    mirror = folder / "mirror"
    debs = (APP, BASE, INTERPRETER, LIB)
    for name, suite, some in (("trixie", "stable", debs), ("trixie-updates", "stable-updates", ())):
        write_suite(mirror, SuiteText(name=name, suite=suite, debs=some, date=time.time() - 60), key)
    (folder / "keys.pgp").write_bytes(key.public)
    (folder / "recipe.toml").write_text(RECIPE)
    severe: dict[str, Any] = {
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
    }
    write_export(folder / "osv", [record("DEBIAN-CVE-2026-1", "interpreter", fixed=None, **severe)])
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        assert main.run(["database", "import", "-q", str(folder / "osv")]) == 0
        assert main.run(["build", "-q", "recipe.toml", "--to", "oci:image"]) == 0
        assert main.run(["build", "-q", "recipe.toml", "--to", "docker-archive:image.tar"]) == 0
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
SUBJECTS = ["recipe.toml", "image", "oci:image:1", "image.tar", "docker-archive:image.tar"]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_chain_package_layer_and_findings_of_a_file(subject: str, capsys: Captured) -> None:
    assert main.run(["why", "-q", subject, "/usr/bin/interpreter"]) == 0
    out = capsys.readouterr().out
    start = "started by the image entrypoint"
    for line in (
        "/usr/bin/interpreter  6 B",
        "  the recipe's entrypoint",
        f"  → /usr/bin/start  ({start})",
        "  → /usr/bin/interpreter  (script interpreter of /usr/bin/start)",
        "  package   interpreter 1.0-1 (source interpreter 1.0-1)",
        "            critical CVE-2026-1, unfixed",
    ):
        assert line in out.splitlines()
    layer = next(line for line in out.splitlines() if line.startswith("  layer"))
    assert layer.startswith("  layer     1 of 1")
    assert ("sha256:" in layer) == (subject != "recipe.toml")


def test_recipe_and_image_say_the_same(capsys: Captured) -> None:
    words = ["why", "-q", "--json", "/usr/**", "/etc/*", "/opt/*"]
    found = []
    for subject in ("recipe.toml", "image"):
        assert main.run([*words[:3], subject, *words[3:]]) == 0
        document = json.loads(capsys.readouterr().out)
        found.append([{**one, "layer": None, "findings": None} for one in document["paths"]])
    assert found[0] == found[1]
    assert len(found[0]) > 20


def test_a_link_is_followed_and_a_folder_is_summed(capsys: Captured) -> None:
    assert main.run(["why", "-q", "image", "usr/share/app/link", "/usr/share/app/"]) == 0
    out = capsys.readouterr().out
    assert "/usr/share/app/link  link to /usr/share/lib/data" in out
    assert "  through the link /usr/share/app/link -> /usr/share/lib/data" in out
    assert "(target of the symbolic link /usr/share/app/link)" in out
    assert "holds     14 paths, 13 B, of app" in out


def test_a_pattern_of_many_is_one_line_each(capsys: Captured) -> None:
    assert main.run(["why", "-q", "image", "/usr/share/app/many/*"]) == 0
    out = capsys.readouterr().out
    assert "matches 12 paths" in out
    assert out.count("(payload of the named package app)") == 12


def test_a_package_shows_all_its_files(capsys: Captured) -> None:
    assert main.run(["why", "-q", "recipe.toml", "--package", "lib"]) == 0
    out = capsys.readouterr().out
    assert "lib 1.0-1 (source lib 1.0-1): 1 path, 4 B" in out
    assert "4 B  /usr/share/lib/data  (target of the symbolic link /usr/share/app/link)" in out
    assert main.run(["why", "-q", "recipe.toml", "--package", "lib", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["paths"]
    assert [step["path"] for step in one["chain"]] == ["/usr/share/app/link", "/usr/share/lib/data"]


def test_without_data_a_line_says_so(capsys: Captured) -> None:
    for words in (["/usr/bin/start"], ["--package", "lib"], ["/usr/share/app/many/*"]):
        assert main.run(["why", "-q", "image", "--database", "none", *words]) == 0
        out = capsys.readouterr().out
        assert out.count("findings: not looked up: There is no vulnerability database") == 1
        assert "rootlet database update" in out
    assert main.run(["why", "image", "--database", "none", "--json", "/usr/bin/start"]) == 0
    assert json.loads(capsys.readouterr().out)["paths"][0]["findings"] is None


def test_names_cannot_repaint_the_terminal(capsys: Captured) -> None:
    assert main.run(["why", "-q", "image", "/usr/share/app/odd*"]) == 0
    assert "/usr/share/app/odd?  1 B" in capsys.readouterr().out


FAILS = [
    pytest.param(("why", "image", "/usr/bin/stort"), 3, "nearest: /usr/bin/start", id="nearly there"),
    pytest.param(("why", "image", "/nothing", "/usr/bin/run"), 3, "/nothing is not in", id="one of two"),
    pytest.param(("why", "image", "/no/*"), 3, "/no/* is not in image", id="a pattern of nothing"),
    pytest.param(("why", "image", "--package", "libb"), 3, "nearest: lib", id="no package"),
    pytest.param(("why", "image"), 2, "name a PATH", id="no path"),
    pytest.param(("why-not", "image"), 2, "name a PATH", id="no path for why-not"),
    pytest.param(("why", "nowhere", "/x"), 3, "so nothing was looked at", id="no image"),
    pytest.param(("why", "nowhere.toml", "/x"), 2, "nowhere.toml", id="no recipe"),
    pytest.param(("why", "docker://x/y", "/x"), 3, "names no registry", id="a registry"),
    pytest.param(("why", "image", "--set", "a=b", "/x"), 2, "--set belongs to a recipe", id="a setting"),
    pytest.param(
        ("why", "image", "--platform", "linux/amd64", "--platform", "linux/arm64", "/x"),
        2,
        "one platform",
        id="two platforms of an image",
    ),
    pytest.param(
        ("why", "image", "--platform", "linux/arm64", "/x"), 4, "linux/arm64", id="no such platform"
    ),
]


@pytest.mark.parametrize(("words", "code", "message"), FAILS)
def test_failures_have_words(words: tuple[str, ...], code: int, message: str, capsys: Captured) -> None:
    assert main.run(words) == code
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    if "/usr/bin/run" in words:
        assert "/usr/bin/run  link to start" in out


def test_an_image_of_others_says_that_rootlet_did_not_build_it(tmp_path: Path, capsys: Captured) -> None:
    status = b"Package: demo\nVersion: 1-1\nArchitecture: amd64\n"
    sums = b"d41d8cd98f00b204e9800998ecf8427e  bin/demo\nd41d8cd98f00b204e9800998ecf8427e  bin/gone\n"
    foreign_layout(
        tmp_path / "other",
        [
            tar_of(
                member("bin/demo", b"demo"),
                member("var/lib/dpkg/status.d/demo", status),
                member("var/lib/dpkg/status.d/demo.md5sums", sums),
            )
        ],
    )
    assert main.run(["why", "-q", str(tmp_path / "other"), "/bin/demo"]) == 0
    out = capsys.readouterr().out
    assert "rootlet did not build this image" in out
    assert "package   demo 1-1" in out
    assert "not looked up: there is no vulnerability data for an unknown distribution" in out
    assert main.run(["why-not", str(tmp_path / "other"), "/bin/gone", "/bin/demos"]) == 0
    out = capsys.readouterr().out
    assert "the file list of demo names it, but the file is not there" in out
    assert "nearest: /bin/demo" in out


def test_why_not_says_the_cause_and_the_line(capsys: Captured) -> None:
    paths = {
        "/usr/share/app/samples/one": "dropped",
        "/usr/share/man/man1/app.1": "documentation",
        "/usr/share/lib/more": "dependency",
        "/usr/bin/start": "hidden",
        "/usr/bin/vim": "unknown",
        "/opt/start": "present",
    }
    assert main.run(["why-not", "-q", "recipe.toml", "--json", *paths]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {one["path"]: one["cause"] for one in document["paths"]} == paths
    assert main.run(["why-not", "-q", "recipe.toml", *paths]) == 0
    out = capsys.readouterr().out
    assert '  add  [runtime]\n       keep = ["/usr/share/lib/more"]' in out
    assert "searched: the files of the 4 packages" in out


def test_why_not_takes_a_pattern(capsys: Captured) -> None:
    assert main.run(["why-not", "-q", "recipe.toml", "/usr/share/**"]) == 0
    out = capsys.readouterr().out
    for words in ("app: documentation", "app: dropped", "lib: dependency", '       keep = ["/usr/share/**"]'):
        assert words in out
    assert main.run(["why-not", "-q", "recipe.toml", "--json", "/usr/share/**"]) == 0
    assert len(json.loads(capsys.readouterr().out)["paths"]) == 3


def test_a_root_folder_keeps_its_reasons(tmp_path: Path, capsys: Captured) -> None:
    unpacked = tmp_path / "root/usr/share/rootlet"
    unpacked.mkdir(parents=True)
    (tmp_path / "root/usr/bin").mkdir()
    (tmp_path / "root/usr/bin/x").write_bytes(b"x")
    text = '{"format":1,"reasons":[{"kind":"entrypoint","subject":"cmd","files":{"/usr/bin":["x"]}}]}'
    (unpacked / "reasons.json").write_text(text)
    assert main.run(["why", f"dir:{tmp_path / 'root'}", "/usr/bin/x"]) == 0
    out = capsys.readouterr().out
    assert "the recipe's cmd" in out
    assert "layer" not in out


def test_a_damaged_image_is_refused(desk: Path, tmp_path: Path, capsys: Captured) -> None:
    shutil.copytree(desk / "image", tmp_path / "bad")
    largest = max((tmp_path / "bad/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    payload = bytearray(largest.read_bytes())
    payload[len(payload) // 2] ^= 1
    largest.write_bytes(payload)
    assert main.run(["why", str(tmp_path / "bad"), "/usr/bin/start"]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_a_plan_shows_one_part(capsys: Captured) -> None:
    assert main.run(["plan", "-q", "recipe.toml", "--by", "reason"]) == 0
    out = capsys.readouterr().out
    assert "payload of the named package app" in out
    assert "by path" not in out
