"""From a closure to an image: folders, owners, links, records, and paths that exclude each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from builder.oci import ImageConfig, Platform
from builder.plan.build import make_plan
from builder.plan.model import Entry, ImagePlan
from builder.recipe.model import FileType, Install, Owner, Recipe, RecipeFile, Runtime, User
from builder.recipe.source_model import DebianSource
from builder.runtime.resolve import resolve
from builder.sources.debian.tree import merged_tree
from builder.sources.local import local_files
from builder.sysroot import Kind, Package
from tests.support.packages import Dir, File, Link, copyright_of, make_package

Files = Mapping[str, Dir | File | Link]


def plan_of(
    folder: Path, shipped: Files, *others: Package, epoch: int | None = None, **fields: Any
) -> ImagePlan:
    app = make_package(folder, "app", shipped)
    recipe = Recipe(
        path=folder / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
        **fields,
    )
    tree = merged_tree((app, *others))
    local = local_files(recipe.installs, recipe.files, tree)
    sysroot = tree.overlay(local.nodes())
    facts = ElfFacts(None)
    return make_plan(recipe, sysroot, resolve(recipe, sysroot, local, facts), local, facts, epoch=epoch)


def entries(plan: ImagePlan) -> dict[str, Entry]:
    return {entry.path: entry for entry in plan.layers[0].entries}


ONE: Files = {"/usr/bin/app": File(content=b"app", mode=0o755)}


def test_entries_are_sorted_by_bytes_and_every_folder_is_there(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {**ONE, "/opt/a b/\udcff": File(), "/opt/a/x": File(), "/opt/\u00e9": File()})
    keys = [entry.path.encode("utf-8", "surrogateescape") for entry in plan.layers[0].entries]
    assert keys == sorted(set(keys))
    found = entries(plan)
    for path in found:
        parent = path.rpartition("/")[0]
        assert not parent or found[parent].kind is Kind.DIRECTORY


def test_packaged_folders_keep_modes_and_owners_and_others_are_plain(tmp_path: Path) -> None:
    files: Files = {"/srv/shop": Dir(mode=0o2750, owner=("shop", 300)), "/srv/shop/x/y": File()}
    found = entries(plan_of(tmp_path, files))
    assert (found["/srv/shop"].mode, found["/srv/shop"].uid) == (0o2750, 300)
    assert found["/srv/shop/x"].mode == 0o755
    assert "shop:x:300:300:" in content(found["/etc/passwd"])


def content(entry: Entry) -> str:
    assert isinstance(entry.content, bytes)
    return entry.content.decode("utf-8", "surrogateescape")


def test_second_names_share_the_first_one_that_is_in_the_image(tmp_path: Path) -> None:
    files: Files = {
        "/usr/bin/a": File(content=b"x", mode=0o755),
        "/usr/bin/b": File(hardlink="/usr/bin/a", mode=0o755),
        "/usr/bin/c": File(hardlink="/usr/bin/a", mode=0o755),
    }
    found = entries(plan_of(tmp_path, files))
    assert [found[f"/usr/bin/{name}"].hardlink for name in "abc"] == ["", "/usr/bin/a", "/usr/bin/a"]
    assert [found[f"/usr/bin/{name}"].size for name in "abc"] == [1, 0, 0]
    found = entries(plan_of(tmp_path, files, runtime=Runtime(drop=("/usr/bin/a",))))
    assert [found[f"/usr/bin/{name}"].hardlink for name in "bc"] == ["", "/usr/bin/b"]


def test_a_second_name_does_not_follow_what_is_laid_over_the_first(tmp_path: Path) -> None:
    files: Files = {
        "/usr/bin/a": File(content=b"first", mode=0o755),
        "/usr/bin/b": File(hardlink="/usr/bin/a", mode=0o755),
        "/usr/bin/z": File(content=b"other!", mode=0o755),
    }
    found = entries(
        plan_of(tmp_path, files, installs=(Install(source="os", path="/usr/bin/z", to="/usr/bin/a"),))
    )
    assert (found["/usr/bin/a"].size, found["/usr/bin/b"].size, found["/usr/bin/b"].hardlink) == (6, 5, "")


@pytest.mark.parametrize("place", ["/", "/opt"])
def test_a_folder_of_a_package_can_go_anywhere(tmp_path: Path, place: str) -> None:
    files: Files = {
        "/usr/share/app/x": File(content=b"x"),
        "/usr/share/app/d/y": File(),
        "/usr/share/app/no": File(),
    }
    install = Install(source="os", path="/usr/share/app", to=place, ignore=("no",))
    found = entries(plan_of(tmp_path, files, installs=(install,)))
    top = place.rstrip("/")
    assert {f"{top}/x", f"{top}/d/y"} <= set(found)
    assert f"{top}/no" not in found
    assert not any("//" in path for path in found)


def test_the_whole_tree_can_be_installed_below_a_folder(tmp_path: Path) -> None:
    install = Install(source="os", path="/", to="/copy", ignore=("usr/share/**",))
    found = entries(plan_of(tmp_path, {**ONE, "/usr/share/x": File()}, installs=(install,)))
    assert "/copy/usr/bin/app" in found
    assert "/copy/usr/share/x" not in found


EXCLUDED: dict[str, tuple[Files, dict[str, Any], str]] = {
    "a path below a file of the recipe": (
        ONE,
        {"files": (RecipeFile(path="/data"), RecipeFile(path="/data/x"))},
        r"/data/x \(.*\) lies below /data, which is a file",
    ),
    "a path below a link of the recipe": (
        ONE,
        {"files": (RecipeFile(path="/d", type=FileType.SYMLINK, target="/usr"), RecipeFile(path="/d/x"))},
        r"lies below /d, which is a symlink",
    ),
    "a path below a link of every image": (
        {**ONE},
        {"config": ImageConfig(workdir="/var/run/app")},
        r"lies below /var/run, which is a symlink",
    ),
    "a volume below a file": (
        ONE,
        {"config": ImageConfig(volumes=("/usr/bin/app/v",))},
        "lies below /usr/bin/app",
    ),
    "a home below a file": (ONE, {"users": (User(name="u", uid=5, home="/usr/bin/app/h"),)}, "lies below"),
    "an owner without an account": (
        ONE,
        {"files": (RecipeFile(path="/x", owner=Owner(user="who", group="root")),)},
        "The user who of /x has no account",
    ),
    "a start as nobody known": (ONE, {"config": ImageConfig(user="app")}, r"The user app of \[config\] user"),
    "a start in a group that is not there": (ONE, {"config": ImageConfig(user="root:x")}, "The group x of"),
}


@pytest.mark.parametrize("case", EXCLUDED)
def test_wishes_that_cannot_be(tmp_path: Path, case: str) -> None:
    files, fields, words = EXCLUDED[case]
    with pytest.raises(ResolutionError, match=words) as caught:
        plan_of(tmp_path, files, **fields)
    assert caught.value.hint


def test_a_start_by_numbers_needs_no_account(tmp_path: Path) -> None:
    plan_of(tmp_path, ONE, config=ImageConfig(user="1000:1000"))


def test_what_the_recipe_or_a_package_brings_is_not_made_again(tmp_path: Path) -> None:
    files = (
        RecipeFile(path="/etc/passwd", content="mine\n"),
        RecipeFile(path="/tmp", type=FileType.DIRECTORY, mode=0o700),  # noqa: S108 (a path of the image)
        RecipeFile(path="/var/run/app.pid", content="1"),
    )
    found = entries(plan_of(tmp_path, ONE, files=files))
    assert content(found["/etc/passwd"]) == "mine\n"
    assert found["/tmp"].mode == 0o700  # noqa: S108 (as above)
    assert found["/var/run"].kind is Kind.DIRECTORY


def test_homes_workdir_and_volumes_are_made(tmp_path: Path) -> None:
    users = (
        User(name="u", uid=5, gid=7, home="/home/u"),
        User(name="v", uid=6),
        User(name="w", uid=8, home="/"),
    )
    config = ImageConfig(workdir="/srv/w", volumes=("/data", "/"))
    found = entries(plan_of(tmp_path, ONE, users=users, config=config))
    assert (found["/home/u"].uid, found["/home/u"].gid) == (5, 7)
    assert {"/srv/w", "/data", "/home"} <= set(found)
    assert "/nonexistent" not in found
    assert "/" not in found


def test_the_time_is_the_newest_package_of_the_image_or_the_one_given(tmp_path: Path) -> None:
    unused = make_package(tmp_path, "unused", {"/usr/bin/u": File()}, newest=1_900_000_000)
    assert plan_of(tmp_path, ONE, unused).created == 1_700_000_000
    assert plan_of(tmp_path, ONE, epoch=0).created == 0


def test_records_name_what_was_shipped_and_nothing_else(tmp_path: Path) -> None:
    files: Files = {
        "/usr/bin/app": File(content=b"app", mode=0o755),
        "/usr/bin/bpp": File(hardlink="/usr/bin/app", mode=0o755),
        "/etc/app.conf": File(content=b"conf", conffile=True),
        "/etc/dropped": File(content=b"no"),
        "/usr/lib/l": Link("x"),
        "/usr/share/doc/app/README": File(content=b"no"),
        "/usr/share/odd\udcff": File(content=b"odd"),
        **copyright_of("app"),
    }
    plan = plan_of(tmp_path, files, runtime=Runtime(drop=("/etc/dropped",)))
    found = entries(plan)
    sums = {
        line[34:]: line[:32] for line in content(found["/var/lib/dpkg/status.d/app.md5sums"]).splitlines()
    }
    expected = {
        "usr/bin/app": b"app",
        "usr/bin/bpp": b"app",
        "etc/app.conf": b"conf",
        "usr/share/odd\udcff": b"odd",
        "usr/share/doc/app/copyright": b"copyright of app\n",
    }
    assert sums == {
        path: hashlib.md5(text, usedforsecurity=False).hexdigest() for path, text in expected.items()
    }
    assert content(found["/var/lib/dpkg/status.d/app"]).startswith("Package: app\n")
    (package,) = plan.packages
    assert (package.files, package.size) == (6, 3 + 4 + 3 + 17)
    assert package.installed_size == 3 + 4 + 2 + 2 + 3 + 17


def test_a_package_of_which_nothing_is_shipped_leaves_no_record(tmp_path: Path) -> None:
    unused = make_package(tmp_path, "unused", {"/usr/bin/u": File()})
    plan = plan_of(tmp_path, ONE, unused)
    assert [package.name for package in plan.packages] == ["app"]
    assert not [path for path in entries(plan) if "unused" in path]


def release(text: bytes) -> Package:
    return make_package(
        Path(),
        "base-files",
        {"/usr/lib/os-release": File(content=text), "/etc/os-release": Link("../usr/lib/os-release")},
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'ID=debian\nVERSION_ID="13"\n', "debian-13"),
        (b"# x\nID=debian\n", "debian"),
        (b"ID='debian'\nVERSION_ID='13'\n", "debian-13"),
        (b"\xff\xfe=\n", ""),
        (b"", ""),
    ],
)
def test_the_distribution_is_what_os_release_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan_of(tmp_path, ONE, release(text)).distribution == name


def test_without_anything_loaded_there_is_no_library_cache(tmp_path: Path) -> None:
    found = entries(plan_of(tmp_path, ONE))
    assert "/etc/ld.so.cache" not in found
    assert "/etc/nsswitch.conf" not in found


def test_copyright_behind_a_link_into_another_package_comes_with_its_record(tmp_path: Path) -> None:
    common = make_package(tmp_path, "app-common", copyright_of("app-common"))
    plan = plan_of(tmp_path, {**ONE, "/usr/share/doc/app": Link("app-common")}, common)
    found = entries(plan)
    assert "/usr/share/doc/app-common/copyright" in found
    assert "/var/lib/dpkg/status.d/app-common" in found


def test_copyright_links_that_loop_are_no_copyright(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {**ONE, "/usr/share/doc/app": Link("app")})
    assert "/usr/share/doc/app/copyright" not in entries(plan)


def names(items: Iterable[Entry]) -> list[str]:
    return [item.path for item in items]


def test_the_plan_depends_on_nothing_but_its_inputs(tmp_path: Path) -> None:
    files: Files = {**ONE, "/etc/b": File(owner=("b", 30)), "/etc/a": File(group=("a", 20))}
    one, other = plan_of(tmp_path, files), plan_of(tmp_path, dict(reversed(list(files.items()))))
    assert one == other
    assert replace(one, created=1) != one
    assert names(one.layers[0].entries) == names(other.layers[0].entries)
