from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from builder import files
from builder.errors import BuildError, MachineError
from builder.image import layout
from builder.image.layout import layout_names, publish_layout
from builder.image.validate import validate
from builder.image.write import Image, write_index
from builder.oci import Platform
from builder.stored import blob
from tests.support.images import AMD64, demo_layer, layer_of, plain, plan_of, snapshot, write


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return write(tmp_path / "stage")


def other(tmp_path: Path, content: bytes = b"other") -> Image:
    return write(tmp_path / f"stage-{content.decode()}", plan_of(layer_of(plain("/other", content))))


def blobs_of(target: Path) -> set[str]:
    return {path.name for path in (target / "blobs/sha256").iterdir()}


def encoded(*images: Image) -> set[str]:
    return {one.digest.encoded for image in images for one in image.blobs}


def publish(image: Image, target: Path, *names: str) -> None:
    publish_layout(image.directory, image.manifest, names, target)


def test_an_image_is_published_into_a_new_folder(tmp_path: Path, image: Image) -> None:
    target = tmp_path / "deep/dist"
    publish(image, target, "1.0", "latest")
    assert validate(target) == ()
    assert layout_names(target) == ("1.0", "latest")
    assert {path.name for path in target.iterdir()} == {"blobs", "index.json", "oci-layout"}


def test_publishing_twice_changes_nothing(tmp_path: Path, image: Image) -> None:
    publish(image, tmp_path / "dist", "1.0")
    before = snapshot(tmp_path / "dist")
    publish(image, tmp_path / "dist", "1.0")
    assert snapshot(tmp_path / "dist") == before


def test_other_names_stay_and_blobs_of_the_replaced_image_go(tmp_path: Path, image: Image) -> None:
    target, second, third = tmp_path / "dist", other(tmp_path), other(tmp_path, b"third")
    publish(image, target, "keep")
    publish(second, target, "latest")
    publish(third, target, "latest")
    assert layout_names(target) == ("keep", "latest")
    assert blobs_of(target) == encoded(image, third)
    assert validate(target) == ()


def test_blobs_that_another_name_uses_stay(tmp_path: Path, image: Image) -> None:
    target, second = tmp_path / "dist", other(tmp_path)
    publish(image, target, "1.0", "latest")
    publish(second, target, "latest")
    assert blobs_of(target) == encoded(image, second)


def test_an_image_without_a_name_is_there_once(tmp_path: Path, image: Image) -> None:
    publish(image, tmp_path / "dist")
    publish(image, tmp_path / "dist")
    assert len(json.loads((tmp_path / "dist/index.json").read_bytes())["manifests"]) == 1


def test_an_index_is_published_with_every_platform(tmp_path: Path) -> None:
    images = tuple(
        write(tmp_path / name, plan_of(demo_layer(), platform=Platform("linux", name)))
        for name in ("amd64", "arm64")
    )
    index = write_index(images, tmp_path / "both")
    publish_layout(tmp_path / "both", index, ("1.0",), tmp_path / "dist")
    assert blobs_of(tmp_path / "dist") == encoded(*images) | {index.digest.encoded}
    assert validate(tmp_path / "dist") == ()


def test_what_others_wrote_into_the_index_stays(tmp_path: Path, image: Image) -> None:
    target = tmp_path / "dist"
    publish(other(tmp_path), target, "theirs")
    index = json.loads((target / "index.json").read_bytes())
    index["annotations"] = {"of": "theirs"}
    index["manifests"][0]["artifactType"] = "application/theirs"
    (target / "index.json").write_text(json.dumps(index))
    publish(image, target, "ours")
    found = json.loads((target / "index.json").read_bytes())
    assert found["annotations"] == {"of": "theirs"}
    assert found["manifests"][0] == index["manifests"][0]
    assert AMD64.architecture == found["manifests"][1]["platform"]["architecture"]


@pytest.mark.parametrize("name", ["", "a b", "/x", "x/", "-x", "a__b", "x\n", "é"])
def test_a_name_that_layouts_cannot_hold_is_refused(tmp_path: Path, image: Image, name: str) -> None:
    with pytest.raises(BuildError, match="cannot be the name"):
        publish(image, tmp_path / "dist", name)
    assert not (tmp_path / "dist").exists()


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path, image: Image) -> None:
    target = tmp_path / "dist"
    target.mkdir()
    (target / "photo.jpg").write_text("mine")
    with pytest.raises(MachineError, match="neither empty nor an OCI layout"):
        publish(image, target, "x")
    assert snapshot(target) == {"photo.jpg": b"mine"}


def test_a_target_that_is_a_file_is_refused(tmp_path: Path, image: Image) -> None:
    (tmp_path / "dist").write_text("mine")
    with pytest.raises(MachineError, match="is a file"):
        publish(image, tmp_path / "dist", "x")
    with pytest.raises(MachineError, match="is a file"):
        publish(image, tmp_path / "dist/below", "x")


@pytest.mark.parametrize(
    ("file", "content", "error", "message"),
    [
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', MachineError, "version 2.0.0"),
        ("oci-layout", b"{}", BuildError, "imageLayoutVersion"),
        ("index.json", b"nonsense", BuildError, "index.json is not JSON"),
        ("index.json", b'{"schemaVersion":2,"manifests":[{}]}', BuildError, "'digest' is not a string"),
    ],
)
def test_a_damaged_target_is_left_alone(
    tmp_path: Path, image: Image, file: str, content: bytes, error: type[Exception], message: str
) -> None:
    target = tmp_path / "dist"
    publish(other(tmp_path), target, "theirs")
    (target / file).write_bytes(content)
    before = snapshot(target)
    with pytest.raises(error, match=message):
        publish(image, target, "x")
    assert snapshot(target) == before


def test_a_damaged_source_is_not_published(tmp_path: Path, image: Image) -> None:
    path = image.directory / "blobs/sha256" / image.manifest.digest.encoded
    path.write_bytes(path.read_bytes().replace(b"demo", b"DEMO"))
    with pytest.raises(BuildError, match="another digest"):
        publish(image, tmp_path / "dist", "x")
    layer = image.directory / "blobs/sha256" / image.layers[0].descriptor.digest.encoded
    layer.write_bytes(b"short")
    with pytest.raises(BuildError, match="another"):
        publish(image, tmp_path / "dist", "x")


def test_a_blob_of_the_target_that_is_damaged_is_healed(tmp_path: Path, image: Image) -> None:
    target = tmp_path / "dist"
    publish(image, target, "x")
    path = target / "blobs/sha256" / image.layers[0].descriptor.digest.encoded
    path.unlink()
    path.write_bytes(b"damaged")
    publish(image, target, "x")
    assert validate(target) == ()


def test_blobs_are_copied_where_they_cannot_be_linked(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    publish(image, tmp_path / "dist", "x")
    assert validate(tmp_path / "dist") == ()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_full_disk_leaves_the_target_as_it_was(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    target = tmp_path / "dist"
    publish(other(tmp_path), target, "theirs")
    before = snapshot(target)
    plain_copy, calls = blob.link_or_copy, []

    def full(origin: Path, place: Path) -> None:
        calls.append(place)
        if len(calls) > failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain_copy(origin, place)

    monkeypatch.setattr(blob, "link_or_copy", full)
    with pytest.raises(MachineError, match="No space left on device"):
        publish(image, target, "theirs")
    assert snapshot(target) == before


def test_a_full_disk_at_the_index_leaves_no_blob_and_no_layout(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_write, calls = files.write_bytes, []

    def full(path: Path, payload: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain_write(path, payload)

    monkeypatch.setattr(layout, "write_bytes", full)
    with pytest.raises(MachineError, match="No space left on device"):
        publish(image, tmp_path / "dist", "x")
    assert list((tmp_path / "dist").iterdir()) == []


def test_what_a_killed_process_left_is_cleaned_up(tmp_path: Path, image: Image) -> None:
    target = tmp_path / "dist"
    target.mkdir()
    (target / ".oci-layout.0123456789ab.tmp").write_text("")
    publish(image, target, "x")
    (target / "blobs/sha256" / f"{blob.TEMPORARY_PREFIX}0123").write_text("half")
    publish(image, target, "x")
    assert blobs_of(target) == encoded(image)
    assert {path.name for path in target.iterdir()} == {"blobs", "index.json", "oci-layout"}


def test_many_publishers_at_once_lose_no_name(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    images = [other(tmp_path, f"n{number}".encode()) for number in range(8)]
    threads = [
        threading.Thread(target=publish, args=(image, target, f"v{number}"))
        for number, image in enumerate(images)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(layout_names(target)) == [f"v{number}" for number in range(8)]
    assert blobs_of(target) == encoded(*images)
    assert validate(target) == ()


def test_a_reader_never_sees_half_an_image(tmp_path: Path) -> None:
    target, images = tmp_path / "dist", [other(tmp_path, b"a"), other(tmp_path, b"b")]
    publish(images[0], target, "x")
    known = {str(image.manifest.digest) for image in images}
    done = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not done.is_set():
            seen.add(json.loads((target / "index.json").read_bytes())["manifests"][0]["digest"])

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(10):
        publish(images[number % 2], target, "x")
    done.set()
    reader.join()
    assert seen <= known
