"""The whole database as one file, for machines without a network.

    manifest.json       {"format": 2, "files": {"Debian.sqlite": "<sha256>", …}}
    Debian.sqlite …     as they lie in the folder

A gzip-compressed tar. Nothing in it is trusted: names are known ones, checksums and formats are held, and
each file takes the place of the old one only when it was opened and read.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from builder.errors import MachineError, ScanError
from builder.files import atomic_write, replacing
from builder.scan.ecosystems import ECOSYSTEMS
from builder.scan.model import DatabaseMeta
from builder.scan.store import FORMAT, UPDATE_HINT, check_file, database_file, signal_file

MAX_FILE = 8 << 30
"""Bytes of one file of a bundle."""

_MANIFEST = "manifest.json"
_MAX_MANIFEST = 1 << 20
_GZIP = b"\x1f\x8b"
_LEVEL = 6
_KINDS = ("KEV", "EPSS")
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError)


def is_bundle(path: Path) -> bool:
    """Whether ``path`` looks like what :func:`write_bundle` wrote: a packed tar, no list of exploits."""
    if not path.is_file() or path.name.endswith(".csv.gz"):
        return False
    with path.open("rb") as stream:
        return stream.read(len(_GZIP)) == _GZIP


def write_bundle(folder: Path, path: Path, wanted: tuple[str, ...] = ()) -> tuple[DatabaseMeta, ...]:
    """Write what ``folder`` holds (of ``wanted``, if given); tell what it was. ScanError if nothing."""
    files = [file for name, file in _places(folder) if file.exists() and name in (wanted or (name,))]
    if not files:
        raise ScanError(f"There is no vulnerability data in {folder} to export", hint=UPDATE_HINT)
    metas = tuple(check_file(file, file.stem) for file in files)
    sums = {}
    for file in files:
        with file.open("rb") as content:
            sums[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    manifest = json.dumps({"format": FORMAT, "files": sums}, indent=1).encode()
    try:
        with (
            atomic_write(path) as stream,
            tarfile.open(fileobj=stream, mode="w:gz", compresslevel=_LEVEL) as archive,
        ):
            _add(archive, _MANIFEST, len(manifest), io.BytesIO(manifest))
            for file in files:
                _add_file(archive, file)
    except OSError as error:
        raise MachineError(f"{path} could not be written: {error.strerror or error}") from error
    return metas


def read_bundle(path: Path, folder: Path, wanted: tuple[str, ...] = ()) -> tuple[DatabaseMeta, ...]:
    """Take a bundle into ``folder``; the data keeps its age. ScanError when it is damaged or none of ours.

    A file that is damaged ends the import; those before it are in place, each whole.
    """
    known = {place.name: (name, place) for name, place in _places(folder)}
    metas: list[DatabaseMeta] = []
    try:
        with tarfile.open(path, mode="r|gz") as archive:
            members = iter(archive)
            sums = _manifest(archive, next(members, None))
            for member in members:
                name, place = known[member.name]
                if name in (wanted or (name,)):
                    metas.append(_take(archive, member, place, sums[member.name]))
    except _DAMAGE as error:
        raise ScanError(
            f"{path} is no whole export of a vulnerability database: {error!r}",
            hint="write it anew with: rootlet database export FILE.tar.gz",
        ) from error
    except OSError as error:
        raise MachineError(f"{path} could not be taken into {folder}: {error.strerror or error}") from error
    if not metas:
        raise ScanError(f"{path} holds no vulnerability data of {' or '.join(wanted or ECOSYSTEMS)}")
    return tuple(metas)


def _places(folder: Path) -> Iterator[tuple[str, Path]]:
    yield from ((name, database_file(folder, name)) for name in ECOSYSTEMS)
    yield from ((kind, signal_file(folder, kind)) for kind in _KINDS)


def _add(archive: tarfile.TarFile, name: str, size: int, content: BinaryIO) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    archive.addfile(member, content)


def _add_file(archive: tarfile.TarFile, file: Path) -> None:
    with file.open("rb") as content:
        _add(archive, file.name, file.stat().st_size, content)


def _manifest(archive: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, str]:
    if member is None or member.name != _MANIFEST or member.size > _MAX_MANIFEST:
        raise ValueError("it has no manifest")
    stream = archive.extractfile(member)
    document = json.loads(stream.read() if stream is not None else b"")
    if document["format"] != FORMAT:
        raise ValueError(f"it has format {document['format']}, this rootlet reads {FORMAT}")
    return {str(name): str(digest) for name, digest in document["files"].items()}


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path, wanted: str) -> DatabaseMeta:
    stream = archive.extractfile(member)
    if stream is None or member.size > MAX_FILE:
        raise ValueError(f"{member.name} is no file, or larger than any")
    with replacing(place) as temporary:
        with temporary.open("w+b") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
            target.seek(0)
            found = hashlib.file_digest(target, "sha256").hexdigest()
        if found != wanted:
            raise ValueError(f"{member.name} is damaged")
        return check_file(temporary, place.stem)
