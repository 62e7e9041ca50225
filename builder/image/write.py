"""From plan to image: blobs in a staging OCI layout, with digests and without a name."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import BuildError
from builder.files import write_bytes
from builder.image.compress import compressor_name
from builder.image.config import config_bytes
from builder.image.layer import WrittenLayer, write_layer, write_tar
from builder.oci import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST,
    Descriptor,
    Platform,
    oci_media_type,
)
from builder.plan.model import ImagePlan
from builder.progress import Progress
from builder.recipe.model import Compression
from builder.sources.base import BaseLayer
from builder.stored.blob import disk_errors, place_blob, write_blob
from builder.stored.blobs import place_section
from builder.stored.manifest import LAYOUT_BYTES, Manifest, index_bytes, manifest_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of one platform in the staging layout ``directory``. It has no name and nobody has judged it.

    ``manifest`` carries the platform. ``compressor`` decides the manifest's digest besides the plan (the
    digests of ``config`` and the DiffIDs depend on the plan alone).
    """

    platform: Platform
    manifest: Descriptor
    config: Descriptor
    layers: tuple[WrittenLayer, ...]
    directory: Path
    compressor: str
    files: int
    """Regular files and hard links that a container sees."""

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything the image consists of: layers, configuration, manifest."""
        return (*(layer.descriptor for layer in self.layers), self.config, self.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Images in the staging layout ``layout``; names will go to ``descriptor``, a manifest or an index."""

    images: tuple[Image, ...]
    layout: Path
    descriptor: Descriptor


def write_image(plan: ImagePlan, *, compression: Compression, directory: Path, progress: Progress) -> Image:
    """Write every layer, the configuration and the manifest; ``directory`` becomes an OCI layout.

    BuildError for a plan or stored bytes that are wrong, MachineError when the disk refuses.
    """
    blobs = directory / "blobs"
    base = plan.base
    below = (
        [_base_layer(one, compression, blobs, progress) for one in base.layers] if base is not None else []
    )
    own: list[WrittenLayer] = []
    for number, layer in enumerate(plan.layers, 1):
        progress.step(
            "write layer" if len(plan.layers) == 1 else f"write layer {number} of {len(plan.layers)}"
        )
        own.append(
            write_layer(layer, created=plan.created, compression=compression, blobs=blobs, progress=progress)
        )
    written = [*below, *own]
    diff_ids = tuple(layer.diff_id for layer in written)
    config = write_blob(blobs, config_bytes(plan, diff_ids), MEDIA_TYPE_CONFIG)
    layers = tuple(layer.descriptor for layer in written)
    payload = manifest_bytes(Manifest(config=config, layers=layers, annotations=plan.annotations))
    manifest = replace(write_blob(blobs, payload, MEDIA_TYPE_MANIFEST), platform=plan.platform)
    write_layout_files(directory, (manifest,))
    return Image(
        platform=plan.platform,
        manifest=manifest,
        config=config,
        layers=tuple(written),
        directory=directory,
        compressor=compressor_name(compression),
        files=sum(layer.files for layer in own) + (base.files if base is not None else 0),
    )


def _base_layer(layer: BaseLayer, compression: Compression, blobs: Path, progress: Progress) -> WrittenLayer:
    """A layer of the base as it is; one that is no blob yet becomes one."""
    if layer.descriptor is None:
        written = write_tar(layer.section, compression=compression, blobs=blobs, progress=progress)
        if written.diff_id != layer.diff_id:
            raise BuildError(f"The layer {layer.diff_id} of the base is damaged ({layer.section.path})")
        return replace(written, files=layer.files, entries=layer.entries)
    place_section(layer.section, blobs, layer.descriptor.digest)
    descriptor = replace(
        layer.descriptor,
        media_type=oci_media_type(layer.descriptor.media_type),
        platform=None,
        annotations=(),
    )
    return WrittenLayer(
        descriptor=descriptor,
        diff_id=layer.diff_id,
        size=layer.size,
        files=layer.files,
        entries=layer.entries,
    )


def write_index(images: tuple[Image, ...], directory: Path) -> Descriptor:
    """Give an index over ``images``, sorted by platform, in the layout ``directory``, which it makes whole.

    Blobs of other staging layouts are linked or copied in. BuildError when two images have one platform.
    """
    ordered = sorted(images, key=lambda image: image.platform)
    for one, other in itertools.pairwise(ordered):
        if one.platform == other.platform:
            raise BuildError(f"Two images are for {one.platform}; an index holds one for each platform")
    blobs = directory / "blobs"
    for image in ordered:
        if image.directory != directory:
            for blob in image.blobs:
                place_blob(image.directory / "blobs", blobs, blob)
    payload = index_bytes(tuple(image.manifest for image in ordered))
    index = write_blob(blobs, payload, MEDIA_TYPE_INDEX)
    write_layout_files(directory, (index,))
    return index


def write_layout_files(directory: Path, manifests: tuple[Descriptor, ...]) -> None:
    """``oci-layout`` and then ``index.json`` over ``manifests``; MachineError when the disk refuses."""
    with disk_errors(directory):
        write_bytes(directory / "oci-layout", LAYOUT_BYTES)
        write_bytes(directory / "index.json", index_bytes(manifests))
