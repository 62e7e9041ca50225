"""A container image as a source: its tree, its packages, and what becomes of them in an image."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.oci import ImageAddress, Platform
from builder.progress import Silent
from builder.recipe.model import Install
from builder.recipe.source_model import ImageSource
from builder.registry.options import RegistryOptions
from builder.sources.debian.archive import Effects, Freshness
from builder.sources.image import door_of, layer_store
from builder.sources.local import local_files
from builder.sources.supply import SourceTree, Supply, source_inputs, supply
from builder.stored.open import engine_reference, open_address, whole_image
from builder.stored.read import open_image
from builder.stored.tree import flatten
from builder.sysroot import Sysroot, read_content
from builder.transport import Transport
from tests.support.images import foreign_layout, member, pack, tar_of
from tests.support.registry import PASSWORD, USER, Helpers, fake_registry, put_image

STATUS = """Package: tool
Status: install ok installed
Priority: optional
Maintainer: Nobody <nobody@example.org>
Architecture: amd64
Source: tools (2.0)
Version: 2.0-1
Conffiles:
 /etc/tool.conf 00000000000000000000000000000000
Description: a tool
 in two lines

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""

LOWER = tar_of(
    member("usr/bin/tool", b"old", mode=0o755),
    member("usr/share/left", b"left", uid=7, gid=8),
    member("var/lib/dpkg/status", STATUS.encode()),
    member("var/lib/dpkg/info/tool.list", b"/.\n/usr\n/usr/bin/tool\n/usr/bin/second\n"),
    member("var/lib/dpkg/info/tool.md5sums", b"0123456789abcdef0123456789abcdef  usr/bin/tool\n"),
)
UPPER = tar_of(
    member("usr/bin/tool", b"new tool", mode=0o4755, mtime=1_700_000_000),
    member("usr/bin/second", type=tarfile.LNKTYPE, linkname="usr/bin/tool"),
    member("usr/share/.wh.left"),
)


def supplies(cache: Path, *, offline: bool = False, auth: Path | None = None) -> Supply:
    return Supply(
        platform=Platform("linux", "amd64"),
        mirrors=None,
        cache=cache,
        freshness=Freshness(max_age=60, offline=offline),
        effects=Effects(
            transport=lambda: Transport(progress=Silent(), retries=0, timeout=1.0),
            runner=Helpers(),
            clock=lambda: 1000.0,
            progress=Silent(),
        ),
        registries=RegistryOptions(auth_files=(auth,) if auth else ()),
    )


def tree_of(address: str, folder: Path, wanted: Supply) -> SourceTree:
    source = ImageSource(name="tools", ref=ImageAddress.parse(address, folder))
    return supply((source,), wanted)["tools"]


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return foreign_layout(tmp_path / "layout", [LOWER, UPPER])


def test_tree_is_what_a_container_sees_with_its_packages(layout: Path, tmp_path: Path) -> None:
    for _ in range(2):  # the second time from the index that the first one left
        found = tree_of("oci:layout", layout.parent, supplies(tmp_path / "cache"))
        tool, second = found.tree.get("/usr/bin/tool"), found.tree.get("/usr/bin/second")
        assert tool is not None
        assert second is not None
        assert (tool.mode, tool.package, second.package) == (0o4755, "tool", "tool")
        assert tool.content is not None
        assert read_content(tool.content) == b"new tool"
        assert second.content == tool.content
        assert found.tree.get("/usr/share/left") is None
        package = found.tree.packages["tool"]
        assert list(found.tree.packages) == ["tool"]
        assert (package.version, package.source_name, package.source_version) == ("2.0-1", "tools", "2.0")
        assert package.control.startswith("Package: tool\nPriority: optional\n")
        assert package.control.endswith("Description: a tool\n in two lines\n")
        assert package.md5sums == {"/usr/bin/tool": "0123456789abcdef0123456789abcdef"}
        assert package.newest == 1_700_000_000


def test_layer_is_unpacked_once_and_the_next_build_reads_an_index(layout: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = tree_of("oci:layout", layout.parent, supplies(cache))
    times = {path: path.stat().st_ino for path in (cache / "layers").iterdir()}
    for blob in (layout / "blobs/sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.write_bytes(b"\x1f\x8b" + bytes(blob.stat().st_size - 2))  # nobody reads it again
    again = tree_of("oci:layout", layout.parent, supplies(cache))
    assert again.key == first.key
    assert sorted(node.path for node in again.tree) == sorted(node.path for node in first.tree)
    assert {path: path.stat().st_ino for path in (cache / "layers").iterdir()} == times


@pytest.mark.parametrize("kind", ["oci:layout@{digest}", "oci-archive:image.tar"])
def test_other_places_give_the_same_tree(layout: Path, tmp_path: Path, kind: str) -> None:
    pack(layout, tmp_path / "image.tar")
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    wanted = supplies(tmp_path / "cache")
    found = tree_of(kind.format(digest=digest), tmp_path, wanted)
    assert found.key == tree_of("oci:layout", tmp_path, wanted).key


def test_files_are_taken_with_their_owner(layout: Path, tmp_path: Path) -> None:
    trees = {"tools": tree_of("oci:layout", layout.parent, supplies(tmp_path / "cache"))}
    install = Install(source="tools", path="/usr/bin/tool", to="/bin/tool")
    ((node, origin),) = local_files((install,), (), Sysroot(()), trees).installed
    assert (node.path, node.package, origin) == ("/bin/tool", "tool", "tools:/usr/bin/tool")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with fake_registry(auth="bearer") as fake:
        put_image(fake, LOWER, UPPER)
        auths = {"auths": {fake.host: {"username": USER, "password": PASSWORD}}}
        (tmp_path / "auth.json").write_text(json.dumps(auths))
        yield f"{fake.host}/app:1"


def test_image_of_a_locked_registry_and_then_without_the_network(registry: str, tmp_path: Path) -> None:
    online = supplies(tmp_path / "cache", auth=tmp_path / "auth.json")
    found = tree_of(registry, tmp_path, online)
    assert found.fresh_until == 1060.0
    assert found.tree.get("/usr/bin/tool") is not None
    again = tree_of(registry, tmp_path, supplies(tmp_path / "cache", offline=True))
    assert again.key == found.key


def test_damaged_blob_of_the_cache_is_fetched_again(registry: str, tmp_path: Path) -> None:
    online = supplies(tmp_path / "cache", auth=tmp_path / "auth.json")
    tree_of(registry, tmp_path, online)
    for path in (tmp_path / "cache/layers").iterdir():
        path.unlink()
    for path in (tmp_path / "cache/images/blobs/sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(bytes(path.stat().st_size))
    assert tree_of(registry, tmp_path, online).tree.get("/usr/bin/tool") is not None


def test_image_of_a_registry_becomes_a_layout_for_engines(registry: str, tmp_path: Path) -> None:
    wanted = supplies(tmp_path / "cache", auth=tmp_path / "auth.json")
    door, layers = door_of(wanted), layer_store(wanted.cache)
    opened = open_address(ImageAddress.parse(registry, tmp_path), wanted.platform, door, layers)
    assert engine_reference(opened, door, tmp_path / "copy") == f"oci:{tmp_path}/copy:image"
    assert sorted(flatten(open_image(tmp_path / "copy", name="image"))) == sorted(
        flatten(whole_image(opened, door))
    )


@pytest.mark.parametrize(
    ("address", "text"),
    [
        pytest.param("oci:nowhere", "nowhere does not exist", id="no such folder"),
        pytest.param("storage:app", "neither skopeo nor buildah", id="no tool for the storage"),
    ],
)
def test_image_that_is_not_there(tmp_path: Path, address: str, text: str) -> None:
    with pytest.raises(Exception, match=text):
        tree_of(address, tmp_path, supplies(tmp_path / "cache"))


def test_image_of_another_platform(layout: Path, tmp_path: Path) -> None:
    wanted = replace(supplies(tmp_path / "cache"), platform=Platform("linux", "arm64"))
    with pytest.raises(ResolutionError, match="is for linux/amd64, not for linux/arm64"):
        tree_of("oci:layout", layout.parent, wanted)


def test_layout_is_an_input_of_the_recipe(tmp_path: Path) -> None:
    source = ImageSource(name="tools", ref=ImageAddress.parse("oci:dist/app:1", tmp_path))
    assert tmp_path / "dist/app/index.json" in source_inputs((source,))
    remote = ImageSource(name="tools", ref=ImageAddress.parse("registry.test/app:1", tmp_path))
    assert source_inputs((remote,)) == ()
