"""Publishing into an OCI image layout that others read and write too (image-layout.md).

Blobs come first and ``index.json`` last, by rename: whoever looks sees the old image or the new one. Writers
wait for each other on a lock of the folder itself, which leaves no file behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import BuildError, MachineError
from builder.files import write_bytes
from builder.oci import ANNOTATION_REF_NAME, Descriptor
from builder.stored.blob import TEMPORARY_PREFIX, blob_path, disk_errors, place_blob
from builder.stored.blobs import FolderBlobs
from builder.stored.closure import closure
from builder.stored.fields import MAX_JSON, Object, canonical, parse_object, text
from builder.stored.manifest import (
    LAYOUT_BYTES,
    LAYOUT_VERSION,
    descriptor_fields,
    index_bytes,
    parse_index,
    reference_name,
)

_NAME = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@+/]|--)[A-Za-z0-9]+)*")
"""annotations.md, ``org.opencontainers.image.ref.name``."""
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
_OWN_TEMPORARY = re.compile(r"\.(?:oci-layout|index\.json)\.[0-9a-f]{12}\.tmp")


def publish_layout(source: Path, descriptor: Descriptor, names: tuple[str, ...], target: Path) -> None:
    """Add the image (or index) ``descriptor`` of the layout ``source`` to the layout ``target`` as ``names``.

    Entries of these names are replaced, others kept; blobs that only the replaced ones used are removed.
    Without names the image is added nameless. MachineError when ``target`` is something else than a layout
    or cannot be written (it is as it was then); BuildError when the source or the target is damaged.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise BuildError(f"{name!a} cannot be the name of an image in a layout")
    blobs = closure(FolderBlobs(source), descriptor)
    bare = replace(descriptor, annotations=_without_name(descriptor))
    named = tuple(_with_name(bare, name) for name in dict.fromkeys(names)) or (bare,)
    with _locked(target):
        made = _prepare(target)
        new: list[Descriptor] = []
        try:
            old = _read_index(target)
            index = old.without(bare, names).plus(named)
            _copy_blobs(source, target, blobs, new)
            with disk_errors(target):
                write_bytes(target / "index.json", canonical(index.document))
        except BaseException:
            _remove(target, new)
            if made:
                _unmake(target)
            raise
        replaced = tuple(entry for entry in old.entries if entry not in index.entries)
        _remove(target, _only_of(target, replaced, index.entries))


def layout_names(target: Path) -> tuple[str, ...]:
    """Give the names of the images in a layout. BuildError when it is none or damaged."""
    return tuple(name for entry in _read_index(target).entries if (name := reference_name(entry)))


@dataclass(frozen=True, slots=True)
class _Index:
    """``index.json`` as it stands: what others wrote into it stays, whether rootlet knows it or not."""

    document: Object
    entries: tuple[Descriptor, ...]

    def without(self, bare: Descriptor, names: tuple[str, ...]) -> _Index:
        """Leave out what an image ``bare`` of these names replaces."""
        pairs = zip(self.entries, self.document.get("manifests") or (), strict=True)
        kept = [(entry, raw) for entry, raw in pairs if _is_kept(entry, bare, names)]
        document = {**self.document, "manifests": [raw for _, raw in kept]}
        return _Index(document, tuple(entry for entry, _ in kept))

    def plus(self, new: tuple[Descriptor, ...]) -> _Index:
        """Add entries at the end."""
        manifests = [*self.document["manifests"], *map(descriptor_fields, new)]
        return _Index({**self.document, "manifests": manifests}, (*self.entries, *new))


def _without_name(entry: Descriptor) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in entry.annotations if pair[0] != ANNOTATION_REF_NAME)


def _with_name(entry: Descriptor, name: str) -> Descriptor:
    return replace(entry, annotations=(*entry.annotations, (ANNOTATION_REF_NAME, name)))


def _is_kept(entry: Descriptor, bare: Descriptor, names: tuple[str, ...]) -> bool:
    name = reference_name(entry)
    return name not in names if name else entry.digest != bare.digest


def _read_index(target: Path) -> _Index:
    where = f"{target}/index.json"
    try:
        with (target / "index.json").open("rb") as stream:
            payload = stream.read(MAX_JSON + 1)
    except OSError as error:
        raise BuildError(f"{where} cannot be read: {error.strerror}") from error
    if len(payload) > MAX_JSON:
        raise BuildError(f"{where} has more than {MAX_JSON} bytes")
    return _Index(parse_object(payload, where), parse_index(payload, where))


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    # The folder may be removed and made anew while we wait for its lock: then it is the new one's turn.
    while True:
        number = _open_folder(target)
        try:
            with disk_errors(target):
                _lock(number, target)
            if not _is_still(number, target):
                continue
            yield
            return
        finally:
            os.close(number)


def _open_folder(target: Path) -> int:
    try:
        target.mkdir(parents=True, exist_ok=True)
        return os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as error:
        raise MachineError(
            f"{target} is a file, not an OCI layout", hint="choose another folder for the image"
        ) from error
    except OSError as error:
        raise MachineError(
            f"{target} cannot be opened: {error.strerror}", hint="choose a folder that can be written"
        ) from error


def _lock(number: int, target: Path) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise MachineError(
            f"The file system of {target} has no locks for folders",
            hint="publish to a folder of a local disk and copy it",
        ) from error


def _is_still(number: int, target: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), target.stat())
    except FileNotFoundError:
        return False


def _prepare(target: Path) -> bool:
    """Make sure that there is a layout; say whether it was made just now."""
    with disk_errors(target):
        names = {entry.name for entry in os.scandir(target)}
        own = {name for name in names if _OWN_TEMPORARY.fullmatch(name)}
        if names - own and "oci-layout" not in names:
            raise MachineError(
                f"{target} is neither empty nor an OCI layout; nothing was written",
                hint="choose another folder for the image, or empty that one",
            )
        # We hold the lock, so what looks like ours in the making was left by a process that was killed.
        for path in (*(target / name for name in own), *target.glob(f"blobs/*/{TEMPORARY_PREFIX}*")):
            path.unlink(missing_ok=True)
        if "oci-layout" not in names:
            write_bytes(target / "oci-layout", LAYOUT_BYTES)
        if "index.json" not in names:
            write_bytes(target / "index.json", index_bytes(()))
    _check_version(target)
    return "oci-layout" not in names


def _unmake(target: Path) -> None:
    # Best effort after a failure: the folder becomes empty again.
    with contextlib.suppress(OSError):
        for name in ("index.json", "oci-layout"):
            (target / name).unlink(missing_ok=True)
        for folder in (*target.glob("blobs/*"), target / "blobs"):
            folder.rmdir()


def _check_version(target: Path) -> None:
    where = f"{target}/oci-layout"
    with disk_errors(target), (target / "oci-layout").open("rb") as stream:
        version = text(parse_object(stream.read(4096), where), "imageLayoutVersion", where)
    if version != LAYOUT_VERSION:
        raise MachineError(
            f"{target} is an OCI layout of version {version[:40]}, not {LAYOUT_VERSION}",
            hint="choose another folder for the image",
        )


def _copy_blobs(source: Path, target: Path, blobs: tuple[Descriptor, ...], new: list[Descriptor]) -> None:
    """Place ``blobs``; those that were not there are added to ``new`` as they come, also before an error."""
    if (source / "blobs").resolve() != (target / "blobs").resolve():
        new.extend(blob for blob in blobs if place_blob(source / "blobs", target / "blobs", blob))


def _only_of(
    target: Path, replaced: tuple[Descriptor, ...], kept: tuple[Descriptor, ...]
) -> list[Descriptor]:
    try:
        used = {str(blob.digest) for entry in kept for blob in closure(FolderBlobs(target), entry)}
        candidates = [blob for entry in replaced for blob in closure(FolderBlobs(target), entry)]
    except BuildError:
        # An entry of someone else that cannot be followed: nobody knows what it uses, so nothing goes.
        return []
    return [blob for blob in candidates if str(blob.digest) not in used]


def _remove(target: Path, blobs: list[Descriptor]) -> None:
    for blob in blobs:
        with contextlib.suppress(OSError):
            blob_path(target / "blobs", blob.digest).unlink(missing_ok=True)
