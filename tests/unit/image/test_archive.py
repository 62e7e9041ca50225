from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.archive import write_docker_archive
from builder.recipe.model import Compression
from tests.support.images import layer_of, plain, plan_of, write


@pytest.mark.parametrize("compression", Compression)
def test_the_archive_holds_what_docker_load_reads(tmp_path: Path, compression: Compression) -> None:
    image = write(tmp_path / "stage", compression=compression)
    write_docker_archive(tmp_path / "stage", image, ("demo:1",), tmp_path / "out/demo.tar")
    with tarfile.open(tmp_path / "out/demo.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # all are files
        assert {member.mtime for member in tar} == {0}
    layer = f"{image.layers[0].diff_id.encoded}.tar"
    config = f"{image.config.digest.encoded}.json"
    assert list(found) == ["manifest.json", config, layer]
    assert json.loads(found["manifest.json"]) == [
        {"Config": config, "RepoTags": ["demo:1"], "Layers": [layer]}
    ]
    assert hashlib.sha256(found[layer]).hexdigest() == image.layers[0].diff_id.encoded
    assert hashlib.sha256(found[config]).hexdigest() == image.config.digest.encoded


def test_the_bytes_do_not_depend_on_the_compression(tmp_path: Path) -> None:
    for compression in Compression:
        image = write(tmp_path / compression.value, compression=compression)
        write_docker_archive(image.directory, image, ("demo:1",), tmp_path / f"{compression.value}.tar")
    assert len({(tmp_path / f"{compression.value}.tar").read_bytes() for compression in Compression}) == 1


def test_a_layer_that_is_there_twice_is_stored_once(tmp_path: Path) -> None:
    layer = layer_of(plain("/a", b"1"))
    image = write(tmp_path / "stage", plan_of(layer, layer))
    write_docker_archive(tmp_path / "stage", image, ("demo:1",), tmp_path / "demo.tar")
    with tarfile.open(tmp_path / "demo.tar") as tar:
        assert len(tar.getnames()) == 3


def test_a_damaged_layer_leaves_the_old_archive(tmp_path: Path) -> None:
    image = write(tmp_path / "stage")
    (tmp_path / "demo.tar").write_text("old")
    blob = tmp_path / "stage/blobs/sha256" / image.layers[0].descriptor.digest.encoded
    blob.write_bytes(blob.read_bytes()[:-4] + b"\1\1\1\1")
    with pytest.raises(BuildError, match="is damaged"):
        write_docker_archive(tmp_path / "stage", image, ("demo:1",), tmp_path / "demo.tar")
    assert (tmp_path / "demo.tar").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"stage", "demo.tar"}
