"""Images of a registry, pulled into a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import transport as transport_module
from builder.errors import BuildError, MachineError, ResolutionError, RootletError
from builder.oci import ImageReference, Platform
from builder.progress import Silent
from builder.registry.options import RegistryOptions
from builder.stored.pull import ImageDoor, fetch_image, find_image
from builder.stored.tree import flatten
from builder.transport import Transport
from tests.support.images import member, tar_of
from tests.support.registry import KIND, FakeRegistry, Helpers, Reply, fake_registry, put_image, put_index

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "_BACK_OFF", 0.01)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def door(folder: Path, **changes: Any) -> ImageDoor:
    plain = ImageDoor(
        folder=folder / "images",
        options=RegistryOptions(),
        transport=lambda: Transport(progress=Silent(), retries=1, timeout=0.5),
        runner=Helpers(),
        clock=lambda: NOW,
        progress=Silent(),
    )
    return replace(plain, **changes)


def reference(fake: FakeRegistry, rest: str = "app:1") -> ImageReference:
    return ImageReference.parse(f"{fake.host}/{rest}")


BASE = tar_of(member("etc/a", b"a"), member("etc/b", b"b"))
UPPER = tar_of(member("etc/.wh.a"), member("top", b"top"))


def test_image_arrives_whole_and_is_not_fetched_again(fake: FakeRegistry, tmp_path: Path) -> None:
    descriptor = put_image(fake, BASE, UPPER)
    found = find_image(reference(fake), AMD64, door(tmp_path))
    assert str(found.top) == str(found.manifest.digest) == descriptor["digest"]
    assert found.fresh_until == NOW + 3600
    image = fetch_image(found, door(tmp_path))
    assert sorted(flatten(image)) == ["/etc/b", "/top"]
    before = len(fake.requests)
    again = fetch_image(find_image(reference(fake), AMD64, door(tmp_path)), door(tmp_path))
    assert (again, len(fake.requests)) == (image, before)


def test_tag_is_asked_again_when_it_is_old_and_only_then(fake: FakeRegistry, tmp_path: Path) -> None:
    first = put_image(fake, BASE)
    find_image(reference(fake), AMD64, door(tmp_path))
    second = put_image(fake, UPPER)
    for change, expected in (
        ({}, first),
        ({"offline": True, "clock": lambda: NOW + 9999}, first),
        ({"clock": lambda: NOW + 3601}, second),
    ):
        found = find_image(reference(fake), AMD64, door(tmp_path, **change))
        assert str(found.top) == expected["digest"]
    third = put_image(fake, BASE, UPPER)
    assert str(find_image(reference(fake), AMD64, door(tmp_path, refresh=True)).top) == third["digest"]


def test_digest_is_never_asked_again(fake: FakeRegistry, tmp_path: Path) -> None:
    descriptor = put_image(fake, BASE)
    named = reference(fake, f"app@{descriptor['digest']}")
    found = find_image(named, AMD64, door(tmp_path))
    assert found.fresh_until == float("inf")
    before = len(fake.requests)
    find_image(named, AMD64, door(tmp_path, offline=True, refresh=True))
    assert len(fake.requests) == before


@pytest.mark.parametrize(
    ("platform", "chosen"),
    [
        pytest.param("linux/amd64", "amd64", id="exactly"),
        pytest.param("linux/arm64", "arm64", id="a variant that goes without saying"),
        pytest.param("linux/arm/v7", "arm", id="a variant that was asked for"),
    ],
)
def test_index_is_followed_for_the_platform(
    fake: FakeRegistry, tmp_path: Path, platform: str, chosen: str
) -> None:
    images = {one: put_image(fake, BASE, platform=one, tag="") for one in ("amd64", "arm64", "arm")}
    top = put_index(
        fake, (images["amd64"], "amd64", ""), (images["arm64"], "arm64", "v8"), (images["arm"], "arm", "v7")
    )
    found = find_image(reference(fake), Platform.parse(platform), door(tmp_path))
    assert str(found.top) == top
    assert str(found.manifest.digest) == images[chosen]["digest"]


def test_damaged_document_of_the_folder_is_fetched_again(fake: FakeRegistry, tmp_path: Path) -> None:
    descriptor = put_image(fake, BASE)
    find_image(reference(fake), AMD64, door(tmp_path))
    path = tmp_path / "images/blobs/sha256" / descriptor["digest"].partition(":")[2]
    path.write_bytes(b"damaged")
    assert str(find_image(reference(fake), AMD64, door(tmp_path)).top) == descriptor["digest"]


@pytest.mark.parametrize(
    ("document", "error", "text"),
    [
        pytest.param({"schemaVersion": 1}, ResolutionError, "Docker's first format", id="schema 1"),
        pytest.param({"manifests": []}, BuildError, "neither an image nor an index", id="both kinds"),
        pytest.param({"mediaType": "text/plain"}, ResolutionError, "no image", id="another type"),
        pytest.param({"layers": []}, BuildError, "speaks of 1 layers", id="fewer layers than DiffIDs"),
        pytest.param({"layers": 5}, BuildError, "not a list", id="layers that are a number"),
        pytest.param({"config": {}}, BuildError, "digest", id="no configuration"),
    ],
)
def test_manifest_that_is_none(
    fake: FakeRegistry, tmp_path: Path, document: dict[str, Any], error: type[RootletError], text: str
) -> None:
    put_image(fake, BASE, **document)
    with pytest.raises(error, match=text):
        find_image(reference(fake), AMD64, door(tmp_path))


def test_what_is_not_there_is_said(fake: FakeRegistry, tmp_path: Path) -> None:
    image = put_image(fake, BASE)
    with pytest.raises(ResolutionError, match="manifest unknown"):
        find_image(reference(fake, "app:2"), AMD64, door(tmp_path))
    with pytest.raises(ResolutionError, match="is for linux/amd64, not for linux/arm64"):
        find_image(reference(fake), ARM64, door(tmp_path))
    put_index(fake, (image, "amd64", ""), tag="index")
    with pytest.raises(ResolutionError, match="it has linux/amd64"):
        find_image(reference(fake, "app:index"), ARM64, door(tmp_path))
    with pytest.raises(MachineError, match="nothing may be asked for"):
        find_image(reference(fake, "app:3"), AMD64, door(tmp_path, offline=True))


def test_index_without_end(fake: FakeRegistry, tmp_path: Path) -> None:
    inner = put_image(fake, BASE, tag="")
    for _ in range(5):
        digest = put_index(fake, (inner, "amd64", ""))
        inner = {"mediaType": f"{KIND}.index.v1+json", "digest": digest, "size": 1}
    with pytest.raises(BuildError, match="indexes of indexes"):
        find_image(reference(fake), AMD64, door(tmp_path))


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(Reply(body=b"other"), "was promised", id="other bytes"),
        pytest.param(Reply(body=b"x" * 5, cut=2), "could not be fetched", id="cut short"),
        pytest.param(Reply(status=404), "does not exist|is not there", id="gone"),
    ],
)
def test_layer_that_does_not_come(fake: FakeRegistry, tmp_path: Path, reply: Reply, text: str) -> None:
    put_image(fake, BASE)
    found = find_image(reference(fake), AMD64, door(tmp_path))
    fake.faults.append(lambda method, path: reply if method == "GET" and "/blobs/" in path else None)
    with pytest.raises(RootletError, match=text):
        fetch_image(found, door(tmp_path))
    layer = found.document.layers[0].digest.encoded
    assert not (tmp_path / "images/blobs/sha256" / layer).exists()


def test_layer_is_continued_where_the_connection_broke(fake: FakeRegistry, tmp_path: Path) -> None:
    put_image(fake, tar_of(member("big", bytes(range(256)) * 400)))
    found = find_image(reference(fake), AMD64, door(tmp_path))
    blob = fake.blobs["app", str(found.document.layers[0].digest)]
    cuts = [Reply(body=blob, cut=100)]
    fake.faults.append(
        lambda method, path: cuts.pop() if cuts and method == "GET" and "/blobs/" in path else None
    )
    assert sorted(flatten(fetch_image(found, door(tmp_path)))) == ["/big"]
    assert fake.requests[-1][2]["Range"] == "bytes=100-"
