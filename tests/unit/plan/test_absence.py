"""Why a path is not in an image, cause by cause, and that the line which is given adds it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.elf.facts import ElfFacts
from builder.lock import Lock, LockedPackage
from builder.oci import Platform
from builder.plan.absence import Absence, Cause, Origins, left_out, quoted, why_absent, why_not_in_image
from builder.plan.build import make_plan
from builder.plan.contents import Contents, planned_contents
from builder.recipe.model import FileType, Install, Recipe, RecipeFile, Runtime
from builder.recipe.source_model import DebianSource
from builder.runtime.resolve import resolve
from builder.sources.debian.tree import merged_tree
from builder.sources.local import local_files
from builder.sysroot import Package
from tests.support.images import folder, layer_of, plain, plan_of
from tests.support.packages import File, Link, copyright_of, make_package

AMD64 = Platform("linux", "amd64")
POSTINST = """#!/bin/sh
# /var/lib/comment is only spoken of
mkdir -p /var/lib/app
ln -sf /etc/app/made.conf.new /x
"""


def packages(place: Path) -> tuple[Package, ...]:
    app = make_package(
        place,
        "app",
        {
            "/usr/bin/app": File(content=b"app", mode=0o755),
            "/etc/app/app.conf": File(content=b"c"),
            "/etc/app/own.conf": File(content=b"packaged"),
            "/usr/share/app/samples/one": File(),
            "/usr/share/man/man1/app.1": File(),
            **copyright_of("app"),
        },
    )
    dep = make_package(
        place,
        "dep",
        {"/bin/tool": File(mode=0o755), "/usr/lib/dep/x[1]": File(), "/usr/lib/dep/l": Link("x")},
    )
    return replace(app, scripts={"postinst": POSTINST, "postrm": "rm -f /var/log/app\n"}), dep


def locked(package: Package, *, requested: bool) -> LockedPackage:
    return LockedPackage(
        source="os",
        name=package.name,
        version=package.version,
        architecture="amd64",
        url="http://mirror.test/x.deb",
        size=1,
        sha256="",
        source_name=package.source_name,
        source_version=package.source_version,
        requested=requested,
        wanted_by="recipe" if requested else "app (1.0-1) Depends: dep",
    )


def origins_of(place: Path, **fields: Any) -> Origins:
    shipped = packages(place)
    recipe = Recipe(
        path=place / "recipe.toml",
        name="demo",
        platform=AMD64,
        sources=(DebianSource(name="os", packages=("app",)),),
        **fields,
    )
    tree = merged_tree(shipped)
    local = local_files(recipe.installs, recipe.files, tree)
    sysroot = tree.overlay(local.nodes())
    facts = ElfFacts(None)
    plan = make_plan(recipe, sysroot, resolve(recipe, sysroot, local, facts), local, facts, epoch=None)
    return Origins(
        contents=planned_contents(plan, subject="demo"),
        recipe=recipe,
        locked=Lock(
            platform=AMD64, packages=tuple(locked(one, requested=one.name == "app") for one in shipped)
        ),
        sysroot=sysroot,
    )


DROP = Runtime(drop=("/usr/share/app/samples/**",))
OWN = (RecipeFile(path="/etc/app/own.conf", type=FileType.FILE, content="mine"),)
CAUSES = [
    pytest.param("/usr/bin/app", Cause.PRESENT, "it is in the image", id="it is there"),
    pytest.param("/etc/passwd", Cause.PRESENT, "it is in the image", id="rootlet made it"),
    pytest.param("/usr/share/app/samples/one", Cause.DROPPED, "samples/**", id="a drop pattern"),
    pytest.param(
        "/usr/share/man/man1/app.1", Cause.DOCUMENTATION, "below /usr/share/man,", id="documentation"
    ),
    pytest.param("/bin/tool", Cause.DEPENDENCY, "wanted by app (1.0-1) Depends: dep", id="a dependency's"),
    pytest.param("/usr/lib/dep/x[1]", Cause.DEPENDENCY, "of dep", id="a name like a pattern"),
    pytest.param("/usr/lib/dep", Cause.DEPENDENCY, "of dep", id="a dependency's folder"),
    pytest.param("/etc/app/own.conf", Cause.HIDDEN, "not the file of app", id="under a file of the recipe"),
    pytest.param("/srv/app/x.tmp", Cause.IGNORED, '["*.tmp"]', id="ignored by an install"),
    pytest.param("/var/lib/app", Cause.SCRIPT, "the postinst of app", id="made by a script"),
    pytest.param("/var/lib/comment", Cause.UNKNOWN, "no package", id="in a comment of a script"),
    pytest.param("/etc/app/made.conf", Cause.UNKNOWN, "no package", id="the start of a longer path"),
    pytest.param("/var/log/app", Cause.UNKNOWN, "2 packages", id="removed by a script"),
    pytest.param("/usr/bin/ap", Cause.UNKNOWN, "1 named", id="nobody's"),
]


@pytest.mark.parametrize(("path", "cause", "words"), CAUSES)
def test_every_cause_has_its_words(tmp_path: Path, path: str, cause: Cause, words: str) -> None:
    install = Install(source="os", path="/etc/app", to="/srv/app", ignore=("*.tmp",))
    found = why_absent(origins_of(tmp_path, runtime=DROP, files=OWN, installs=(install,)), path)
    assert (found.cause, words in found.words) == (cause, True), found.words
    assert found.near == ("/usr/bin/app",) or path != "/usr/bin/ap"


@pytest.mark.parametrize(
    "path", ["/usr/share/man/man1/app.1", "/bin/tool", "/usr/lib/dep/x[1]", "/usr/lib/dep", "/usr/lib/dep/l"]
)
def test_the_line_that_is_given_adds_the_path(tmp_path: Path, path: str) -> None:
    found = why_absent(origins_of(tmp_path), path)
    line = tomllib.loads(found.add.partition("\n# or")[0])
    again = origins_of(tmp_path, runtime=Runtime(keep=tuple(line["runtime"]["keep"])))
    assert why_absent(again, path).cause is Cause.PRESENT


def test_a_kept_path_that_is_dropped_names_the_pattern(tmp_path: Path) -> None:
    runtime = Runtime(keep=("/usr/lib/dep/*",), drop=("/usr/lib/dep/l",))
    found = why_absent(origins_of(tmp_path, runtime=runtime), "/usr/lib/dep/l")
    assert (found.cause, found.add) == (Cause.DROPPED, "")


def test_a_pattern_gives_what_is_left_out(tmp_path: Path) -> None:
    found = left_out(origins_of(tmp_path), "/usr/**")
    assert [one.path for one in found if "/dep/" in one.path] == ["/usr/lib/dep/l", "/usr/lib/dep/x[1]"]
    assert "/usr/bin/app" not in [one.path for one in found]


def test_a_place_that_another_file_took_is_said(tmp_path: Path) -> None:
    origins = origins_of(tmp_path)
    others = [node for node in origins.sysroot if node.path != "/usr/bin/tool"]
    bare = replace(origins, sysroot=type(origins.sysroot)(others, origins.sysroot.packages.values()))
    assert why_absent(bare, "/usr/bin/tool").cause is Cause.REPLACED


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "é", "\udcff"])
def test_any_path_is_a_string_of_toml(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}")["x"] == text.replace("\udcff", "?")


def small() -> Contents:
    return planned_contents(plan_of(layer_of(folder("/bin"), plain("/bin/demo"))), subject="demo")


@pytest.mark.parametrize(
    ("path", "listed", "cause"),
    [("/bin/demo", "", Cause.PRESENT), ("/bin/dem", "", Cause.UNKNOWN), ("/bin/x", "demo", Cause.DROPPED)],
)
def test_an_image_is_asked_for_its_own_records_only(path: str, listed: str, cause: Cause) -> None:
    found: Absence = why_not_in_image(small(), path, listed)
    assert found.cause is cause
    assert found.near == (("/bin/demo",) if path == "/bin/dem" else ())
