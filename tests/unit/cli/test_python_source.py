"""Wheels in images, through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli import main
from tests.support.debian_archive import Deb, Key, Server, serve
from tests.support.desk import image_bytes, image_files, make_mirror, recipe, set_desk
from tests.support.mkelf import GLIBC_X86_64, Spec, mkelf
from tests.support.wheels import Wheel, write_index

PYTHON = Deb(
    name="python3.13-minimal",
    version="3.13.5-2",
    files={"/usr/bin/python3.13": mkelf(Spec(interpreter=GLIBC_X86_64, needed=("libc.so.6",)))},
)
LIBC = Deb(
    name="libc6",
    version="2.41-12",
    files={
        "/lib64/ld-linux-x86-64.so.2": mkelf(Spec(soname="ld-linux-x86-64.so.2")),
        "/usr/lib/x86_64-linux-gnu/libc.so.6": mkelf(Spec(soname="libc.so.6")),
    },
)
LIBM = Deb(name="libm", files={"/usr/lib/x86_64-linux-gnu/libm.so.6": mkelf(Spec(soname="libm.so.6"))})
NATIVE = Wheel(
    name="native",
    tag="cp313-cp313-manylinux_2_28_x86_64",
    requires=("pure",),
    files={
        "native/_x.so": mkelf(
            Spec(needed=("libvendored-1.so", "libc.so.6"), runpath="$ORIGIN/../native.libs")
        ),
        "native.libs/libvendored-1.so": mkelf(Spec(soname="libvendored-1.so", needed=("libm.so.6",))),
    },
    entry_points="[console_scripts]\nnative = native:main\n",
)
PURE = Wheel(name="pure")
SITE = "/usr/lib/python3/dist-packages"
SOURCE = """
[sources.deps]
type = "python"
requirements = "requirements.txt"
index = "INDEX/simple"
[[install]]
from = "deps"
to = "/usr/lib/python3/dist-packages"
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    folder = tmp_path_factory.mktemp("mirror")
    return folder, make_mirror(folder, PYTHON, LIBC, LIBM)


@pytest.fixture
def server(tmp_path: Path, mirror: tuple[Path, Key], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    set_desk(tmp_path, *mirror, monkeypatch)
    write_index(tmp_path / "site", NATIVE, PURE)
    packages = '"python3.13-minimal", "libc6", "libm"'
    with serve(tmp_path / "site") as state:
        text = recipe(
            SOURCE.replace("INDEX", state.url), entrypoint="/usr/local/bin/native", packages=packages
        )
        (tmp_path / "recipe.toml").write_text(text)
        (tmp_path / "requirements.txt").write_text("-r more.txt\n")
        (tmp_path / "more.txt").write_text(
            f"native==1.0 --hash=sha256:{NATIVE.sha256}\npure --hash=sha256:{PURE.sha256}\n"
        )
        yield state


def build(*more: str) -> int:
    return main.run(["build", "recipe.toml", "--no-test", *more])


def test_wheels_land_in_the_image_with_their_programs_and_libraries(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build() == 0
    layout = tmp_path / "dist/demo"
    files = image_files(layout)
    assert {f"{SITE}/native/_x.so", f"{SITE}/native.libs/libvendored-1.so", f"{SITE}/pure.py"} <= files.keys()
    assert image_bytes(layout, "/usr/local/bin/native").startswith(b"#!/usr/bin/python3.13\n")
    record = image_bytes(layout, f"{SITE}/native-1.0.dist-info/RECORD").decode()
    assert "../../../local/bin/native,sha256=" in record
    assert f"{SITE}/native-1.0.dist-info/REQUESTED" in files
    assert files[SITE].mode == files["/usr/local"].mode == 0o755
    first = capsys.readouterr().out
    assert build() == 0
    assert "unchanged" in capsys.readouterr().err
    asked = len(server.requests)
    assert build("--force", "--offline") == 0
    assert (capsys.readouterr().out, len(server.requests)) == (first, asked)


def test_a_requirements_file_that_another_names_is_part_of_what_unchanged_means(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.url
    assert build() == 0
    (tmp_path / "more.txt").write_text(f"native==1.0 --hash=sha256:{NATIVE.sha256}\n")
    capsys.readouterr()
    assert build() == 3
    assert "pure, which native 1.0 needs, has no SHA-256 hash" in capsys.readouterr().err


def test_a_library_that_no_package_brings_to_a_wheel_is_an_error(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.url
    text = (tmp_path / "recipe.toml").read_text().replace(', "libm"', "")
    (tmp_path / "recipe.toml").write_text(text)
    assert build() == 3
    assert "libm.so.6 is needed by" in capsys.readouterr().err


def test_the_scan_sees_the_distributions(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.url
    assert build() == 0
    capsys.readouterr()
    main.run(["scan", "oci:dist/demo", "--format", "json", "--max-database-age", "any"])
    out = capsys.readouterr().out
    assert "pkg:pypi/native@1.0" in out
    assert "pkg:pypi/pure@1.0" in out
