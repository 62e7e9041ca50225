"""Blobs of an OCI image layout: under their digest, whole or not at all (image-layout.md, "Blobs")."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from builder.errors import BuildError, MachineError
from builder.oci import Descriptor, Digest

TEMPORARY_PREFIX = ".rootlet-"
"""How the names of files in the making start; nothing else in a layout starts so."""


def blob_path(blobs: Path, digest: Digest) -> Path:
    """Where the blob of ``digest`` lies below the folder ``blobs``."""
    return blobs / digest.algorithm / digest.encoded


class BlobWriter:
    """A blob in the making. Bytes are counted and hashed as they are written."""

    def __init__(self, blobs: Path) -> None:
        self._folder = blobs / "sha256"
        self._path = self._folder / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("xb", buffering=0)
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, payload: bytes | memoryview) -> None:
        """Append. MachineError when the disk refuses."""
        self._hash.update(payload)
        rest = memoryview(payload)
        with disk_errors(self._folder):
            while rest:
                rest = rest[self._stream.write(rest) :]
        self._size += len(payload)

    @property
    def digest(self) -> Digest:
        """Of what was written so far."""
        return Digest("sha256", self._hash.hexdigest())

    def commit(self, media_type: str) -> Descriptor:
        """Sync and rename to the digest; says what was written. MachineError when the disk refuses."""
        digest = self.digest
        with disk_errors(self._folder):
            os.fchmod(self._stream.fileno(), 0o644)
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._path.replace(self._folder / digest.encoded)
        return Descriptor(media_type=media_type, digest=digest, size=self._size)

    def discard(self) -> None:
        """Remove what was not committed."""
        self._stream.close()
        self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def new_blob(blobs: Path) -> Iterator[BlobWriter]:
    """Give a blob writer that leaves nothing behind unless it was committed."""
    writer = BlobWriter(blobs)
    try:
        yield writer
    finally:
        writer.discard()


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses below ``folder`` into a MachineError."""
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"The image cannot be written to {folder}: {error.strerror or error}",
            hint="make room or choose a folder that can be written",
        ) from error


def write_blob(blobs: Path, payload: bytes, media_type: str) -> Descriptor:
    """Write a small blob whole. MachineError where it cannot be written."""
    with new_blob(blobs) as writer:
        writer.write(payload)
        return writer.commit(media_type)


def read_blob(blobs: Path, descriptor: Descriptor, *, limit: int) -> bytes:
    """Give the bytes of a small blob, verified. BuildError when it is absent, above ``limit`` or another."""
    path = blob_path(blobs, descriptor.digest)
    try:
        with path.open("rb") as stream:
            payload = stream.read(min(limit, descriptor.size) + 1)
    except OSError as error:
        raise BuildError(f"The blob {descriptor.digest} cannot be read: {error.strerror} ({path})") from error
    if len(payload) != descriptor.size:
        raise BuildError(
            f"The blob {descriptor.digest} has another size than {descriptor.size} bytes ({path})"
        )
    if hashlib.new(descriptor.digest.algorithm, payload).hexdigest() != descriptor.digest.encoded:
        raise BuildError(f"The blob {descriptor.digest} is damaged: its bytes have another digest ({path})")
    return payload


def place_blob(source: Path, target: Path, descriptor: Descriptor) -> bool:
    """Put a blob of the folder ``source`` into ``target``: a hard link, else a copy, in place by rename.

    Says whether it is new there. A blob that is there already is replaced by the verified one. BuildError
    when the source lacks it or has it in another size, MachineError when the disk refuses.
    """
    origin, place = blob_path(source, descriptor.digest), blob_path(target, descriptor.digest)
    try:
        size = origin.stat().st_size
    except OSError as error:
        raise BuildError(f"The blob {descriptor.digest} is missing: {error.strerror} ({origin})") from error
    if size != descriptor.size:
        raise BuildError(f"The blob {descriptor.digest} has {size} bytes, not {descriptor.size} ({origin})")
    with disk_errors(target):
        place.parent.mkdir(parents=True, exist_ok=True)
        new = not place.exists()
        if new or not place.samefile(origin):
            link_or_copy(origin, place)
        return new


def link_or_copy(origin: Path, place: Path) -> None:
    """Give a file a second name, or copy it where that cannot be; ``place`` appears whole."""
    temporary = place.with_name(f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}")
    try:
        try:
            os.link(origin, temporary)
        except OSError:
            _copy(origin, temporary)
        # rename(2) does nothing when both names are already one file: hence the unlink below.
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(origin: Path, temporary: Path) -> None:
    with origin.open("rb") as source, temporary.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fchmod(target.fileno(), 0o644)
        os.fsync(target.fileno())
