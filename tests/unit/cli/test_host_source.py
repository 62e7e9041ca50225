"""Images with files of a machine, through the command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder import pipeline
from builder.cli import main
from builder.image.write import Image, write_image
from tests.support.debian_archive import Deb, Key
from tests.support.desk import image_bytes, image_files, make_mirror, recipe, set_desk
from tests.support.dpkg_root import add_package
from tests.support.mkelf import GLIBC_X86_64, Spec, mkelf

LOADER = Deb(
    name="libc6",
    files={"/lib64/ld-linux-x86-64.so.2": mkelf(Spec(soname="ld-linux-x86-64.so.2"))},
)
RECIPE = recipe(
    """
[sources.here]
type = "host"
root = "root"
[[install]]
from = "here"
path = "/work/app"
to = "/usr/bin/app"
""",
    packages='"libc6"',
)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    folder = tmp_path_factory.mktemp("mirror")
    return folder, make_mirror(folder, LOADER)


@pytest.fixture
def desk(tmp_path: Path, mirror: tuple[Path, Key], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose library lies in a root folder, with a program that needs it."""
    set_desk(tmp_path, *mirror, monkeypatch)
    root = tmp_path / "root"
    files: dict[str, bytes | str] = {
        "/usr/lib/x86_64-linux-gnu/libx.so.1.2": mkelf(Spec(soname="libx.so.1")),
        "/usr/lib/x86_64-linux-gnu/libx.so.1": "libx.so.1.2",
        "/usr/share/doc/libx/copyright": b"free",
        "/usr/share/libx/data": b"data",
    }
    add_package(root, "libx", files)
    (root / "work").mkdir()
    (root / "work/app").write_bytes(mkelf(Spec(interpreter=GLIBC_X86_64, needed=("libx.so.1",))))
    (root / "work/app").chmod(0o700)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def build(*more: str) -> int:
    return main.run(["build", "recipe.toml", "--no-test", *more])


def test_a_library_of_the_machine_comes_with_its_record(desk: Path) -> None:
    assert build() == 0
    layout = desk / "dist/demo"
    files = image_files(layout)
    assert "/usr/share/doc/libx/copyright" in files
    assert "/usr/share/libx/data" not in files
    assert files["/usr/bin/app"].mode == 0o755
    assert b"Package: libx\n" in image_bytes(layout, "/var/lib/dpkg/status.d/libx")
    sums = image_bytes(layout, "/var/lib/dpkg/status.d/libx.md5sums").decode()
    assert [line.split("  ")[1] for line in sums.splitlines()] == [
        "usr/lib/x86_64-linux-gnu/libx.so.1.2",
        "usr/share/doc/libx/copyright",
    ]


def _appear_earlier(desk: Path) -> None:
    place = desk / "root/lib/x86_64-linux-gnu/libx.so.1"
    place.parent.mkdir(parents=True)
    place.write_bytes(mkelf(Spec(soname="libx.so.1", rodata=b"first")))


CHANGES: dict[str, Callable[[Path], object]] = {
    "the installed file": lambda desk: (desk / "root/work/app").touch(),
    "a library": lambda desk: (desk / "root/usr/lib/x86_64-linux-gnu/libx.so.1.2").touch(),
    "the link to it": lambda desk: os.utime(
        desk / "root/usr/lib/x86_64-linux-gnu/libx.so.1", ns=(1, 1), follow_symlinks=False
    ),
    "a file that would now be found first": _appear_earlier,
    "the package database": lambda desk: (desk / "root/var/lib/dpkg/status").touch(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_no_change_receipt_holds_until_the_machine_changes(
    desk: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert build() == 0
    (desk / "root/usr/share/libx/data").write_bytes(b"nobody asked for this")
    capsys.readouterr()
    assert build() == 0
    assert "unchanged" in capsys.readouterr().err
    CHANGES[name](desk)
    assert build() == 0
    assert "unchanged" not in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_written_ends_the_build(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def disturbed(*arguments: Any, **options: Any) -> Image:
        (desk / "root/work/app").touch()
        return write_image(*arguments, **options)

    monkeypatch.setattr(pipeline, "write_image", disturbed)
    assert build() == 4
    assert "changed while the image was made" in capsys.readouterr().err
    assert not (desk / "dist/demo").exists()


def test_a_file_that_may_not_be_read_is_named(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = os.open

    def refusing(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path) == str(desk / "root/work/app"):  # root may read whatever its mode says
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    assert build() == 4
    assert "app could not be opened: Permission denied" in capsys.readouterr().err


def test_a_package_that_the_image_has_in_another_version_does_not_own_the_machines_file(desk: Path) -> None:
    add_package(desk / "root", "libc6", {"/usr/bin/ldd": b"a program"}, version="2.0-1")
    (desk / "root/usr/bin/ldd").chmod(0o755)
    text = RECIPE.replace('path = "/work/app"\nto = "/usr/bin/app"', 'path = "/usr/bin/ldd"')
    (desk / "recipe.toml").write_text(text.replace("/usr/bin/app", "/usr/bin/ldd"))
    assert build() == 0
    assert image_bytes(desk / "dist/demo", "/usr/bin/ldd") == b"a program"
    assert b"ldd" not in image_bytes(desk / "dist/demo", "/var/lib/dpkg/status.d/libc6.md5sums")


def test_a_library_of_apk_comes_with_a_bill_of_materials(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = desk / "root"
    shutil.rmtree(root / "var")
    (root / "lib/apk/db").mkdir(parents=True)
    (root / "lib/apk/db/installed").write_text(
        "P:libx\nV:1.2-r0\nA:x86_64\nF:usr/lib/x86_64-linux-gnu\nR:libx.so.1.2\nR:libx.so.1\n"
    )
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=alpine\nVERSION_ID=3.22.1\n")
    assert build() == 0
    layout = desk / "dist/demo"
    bill = json.loads(image_bytes(layout, "/usr/share/sbom/libx.cdx.json"))
    (component,) = bill["components"]
    assert component["purl"] == "pkg:apk/alpine/libx@1.2-r0?arch=x86_64&distro=alpine-3.22.1"
    assert [one["location"] for one in component["evidence"]["occurrences"]] == [
        "/usr/lib/x86_64-linux-gnu/libx.so.1",
        "/usr/lib/x86_64-linux-gnu/libx.so.1.2",
    ]
    assert "/var/lib/dpkg/status.d/libx" not in image_files(layout)
    capsys.readouterr()
    main.run(["scan", "oci:dist/demo", "--format", "json", "--max-database-age", "any"])
    assert "pkg:apk/alpine/libx@1.2-r0" in capsys.readouterr().out
