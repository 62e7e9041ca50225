"""Archives and repositories in images, through the command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.cli import main
from tests.support.debian_archive import Key, member, tar_of
from tests.support.desk import image_bytes, image_files, make_mirror, recipe, set_desk
from tests.support.tools import need


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    folder = tmp_path_factory.mktemp("mirror")
    return folder, make_mirror(folder)


@pytest.fixture
def desk(tmp_path: Path, mirror: tuple[Path, Key], monkeypatch: pytest.MonkeyPatch) -> Path:
    set_desk(tmp_path, *mirror, monkeypatch)
    return tmp_path


def build(*more: str) -> int:
    return main.run(["build", "recipe.toml", "--no-test", *more])


def archive(desk: Path, content: bytes) -> None:
    odd = "site-1/na\udcefve"
    members = (member("site-1/app", content, mode=0o755), member("site-1/l", type_=b"2", link="app"))
    (desk / "site.tar").write_bytes(tar_of(*members, member(odd, b"odd")))


ARCHIVE = """
[sources.site]
type = "archive"
path = "site.tar"
strip = 1
[[install]]
from = "site"
path = "/"
to = "/srv/site"
"""


def test_an_archive_lands_in_the_image_and_its_change_is_noticed(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "recipe.toml").write_text(recipe(ARCHIVE, entrypoint="/srv/site/app"))
    archive(desk, b"first")
    assert build() == 0
    files = image_files(desk / "dist/demo")
    assert {path for path in files if path.startswith("/srv")} == {
        *("/srv", "/srv/site", "/srv/site/app", "/srv/site/l", "/srv/site/na\udcefve"),
    }
    assert image_bytes(desk / "dist/demo", "/srv/site/app") == b"first"
    first = capsys.readouterr().out
    assert build() == 0
    assert "unchanged" in capsys.readouterr().err
    archive(desk, b"second")
    assert build("--offline") == 0
    assert capsys.readouterr().out != first
    assert image_bytes(desk / "dist/demo", "/srv/site/app") == b"second"


GIT = """
[sources.app]
type = "git"
path = "app"
commit = "COMMIT"
[[install]]
from = "app"
path = "/bin"
to = "/srv/app"
"""


def test_a_commit_lands_in_the_image(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("git")
    (desk / "app/bin").mkdir(parents=True)
    (desk / "app/bin/app").write_bytes(b"program")
    (desk / "app/bin/app").chmod(0o755)
    author = ("-c", "user.name=A", "-c", "user.email=a@test")
    for arguments in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "one")):
        subprocess.run(["git", "-C", str(desk / "app"), *arguments], check=True)
    head = ["git", "-C", str(desk / "app"), "rev-parse", "HEAD"]
    commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    text = recipe(GIT, entrypoint="/srv/app/app")
    (desk / "recipe.toml").write_text(text.replace("COMMIT", commit))
    assert build() == 0
    assert image_bytes(desk / "dist/demo", "/srv/app/app") == b"program"
    assert image_files(desk / "dist/demo")["/srv/app/app"].mode == 0o755
    assert build() == 0
    assert "unchanged" in capsys.readouterr().err
    (desk / "recipe.toml").write_text(text.replace("COMMIT", "1" * 40))
    assert build() == 3
    assert f"has no commit {'1' * 40}" in capsys.readouterr().err
