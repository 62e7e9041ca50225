"""docker-archive: the tar that ``docker load`` and ``podman load`` take (Docker image spec v1.2).

``manifest.json`` comes first so that a reader of a pipe knows what follows; then the configuration and the
uncompressed layers under their DiffIDs. Times are 0: the bytes depend on the image and its names alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from builder.files import atomic_write
from builder.image.layer import WrittenLayer
from builder.image.tar import END, file_header
from builder.image.write import Image
from builder.stored.blob import disk_errors, read_blob
from builder.stored.blobs import FolderBlobs
from builder.stored.fields import MAX_JSON, canonical
from builder.stored.stream import StoredLayer, layer_chunks
from builder.stored.untar import padding


def write_docker_archive(source: Path, image: Image, names: tuple[str, ...], target: Path) -> None:
    """Write ``image`` of the layout ``source`` to the file ``target`` under ``names`` (with tags).

    Layers are unpacked as a stream and proven on the way. BuildError when a blob is damaged, MachineError
    when the disk refuses; ``target`` is untouched then.
    """
    config = read_blob(source / "blobs", image.config, limit=MAX_JSON)
    config_name = f"{image.config.digest.encoded}.json"
    document: list[dict[str, Any]] = [
        {
            "Config": config_name,
            "RepoTags": list(names),
            "Layers": [_member(layer) for layer in image.layers],
        }
    ]
    with disk_errors(target.parent), atomic_write(target) as stream:
        _add(stream, "manifest.json", canonical(document))
        _add(stream, config_name, config)
        for layer in dict.fromkeys(image.layers):
            _add_layer(stream, source, layer)
        stream.write(END)


def _member(layer: WrittenLayer) -> str:
    return f"{layer.diff_id.encoded}.tar"


def _add(stream: BinaryIO, name: str, payload: bytes) -> None:
    stream.write(file_header(name, len(payload)) + payload + bytes(padding(len(payload))))


def _add_layer(stream: BinaryIO, source: Path, layer: WrittenLayer) -> None:
    section = FolderBlobs(source).blob(layer.descriptor.digest)
    stored = StoredLayer(section=section, descriptor=layer.descriptor, diff_id=layer.diff_id)
    stream.write(file_header(_member(layer), layer.size))
    stream.writelines(layer_chunks(stored, layer.size))
    stream.write(bytes(padding(layer.size)))
