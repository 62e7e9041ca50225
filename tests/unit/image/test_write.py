from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.validate import validate
from builder.image.write import write_index
from builder.oci import ANNOTATION_REF_NAME, Platform
from builder.recipe.model import Compression
from tests.support.images import AMD64, demo_layer, layer_of, plain, plan_of, snapshot, write


@pytest.mark.parametrize("compression", Compression)
def test_the_staging_folder_is_a_valid_layout_without_a_name(
    tmp_path: Path, compression: Compression
) -> None:
    plan = plan_of(demo_layer())
    image = write(tmp_path, plan, compression)
    assert validate(tmp_path, plan=plan) == ()
    assert ANNOTATION_REF_NAME not in (tmp_path / "index.json").read_text()
    assert {path.name for path in (tmp_path / "blobs/sha256").iterdir()} == {
        blob.digest.encoded for blob in image.blobs
    }


def test_configuration_and_layers_are_the_same_under_every_compression(tmp_path: Path) -> None:
    images = [write(tmp_path / compression.value, compression=compression) for compression in Compression]
    assert len({(image.config, image.layers[0].diff_id) for image in images}) == 1
    assert len({image.manifest.digest for image in images}) == 3


def test_the_same_plan_gives_the_same_folder_byte_by_byte(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two")
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_two_layers_are_in_order(tmp_path: Path) -> None:
    plan = plan_of(layer_of(plain("/a")), layer_of(plain("/b")))
    image = write(tmp_path, plan)
    manifest = json.loads((tmp_path / "blobs/sha256" / image.manifest.digest.encoded).read_bytes())
    assert [layer["digest"] for layer in manifest["layers"]] == [
        str(layer.descriptor.digest) for layer in image.layers
    ]
    assert validate(tmp_path, plan=plan) == ()


def test_an_index_holds_the_images_sorted_by_platform(tmp_path: Path) -> None:
    arm = Platform("linux", "arm64", "v8")
    images = tuple(
        write(tmp_path / platform.architecture, plan_of(demo_layer(), platform=platform))
        for platform in (arm, AMD64)
    )
    index = write_index(images, tmp_path / "both")
    listed = json.loads((tmp_path / "both/blobs/sha256" / index.digest.encoded).read_bytes())["manifests"]
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64"]
    assert validate(tmp_path / "both") == ()
    assert index == write_index(images[::-1], tmp_path / "again")


def test_two_images_of_one_platform_make_no_index(tmp_path: Path) -> None:
    image = write(tmp_path)
    with pytest.raises(BuildError, match="Two images are for linux/amd64"):
        write_index((image, replace(image, directory=tmp_path / "x")), tmp_path / "both")
