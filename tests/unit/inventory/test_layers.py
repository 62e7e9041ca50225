"""Whole images: layers with whiteouts, large files and hard links, read as a container sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.inventory.collect import take_inventory
from builder.inventory.model import Inventory
from builder.stored.read import open_image
from builder.stored.tree import tree
from tests.support.archives import pom_properties, zipped
from tests.support.images import foreign_layout, member, tar_of
from tests.support.programs import go_program, modules

Files = dict[str, bytes]
HELLO = go_program(modules("mod|example.com/hello|v1.4.0|h", "dep|golang.org/x/text|v0.3.7|h"))


def npm(name: str, version: str) -> Files:
    text = json.dumps({"name": name, "version": version})
    return {f"app/node_modules/{name}/package.json": text.encode()}


def scanned(folder: Path, *layers: Files) -> Inventory:
    tars = [tar_of(*(member(path, payload) for path, payload in layer.items())) for layer in layers]
    return take_inventory(tree(open_image(foreign_layout(folder / "image", tars))))


def listed(found: Inventory) -> list[tuple[str, str, int | None]]:
    return [(one.name, one.version, one.layer) for one in found.components]


def test_each_package_knows_its_layer(tmp_path: Path) -> None:
    found = scanned(tmp_path, {"srv/hello": HELLO}, npm("ms", "2.0.0"))
    assert listed(found) == [
        ("ms", "2.0.0", 1),
        ("example.com/hello", "1.4.0", 0),
        ("golang.org/x/text", "0.3.7", 0),
        ("stdlib", "1.22.1", 0),
    ]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        pytest.param({"app/node_modules/.wh.ms": b""}, [("b", "1.0.0", 0)], id="a folder that is taken away"),
        pytest.param({"app/node_modules/.wh..wh..opq": b""}, [], id="a folder that is emptied"),
        pytest.param(
            npm("ms", "3.0.0"), [("b", "1.0.0", 0), ("ms", "3.0.0", 1)], id="a file that is replaced"
        ),
    ],
)
def test_what_a_layer_hides_is_not_installed(
    tmp_path: Path, upper: Files, expected: list[tuple[str, str, int]]
) -> None:
    found = scanned(tmp_path, {**npm("ms", "2.0.0"), **npm("b", "1.0.0")}, upper)
    assert listed(found) == expected


def test_a_large_file_waits_on_the_disk_and_is_read_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.stored.read.IN_MEMORY", 512)
    jar = zipped(pom_properties("g", "a", "1.0"))
    found = scanned(tmp_path, {"srv/hello": HELLO, "srv/a.jar": jar, "srv/b": b"\x7fELF" + bytes(1000)})
    assert [name for name, _, _ in listed(found)] == [
        "example.com/hello",
        "golang.org/x/text",
        "stdlib",
        "g:a",
    ]
    assert found.unowned_elf == ("/srv/b",)


def test_a_disk_without_room_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("builder.stored.read.IN_MEMORY", 512)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    found = scanned(tmp_path, {"srv/hello": HELLO})
    assert found.notes == ("/srv/hello could not be read: No space left on device",)


def test_hard_links_have_the_bytes_of_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.stored.read.IN_MEMORY", 512)
    lower = tar_of(member("srv/a", HELLO))
    upper = tar_of(*(member(f"srv/{name}", type=b"1", linkname="srv/a") for name in ("b", "c")))
    found = take_inventory(tree(open_image(foreign_layout(tmp_path / "image", [lower, upper]))))
    assert found.components[0].evidence == ("/srv/a", "/srv/b", "/srv/c")
    assert found.unowned_elf == ()
