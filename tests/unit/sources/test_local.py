"""Files of the author: folders, single files, links, modes, and what an image cannot hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.recipe.model import FileType, Install, Owner, RecipeFile
from builder.sources.local import local_files
from builder.sysroot import Kind, Node, Sysroot

EMPTY = Sysroot(())


def nodes(*installs: Install, tree: Sysroot = EMPTY) -> dict[str, Node]:
    return {node.path: node for node in local_files(installs, (), tree).nodes()}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    (root / "sub" / "deep").mkdir(parents=True, mode=0o700)
    (root / "conf").write_text("1")
    (root / "conf").chmod(0o600)
    (root / "sub" / "run").write_text("2")
    (root / "sub" / "run").chmod(0o711)
    (root / "sub" / "deep" / "cache.tmp").write_text("3")
    (root / "link").symlink_to("../../outside")
    return root


def test_a_folder_with_modes_that_every_checkout_has(context: Path) -> None:
    found = nodes(Install(context=context, to="/etc/app", owner=Owner(user="app", group="7")))
    assert {path: oct(node.mode) for path, node in found.items()} == {
        "/etc/app": "0o755",
        "/etc/app/conf": "0o644",
        "/etc/app/link": "0o777",
        "/etc/app/sub": "0o755",
        "/etc/app/sub/deep": "0o755",
        "/etc/app/sub/deep/cache.tmp": "0o644",
        "/etc/app/sub/run": "0o755",
    }
    assert found["/etc/app/link"].target == "../../outside"
    assert {(node.user, node.group) for node in found.values()} == {("app", "7")}


def test_a_folder_can_go_to_the_root(context: Path) -> None:
    assert {"/", "/conf", "/sub/run"} <= set(nodes(Install(context=context, to="/", into=True)))


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (("*.tmp",), {"conf", "link", "sub", "sub/deep", "sub/run"}),
        (("sub",), {"conf", "link"}),
        (("sub/deep", "conf"), {"link", "sub", "sub/run"}),
        (("deep/*",), {"conf", "link", "sub", "sub/deep", "sub/run"}),
        (("**",), set()),
        (("[z-a]",), {"conf", "link", "sub", "sub/deep", "sub/deep/cache.tmp", "sub/run"}),
    ],
)
def test_what_is_ignored(context: Path, patterns: tuple[str, ...], left: set[str]) -> None:
    found = nodes(Install(context=context, to="/x", ignore=patterns))
    assert {path.removeprefix("/x").lstrip("/") for path in found} - {""} == left


def test_a_mode_is_for_files_alone(context: Path) -> None:
    found = nodes(Install(context=context, to="/x", mode=0o4750))
    assert {oct(node.mode) for node in found.values() if node.kind is Kind.FILE} == {"0o4750"}
    assert found["/x/sub"].mode == 0o755


@pytest.mark.parametrize(
    ("to", "into", "path"), [("/x/y", False, "/x/y"), ("/x", True, "/x/conf"), ("/", True, "/conf")]
)
def test_a_single_file(context: Path, to: str, into: bool, path: str) -> None:
    (node,) = nodes(Install(context=context / "conf", to=to, into=into)).values()
    assert (node.path, node.kind) == (path, Kind.FILE)
    assert node.content is not None
    assert node.content.store == (context / "conf").resolve()


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "n\udcff").write_text("1")
    assert "/x/n\udcff" in nodes(Install(context=tmp_path / "c", to="/x"))


def test_what_an_image_cannot_hold(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ResolutionError, match="pipe is neither file, folder nor link") as caught:
        nodes(Install(context=tmp_path, to="/x"))
    assert caught.value.hint == "add it to ignore"
    assert set(nodes(Install(context=tmp_path, to="/x", ignore=("pipe",)))) == {"/x"}


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResolutionError, match="gone cannot be installed: No such file") as caught:
        nodes(Install(context=tmp_path / "gone", to="/x"))
    assert caught.value.hint


def packaged() -> Sysroot:
    return Sysroot(
        [
            Node(path="/usr/lib/a", kind=Kind.DIRECTORY, mode=0o755, package="p"),
            Node(
                path="/usr/lib/a/b",
                kind=Kind.FILE,
                mode=0o755,
                uid=5,
                user="u",
                package="p",
                hardlink="/usr/lib/c",
            ),
            Node(path="/lib", kind=Kind.SYMLINK, mode=0o777, target="usr/lib", package="p"),
        ]
    )


def test_files_of_a_source_keep_mode_owner_and_package(tmp_path: Path) -> None:
    found = nodes(Install(source="os", path="/lib/a", to="/opt/a"), tree=packaged())
    node = found["/opt/a/b"]
    assert (node.mode, node.user, node.group, node.package, node.hardlink) == (0o755, "u", "0", "p", "")
    found = nodes(
        Install(
            source="os", path="/lib/a/b", to="/opt", into=True, mode=0o600, owner=Owner(user="x", group="y")
        ),
        tree=packaged(),
    )
    node = found["/opt/b"]
    assert (node.mode, node.user, node.group) == (0o600, "x", "y")
    assert tmp_path.is_dir()


@pytest.mark.parametrize("path", ["/nope", "/usr/lib/a/b/c", "/../nope"])
def test_a_path_that_no_package_has(path: str) -> None:
    with pytest.raises(ResolutionError, match="is not in the source os"):
        nodes(Install(source="os", path=path, to="/x"), tree=packaged())


def test_files_of_the_recipe() -> None:
    files = (
        RecipeFile(path="/f", content="é"),
        RecipeFile(path="/d", type=FileType.DIRECTORY),
        RecipeFile(path="/l", type=FileType.SYMLINK, target="f", mode=0o600),
        RecipeFile(path="/m", mode=0o640, owner=Owner(user="root", group="app")),
    )
    local = local_files((), files, EMPTY)
    assert [(node.path, node.kind, oct(node.mode)) for node in local.nodes()] == [
        ("/f", Kind.FILE, "0o644"),
        ("/d", Kind.DIRECTORY, "0o755"),
        ("/l", Kind.SYMLINK, "0o777"),
        ("/m", Kind.FILE, "0o640"),
    ]
    assert local.made == {"/f": "é".encode(), "/m": b""}


def test_what_is_ignored_in_a_source_is_ignored_with_all_that_is_in_it() -> None:
    folders = ("/opt", "/opt/a", "/opt/a/tests", "/opt/tests")
    files = ("/opt/a/x", "/opt/a/tests/y", "/opt/tests/z")
    tree = Sysroot(
        [
            *(Node(path=path, kind=Kind.DIRECTORY, mode=0o755) for path in folders),
            *(Node(path=path, kind=Kind.SYMLINK, mode=0o777, target="q") for path in files),
        ]
    )
    found = nodes(Install(source="s", path="/opt", to="/srv", ignore=("tests",)), tree=tree)
    assert list(found) == ["/srv", "/srv/a", "/srv/a/x"]
