"""The tags and markers of an image's Python, told by its packages and never by this machine."""

from __future__ import annotations

import pytest
from packaging.markers import Marker
from packaging.tags import Tag

from builder.errors import ResolutionError
from builder.oci import Platform
from builder.recipe.source_model import PythonSource
from builder.sources.pypi.choose import best_wheel
from builder.sources.pypi.index import Link
from builder.sources.pypi.target import Target, target_of

AMD64 = Platform("linux", "amd64")


def locked(**versions: str) -> dict[str, str]:
    return {name.replace("_", "."): version for name, version in versions.items()}


TRIXIE = locked(python3_13="3.13.5-2", libc6="2.41-12+deb13u4", python3="3.13.5-1")


def target(platform: Platform = AMD64, **options: str) -> Target:
    return target_of(PythonSource(name="deps", **options), platform, TRIXIE)  # type: ignore[arg-type]


def test_the_packages_say_which_python_and_which_c_library_it_is() -> None:
    assert target() == Target(machine="x86_64", python="3.13", full="3.13.5", libc="glibc-2.41")
    assert target(python="3.11", libc="musl-1.2").full == "3.11.0"


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (locked(libc6="2.41-1"), "has no package of Python"),
        (locked(python3_11="3.11.2-6", python3_13="3.13.5-2"), "has Python 3.11 and 3.13"),
    ],
)
def test_a_recipe_that_does_not_say_which_python_is_asked(packages: dict[str, str], words: str) -> None:
    with pytest.raises(ResolutionError, match=words):
        target_of(PythonSource(name="deps"), AMD64, packages)


@pytest.mark.parametrize(
    ("platform", "tag", "fits"),
    [
        (AMD64, "cp313-cp313-manylinux_2_41_x86_64", True),
        (AMD64, "cp313-cp313-manylinux_2_42_x86_64", False),
        (AMD64, "cp313-cp313-manylinux2014_x86_64", True),
        (AMD64, "cp313-cp313-manylinux1_x86_64", True),
        (AMD64, "cp39-abi3-manylinux_2_17_x86_64", True),
        (AMD64, "cp313-cp313t-manylinux_2_28_x86_64", False),
        (AMD64, "cp312-cp312-manylinux_2_28_x86_64", False),
        (AMD64, "cp313-cp313-musllinux_1_2_x86_64", False),
        (AMD64, "cp313-cp313-manylinux_2_28_aarch64", False),
        (AMD64, "cp313-cp313-macosx_11_0_arm64", False),
        (AMD64, "py3-none-any", True),
        (AMD64, "py2.py3-none-any", True),
        (AMD64, "py2-none-any", False),
        (AMD64, "py314-none-any", False),
        (Platform("linux", "arm64"), "cp313-cp313-manylinux_2_28_aarch64", True),
        (Platform("linux", "arm64"), "cp313-cp313-manylinux_2_12_aarch64", False),
        (Platform("linux", "arm", "v7"), "cp313-cp313-manylinux_2_31_armv7l", True),
        (Platform("linux", "386"), "cp313-cp313-manylinux_2_5_i686", True),
        (Platform("linux", "riscv64"), "cp313-cp313-manylinux_2_39_riscv64", True),
    ],
)
def test_wheels_are_judged_by_the_tags_of_the_image(platform: Platform, tag: str, fits: bool) -> None:
    link = Link(filename=f"x-1.0-{tag}.whl", url="")
    assert (best_wheel((link,), target(platform)) is not None) == fits


def test_musl_takes_musllinux_alone() -> None:
    tags = target(libc="musl-1.2").ranks()
    assert Tag("cp313", "cp313", "musllinux_1_2_x86_64") in tags
    assert not any("manylinux" in tag.platform for tag in tags)


def test_the_best_of_several_wheels_is_the_newest_platform_then_the_highest_build() -> None:
    names = (
        "x-1.0-py3-none-any.whl",
        "x-1.0-1-cp313-cp313-manylinux_2_28_x86_64.whl",
        "x-1.0-2-cp313-cp313-manylinux_2_28_x86_64.whl",
        "x-1.0-cp313-cp313-manylinux_2_17_x86_64.whl",
        "x-1.0-cp38-abi3-manylinux_2_28_x86_64.whl",
    )
    links = [Link(filename=name, url="") for name in names]
    best = best_wheel(links, target())
    assert best is not None
    assert best.filename == names[2]


def test_markers_know_the_image_and_nothing_else() -> None:
    python = target(Platform("linux", "arm64"))
    true = (
        'python_version >= "3.13"',
        'python_full_version == "3.13.5"',
        'sys_platform == "linux" and platform_machine == "aarch64"',
        'platform_python_implementation == "CPython" and os_name == "posix"',
    )
    assert all(python.holds(Marker(text)) for text in true)
    assert not python.holds(Marker('platform_release != ""'))
    assert not python.holds(Marker('extra == "tls"'))
    assert python.holds(Marker('extra == "tls"'), ("tls",))
    with pytest.raises(ResolutionError, match="cannot be judged"):
        python.holds(Marker('os_name ~= "posix"'))
