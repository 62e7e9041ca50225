"""What a stage left: changes over a base, written down and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builder.sources.stage.delta import DeltaSysroot
from builder.sources.stage.rows import Rows, laid, read_rows, taken, write_rows
from builder.sysroot import Content, Kind, Node, Sysroot


def file(path: str, store: Path, **more: Any) -> Node:
    fields = {"mode": 0o644, "content": Content(store=store, offset=0, size=2, sha256="aa"), **more}
    return Node(path=path, kind=Kind.FILE, **fields)


def base(store: Path) -> Sysroot:
    return Sysroot(
        [
            file("/usr/bin/a", store, package="a"),
            file("/usr/bin/b", store, package="b"),
            Node(path="/bin", kind=Kind.SYMLINK, mode=0o777, target="usr/bin"),
            Node(path="/etc/d", kind=Kind.DIRECTORY, mode=0o755, package="a"),
            file("/etc/d/x", store),
        ]
    )


def test_changes_lie_over_the_base_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    changed = [
        file("/usr/bin/b", tmp_path, mode=0o755),
        file("/usr/bin/new", tmp_path),
        Node(path="/etc/d", kind=Kind.SYMLINK, mode=0o777, target="/opt"),
    ]
    tree = DeltaSysroot(base(tmp_path), changed, ["/usr/bin/a", "/etc/d/x"])
    assert tree.children("/usr/bin") == ("b", "new")
    assert tree.children("/etc/d") == ()
    assert [node.path for node in tree] == [
        "/",
        "/bin",
        "/etc",
        "/etc/d",
        "/usr",
        "/usr/bin",
        "/usr/bin/b",
        "/usr/bin/new",
    ]
    assert len(tree) == 8
    found = tree.lookup("/bin/new")
    assert (found.path, found.node) == ("/usr/bin/new", changed[1])
    assert tree.lookup("/bin/a").node is None
    assert [node.path for node in tree.glob("/bin/*")] == ["/usr/bin/b", "/usr/bin/new"]
    over = tree.overlay([file("/usr/bin/a", tmp_path)])
    assert over.children("/usr/bin") == ("a", "b", "new")
    assert set(tree.changes) == {"/usr/bin/b", "/usr/bin/new", "/etc/d"}


def test_rows_are_read_as_they_were_written_also_in_another_folder(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store, outside = cache / "packs" / "p", tmp_path / "outside"
    store.parent.mkdir(parents=True)
    store.write_bytes(b"bytes")
    outside.write_bytes(b"bytes")
    nodes = (
        file("/a\udcff", store, hardlink="/b", xattrs=(("security.capability", b"\0\1"),), mtime=7, uid=5),
        file("/o", outside, package="p"),
        Node(path="/l", kind=Kind.SYMLINK, mode=0o777, target="x"),
        Node(path="/d", kind=Kind.DIRECTORY, mode=0o1777, gid=9),
    )
    rows = Rows(nodes=nodes, gone=("/g",), more={"k": [1]})
    write_rows(cache / "r.json", rows, cache)
    assert read_rows(cache / "r.json", cache) == rows
    moved = tmp_path / "moved"
    cache.rename(moved)
    again = read_rows(moved / "r.json", moved)
    assert again is not None
    assert again.nodes[0].content is not None
    assert again.nodes[0].content.store == moved / "packs" / "p"


def test_rows_whose_bytes_are_gone_or_short_count_as_absent(tmp_path: Path) -> None:
    store = tmp_path / "p"
    store.write_bytes(b"xx")
    path = tmp_path / "r.json"
    write_rows(path, Rows(nodes=(file("/a", store),)), tmp_path)
    assert read_rows(path, tmp_path) is not None
    store.write_bytes(b"x")
    assert read_rows(path, tmp_path) is None
    store.unlink()
    assert read_rows(path, tmp_path) is None
    path.write_bytes(path.read_bytes()[:-3])
    assert read_rows(path, tmp_path) is None
    assert read_rows(tmp_path / "nothing", tmp_path) is None


def found(path: str, kind: str = "f", **more: object) -> dict[str, Any]:
    plain = {"kind": kind, "path": path, "mode": 0o644, "uid": 0, "gid": 0, "size": 2, "sha256": "aa"}
    return {**plain, "offset": -1, "target": "", "hardlink": "", "xattrs": [], **more}


def test_what_the_walk_found_keeps_its_package_only_with_the_packages_bytes(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    node = file("/usr/bin/a", tmp_path, package="a")
    assert taken(found("/usr/bin/a"), pack, node) is None
    other_mode = taken(found("/usr/bin/a", mode=0o755), pack, node)
    assert other_mode is not None
    assert (other_mode.package, other_mode.content) == ("a", node.content)
    other_bytes = taken(found("/usr/bin/a", offset=3, sha256="bb"), pack, node)
    assert other_bytes is not None
    assert (other_bytes.package, other_bytes.content) == (
        "",
        Content(store=pack, offset=3, size=2, sha256="bb"),
    )
    folder = Node(path="/d", kind=Kind.DIRECTORY, mode=0o755, package="a")
    assert taken(found("/d", "d", mode=0o755), pack, folder) is None
    link = Node(path="/l", kind=Kind.SYMLINK, mode=0o777, target="x", package="a")
    assert taken(found("/l", "l", target="x", mode=0o777), pack, link) is None
    moved = taken(found("/l", "l", target="y", mode=0o777), pack, link)
    assert moved is not None
    assert (moved.package, moved.target) == ("", "y")
    new = taken(found("/n", offset=0), pack, None)
    assert new is not None
    assert new.package == ""


def test_nodes_as_they_are_laid(tmp_path: Path) -> None:
    (plain,) = laid([file("/a", tmp_path / "s", hardlink="/b", xattrs=(("x", b"1"),))])
    assert plain == {
        "kind": "f",
        "path": "/a",
        "mode": 0o644,
        "uid": 0,
        "gid": 0,
        "mtime": 0,
        "target": "/b",
        "content": [str(tmp_path / "s"), 0, 2, "aa"],
        "xattrs": [["x", "MQ=="]],
    }
