from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.errors import BuildError
from builder.stored.layers import LayerStore, final_tree
from builder.stored.read import StoredImage, layer_members, open_image
from builder.stored.tree import flatten, tree
from builder.sysroot import Kind, read_content
from tests.support.images import foreign_layout, member, tar_of


def seen(tmp_path: Path, *tars: bytes) -> dict[str, str]:
    image = open_image(foreign_layout(tmp_path, tars))
    found: dict[str, str] = {}
    for file in tree(image):
        assert file.path not in found
        found[file.path] = file.target or b"".join(file.chunks()).decode()
    assert unpacked(tmp_path / "layers", image) == found
    assert unpacked(tmp_path / "layers", image) == found, "and from the store"
    return found


def unpacked(folder: Path, image: StoredImage) -> dict[str, str]:
    store = LayerStore(folder)
    layers = [store.unpack(image, number) for number in range(len(image.layers))]
    return {
        path: one.file.target or (read_content(one.content).decode() if one.content else "")
        for path, one in final_tree(layers, where="it").items()
    }


def directory(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


BASE = tar_of(directory("etc"), member("etc/a", b"old a"), member("etc/b", b"old b"), member("top", b"old"))

CASES = [
    pytest.param(
        (BASE,), {"/etc": "", "/etc/a": "old a", "/etc/b": "old b", "/top": "old"}, id="one layer is itself"
    ),
    pytest.param(
        (BASE, tar_of(member("etc/a", b"new a"))),
        {"/etc": "", "/etc/a": "new a", "/etc/b": "old b", "/top": "old"},
        id="an upper file replaces a lower one",
    ),
    pytest.param(
        (BASE, tar_of(member("etc/.wh.a"))),
        {"/etc": "", "/etc/b": "old b", "/top": "old"},
        id="a whiteout takes a file away",
    ),
    pytest.param(
        (BASE, tar_of(member(".wh.etc"))), {"/top": "old"}, id="a whiteout takes a whole folder away"
    ),
    pytest.param(
        (BASE, tar_of(directory("etc"), member("etc/.wh..wh..opq"), member("etc/c", b"new"))),
        {"/etc": "", "/etc/c": "new", "/top": "old"},
        id="an opaque folder hides what was in it and keeps what comes with it",
    ),
    pytest.param(
        (BASE, tar_of(member(".wh..wh..opq"), member("x", b"1"))), {"/x": "1"}, id="an opaque root hides all"
    ),
    pytest.param(
        (BASE, tar_of(member("etc/.wh.a")), tar_of(member("etc/a", b"third"))),
        {"/etc": "", "/etc/a": "third", "/etc/b": "old b", "/top": "old"},
        id="a file may come back above its whiteout",
    ),
    pytest.param(
        (BASE, tar_of(link("etc", "elsewhere"))),
        {"/etc": "elsewhere", "/top": "old"},
        id="a link over a folder hides what was in it",
    ),
    pytest.param(
        (BASE, tar_of(directory("top"), member("top/x", b"1"))),
        {"/etc": "", "/etc/a": "old a", "/etc/b": "old b", "/top": "", "/top/x": "1"},
        id="a folder over a file replaces it",
    ),
    pytest.param(
        (tar_of(member("a", b"data"), hard("b", "a"), hard("c", "b")),),
        {"/a": "data", "/b": "data", "/c": "data"},
        id="hard links have the bytes of their file, all of them",
    ),
    pytest.param(
        (tar_of(member("a", b"data"), hard("b", "a")), tar_of(member(".wh.a"))),
        {"/b": "data"},
        id="a hard link outlives the name it was made from",
    ),
    pytest.param(
        (tar_of(member("a", b"low")), tar_of(hard("b", "./a"))),
        {"/a": "low", "/b": "low"},
        id="a hard link may reach into the layer below",
    ),
    pytest.param(
        (tar_of(member("a", b"low")), tar_of(member("a", b"up"), hard("b", "a"))),
        {"/a": "up", "/b": "up"},
        id="the nearest file is linked",
    ),
    pytest.param(
        (tar_of(link("s", "x"), hard("t", "s")),), {"/s": "x", "/t": "x"}, id="a hard link to a link is one"
    ),
    pytest.param(
        (BASE, tar_of(member("etc", type=tarfile.FIFOTYPE))),
        {"/top": "old"},
        id="a pipe over a folder hides it",
    ),
]


@pytest.mark.parametrize(("tars", "expected"), CASES)
def test_layers_lie_over_each_other(
    tmp_path: Path, tars: tuple[bytes, ...], expected: dict[str, str]
) -> None:
    assert seen(tmp_path, *tars) == expected


@pytest.mark.parametrize(
    ("tar", "message"),
    [
        pytest.param(tar_of(member("a", b"1"), member("./a", b"2")), "holds '/a' twice", id="a path twice"),
        pytest.param(tar_of(directory("a"), member("a", b"2")), "holds '/a' twice", id="a folder and a file"),
        pytest.param(tar_of(hard("a", "b")), "links '/a' to '/b'", id="a link to nothing"),
        pytest.param(tar_of(hard("a", "a")), "links '/a' to '/a'", id="a link to itself"),
        pytest.param(tar_of(hard("a", "b"), hard("b", "a")), "links '/a' to '/b'", id="links in a circle"),
        pytest.param(tar_of(directory("d"), hard("a", "d")), "links '/a' to '/d'", id="a link to a folder"),
    ],
)
def test_what_engines_read_in_different_ways_is_an_error(tmp_path: Path, tar: bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        seen(tmp_path, tar)


def test_a_folder_twice_is_harmless(tmp_path: Path) -> None:
    image = open_image(foreign_layout(tmp_path, [tar_of(directory("a"), directory("a/"))]))
    assert list(flatten(image)) == ["/a"]


def test_every_name_of_a_file_can_be_read_from_its_start(tmp_path: Path) -> None:
    image = open_image(
        foreign_layout(tmp_path, [tar_of(member("a", b"data"), hard("b", "a"), hard("c", "a"))])
    )
    found = [(file.path, file.size, b"".join(file.chunks())) for file in tree(image)]
    assert found == [(f"/{name}", 4, b"data") for name in "abc"]
    assert [(file.path, file.read(2), file.hardlink) for file in tree(image)] == [
        ("/a", b"da", ""),
        ("/b", b"da", "/a"),
        ("/c", b"da", "/a"),
    ]


def test_the_flat_tree_is_sorted_and_knows_layers(tmp_path: Path) -> None:
    image = open_image(foreign_layout(tmp_path, [BASE, tar_of(member("etc/a", b"new a"))]))
    found = flatten(image)
    assert [(path, file.layer, file.kind) for path, file in found.items()] == [
        ("/etc", 0, Kind.DIRECTORY),
        ("/etc/a", 1, Kind.FILE),
        ("/etc/b", 0, Kind.FILE),
        ("/top", 0, Kind.FILE),
    ]


def test_a_very_deep_path_does_not_break_the_look_up(tmp_path: Path) -> None:
    deep = "a/" * 2000 + "f"
    assert seen(tmp_path, tar_of(member(deep, b"1")), tar_of(member("other", b"2"))) == {
        f"/{deep}": "1",
        "/other": "2",
    }


def test_a_damaged_layer_is_noticed_when_only_lower_files_were_wanted(tmp_path: Path) -> None:
    foreign_layout(tmp_path, [BASE, tar_of(member("x", b"1"))])
    for path in (tmp_path / "blobs/sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(BuildError, match="is damaged"):
        list(tree(open_image(tmp_path)))


def test_behind_the_last_file_of_a_hard_link_nothing_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [member(f"z{number}", b"z") for number in range(50)]
    image = open_image(foreign_layout(tmp_path, [tar_of(member("a", b"1"), hard("b", "a"), *many)]))
    taken: list[str] = []

    def counted(*arguments: Any) -> Iterator[Any]:
        for found in layer_members(*arguments):
            taken.append(found[0])
            yield found

    monkeypatch.setattr("builder.stored.tree.layer_members", counted)
    assert {file.path: b"".join(file.chunks()) for file in tree(image)}["/b"] == b"1"
    assert len(taken) == 52 + 1
