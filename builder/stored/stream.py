"""The tar of a stored layer as a stream that proves itself: blob digest, sizes and DiffID on the way."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from builder.errors import BuildError
from builder.oci import Descriptor, Digest
from builder.stored.blobs import Section, pieces
from builder.stored.decompress import decompressed

_BACKLOG = 8
"""Chunks that wait for the hashing thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLayer:
    """A layer and what is said of it. ``descriptor`` is None in a docker-archive (no blob digests)."""

    section: Section
    descriptor: Descriptor | None
    diff_id: Digest

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"The layer {self.descriptor.digest if self.descriptor else self.diff_id}"


def layer_chunks(layer: StoredLayer, limit: int) -> Iterator[bytes]:
    """Give the uncompressed tar in chunks; only after the last one is the layer proven.

    BuildError when it is damaged, not the one described, or has more than ``limit`` bytes.
    """
    descriptor = layer.descriptor
    if descriptor is not None and descriptor.size != layer.section.size:
        raise BuildError(f"{layer.name} has {layer.section.size} bytes, not {descriptor.size} as described")
    with ThreadPoolExecutor(1, "hash") as pool:
        whole = _Hasher(pool, layer.diff_id)
        blob = _Hasher(pool, descriptor.digest) if descriptor and descriptor.digest != layer.diff_id else None
        raw = pieces(layer.section)
        total = 0
        for chunk in decompressed(blob.follow(raw) if blob else raw, layer.name):
            total += len(chunk)
            if total > limit:
                raise BuildError(f"{layer.name} unpacks to more than {limit} bytes")
            whole.update(chunk)
            yield chunk
        if blob is not None:
            blob.finish(f"{layer.name} is damaged: its bytes have another digest")
        whole.finish(f"{layer.name} is not the one of the configuration: its DiffID is not {layer.diff_id}")


class _Hasher:
    """Hashes in another thread, at most a few chunks behind."""

    def __init__(self, pool: ThreadPoolExecutor, digest: Digest) -> None:
        self._pool = pool
        self._expected = digest.encoded
        self._hash = hashlib.new(digest.algorithm)
        self._waiting: deque[Future[None]] = deque()

    def update(self, chunk: bytes) -> None:
        """Hash ``chunk`` soon."""
        self._waiting.append(self._pool.submit(self._hash.update, chunk))
        if len(self._waiting) > _BACKLOG:
            self._waiting.popleft().result()

    def follow(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Hash what passes."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def finish(self, otherwise: str) -> None:
        """Raise BuildError with ``otherwise`` when the digest is another."""
        for waiting in self._waiting:
            waiting.result()
        if self._hash.hexdigest() != self._expected:
            raise BuildError(otherwise)
