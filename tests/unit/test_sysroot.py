"""Look-ups that never leave the tree, globs, and packages that claim one path."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError, ResolutionError
from builder.sysroot import MAX_LINKS, Content, Kind, Node, Sysroot, glob_pattern, read_content


def file(path: str, package: str = "", sha256: str = "") -> Node:
    content = Content(store=Path("/nowhere"), offset=0, size=1, sha256=sha256)
    return Node(path=path, kind=Kind.FILE, mode=0o644, content=content, package=package)


def link(path: str, target: str, package: str = "") -> Node:
    return Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=target, package=package)


def tree(files: tuple[str, ...] = (), links: Mapping[str, str] | None = None) -> Sysroot:
    return Sysroot([*map(file, files), *(link(path, target) for path, target in (links or {}).items())])


TREE = tree(
    ("/usr/bin/sh", "/usr/lib/a/libx.so.1", "/etc/passwd", "/weird\udcff/n\udc80"),
    {
        "/bin": "usr/bin",
        "/abs": "/usr/lib",
        "/up": "../../../etc",
        "/usr/lib/a/back": "../../bin",
        "/dangling": "gone/x",
        "/self": "self",
        "/a": "b",
        "/b": "a",
        "/slash": "/",
        "/file": "etc/passwd",
        "/empty": "",
    },
)

LOOKUPS = {
    "the root": ("/", "/", True),
    "a plain path": ("/usr/bin/sh", "/usr/bin/sh", True),
    "a link in the middle": ("/bin/sh", "/usr/bin/sh", True),
    "an absolute link starts at the tree's root": ("/abs/a/libx.so.1", "/usr/lib/a/libx.so.1", True),
    "dots at the root stay at the root": ("/../../../etc/passwd", "/etc/passwd", True),
    "a link out of the root stays inside": ("/up/passwd", "/etc/passwd", True),
    "dots after a link go up from where it leads": ("/abs/../bin/sh", "/usr/bin/sh", True),
    "a link inside a folder": ("/usr/lib/a/back/sh", "/usr/bin/sh", True),
    "empty names and dots": ("//usr/./bin///sh", "/usr/bin/sh", True),
    "a link to the root": ("/slash/etc/passwd", "/etc/passwd", True),
    "a folder with a slash at the end": ("/usr/bin/", "/usr/bin", True),
    "nothing there": ("/usr/nope/x", "/usr/nope/x", False),
    "a link to nothing": ("/dangling/y", "/gone/x/y", False),
    "a path below a file": ("/etc/passwd/x", "/etc/passwd/x", False),
    "dots below a file": ("/etc/passwd/../passwd", "/etc/passwd/../passwd", False),
    "a dot below a file": ("/etc/passwd/.", "/etc/passwd/.", False),
    "dots below a link to a file": ("/file/../passwd", "/etc/passwd/../passwd", False),
    "names that are not UTF-8": ("/weird\udcff/n\udc80", "/weird\udcff/n\udc80", True),
}


@pytest.mark.parametrize("case", LOOKUPS)
def test_a_lookup_is_the_kernels(case: str) -> None:
    path, end, there = LOOKUPS[case]
    found = TREE.lookup(path)
    assert (found.path, found.node is not None, found.loop) == (end, there, False)


@pytest.mark.parametrize("path", ["/self", "/a", "/b/x", "/a/../b"])
def test_a_loop_ends_and_says_so(path: str) -> None:
    found = TREE.lookup(path)
    assert found.node is None
    assert found.loop
    assert len(found.links) == MAX_LINKS + 1


def test_forty_links_are_crossed_and_no_more() -> None:
    links = {f"/l{number}": f"l{number + 1}" for number in range(60)}
    root = tree(("/l60",), links)
    assert root.lookup("/l20").path == "/l60"
    assert root.lookup("/l19").loop


def test_links_that_multiply_their_own_path_end() -> None:
    root = tree((), {"/x": "x/" * 2000})
    assert root.lookup("/x").loop


def test_a_relative_path_starts_at_its_base() -> None:
    assert TREE.lookup("../bin/sh", base="/usr/lib").path == "/usr/bin/sh"
    assert TREE.lookup("sh", base="/bin").path == "/usr/bin/sh"


def test_the_links_crossed_come_in_order() -> None:
    assert [one.path for one in TREE.lookup("/usr/lib/a/back/../../abs/a").links] == [
        "/usr/lib/a/back",
        "/abs",
    ]
    assert [one.path for one in TREE.lookup("/slash/bin/sh").links] == ["/slash", "/bin"]


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
TARGETS = st.tuples(
    st.booleans(), st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5)
).map(lambda parts: ("/" if parts[0] else "") + "/".join(parts[1]))


@given(st.dictionaries(PATHS, TARGETS, max_size=8), st.sets(PATHS, max_size=4), TARGETS)
def test_a_lookup_in_any_graph_of_links_ends_inside(
    links: dict[str, str], files: set[str], path: str
) -> None:
    root = tree(tuple(files - set(links)), links)
    found = root.lookup(path)
    assert len(found.links) <= MAX_LINKS + 1
    if found.node is not None:
        assert root.get(found.path) is found.node
        assert found.node.kind is not Kind.SYMLINK
        assert root.lookup(found.path) == type(found)(
            path=found.path, node=found.node
        )  # canonical: no link left


GLOBS = {
    "a star stays inside a name": ("/usr/*/sh", "/usr/bin/sh", "/usr/bin/x/sh"),
    "a star may be nothing": ("/usr/b*in", "/usr/bin", "/usr/n"),
    "two stars cross folders": ("/usr/**", "/usr/a/b/c", "/usr"),
    "two stars may be no folder": ("/usr/**/sh", "/usr/sh", "/usr/bin/ash"),
    "two stars inside": ("/a/**/b/*.so", "/a/x/y/b/l.so", "/a/x/b/c/l.so"),
    "a question mark is one letter": ("/lib?", "/lib6", "/lib/"),
    "a set": ("/lib[36]", "/lib3", "/lib4"),
    "a range": ("/lib[0-4]", "/lib3", "/lib5"),
    "not a set": ("/lib[!0-4]", "/lib5", "/lib3"),
    "a set that is not never matches a slash": ("/a[!x]b", "/a-b", "/a/b"),
    "a range over the slash does not match it": ("/a[.-0]b", "/a.b", "/a/b"),
    "a range backwards is empty": ("/a[z-ab]", "/ab", "/az"),
    "a set with a hyphen at its end": ("/a[b-]", "/a-", "/a]"),
    "a set with a backslash": ("/a[\\]", "/a\\", "/a["),
    "a set with a hat": ("/a[^b]", "/a^", "/ac"),
    "a bracket that is not closed is itself": ("/a[b", "/a[b", "/ab"),
    "marks of other languages are themselves": ("/a.(b)+$", "/a.(b)+$", "/axb"),
    "a name with a newline": ("/a*", "/a\nb", "/b"),
    "a name that is not UTF-8": ("/a?", "/a\udcff", "/a"),
    "two ampersands": ("/a[&&]", "/a&", "/ab"),
}


@pytest.mark.parametrize("case", GLOBS)
def test_a_glob(case: str) -> None:
    pattern, yes, no = GLOBS[case]
    assert glob_pattern(pattern).fullmatch(yes)
    assert not glob_pattern(pattern).fullmatch(no)


def test_a_range_backwards_alone_matches_nothing_and_its_opposite_any_letter() -> None:
    assert not glob_pattern("/[z-a]").fullmatch("/b")
    assert glob_pattern("/[!z-a]").fullmatch("/b")
    assert not glob_pattern("/[!z-a]").fullmatch("//")


@given(st.text("ab*?[]!-^&|~\\.", max_size=10), st.text("ab-.&^", max_size=6))
def test_inside_one_name_a_glob_is_fnmatch(pattern: str, name: str) -> None:
    found = glob_pattern(pattern).fullmatch(name) is not None
    if not any(odd in pattern for odd in ("[]", "[!]", "[!")) and "**" not in pattern:
        assert found == fnmatch.fnmatchcase(name, pattern)


def paths(nodes: tuple[Node, ...]) -> list[str]:
    return [node.path for node in nodes]


def test_globs_over_a_tree() -> None:
    assert paths(TREE.glob("/usr/bin/*")) == ["/usr/bin/sh"]
    assert paths(TREE.glob("/bin/s?")) == ["/usr/bin/sh"]  # through the link, with the names as they are
    assert paths(TREE.glob("/usr/bin/sh")) == ["/usr/bin/sh"]
    assert paths(TREE.glob("/bin")) == ["/bin"]  # the link itself
    assert TREE.glob("/gone/*") == ()
    assert TREE.glob("/self/*") == ()
    assert len(TREE.glob("/**")) == len(TREE) - 1


def test_a_folder_nested_deeper_than_python_nests_calls() -> None:
    deep = "/d" * 3000
    root = tree((f"{deep}/f",))
    assert sum(1 for _ in root.below("/")) == 3001
    assert root.glob("/**/f")[0].path == f"{deep}/f"
    assert root.lookup(f"{deep}/f").node is not None


def test_below_goes_depth_first_in_sorted_order() -> None:
    root = tree(("/b/y", "/b/x/z", "/a", "/b-"))
    assert [node.path for node in root.below("/")] == ["/a", "/b", "/b/x", "/b/x/z", "/b/y", "/b-"]
    assert root.children("/b") == ("x", "y")


def test_folders_that_nobody_brings_are_made() -> None:
    root = tree(("/a/b/c",))
    assert [node.path for node in sorted(root, key=lambda node: node.path)] == ["/", "/a", "/a/b", "/a/b/c"]


CLAIMS: dict[str, tuple[Node, Node, bool]] = {
    "two folders": (
        Node(path="/x", kind=Kind.DIRECTORY, mode=0o755, package="a"),
        Node(path="/x", kind=Kind.DIRECTORY, mode=0o700, package="b"),
        True,
    ),
    "the same bytes": (file("/x", "a", "12"), file("/x", "b", "12"), True),
    "other bytes": (file("/x", "a", "12"), file("/x", "b", "13"), False),
    "bytes that nobody knows": (file("/x", "a"), file("/x", "b"), False),
    "the same link": (link("/x", "y", "a"), link("/x", "y", "b"), True),
    "another link": (link("/x", "y", "a"), link("/x", "z", "b"), False),
    "a file and a link": (file("/x", "a", "12"), link("/x", "y", "b"), False),
    "a file and a folder": (
        file("/x", "a", "12"),
        Node(path="/x", kind=Kind.DIRECTORY, mode=0o755, package="b"),
        False,
    ),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_two_packages_with_one_path(case: str) -> None:
    one, other, fits = CLAIMS[case]
    if fits:
        assert Sysroot([one, other]).get("/x") == one
        return
    with pytest.raises(ResolutionError, match=r"/x comes from a .* and from b .*, and they differ"):
        Sysroot([one, other])


def test_an_overlay_replaces_and_leaves_the_tree_below_as_it_was() -> None:
    above = TREE.overlay([file("/etc/passwd", "new"), file("/new/file")])
    node = above.get("/etc/passwd")
    assert node is not None
    assert node.package == "new"
    assert above.lookup("/new").node is not None
    assert TREE.get("/new") is None


def test_stored_bytes_are_proven(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_bytes(b"..abc..")
    digest = hashlib.sha256(b"abc").hexdigest()
    assert read_content(Content(store=store, offset=2, size=3, sha256=digest)) == b"abc"
    assert read_content(Content(store=store, offset=2, size=3, sha256="")) == b"abc"
    for offset, size, expected in ((1, 3, digest), (5, 3, ""), (99, 1, "")):
        with pytest.raises(BuildError, match="is damaged"):
            read_content(Content(store=store, offset=offset, size=size, sha256=expected))
