"""Layers unpacked once, and what becomes of damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.stored.layers import LayerStore
from builder.stored.read import Limits, StoredImage, open_image
from builder.sysroot import read_content
from tests.support.images import foreign_layout, member, tar_of

TAR = tar_of(
    member("a", b"alpha", mode=0o4755, uid=7, gid=8, mtime=99),
    member("b", pax_headers={"SCHILY.xattr.user.x": "y"}),
)


@pytest.fixture
def image(tmp_path: Path) -> StoredImage:
    return open_image(foreign_layout(tmp_path / "layout", [TAR]))


def test_entries_are_the_same_from_the_store(tmp_path: Path, image: StoredImage) -> None:
    store = LayerStore(tmp_path / "layers")
    made = store.unpack(image, 0)
    kept = store.open(image.layers[0].diff_id, 0)
    assert kept == made
    first, second = made.entries
    assert (first.file.mode, first.file.uid, first.file.gid, first.file.mtime) == (0o4755, 7, 8, 99)
    assert first.content is not None
    assert read_content(first.content) == b"alpha"
    assert second.file.xattrs == (("user.x", b"y"),)
    assert made.tar.read_bytes() == TAR


@pytest.mark.parametrize("part", ["tar", "json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_store_counts_as_absent(tmp_path: Path, image: StoredImage, part: str, damage: str) -> None:
    store = LayerStore(tmp_path / "layers")
    made = store.unpack(image, 0)
    path = made.tar.with_suffix(f".{part}")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    assert store.open(made.diff_id, 0) is None
    assert store.unpack(image, 0) == made


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        pytest.param(lambda raw: raw[:-9], "has .* bytes, not", id="cut short"),
        pytest.param(lambda raw: raw[:20] + b"\0" * 5 + raw[25:], "damaged", id="other bytes"),
    ],
)
def test_damaged_layer_leaves_nothing(tmp_path: Path, image: StoredImage, spoil: object, text: str) -> None:
    blob = image.layers[0].section.path
    assert callable(spoil)
    blob.write_bytes(spoil(blob.read_bytes()))
    store = LayerStore(tmp_path / "layers")
    with pytest.raises(BuildError, match=text):
        store.unpack(open_image(tmp_path / "layout"), 0)
    assert list((tmp_path / "layers").iterdir()) == []


def test_bomb_is_stopped(tmp_path: Path) -> None:
    foreign_layout(tmp_path / "layout", [tar_of(member("zeros", bytes(1 << 20)))])
    image = open_image(tmp_path / "layout", limits=Limits(layer_bytes=1 << 16, entries=10))
    with pytest.raises(BuildError, match="unpacks to more than"):
        LayerStore(tmp_path / "layers").unpack(image, 0)
    foreign_layout(tmp_path / "many", [tar_of(*(member(f"f{number}") for number in range(20)))])
    image = open_image(tmp_path / "many", limits=Limits(entries=10))
    with pytest.raises(BuildError, match="has more than 10 entries"):
        LayerStore(tmp_path / "layers").unpack(image, 0)
