"""Trees below trees: what is on top hides what lies below it, and nothing is walked unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.sources.folder import FolderSysroot
from builder.sources.underlay import underlaid
from builder.sysroot import Kind, Node, Package, Sysroot


def file(path: str, package: str = "", mtime: int = 0) -> Node:
    return Node(path=path, kind=Kind.FILE, mode=0o644, package=package, mtime=mtime)


def link(path: str, target: str) -> Node:
    return Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=target)


def package(name: str, version: str = "1") -> Package:
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        source_name=name,
        source_version=version,
        control="",
        md5sums={},
        conffiles=(),
        nodes=(),
        scripts={},
        newest=0,
    )


TOP = Sysroot((link("/lib", "usr/lib"), file("/usr/lib/a", "one", mtime=1)), [package("one", "2")])
STAGE = Sysroot(
    (
        link("/lib", "usr/lib"),
        file("/usr/lib/a", "one", mtime=2),
        file("/usr/lib/old", "one"),
        file("/usr/lib/b", "two"),
        file("/opt/app"),
    ),
    [package("one"), package("two")],
)
UNMERGED = Sysroot(
    (file("/lib/c", "three"), file("/bin/sh"), file("/usr/bin/env"), file("/opt/app", mtime=9)),
    [package("three")],
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("/usr/lib/a", "/usr/lib/a", id="the top has it"),
        pytest.param("/lib/b", "/usr/lib/b", id="the top's link leads to what a tree below has"),
        pytest.param("/opt/app", "/opt/app", id="only a tree below has it"),
        pytest.param("/lib/c", "/usr/lib/c", id="a tree without a merged /usr has it one level higher"),
        pytest.param("/usr/lib/old", None, id="the top has that package, in another version"),
        pytest.param("/usr/lib/none", None, id="nobody has it"),
    ],
)
def test_a_path_is_looked_up_through_all_trees(path: str, found: str | None) -> None:
    hit = underlaid(TOP, [STAGE, UNMERGED]).lookup(path)
    assert (hit.node.path if hit.node else None) == found


def test_the_first_tree_that_has_a_path_wins() -> None:
    tree = underlaid(TOP, [STAGE, UNMERGED])
    nodes = {path: tree.get(path) for path in ("/usr/lib/a", "/opt/app")}
    assert [node.mtime for node in nodes.values() if node] == [1, 0]


def test_packages_below_are_there_for_single_files_only() -> None:
    packages = underlaid(TOP, [STAGE, UNMERGED]).packages
    assert {name: (one.version, one.alone) for name, one in packages.items()} == {
        "one": ("2", False),
        "two": ("1", True),
        "three": ("1", True),
    }


def test_folders_list_the_names_of_all_trees_but_not_what_is_hidden() -> None:
    tree = underlaid(TOP, [STAGE, UNMERGED])
    assert tree.children("/usr/lib") == ("a", "b", "c")
    assert tree.children("/lib") == ()
    assert [node.path for node in tree.below("/")] == [
        "/bin", "/bin/sh", "/lib", "/opt", "/opt/app", "/usr", "/usr/bin", "/usr/bin/env", "/usr/bin/sh",
        "/usr/lib", "/usr/lib/a", "/usr/lib/b", "/usr/lib/c",
    ]  # fmt: skip


def test_what_is_laid_over_hides_all_trees() -> None:
    tree = underlaid(TOP, [STAGE]).overlay([file("/opt/app", mtime=7), link("/usr/lib/b", "a")])
    assert [tree.get("/opt/app"), tree.get("/usr/lib/b")] == [
        file("/opt/app", mtime=7),
        link("/usr/lib/b", "a"),
    ]


def test_a_file_of_the_top_hides_a_folder_below() -> None:
    tree = underlaid(Sysroot([file("/opt")]), [STAGE])
    assert tree.get("/opt/app") is None


def test_a_whole_machine_below_is_only_looked_at_where_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/d").write_bytes(b"d")
    machine = FolderSysroot(tmp_path)
    hit = underlaid(TOP, [machine]).lookup("/lib/d")
    (tmp_path / "late").write_bytes(b"")
    assert hit.node is not None
    assert hit.node.content is not None
    assert hit.node.content.store == tmp_path / "usr/lib/d"
    assert machine.get("/late") is not None, "nothing was read before it was asked for"


def test_without_trees_below_the_top_itself_is_given() -> None:
    assert underlaid(TOP, []) is TOP
