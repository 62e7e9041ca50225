"""Any image by its address: in a registry, a layout, an archive or the local container storage.

What is opened here may still lie in a registry: layers are fetched by whoever unpacks or reads them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from builder.engine.command import Command
from builder.engine.storage import export_image, stored_config
from builder.errors import BuildError, MachineError, ResolutionError
from builder.files import write_bytes
from builder.oci import ANNOTATION_REF_NAME, Digest, ImageAddress, ImagePlace, ImageReference, Platform
from builder.staging import staging
from builder.stored.blob import blob_path, disk_errors, place_blob
from builder.stored.blobs import Section
from builder.stored.config import parse_config
from builder.stored.layers import LayerStore, UnpackedLayer
from builder.stored.manifest import LAYOUT_BYTES, index_bytes
from builder.stored.pull import ImageDoor, RemoteImage, fetch_image, find_image, stored_image
from builder.stored.read import StoredImage, open_image
from builder.stored.stream import StoredLayer

_ABSENT = ("does not resolve to an image", "image not known", "no such image", "unable to find")
_ASKED_EACH_TIME = 0.0
_NAME = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedImage:
    """An image that is there. ``remote``: it comes from a registry, and layers may not be here yet.

    ``top`` is the digest that its name leads to (of an index, or of its manifest); None where images have no
    manifest. After ``fresh_until`` (unix time) the name may lead to another image.
    """

    address: ImageAddress
    image: StoredImage
    remote: RemoteImage | None = None
    top: Digest | None = None
    fresh_until: float = float("inf")

    @property
    def key(self) -> str:
        """Changes when a container of the image would see other files."""
        words = " ".join(str(layer.diff_id) for layer in self.image.layers)
        return hashlib.sha256(words.encode()).hexdigest()


def open_address(
    address: ImageAddress, platform: Platform | None, door: ImageDoor, layers: LayerStore
) -> OpenedImage:
    """Find an image. ResolutionError when it is not there, or not for ``platform``.

    Registries need a platform; elsewhere None stands for any.

    BuildError when it is damaged, MachineError when what holds it does not answer.
    """
    if address.reference is not None:
        if platform is None:
            raise ResolutionError(f"{address} may be there for several platforms, and none is named")
        remote = find_image(address.reference, platform, door)
        return OpenedImage(
            address=address,
            image=stored_image(remote, door),
            remote=remote,
            top=remote.top,
            fresh_until=remote.fresh_until,
        )
    if address.path is not None:
        opened = _of_file(address, address.path, platform)
    else:
        opened = _of_storage(address, door, layers)
    found = opened.image.config.platform
    if platform is not None and found.architecture and not found.runs(platform):
        raise ResolutionError(
            f"{address} is for {found}, not for {platform}",
            hint="name an image of that platform, or build for another with --platform",
        )
    return opened


def whole_image(opened: OpenedImage, door: ImageDoor) -> StoredImage:
    """The image with all its layers on this machine."""
    return fetch_image(opened.remote, door) if opened.remote is not None else opened.image


def unpacked_layers(opened: OpenedImage, door: ImageDoor, store: LayerStore) -> tuple[UnpackedLayer, ...]:
    """The layers, lowest first; those that the store lacks are fetched and unpacked.

    BuildError for damage.
    """
    if opened.remote is not None:
        missing = (n for n, layer in enumerate(opened.image.layers) if not store.has(layer.diff_id))
        fetch_image(opened.remote, door, layers=frozenset(missing))
    return tuple(_unpacked(opened, number, door, store) for number in range(len(opened.image.layers)))


def _unpacked(opened: OpenedImage, number: int, door: ImageDoor, store: LayerStore) -> UnpackedLayer:
    if opened.remote is None:
        return store.unpack(opened.image, number)
    fetch_image(opened.remote, door, layers=frozenset({number}))  # its index may have been damaged
    try:
        return store.unpack(opened.image, number)
    except BuildError:
        # The blob was proven when it came: one that is damaged now was damaged here. Once more.
        digest = opened.remote.document.layers[number].digest
        blob_path(door.folder / "blobs", digest).unlink(missing_ok=True)
        fetch_image(opened.remote, door, layers=frozenset({number}))
        return store.unpack(opened.image, number)


def engine_reference(opened: OpenedImage, door: ImageDoor, folder: Path) -> str:
    """The image as buildah and skopeo name it; one of a registry becomes an OCI layout in ``folder``."""
    address = opened.address
    if opened.remote is None:
        name = storage_name(address.name) if address.path is None else str(address.path)
        inside = f":{address.name}" if address.path is not None and address.name else ""
        return f"{address.place.value}:{name}{inside}"
    fetch_image(opened.remote, door)
    manifest = opened.remote.manifest
    for blob in (*opened.remote.document.layers, opened.remote.document.config, manifest):
        place_blob(door.folder / "blobs", folder / "blobs", blob)
    entry = replace(manifest, annotations=((ANNOTATION_REF_NAME, _NAME),))
    with disk_errors(folder):
        write_bytes(folder / "oci-layout", LAYOUT_BYTES)
        write_bytes(folder / "index.json", index_bytes((entry,)))
    return f"{ImagePlace.LAYOUT.value}:{folder}:{_NAME}"


# ---- files of this machine -----------------------------------------------------------------------------


def _of_file(address: ImageAddress, path: Path, platform: Platform | None) -> OpenedImage:
    if not path.exists():
        raise ResolutionError(
            f"{address} is not there: {path} does not exist",
            hint="relative paths start at the recipe's folder; correct the path, or make the image first",
        )
    image = open_image(path, name=address.name, platform=platform)
    return OpenedImage(
        address=address, image=image, top=image.manifest.digest if image.manifest is not None else None
    )


# ---- the local container storage -------------------------------------------------------------------------


def _of_storage(address: ImageAddress, door: ImageDoor, layers: LayerStore) -> OpenedImage:
    """The image, with its layers in our store: what the storage holds may go at any time."""
    skopeo, buildah = door.runner.find("skopeo"), door.runner.find("buildah")
    name = storage_name(address.name)
    image = None
    if skopeo:
        image = _if_unpacked(address, _run(stored_config(skopeo, name), address, door), layers)
    tool = skopeo or buildah
    if tool is None:
        raise MachineError(
            f"{address} cannot be read: neither skopeo nor buildah is on the PATH",
            hint="install skopeo, or name an OCI layout or an archive instead",
        )
    if image is None:
        image = _exported(address, tool, name, door, layers)
    return OpenedImage(address=address, image=image, fresh_until=_ASKED_EACH_TIME)


def storage_name(name: str) -> str:
    """A name as the storage knows it: names without a registry belong to ``localhost``, as in publishing."""
    try:
        reference = ImageReference.parse(name)
    except ValueError:
        return name  # an identity (@…), or a store of its own ([…])
    is_identity = len(name) >= 12 and not set(name) - set("0123456789abcdef")  # noqa: PLR2004 (the shortest that is shown)
    return name if reference.registry or is_identity else f"localhost/{name}"


def _if_unpacked(address: ImageAddress, config: bytes, layers: LayerStore) -> StoredImage | None:
    """The image when all its layers are in our store already."""
    document = parse_config(config, f"The configuration of {address}")
    unpacked = [layers.open(diff_id, number) for number, diff_id in enumerate(document.diff_ids)]
    stored = [
        StoredLayer(
            section=Section(path=one.tar, offset=0, size=one.size), descriptor=None, diff_id=one.diff_id
        )
        for one in unpacked
        if one is not None
    ]
    if len(stored) != len(document.diff_ids):
        return None
    return StoredImage(
        path=layers.folder, names=(address.name,), manifest=None, config=document, layers=tuple(stored)
    )


def _exported(
    address: ImageAddress, tool: str, name: str, door: ImageDoor, layers: LayerStore
) -> StoredImage:
    door.progress.step(f"read {address}")
    with staging(door.folder / "staging") as work:
        archive = work / "image.tar"
        _run(export_image(tool, name, archive, work), address, door)
        image = open_image(archive)
        for number in range(len(image.layers)):
            layers.unpack(image, number)
    stored = [
        replace(layer, section=Section(path=layers.tar(layer.diff_id), offset=0, size=layer.section.size))
        for layer in image.layers
    ]
    return replace(image, path=layers.folder, names=(address.name,), layers=tuple(stored))


def _run(command: Command, address: ImageAddress, door: ImageDoor) -> bytes:
    try:
        return door.runner.run(command).stdout
    except BuildError as error:
        if any(words in error.message for words in _ABSENT):
            raise ResolutionError(
                f"The local container storage has no image {address.name}",
                hint="podman images shows what it has (as this user)",
            ) from error
        raise
