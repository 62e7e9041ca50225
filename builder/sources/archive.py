"""Archives as sources: tar (plain, gzip, xz, bzip2, zstd) and zip, fetched or local, packed once."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from builder.errors import BuildError, ResolutionError
from builder.files import stamp_of
from builder.recipe.source_model import ArchiveSource
from builder.sources.decompress import PIECE, decompressed, kind_of
from builder.sources.fetched import fetched
from builder.sources.packed import FOLDER, Packed, PackedTrees, Packer
from builder.sources.supply import SourceTree, Supply
from builder.sources.tarstream import Tee, entries, starts_tar
from builder.sources.zipped import ZipReader
from builder.sysroot import Kind, Node

FORMAT = 2
"""Raised when archives are unpacked in another way; trees of another format are made anew."""

MOST_BYTES = 16 << 30
"""An archive may unpack to so many bytes."""

_HINT = "the archive is damaged or hostile, or holds more than files, folders and links"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SET_ID = 0o6000


def archive_tree(source: ArchiveSource, supplies: Supply) -> SourceTree:
    """The archive's tree. Files belong to root: the accounts of whoever packed it mean nothing in the image.

    BuildError for an archive that is damaged, hostile or not the one of ``sha256``, ResolutionError when
    it is not there, or holds nothing below ``root``, MachineError when it cannot be had.
    """
    trees = PackedTrees(supplies.cache / FOLDER)
    if source.path is None:
        key = _key(source, source.sha256)
        packed = trees.open(key)
        if packed is None:
            with fetched(source.url, source.sha256, supplies) as stream:
                packed = _pack(stream, source, trees, key)
    else:
        packed, key = _local(source, source.path, trees)
    return SourceTree(name=source.name, tree=packed.tree, key=key)


def _key(source: ArchiveSource, sha256: str) -> str:
    shape = hashlib.sha256(repr((FORMAT, source.strip, source.root)).encode()).hexdigest()
    return f"archive-{sha256}-{shape[:12]}"


def _local(source: ArchiveSource, path: Path, trees: PackedTrees) -> tuple[Packed, str]:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            if source.sha256 and found != source.sha256:
                raise BuildError(
                    f"{path} has the SHA-256 {found}; the source {source.name} says {source.sha256}",
                    hint="correct the checksum if the file is the right one",
                )
            key = _key(source, found)
            return trees.open(key) or _pack(stream, source, trees, key), key
    except OSError as error:
        raise ResolutionError(
            f"{path}, the archive of the source {source.name}, cannot be read: {error.strerror}",
            hint="the path starts at the recipe's folder",
        ) from error


def _pack(stream: BinaryIO, source: ArchiveSource, trees: PackedTrees, key: str) -> Packed:
    name = source.url.rpartition("/")[2] or str(source.path)
    before = os.fstat(stream.fileno())
    with trees.pack(key, name) as packer:
        _unpack(stream, name, packer, _Shape(source.strip, source.root))
        if stamp_of("", before) != stamp_of("", os.fstat(stream.fileno())):
            raise BuildError(f"{name} was changed while it was unpacked", hint="build again")
        _check_root(source, packer)
    return trees.written(key)


def _check_root(source: ArchiveSource, packer: Packer) -> None:
    if packer.paths > 1 or (source.root in {"", "/"} and not source.strip):
        return
    where = f"a folder {source.root}" if source.root not in {"", "/"} else "anything"
    below = f" below {source.strip} leading folders" if source.strip else ""
    raise ResolutionError(
        f"The archive of the source {source.name} does not have {where}{below}",
        hint="correct root and strip: the folders are counted from the archive's own root",
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which part of an archive is the tree: ``strip`` leading folders go, what is not below ``root`` too."""

    strip: int
    root: str

    def place(self, path: str) -> str | None:
        """Where ``path`` of the archive is in the tree; None for nowhere."""
        parts = path.split("/")[1 + self.strip :]
        if self.strip and not any(parts):
            return None
        placed = "/" + "/".join(parts)
        top = self.root.rstrip("/")
        if not top:
            return placed
        if placed == top:
            return "/"
        return placed[len(top) :] if placed.startswith(f"{top}/") else None


def _unpack(stream: BinaryIO, name: str, packer: Packer, shape: _Shape) -> None:
    stream.seek(0)
    head = stream.read(8)
    stream.seek(0)
    if head.startswith(_ZIP):
        reader = ZipReader(stream, name=name, limit=MOST_BYTES, hint=_HINT)
        _unpack_zip(reader, packer, shape)
        return
    pieces = decompressed(_pieces(stream), kind_of(head), name=name, limit=MOST_BYTES)
    first = next(pieces, b"")
    source = Tee(itertools.chain((first,), pieces))
    if not starts_tar(first):
        raise BuildError(f"{name} is neither a tar archive (plain, gz, xz, bz2, zst) nor a zip", hint=_HINT)
    for entry in entries(source, name=name, hint=_HINT):
        chunks = _payload(source, entry.size, f"{name} ends inside {entry.path}")
        node = Node(
            path=entry.path,
            kind=entry.kind,
            mode=entry.mode,
            mtime=entry.mtime,
            target=entry.target if entry.kind is Kind.SYMLINK else "",
            hardlink=entry.target if entry.link else "",
            xattrs=entry.xattrs,
        )
        _add(node, chunks, packer, shape)
        for _ in chunks:  # what the tree does not want
            pass
    source.drain()


def _unpack_zip(reader: ZipReader, packer: Packer, shape: _Shape) -> None:
    for entry in reader:
        default = 0o755 if entry.kind is Kind.DIRECTORY else 0o644
        node = Node(
            path=entry.path,
            kind=entry.kind,
            mode=default if entry.mode is None else entry.mode,
            target=entry.target,
        )
        chunks = reader.read(entry) if entry.kind is Kind.FILE else iter(())
        _add(node, chunks, packer, shape)


def _add(node: Node, chunks: Iterator[bytes], packer: Packer, shape: _Shape) -> None:
    path = shape.place(node.path)
    if path is None:
        return
    hardlink = ""
    if node.hardlink:
        hardlink = shape.place(node.hardlink) or ""
        if packer.get(hardlink) is None:
            raise BuildError(
                f"{node.path} is a hard link to {node.hardlink}, which is no file below root",
                hint="take a root that has both",
            )
    mode = 0o777 if node.kind is Kind.SYMLINK else node.mode & ~_SET_ID
    packer.add(replace(node, path=path, hardlink=hardlink, mode=mode), chunks)


def _payload(source: Tee, size: int, complaint: str) -> Iterator[bytes]:
    left = size
    while left:
        chunk = source.read(min(left, PIECE))
        if not chunk:
            raise BuildError(complaint, hint=_HINT)
        left -= len(chunk)
        yield chunk


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece
