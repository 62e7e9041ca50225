"""From maintainer scripts to an image: paths, owners, accounts, reports, and the recipe's last word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builder.elf.facts import ElfFacts
from builder.oci import ImageConfig, Platform
from builder.plan.build import make_plan
from builder.plan.codec import plan_from_json, plan_to_json
from builder.plan.model import Entry, ImagePlan
from builder.reason import ReasonKind
from builder.recipe.model import FileType, Recipe, RecipeFile, Runtime, User
from builder.recipe.source_model import DebianSource
from builder.runtime.resolve import resolve
from builder.sources.debian.configure.lay import lay
from builder.sources.debian.configure.run import configure
from builder.sources.debian.tree import merged_tree
from builder.sources.local import local_files, with_configuration
from builder.sysroot import Package
from tests.support.configuring import package
from tests.support.packages import Dir, File, copyright_of

SCRIPT = """
adduser --system --group --home /var/lib/app app
install -d -o app -g adm -m 2750 /var/log/app
chown app:app /etc/app.conf
cp /usr/share/app/template /etc/app.made
echo text > /etc/app.text
update-alternatives --install /usr/bin/tool tool /usr/bin/app 5 \\
  --slave /usr/share/man/man1/tool.1.gz tool.1.gz /usr/share/man/man1/app.1.gz
frobnicate
"""
FILES = {
    "/usr/bin/app": File(content=b"app", mode=0o755),
    "/etc/app.conf": File(content=b"conf", conffile=True),
    "/usr/share/app/template": File(content=b"template"),
    "/usr/share/man/man1/app.1.gz": File(content=b"manual"),
    **copyright_of("app"),
}


def plan_of(folder: Path, *others: Package, app: Package | None = None, **fields: Any) -> ImagePlan:
    packages = (app or package(folder, "app", FILES, postinst=SCRIPT), *others)
    recipe = Recipe(
        path=folder / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
        **fields,
    )
    tree = merged_tree(packages)
    configuration = configure(packages, tree)
    tree = lay(configuration, tree)
    local = with_configuration(local_files(recipe.installs, recipe.files, tree), configuration)
    sysroot = tree.overlay(local.nodes())
    facts = ElfFacts(None)
    return make_plan(recipe, sysroot, resolve(recipe, sysroot, local, facts), local, facts, epoch=None)


def entries(plan: ImagePlan) -> dict[str, Entry]:
    return {entry.path: entry for entry in plan.layers[0].entries}


def test_what_configuring_makes_is_in_the_image_with_its_reason(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    found = entries(plan)
    passwd = found["/etc/passwd"].content
    assert isinstance(passwd, bytes)
    (row,) = [line.split(":") for line in passwd.decode().splitlines() if line.startswith("app:")]
    uid = int(row[2])
    assert (found["/var/lib/app"].uid, found["/var/lib/app"].gid) == (uid, uid)
    assert (found["/var/log/app"].uid, found["/var/log/app"].gid, found["/var/log/app"].mode) == (
        uid,
        4,
        0o2750,
    )
    assert (found["/etc/app.conf"].uid, found["/etc/app.conf"].reason.kind) == (uid, ReasonKind.PAYLOAD)
    assert found["/etc/app.text"].content == b"text\n"
    assert str(found["/etc/app.made"].reason) == "made when this package is configured: app (cp)"
    assert found["/etc/alternatives/tool"].target == "/usr/bin/app"
    assert "/etc/alternatives/tool.1.gz" not in found
    sums = found["/var/lib/dpkg/status.d/app.md5sums"].content
    assert isinstance(sums, bytes)
    assert b"app.conf" in sums
    assert b"app.made" not in sums


def test_scripts_are_reported_and_go_through_json(tmp_path: Path) -> None:
    unused = package(tmp_path, "unused", {"/usr/bin/u": File()}, postinst="adduser --system unused; frob")
    plan = plan_of(tmp_path, unused)
    (report,) = plan.scripts
    assert (report.package, report.unrecognised) == ("app", ((10, "frobnicate"),))
    assert "adds the user app" in report.recognised
    assert plan_from_json(plan_to_json(plan)).scripts == plan.scripts
    passwd = entries(plan)["/etc/passwd"].content
    assert isinstance(passwd, bytes)
    assert b"unused" not in passwd


def test_the_recipe_has_the_last_word(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        users=(User(name="app", uid=1000, home="/data"),),
        files=(
            RecipeFile(path="/etc/app.text", content="mine"),
            RecipeFile(path="/var/log/app", type=FileType.DIRECTORY, mode=0o700),
        ),
        runtime=Runtime(drop=("/etc/app.made",)),
        config=ImageConfig(user="app"),
    )
    found = entries(plan)
    assert found["/etc/app.text"].content == b"mine"
    assert (found["/var/log/app"].mode, found["/var/log/app"].uid) == (0o700, 0)
    assert "/etc/app.made" not in found
    assert found["/etc/app.conf"].uid == found["/var/lib/app"].uid == 1000


def test_the_image_can_start_as_a_user_that_a_package_adds(tmp_path: Path) -> None:
    assert plan_of(tmp_path, config=ImageConfig(user="app:adm")).config.user == "app:adm"


COMMON = """
adduser --system --group --home /var/lib/shared shared
install -d -o shared -g shared -m 2775 /run/shared
chown root:shared /var/log/shared
mkdir /run/other
install -d -o shared /etc/shared.conf.d
adduser --system --group --home /var/lib/stranger stranger
"""


def shared_paths(plan: ImagePlan) -> list[str]:
    """What the image has of the package "common"."""
    words = ("shared", "stranger", "/run/other")
    return [path for path in entries(plan) if path.startswith("/") and any(word in path for word in words)]


@pytest.mark.parametrize(
    ("script", "user", "expected"),
    [
        pytest.param("true", "", [], id="of a package that has nothing to do with it: nothing"),
        pytest.param(
            "true",
            "shared",
            ["/etc/shared.conf.d", "/run/shared", "/var/lib/shared", "/var/log/shared"],
            id="the image's user has its folders, made and shipped ones",
        ),
        pytest.param(
            "make_cluster -u shared /var/lib/x",
            "",
            ["/etc/shared.conf.d", "/run/shared", "/var/lib/shared", "/var/log/shared"],
            id="a script of the named package speaks of the user",
        ),
        pytest.param("mkdir -p /run/other", "", ["/run/other"], id="a folder that both make"),
        pytest.param("mkdir -p /etc/shared.conf.d", "", [], id="where settings are, nothing is written"),
        pytest.param("echo shared; test -n shared", "", [], id="a word is not an account"),
    ],
)
def test_folders_of_another_package_for_one_account(
    tmp_path: Path, script: str, user: str, expected: list[str]
) -> None:
    common = package(tmp_path, "common", {"/var/log/shared": Dir(), "/usr/bin/c": File()}, postinst=COMMON)
    app = package(tmp_path, "app", FILES, depends="common", postinst=script)
    plan = plan_of(tmp_path, common, app=app, config=ImageConfig(user=user))
    assert shared_paths(plan) == expected
    for path in expected:
        entry = entries(plan)[path]
        assert entry.reason.kind is ReasonKind.CONFIGURED
        assert entry.uid or entry.gid or path == "/run/other"


@pytest.mark.parametrize(
    ("drop", "target"),
    [
        pytest.param((), "/usr/bin/better", id="the better package of the tree, and its file with it"),
        pytest.param(("/usr/bin/better",), "", id="no link to what the recipe drops"),
        pytest.param(("/usr/bin/tool",), "/usr/bin/better", id="the link itself is dropped"),
    ],
)
def test_an_alternative_that_another_package_wins(tmp_path: Path, drop: tuple[str, ...], target: str) -> None:
    text = "update-alternatives --install /usr/bin/tool tool /usr/bin/better 50"
    better = package(
        tmp_path, "better", {"/usr/bin/better": File(mode=0o755), **copyright_of("better")}, postinst=text
    )
    found = entries(plan_of(tmp_path, better, runtime=Runtime(drop=drop)))
    assert getattr(found.get("/etc/alternatives/tool"), "target", "") == target
    assert ("/usr/bin/tool" in found) is (not drop)
    assert ("/usr/bin/better" in found) is bool(target)
