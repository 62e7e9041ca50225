"""Images of registries, kept on this machine: blobs by digest, and what the tags said when they were asked.

    <folder>/blobs/sha256/…     manifests, configurations, layers: proven before they get their name
    <folder>/tags/…             digest of a tag and when it was asked for; a checksum on the first line

Several processes may use one folder. Small documents are proven again whenever they are read; layers are when
they are unpacked or scanned.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from builder.engine.command import Runner
from builder.errors import BuildError, MachineError, ResolutionError
from builder.files import read_checked, write_bytes, write_checked
from builder.oci import Descriptor, Digest, ImageReference, Platform
from builder.progress import Progress
from builder.registry.credentials import Keyring
from builder.registry.name import Repository, locate
from builder.registry.options import RegistryOptions
from builder.registry.session import Registries
from builder.stored.blob import blob_path
from builder.stored.blobs import FolderBlobs
from builder.stored.config import ConfigFile, parse_config
from builder.stored.fields import MAX_JSON, parse_object
from builder.stored.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest, parse_index, parse_manifest
from builder.stored.read import MAX_LAYERS, StoredImage
from builder.stored.stream import StoredLayer
from builder.transport import Download, NotFoundError, Transport

_ACCEPTED = (*sorted(INDEX_TYPES), *sorted(MANIFEST_TYPES))
_MAX_DEPTH = 4
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDoor:
    """What opening images takes. ``folder`` keeps those of registries; ``transport`` makes a new one.

    Tags that were asked for less than ``max_age`` seconds ago are not asked for again. ``offline``: never
    ask; ``refresh``: always ask.
    """

    folder: Path
    options: RegistryOptions
    transport: Callable[[], Transport]
    runner: Runner
    clock: Callable[[], float]
    progress: Progress
    max_age: float = 3600.0
    offline: bool = False
    refresh: bool = False

    def registries(self, transport: Transport) -> Registries:
        """Conversations with registries over ``transport``."""
        keyring = Keyring(self.options.auth_files, self.runner)
        return Registries(transport, keyring, self.clock, insecure=self.options.insecure)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """An image of a registry for one platform, known by its small documents. Its layers may be absent.

    ``top`` is the digest that the reference leads to: of an index, or of ``manifest`` itself. After
    ``fresh_until`` (unix time) the tag would be asked for again.
    """

    reference: ImageReference
    top: Digest
    manifest: Descriptor
    document: Manifest
    config: ConfigFile
    fresh_until: float


def find_image(reference: ImageReference, platform: Platform, door: ImageDoor) -> RemoteImage:
    """Find what a reference means for a platform: from the folder where that is enough, else by asking.

    ResolutionError when there is no such image, MachineError when the registry does not give it, BuildError
    when it is damaged.
    """
    with contextlib.ExitStack() as stack:
        return _Search(locate(reference), reference, platform, door, stack).find()


def fetch_image(image: RemoteImage, door: ImageDoor, *, layers: frozenset[int] | None = None) -> StoredImage:
    """Fetch the layers that are missing, of all or of those numbered ``layers``; the image where it lies."""
    blobs = door.folder / "blobs"
    wanted = [
        layer
        for number, layer in enumerate(image.document.layers)
        if (layers is None or number in layers) and not _is_there(blobs, layer)
    ]
    if wanted:
        _fetch(image, tuple(dict.fromkeys(wanted)), door)
    return stored_image(image, door)


def stored_image(image: RemoteImage, door: ImageDoor) -> StoredImage:
    """The image where its layers lie, or would lie: whoever reads one that is absent is told so."""
    source = FolderBlobs(door.folder)
    pairs = zip(image.document.layers, image.config.diff_ids, strict=True)
    return StoredImage(
        path=door.folder,
        names=(str(image.reference),),
        manifest=image.manifest,
        config=image.config,
        layers=tuple(
            StoredLayer(section=source.place(layer), descriptor=layer, diff_id=diff_id)
            for layer, diff_id in pairs
        ),
        annotations=image.document.annotations,
        config_blob=image.document.config,
    )


class _Search:
    """One reference on its way to the documents of an image."""

    def __init__(
        self,
        repository: Repository,
        reference: ImageReference,
        platform: Platform,
        door: ImageDoor,
        stack: contextlib.ExitStack,
    ) -> None:
        self._stack = stack
        self._repository = repository
        self._reference = reference
        self._platform = platform
        self._door = door
        self._registries: Registries | None = None

    def find(self) -> RemoteImage:
        """Follow the reference; the network is opened when something is not here."""
        top, fresh_until = self._top()
        manifest, payload = self._manifest(top)
        document = parse_manifest(payload, f"The manifest {manifest.digest}")
        where = f"The configuration {document.config.digest}"
        config = parse_config(self._blob(document.config), where)
        self._check(document, config)
        return RemoteImage(
            reference=self._reference,
            top=top,
            manifest=replace(manifest, platform=config.platform),
            document=document,
            config=config,
            fresh_until=fresh_until,
        )

    def _check(self, document: Manifest, config: ConfigFile) -> None:
        if len(document.layers) != len(config.diff_ids) or len(document.layers) > MAX_LAYERS:
            raise BuildError(
                f"{self._reference} speaks of {len(config.diff_ids)} layers, its manifest of "
                f"{len(document.layers)}"
            )
        if config.platform.architecture and not config.platform.runs(self._platform):
            raise ResolutionError(
                f"{self._reference} is for {config.platform}, not for {self._platform}",
                hint="name an image of that platform, or build for another with --platform",
            )
        for layer in document.layers:
            if "foreign" in layer.media_type or "nondistributable" in layer.media_type:
                raise ResolutionError(f"{self._reference} has a layer that its registry may not give away")

    # ---- from tag to manifest ----------------------------------------------------------------------

    def _top(self) -> tuple[Digest, float]:
        """The digest that the reference leads to, and until when that counts as known."""
        if self._reference.digest is not None:
            return self._reference.digest, float("inf")
        memory = self._door.folder / "tags" / f"{hashlib.sha256(self._name.encode()).hexdigest()}.json"
        known = _recall(memory)
        now = self._door.clock()
        if known is not None:
            digest, asked = known
            is_fresh = not self._door.refresh and 0 <= now - asked < self._door.max_age
            if (self._door.offline or is_fresh) and self._kept(digest) is not None:
                return digest, asked + self._door.max_age
        digest = self._ask(self._reference.tag or "latest")
        write_checked(memory, json.dumps([self._name, str(digest), now]).encode())
        return digest, now + self._door.max_age

    @property
    def _name(self) -> str:
        return f"{self._repository}:{self._reference.tag or 'latest'}"

    def _manifest(self, top: Digest) -> tuple[Descriptor, bytes]:
        """The manifest for the platform, through indexes."""
        digest = top
        for _ in range(_MAX_DEPTH):
            payload = self._kept(digest)
            if payload is None:
                self._ask(str(digest))
                payload = self._kept(digest)
            if payload is None:
                raise BuildError(f"{digest} was fetched and is not there", hint="fetch it again")
            kind = _kind(payload, f"{self._reference} ({digest})")
            if kind in MANIFEST_TYPES:
                return Descriptor(media_type=kind, digest=digest, size=len(payload)), payload
            digest = self._chosen(parse_index(payload, f"The index {digest}"))
        raise BuildError(f"{self._reference} is an index of indexes of indexes")

    def _chosen(self, entries: tuple[Descriptor, ...]) -> Digest:
        usable = [one for one in entries if one.media_type in INDEX_TYPES | MANIFEST_TYPES]
        exact = [one for one in usable if one.platform == self._platform]
        fitting = [one for one in usable if one.platform is not None and one.platform.runs(self._platform)]
        found = exact or fitting or [one for one in usable if one.platform is None]
        if found:
            return found[0].digest
        known = sorted({str(one.platform) for one in usable if one.platform and one.platform.os != "unknown"})
        raise ResolutionError(
            f"{self._reference} is not there for {self._platform}",
            hint=f"it has {', '.join(known[:_SHOWN]) or 'nothing'}",
        )

    # ---- documents ---------------------------------------------------------------------------------

    def _kept(self, digest: Digest) -> bytes | None:
        return _read_proven(blob_path(self._door.folder / "blobs", digest), digest)

    def _keep(self, digest: Digest, payload: bytes) -> None:
        path = blob_path(self._door.folder / "blobs", digest)
        try:
            write_bytes(path, payload, durable=False)
        except OSError as error:
            raise MachineError(
                f"{path} could not be written: {error.strerror}", hint="free some space"
            ) from error

    def _ask(self, reference: str) -> Digest:
        """Fetch and keep the document under a tag or a digest."""
        try:
            received = self._online().manifest(self._repository, reference, _ACCEPTED)
        except NotFoundError as error:
            raise ResolutionError(error.message, hint=error.hint) from error
        self._keep(received.digest, received.payload)
        return received.digest

    def _blob(self, descriptor: Descriptor) -> bytes:
        """A configuration."""
        if descriptor.size > MAX_JSON:
            raise BuildError(f"The configuration of {self._reference} has {descriptor.size} bytes")
        payload = self._kept(descriptor.digest)
        if payload is None:
            payload = self._online().blob(self._repository, descriptor.digest, descriptor.size)
            self._keep(descriptor.digest, payload)
        return payload

    def _online(self) -> Registries:
        if self._door.offline:
            raise MachineError(
                f"{self._reference} is not in the cache, and nothing may be asked for",
                hint="run once without --offline",
            )
        if self._registries is None:
            self._door.progress.step(f"find {self._reference}")
            self._registries = self._door.registries(self._stack.enter_context(self._door.transport()))
        return self._registries


def _kind(payload: bytes, where: str) -> str:
    """The media type of a document, told by its members: two kinds at once would be read in two ways."""
    document = parse_object(payload, where)
    if document.get("schemaVersion") == 1:
        raise ResolutionError(
            f"{where} is in Docker's first format, which says nothing that can be proven",
            hint="have it pushed again by any tool of the last years",
        )
    is_index, is_manifest = "manifests" in document, "layers" in document or "config" in document
    if is_index == is_manifest:
        raise BuildError(f"{where} is neither an image nor an index of images, or both")
    said = document.get("mediaType")
    types = INDEX_TYPES if is_index else MANIFEST_TYPES
    if isinstance(said, str) and said and said not in types:
        raise ResolutionError(f"{where} is no image: its type is {said[:100]!a}")
    return said if isinstance(said, str) and said else _OCI[is_index]


_OCI = {True: "application/vnd.oci.image.index.v1+json", False: "application/vnd.oci.image.manifest.v1+json"}


def _read_proven(path: Path, digest: Digest) -> bytes | None:
    """A small document, or None when it is not here or not the one of this digest."""
    try:
        with path.open("rb") as stream:
            payload = stream.read(MAX_JSON + 1)
            os.utime(stream.fileno())  # as for layers
    except OSError:
        return None
    if len(payload) > MAX_JSON or hashlib.new(digest.algorithm, payload).hexdigest() != digest.encoded:
        return None
    return payload


def _recall(memory: Path) -> tuple[Digest, float] | None:
    try:
        _, digest, asked = json.loads(read_checked(memory) or b"null")
        return Digest.parse(digest), float(asked)
    except (ValueError, TypeError):
        return None


def _is_there(blobs: Path, layer: Descriptor) -> bool:
    path = blob_path(blobs, layer.digest)
    try:
        if path.stat().st_size != layer.size:
            return False
        os.utime(path)  # somebody still wants it: see the sweeper of the cache
    except OSError:
        return False
    return True


def _fetch(image: RemoteImage, layers: tuple[Descriptor, ...], door: ImageDoor) -> None:
    if door.offline:
        raise MachineError(
            f"Layers of {image.reference} are not in the cache, and nothing may be asked for",
            hint="run once without --offline",
        )
    repository = locate(image.reference)
    door.progress.step(f"pull {image.reference}")
    with door.transport() as transport:
        registries = door.registries(transport)
        try:
            registries.authorise(repository, layers[0].digest)
            transport.fetch_all(_download(registries, repository, one, door) for one in layers)
        except NotFoundError as error:
            raise ResolutionError(error.message, hint=error.hint) from error


def _download(registries: Registries, repository: Repository, layer: Descriptor, door: ImageDoor) -> Download:
    if layer.digest.algorithm != "sha256":
        raise BuildError(f"The layer {layer.digest} is named by another digest than SHA-256")
    return Download(
        url=registries.address(repository, f"blobs/{layer.digest}"),
        destination=blob_path(door.folder / "blobs", layer.digest),
        size=layer.size,
        sha256=layer.digest.encoded,
        headers=lambda: registries.headers(repository),
        plain=registries.is_plain(repository),
    )
