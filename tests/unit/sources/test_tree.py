"""Packages laid into one tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Content, Kind, Node, Package, Sysroot


def package(name: str, files: dict[str, str | None], *, version: str = "1.0", control: str = "") -> Package:
    """A package: "-> x" is a link, None a folder, other text a file's content (and its checksum)."""
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        source_name=name,
        source_version=version,
        control=f"Package: {name}\nVersion: {version}\n{control}",
        md5sums={},
        conffiles=(),
        nodes=tuple(node(name, path, what) for path, what in files.items()),
        scripts={},
        newest=0,
    )


def node(name: str, path: str, what: str | None) -> Node:
    if what is None:
        return Node(path=path, kind=Kind.DIRECTORY, mode=0o755, package=name)
    if what.startswith("-> "):
        return Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=what[3:], package=name)
    hardlink, _, text = what.rpartition("=")
    content = Content(store=Path("/x"), offset=0, size=len(text), sha256=text)
    return Node(path=path, kind=Kind.FILE, mode=0o644, content=content, hardlink=hardlink, package=name)


def shown(tree: Sysroot) -> dict[str, str]:
    """Files and links by path."""
    found = {}
    for one in tree:
        if one.kind is Kind.SYMLINK:
            found[one.path] = f"-> {one.target}"
        elif one.content is not None:
            found[one.path] = f"{one.package}:{one.hardlink}{'=' if one.hardlink else ''}{one.content.sha256}"
    return found


def test_usr_is_merged_where_packages_have_it() -> None:
    tree = merged_tree(
        [
            package(
                "libc",
                {
                    "/lib": None,
                    "/lib/x86": None,
                    "/lib/x86/libc.so": "elf",
                    "/lib64": None,
                    "/lib64/ld.so": "-> /lib/x86/ld",
                },
            ),
            package("sh", {"/bin": None, "/bin/sh": "-> dash", "/usr/bin/dash": "d"}),
        ]
    )
    assert shown(tree) == {
        "/bin": "-> usr/bin",
        "/lib": "-> usr/lib",
        "/lib64": "-> usr/lib64",
        "/usr/bin/dash": "sh:d",
        "/usr/bin/sh": "-> dash",
        "/usr/lib/x86/libc.so": "libc:elf",
        "/usr/lib64/ld.so": "-> /lib/x86/ld",
    }
    assert tree.lookup("/lib/x86/libc.so").path == "/usr/lib/x86/libc.so"
    assert tree.get("/lib/x86") is None
    # The package still says what it packaged.
    assert tree.packages["libc"].nodes[2].path == "/lib/x86/libc.so"


def test_links_that_base_files_ships_are_kept_as_they_are() -> None:
    tree = merged_tree(
        [package("a", {"/sbin": None, "/sbin/x": "x"}), package("base-files", {"/sbin": "-> usr/sbin"})]
    )
    assert shown(tree) == {"/sbin": "-> usr/sbin", "/usr/sbin/x": "a:x"}
    link = tree.get("/sbin")
    assert link is not None
    assert link.package == "base-files"


def test_hard_links_move_with_their_first_name() -> None:
    tree = merged_tree([package("a", {"/bin/one": "x", "/bin/two": "/bin/one=x"})])
    assert shown(tree)["/usr/bin/two"] == "a:/usr/bin/one=x"


def test_link_from_bin_to_usr_bin_gives_way_to_the_file() -> None:
    files: dict[str, str | None] = {"/bin/x": "-> /usr/bin/x", "/usr/bin/x": "x"}
    expected = {"/bin": "-> usr/bin", "/usr/bin/x": "a:x"}
    assert shown(merged_tree([package("a", files)])) == expected
    assert shown(merged_tree([package("a", dict(reversed(files.items())))])) == expected


def test_files_follow_the_links_of_folders() -> None:
    tree = merged_tree(
        [
            package("base-files", {"/var/run": "-> /run", "/run": None}),
            package("z", {"/var/run": None, "/var/run/z": None, "/var/run/z/f": "f"}),
        ]
    )
    assert shown(tree) == {"/var/run": "-> /run", "/run/z/f": "z:f"}


def test_folder_modes_come_from_base_files() -> None:
    sticky = Node(path="/tmp", kind=Kind.DIRECTORY, mode=0o1777, package="base-files")  # noqa: S108 (in an image)
    base = package("base-files", {})
    base = Package(
        **{name: getattr(base, name) for name in Package.__slots__ if name != "nodes"}, nodes=(sticky,)
    )
    tree = merged_tree([package("a", {"/tmp": None, "/tmp/x": "x"}), base])  # noqa: S108 (in an image)
    found = tree.get("/tmp")  # noqa: S108 (in an image)
    assert found is not None
    assert found.mode == 0o1777


def test_same_file_in_two_packages_is_no_conflict() -> None:
    tree = merged_tree([package("a", {"/usr/x": "same"}), package("b", {"/usr/x": "same"})])
    assert shown(tree) == {"/usr/x": "a:same"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"/usr/x": "a"}, {"/usr/x": "b"}, id="two files"),
        pytest.param({"/usr/x": "a"}, {"/usr/x": None}, id="a file and a folder"),
        pytest.param({"/usr/x": "-> a"}, {"/usr/x": "-> b"}, id="two links"),
        pytest.param({"/bin/x": "a"}, {"/usr/bin/x": "b"}, id="two files that merging brings together"),
    ],
)
def test_conflict_names_both(one: dict[str, str | None], other: dict[str, str | None]) -> None:
    with pytest.raises(ResolutionError, match=r"comes from a .* and from b"):
        merged_tree([package("a", one), package("b", other)])


@pytest.mark.parametrize(
    ("replaces", "winner"),
    [
        pytest.param("b (<< 2)", "a:a", id="an old version of the other"),
        pytest.param("c, b", "a:a", id="any version of the other"),
    ],
)
@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["in order", "in reverse"])
def test_replaces_decides(replaces: str, winner: str, names: tuple[str, str]) -> None:
    files = {"a": "a", "b": "b"}
    controls = {"a": f"Replaces: {replaces}\n", "b": ""}
    tree = merged_tree([package(name, {"/usr/x": files[name]}, control=controls[name]) for name in names])
    assert shown(tree) == {"/usr/x": winner}


def test_replaces_of_another_version_does_not_help() -> None:
    with pytest.raises(ResolutionError):
        merged_tree(
            [
                package("a", {"/usr/x": "a"}, control="Replaces: b (<< 2)\n"),
                package("b", {"/usr/x": "b"}, version="2"),
            ]
        )


def test_links_in_a_circle_end() -> None:
    with pytest.raises(ResolutionError, match=r"/x comes from a .symlink. and from b .directory."):
        merged_tree([package("a", {"/x": "-> y", "/y": "-> x"}), package("b", {"/x": None, "/x/f": "f"})])


def test_files_follow_links_to_links() -> None:
    tree = merged_tree(
        [
            package("a", {"/x": "-> y", "/y": "-> /lib/z", "/lib/z": None}),
            package("b", {"/x": None, "/x/f": "f"}),
        ]
    )
    assert shown(tree)["/usr/lib/z/f"] == "b:f"
