"""Trees packed into one file each, and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import BuildError, MachineError
from builder.sources.packed import Packed, PackedTrees, Packer
from builder.sources.underlay import underlaid
from builder.sysroot import Kind, Node, Package, Sysroot, read_content

PACKAGE = Package(
    name="zlib",
    version="1:1.3",
    architecture="amd64",
    source_name="zlib-src",
    source_version="1.3",
    control="Package: zlib\n",
    md5sums={"/lib/libz.so.1": "0" * 32},
    conffiles=("/etc/z",),
    nodes=(),
    scripts={"postinst": "true"},
    newest=7,
)


def file(path: str, *, hardlink: str = "", package: str = "", mtime: int = 5) -> Node:
    return Node(path=path, kind=Kind.FILE, mode=0o640, mtime=mtime, hardlink=hardlink, package=package)


def folder(path: str, mode: int = 0o755) -> Node:
    return Node(path=path, kind=Kind.DIRECTORY, mode=mode)


def link(path: str, target: str) -> Node:
    return Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=target)


def pack(cache: Path, fill: Callable[[Packer], object]) -> PackedTrees:
    trees = PackedTrees(cache)
    with trees.pack("k") as packer:
        fill(packer)
    return trees


def packed(cache: Path, *nodes: Node | tuple[Node, Iterable[bytes]]) -> Packed:
    def fill(packer: Packer) -> None:
        for one in nodes:
            if isinstance(one, Node):
                packer.add(one)
            else:
                packer.add(*one)

    found = pack(cache, fill).open("k")
    assert found is not None
    return found


def content(tree: Sysroot, path: str) -> bytes:
    node = tree.lookup(path).node
    assert node is not None
    assert node.content is not None
    return read_content(node.content)


def test_a_tree_comes_back_as_it_was_packed(tmp_path: Path) -> None:
    owned = replace(
        file("/lib/libz.so.1", package="zlib"),
        uid=3,
        gid=4,
        user="u",
        group="g",
        xattrs=(("user.a", b"\0\xff"),),
    )

    def fill(packer: Packer) -> None:
        packer.about["source"] = ["x", 1]
        packer.own(PACKAGE)
        packer.add(owned, (b"on", b"e"))
        packer.add(folder("/opt", 0o1777))
        packer.add(link("/opt/l", "/../lib"))
        packer.add(file("/opt/\udcff name", mtime=9), (b"two",))
        packer.add(file("/a", hardlink="/lib/libz.so.1"))

    found = pack(tmp_path, fill).open("k")
    assert found is not None
    assert found.about == {"source": ["x", 1]}
    assert found.newest == 9
    assert found.tree.packages == {"zlib": PACKAGE}
    first = found.tree.get("/lib/libz.so.1")
    assert first is not None
    assert replace(first, content=None) == owned
    assert [node.path for node in found.tree] == [
        "/", "/a", "/lib", "/lib/libz.so.1", "/opt", "/opt/l", "/opt/\udcff name",
    ]  # fmt: skip
    assert content(found.tree, "/opt/l/libz.so.1") == b"one"
    assert content(found.tree, "/opt/\udcff name") == b"two"
    second = found.tree.get("/a")
    assert second is not None
    assert second.content == first.content
    assert second.hardlink == first.path


def test_a_packed_tree_can_be_walked_searched_and_laid_over_and_under(tmp_path: Path) -> None:
    tree = packed(tmp_path, (file("/usr/lib/x.so"), (b"x",)), link("/usr/lib/y.so", "x.so")).tree
    assert len(tree) == 5
    assert tree.children("/usr/lib") == ("x.so", "y.so")
    assert [node.path for node in tree.below("/usr")] == ["/usr/lib", "/usr/lib/x.so", "/usr/lib/y.so"]
    assert [node.path for node in tree.glob("/usr/**/*.so")] == ["/usr/lib/x.so", "/usr/lib/y.so"]
    assert tree.get("/usr/lib/z") is None
    assert tree.lookup("/usr/lib/../lib/./y.so").path == "/usr/lib/x.so"
    assert tree.overlay((folder("/new"),)).get("/new") is not None
    below = underlaid(Sysroot((folder("/usr/lib", 0o700),)), (tree,))
    assert content(below, "/usr/lib/y.so") == b"x"
    assert below.children("/usr/lib") == ("x.so", "y.so")


def test_paths_come_in_any_order_and_the_last_of_two_folders_counts(tmp_path: Path) -> None:
    tree = packed(tmp_path, (file("/a/b/c"), (b"",)), folder("/a/b", 0o700), folder("/a/b", 0o711)).tree
    found = tree.get("/a/b")
    assert found is not None
    assert found.mode == 0o711


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ((file("/a"), file("/a")), "the tree has /a twice: file and file"),
        ((link("/a", "/etc"), folder("/a")), "has /a twice: symlink and directory"),
        ((link("/a", "/etc"), file("/a/b/c")), "has /a/b/c below /a, which is a symlink"),
        ((file("/a/b"), file("/a")), "has /a/b below /a, which is a file"),
    ],
)
def test_a_tree_that_contradicts_itself_is_refused_and_leaves_nothing(
    tmp_path: Path, nodes: tuple[Node, ...], words: str
) -> None:
    with pytest.raises(BuildError, match=words):
        packed(tmp_path, *nodes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:20],
        lambda _: b"",
        lambda raw: raw[:3],
        lambda raw: raw.replace(b'"about"', b'"abouT"'),
        lambda raw: raw[:-16] + b"rootlet-packed-0",
        lambda raw: raw[:-56] + b"\xff" * 8 + raw[-48:],
    ],
)
def test_a_damaged_tree_is_not_there(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    trees = pack(tmp_path, lambda packer: packer.add(file("/a"), (b"payload",)))
    path = trees.path("k")
    path.write_bytes(damage(path.read_bytes()))
    assert trees.open("k") is None


def test_damaged_bytes_are_seen_when_they_are_read(tmp_path: Path) -> None:
    trees = pack(tmp_path, lambda packer: packer.add(file("/a"), (b"payload",)))
    raw = trees.path("k").read_bytes()
    trees.path("k").write_bytes(b"P" + raw[1:])
    found = trees.open("k")
    assert found is not None
    with pytest.raises(BuildError, match="damaged"):
        content(found.tree, "/a")


def test_what_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    def stop(packer: Packer) -> None:
        packer.add(file("/a"), (b"payload",))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="could not be written"):
        pack(tmp_path / "file" / "trees", lambda packer: packer.add(folder("/a")))
