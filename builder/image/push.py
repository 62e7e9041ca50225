"""An image of a layout to a registry: blobs side by side, then manifests, then the index, then the names."""

from __future__ import annotations

import functools
import hashlib
import threading
from dataclasses import dataclass

from builder.errors import BuildError
from builder.oci import Descriptor
from builder.progress import Progress
from builder.registry.name import Repository
from builder.registry.session import Registries
from builder.registry.upload import Blob, push_blob, push_manifest
from builder.stored.blobs import BlobSource, pieces, read_json_blob
from builder.stored.closure import closure
from builder.stored.manifest import INDEX_TYPES, MANIFEST_TYPES
from builder.transport import FilePart

_JOBS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an image goes. ``neighbour``: a repository that may have some of its blobs already."""

    repository: Repository
    tags: tuple[str, ...]
    neighbour: Repository | None = None


def push_image(
    source: BlobSource,
    descriptor: Descriptor,
    destination: Destination,
    registries: Registries,
    progress: Progress,
) -> None:
    """Push ``descriptor`` (a manifest or an index) and all that it needs, and give it its tags at the end.

    Every blob is proven before it is sent, and each name after it was given. MachineError when the registry
    refuses or does not answer, BuildError when a blob is damaged or the registry holds something else than
    was sent.
    """
    repository = destination.repository
    parts = closure(source, descriptor)
    documents = [one for one in parts if one.media_type in INDEX_TYPES | MANIFEST_TYPES]
    blobs = [one for one in parts if one not in documents]
    meter = _Meter(progress, sum(blob.size for blob in blobs))
    tasks = (functools.partial(_send, source, blob, destination, registries, meter) for blob in blobs)
    registries.transport.run_all(tasks, jobs=_JOBS)
    for one in documents:  # each after what it names: see closure
        payload = read_json_blob(source, one)
        push_manifest(registries, repository, payload, one.media_type, reference=str(one.digest))
    payload = read_json_blob(source, descriptor)
    for tag in destination.tags:
        push_manifest(registries, repository, payload, descriptor.media_type, reference=tag)


def _send(
    source: BlobSource,
    descriptor: Descriptor,
    destination: Destination,
    registries: Registries,
    meter: _Meter,
) -> None:
    section = source.blob(descriptor.digest)
    digest = hashlib.new(descriptor.digest.algorithm)
    for piece in pieces(section):
        digest.update(piece)
    if section.size != descriptor.size or digest.hexdigest() != descriptor.digest.encoded:
        raise BuildError(f"The blob {descriptor.digest} is damaged ({section.path})")
    blob = Blob(
        digest=descriptor.digest,
        source=FilePart(path=section.path, offset=section.offset, size=section.size),
        also_in=destination.neighbour,
    )
    push_blob(registries, destination.repository, blob, functools.partial(meter.report, descriptor))
    meter.report(descriptor, descriptor.size)


class _Meter:
    """Sums up what several threads have sent."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._lock = threading.Lock()
        self._done: dict[Descriptor, int] = {}

    def report(self, blob: Descriptor, done: int) -> None:
        """One blob has gone so far."""
        with self._lock:
            self._done[blob] = done
            self._progress.advance(sum(self._done.values()), self._total)
