"""Archives and repositories in images, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.cli import main
from tests.support.debian_archive import Key, member, tar_of
from tests.support.desk import image_bytes, image_files, make_mirror, recipe, set_desk


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
