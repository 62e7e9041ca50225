"""``rootlet dockerfile`` without a registry: the file, the pin, and whether a committed file is stale."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli import main
from tests.support.debian_archive import Deb, Server, SuiteText, make_key, serve, write_suite
from tests.support.images import member, tar_of
from tests.support.registry import fake_registry, put_image
from tests.support.tools import of_environment

BASE = Deb(name="base-files", files={"/usr/lib/os-release": b'ID=debian\nVERSION_ID="13"\n'})
APP = Deb(
    name="app",
    files={
        "/usr/bin/interpreter": b"binary",
        "/usr/bin/run": "start",
        **{f"/usr/share/app/{number}": b"data" for number in range(9)},
    },
)
RECIPE = """schema = 1
name = "demo"
entrypoint = ["/usr/bin/start"]
user = "www-data"

[image]
labels = {{ "org.example.words" = 'say "$5"' }}

[sources.os]
type = "debian"
suite = "trixie"
packages = ["app"]
security = false
keyring = "keys.pgp"
mirror = "{mirror}"

[[file]]
path = "/usr/bin/start"
content = "#!/usr/bin/interpreter\\n"
mode = "0755"

[[file]]
path = "/etc/app.conf"
content = "home=$HOME `x`\\n"

[users.www-data]
uid = 33
"""
PIN = f"docker.io/library/debian:trixie-slim@sha256:{'5' * 64}"
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, key = tmp_path_factory.mktemp("dockerfile"), make_key()
    for name, suite, debs in (("trixie", "stable", (APP, BASE)), ("trixie-updates", "stable-updates", ())):
        write_suite(folder, SuiteText(name=name, suite=suite, debs=debs, date=time.time() - 60), key)
    (folder / "keys.pgp").write_bytes(key.public)
    with serve(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def desk(mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOTLET_CACHE", str(mirror.root.parent / "cache"))
    for name in ("ROOTLET_MIRROR", "ROOTLET_UNPACK_IMAGE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "keys.pgp").write_bytes((mirror.root / "keys.pgp").read_bytes())
    (tmp_path / "recipe.toml").write_text(RECIPE.format(mirror=mirror.url))
    return tmp_path


def write(*options: str) -> int:
    return main.run(["dockerfile", "recipe.toml", "-q", "--unpack-image", PIN, *options])


def test_the_file_and_standard_output_are_the_same(desk: Path, capsys: Captured) -> None:
    assert write("-o", "Dockerfile") == 0
    assert capsys.readouterr().out == ""
    assert write() == 0
    text = capsys.readouterr().out
    assert (desk / "Dockerfile").read_text() == text
    assert f"\nFROM {PIN} AS packages\n" in text
    assert 'ENTRYPOINT ["/usr/bin/start"]' in text


def test_a_file_that_is_not_stale_keeps_its_pin_and_asks_nobody(desk: Path, capsys: Captured) -> None:
    assert write("-o", "Dockerfile") == 0
    assert main.run(["dockerfile", "recipe.toml", "-q", "--check", "Dockerfile"]) == 0
    assert capsys.readouterr().out == ""
    (desk / "recipe.toml").touch()
    assert main.run(["dockerfile", "recipe.toml", "-q", "--check", "Dockerfile"]) == 0


def test_a_stale_file_is_exit_code_7_and_shows_the_difference(desk: Path, capsys: Captured) -> None:
    assert write("-o", "Dockerfile") == 0
    text = (desk / "recipe.toml").read_text()
    (desk / "recipe.toml").write_text(text.replace("home=$HOME", "home=/srv"))
    before = (desk / "Dockerfile").read_bytes()
    assert main.run(["dockerfile", "recipe.toml", "-q", "--check", "Dockerfile"]) == 7
    shown = capsys.readouterr().err
    assert "-      'home=$HOME `x`' \\" in shown
    assert "+      'home=/srv `x`' \\" in shown
    assert "Dockerfile is stale" in shown
    assert (desk / "Dockerfile").read_bytes() == before


def test_another_unpacking_image_is_stale_too(capsys: Captured) -> None:
    assert write("-o", "Dockerfile") == 0
    other = PIN.replace("5" * 64, "6" * 64)
    assert (
        main.run(["dockerfile", "recipe.toml", "-q", "--check", "Dockerfile", "--unpack-image", other]) == 7
    )
    assert f"+FROM {other} AS packages" in capsys.readouterr().err


def test_a_file_that_is_not_there_was_not_checked(capsys: Captured) -> None:
    assert main.run(["dockerfile", "recipe.toml", "-q", "--check", "Dockerfile"]) == 7
    assert "Dockerfile is not there" in capsys.readouterr().err


def test_writing_and_checking_exclude_each_other() -> None:
    assert write("-o", "a", "--check", "b") == 2


@pytest.mark.parametrize("image", ["docker.io/library/debian:trixie-slim", "Debian@sha256:5"])
def test_the_unpacking_image_needs_a_digest(image: str, capsys: Captured) -> None:
    assert main.run(["dockerfile", "recipe.toml", "-q", "--unpack-image", image]) == 2
    assert "--unpack-image" in capsys.readouterr().err


def test_the_environment_may_name_the_unpacking_image(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("ROOTLET_UNPACK_IMAGE", PIN)
    assert main.run(["dockerfile", "recipe.toml", "-q"]) == 0
    assert f"FROM {PIN} AS packages" in capsys.readouterr().out


def test_what_has_no_form_is_said_with_line_and_key(desk: Path, capsys: Captured) -> None:
    text = (desk / "recipe.toml").read_text()
    (desk / "recipe.toml").write_text(text.replace("'say \"$5\"'", '"two\\nlines"'))
    assert write("-o", "Dockerfile") == 2
    error = capsys.readouterr().err
    assert 'recipe.toml:7: image.labels."org.example.words": a Dockerfile cannot hold line ends' in error
    assert not (desk / "Dockerfile").exists()


def test_files_of_the_author_are_named_from_the_folder_of_the_recipe(desk: Path, capsys: Captured) -> None:
    (desk / "app").mkdir()
    (desk / "app/main").write_text("x")
    with (desk / "recipe.toml").open("a") as stream:
        stream.write('\n[[install]]\ncontext = "app/"\nto = "/srv/app"\n')
    assert write() == 0
    text = capsys.readouterr().out
    assert 'COPY ["app/", "/context/app/"]' in text
    assert "# The build context must be the folder of recipe.toml." in text
    assert str(desk) not in text


def test_hadolint_has_nothing_to_say(desk: Path) -> None:
    hadolint = of_environment("hadolint")
    assert write("-o", "Dockerfile") == 0
    done = subprocess.run([hadolint, "Dockerfile"], cwd=desk, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_rootlet_s_own_rules_have_nothing_to_say(capsys: Captured) -> None:
    assert write("-o", "Dockerfile") == 0
    capsys.readouterr()
    assert main.run(["scan", "Dockerfile"]) == 0
    assert capsys.readouterr().out == "Dockerfile: nothing to say\n"


def test_images_are_pinned_by_what_their_registry_says(desk: Path, capsys: Captured) -> None:
    with fake_registry() as fake:
        put_image(fake, tar_of(member("usr/bin/tool", b"tool", mode=0o755)))
        name = f"127.0.0.1:{fake.port}/app:1"
        with (desk / "recipe.toml").open("a") as stream:
            stream.write(f'\n[sources.tools]\ntype = "image"\nref = "{name}"\n')
            stream.write('\n[[install]]\nfrom = "tools"\npath = "/usr/bin/tool"\nto = "/opt/tool"\n')
        assert write() == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("COPY --from=127"))
    assert re.fullmatch(rf"COPY --from={name}@sha256:[0-9a-f]{{64}} \[\\", line)


def test_without_a_registry_the_unpacking_image_must_be_named(capsys: Captured) -> None:
    assert write() == 0  # packages are in the cache now
    capsys.readouterr()
    assert main.run(["dockerfile", "recipe.toml", "-q", "--offline"]) == 9
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "The image that unpacks the packages cannot be pinned" in captured.err
    assert "--unpack-image docker.io/library/debian:trixie-slim@sha256:" in captured.err
