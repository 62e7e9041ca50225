"""The layer writer: a plan's layer becomes a blob in one streaming pass (OCI layer.md).

The tar is cut into blocks of a fixed size that lie in a few reused buffers, so memory does not grow with
the image. For each block one thread hashes the DiffID, a pool compresses, and one thread writes and hashes
the blob in order; the calling thread reads the stores and verifies every file.
"""

from __future__ import annotations

import hashlib
import os
import queue
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError
from builder.image.compress import Buffer, Compressor, compressor, layer_media_type
from builder.image.stores import StoreReader
from builder.image.tar import END, is_written, path_bytes, tar_header
from builder.oci import Descriptor, Digest
from builder.plan.model import Entry, Layer
from builder.progress import Progress
from builder.recipe.model import Compression
from builder.stored.blob import BlobWriter, new_blob
from builder.stored.blobs import Section, pieces
from builder.stored.untar import BLOCK, padding
from builder.sysroot import Content, Kind

_MAX_THREADS = 8
_ZEROS = bytes(BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLayer:
    """A layer in the staging layout. ``size`` is uncompressed bytes, ``descriptor.size`` the blob's.

    ``files`` counts regular files and hard links, ``entries`` everything in the tar.
    """

    descriptor: Descriptor
    diff_id: Digest
    size: int
    files: int
    entries: int


def write_layer(
    layer: Layer,
    *,
    created: int,
    compression: Compression,
    blobs: Path,
    progress: Progress,
    threads: int | None = None,
) -> WrittenLayer:
    """Write ``layer`` below ``blobs``; every entry gets the time ``created`` (seconds since the epoch).

    ``threads`` compress (default: one for each processor, at most 8); the bytes do not depend on them.
    BuildError when stored bytes differ from what was promised or the plan cannot be a tar, MachineError when
    the disk refuses; nothing is left then.
    """
    check_order(layer)
    total = sum(entry.size + BLOCK for entry in layer.entries)
    with new_blob(blobs) as blob, ExitStack() as stack:
        pipeline = _Pipeline(blob, compressor(compression), threads or _processors(), stack)
        stream = _TarStream(pipeline, lambda done: progress.advance(done, total))
        with StoreReader() as stores:
            for entry in layer.entries:
                if is_written(entry):
                    stream.add(entry, created, stores)
        size = stream.close()
        diff_id = pipeline.finish()
        descriptor = blob.commit(layer_media_type(compression))
    return WrittenLayer(
        descriptor=descriptor, diff_id=diff_id, size=size, files=stream.files, entries=stream.entries
    )


def write_tar(section: Section, *, compression: Compression, blobs: Path, progress: Progress) -> WrittenLayer:
    """Write a tar that is there already as a layer below ``blobs``; its entries are not counted.

    BuildError when it cannot be read, MachineError when the disk refuses; nothing is left then.
    """
    with new_blob(blobs) as blob, ExitStack() as stack:
        pipeline = _Pipeline(blob, compressor(compression), _processors(), stack)
        stream = _TarStream(pipeline, lambda done: progress.advance(done, section.size))
        for piece in pieces(section):
            stream.put(piece)
        size = stream.finish()
        diff_id = pipeline.finish()
        descriptor = blob.commit(layer_media_type(compression))
    return WrittenLayer(descriptor=descriptor, diff_id=diff_id, size=size, files=0, entries=0)


def check_order(layer: Layer) -> None:
    """BuildError unless paths are absolute, normal, sorted by bytes and unique, and hard links look back."""
    last = b""
    names: set[str] = set()
    for entry in layer.entries:
        raw = path_bytes(entry.path)
        if not _is_normal(entry.path):
            raise BuildError(f"The plan holds {entry.path!a}, which is no absolute, normal path")
        if raw <= last:
            raise BuildError(
                f"The plan is not sorted: {entry.path!a} comes after {last.decode(errors='replace')!a}"
            )
        if "/.wh." in entry.path:
            raise BuildError(
                f"The image cannot hold {entry.path!a}: in a layer that name takes another file away",
                hint="drop that file, or install it under another name",
            )
        if entry.hardlink and entry.hardlink not in names:
            raise BuildError(
                f"The plan links {entry.path!a} to {entry.hardlink!a}, which is no file before it"
            )
        if entry.kind is Kind.FILE and not entry.hardlink:
            names.add(entry.path)
        last = raw


def _is_normal(path: str) -> bool:
    if path == "/":
        return True
    whole = path + "/"
    return path.startswith("/") and not ("//" in whole or "/./" in whole or "/../" in whole)


def _processors() -> int:
    return min(len(os.sched_getaffinity(0)), _MAX_THREADS)


class _Pipeline:
    """Takes filled buffers in order; hashes, compresses and writes them in threads; gives buffers back."""

    def __init__(self, blob: BlobWriter, packer: Compressor, threads: int, stack: ExitStack) -> None:
        self._blob = blob
        self._packer = packer
        self._pool = stack.enter_context(ThreadPoolExecutor(threads, "compress"))
        self._writer = stack.enter_context(ThreadPoolExecutor(1, "write"))
        self._hasher = stack.enter_context(ThreadPoolExecutor(1, "hash"))
        self._diff_id = hashlib.sha256()
        self._written: deque[Future[None]] = deque()
        self._free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        for _ in range(threads + 3):
            self._free.put(None)
        blob.write(packer.head)

    def buffer(self) -> bytearray:
        """Give an unused buffer of one block; waits for one. Raises what a thread met."""
        buffer = self._free.get()
        while self._written and self._written[0].done():
            self._written.popleft().result()
        return bytearray(self._packer.block_size) if buffer is None else buffer

    def give(self, buffer: bytearray, length: int) -> None:
        """Hand over the next block: the first ``length`` bytes of ``buffer``."""
        block = memoryview(buffer)[:length]
        hashed = None if self._packer.identity else self._hasher.submit(self._diff_id.update, block)
        packed = self._pool.submit(self._packer.pack, block)
        self._written.append(self._writer.submit(self._write, buffer, length, hashed, packed))

    def finish(self) -> Digest:
        """Wait for every block, end the blob; the DiffID."""
        for written in self._written:
            written.result()
        self._blob.write(self._packer.tail())
        return self._blob.digest if self._packer.identity else Digest("sha256", self._diff_id.hexdigest())

    def _write(
        self, buffer: bytearray, length: int, hashed: Future[None] | None, packed: Future[tuple[Buffer, int]]
    ) -> None:
        try:
            payload, checksum = packed.result()
            self._packer.join(checksum, length)
            self._blob.write(payload)
        finally:
            if hashed is not None:
                hashed.result()
            self._free.put(buffer)


class _TarStream:
    """Lays headers and payloads into blocks."""

    def __init__(self, pipeline: _Pipeline, report: Callable[[int], None]) -> None:
        self._pipeline = pipeline
        self._report = report
        self._buffer = pipeline.buffer()
        self._view = memoryview(self._buffer)
        self._at = 0
        self._before = 0
        self._pad = b""
        self.files = 0
        self.entries = 0

    def add(self, entry: Entry, created: int, stores: StoreReader) -> None:
        """Header and payload of one entry."""
        self.entries += 1
        self.files += entry.kind is Kind.FILE
        self.put(self._pad + tar_header(entry, created))
        content = entry.content
        if content is None:
            self._pad = b""
            return
        if isinstance(content, Content):
            self._copy(entry, content, stores)
        else:
            self.put(content)
        self._pad = _ZEROS[: padding(entry.size)]

    def close(self) -> int:
        """End the archive and hand over the last block; the tar's size."""
        self.put(self._pad + END)
        return self.finish()

    def finish(self) -> int:
        """Hand over the last block; the size of all."""
        size = self._before + self._at
        if self._at:
            self._pipeline.give(self._buffer, self._at)
        return size

    def _copy(self, entry: Entry, content: Content, stores: StoreReader) -> None:
        left = content.size
        if left <= len(self._view) - self._at:
            room = self._view[self._at : self._at + left]
            self._at += left
            stores.copy(entry, content, iter((room,)))
        else:
            stores.copy(entry, content, self._rooms(left))

    def _rooms(self, wanted: int) -> Iterator[memoryview]:
        while wanted:
            room = self._room(wanted)
            wanted -= len(room)
            yield room

    def put(self, payload: bytes) -> None:
        """Append bytes as they are."""
        end = self._at + len(payload)
        if end <= len(self._view):
            self._view[self._at : end] = payload
            self._at = end
            return
        rest = memoryview(payload)
        while rest:
            room = self._room(len(rest))
            room[:] = rest[: len(room)]
            rest = rest[len(room) :]

    def _room(self, wanted: int) -> memoryview:
        # Blocks are handed over when the next byte comes, so the last one may be full but is never empty.
        if self._at == len(self._view):
            self._pipeline.give(self._buffer, self._at)
            self._before += self._at
            self._report(self._before)
            self._buffer = self._pipeline.buffer()
            self._view = memoryview(self._buffer)
            self._at = 0
        start, self._at = self._at, min(self._at + wanted, len(self._view))
        return self._view[start : self._at]
