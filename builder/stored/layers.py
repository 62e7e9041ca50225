"""Layers unpacked once: for each DiffID one uncompressed tar, read by offset, and an index of it.

    <folder>/<DiffID>.tar      the layer as it is, proven by its DiffID
    <folder>/<DiffID>.json     what is where; a checksum on its first line; written last

An index that is damaged or of another format counts as absent, and the layer is unpacked again. Files appear
whole by a rename, so several processes may use one folder.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from builder.files import atomic_write, read_checked, write_checked
from builder.oci import Digest
from builder.stored.blob import disk_errors
from builder.stored.read import ImageFile, StoredImage, Whiteout, as_file, normal_path
from builder.stored.stream import StoredLayer, layer_chunks
from builder.stored.tree import Above, LayerNames, Link, check_links
from builder.stored.untar import SPECIAL, Member, TarReader
from builder.sysroot import Content, Kind

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One entry of a layer: ``file`` without its bytes, where these lie, and whether it is a device or pipe.

    ``content`` is None for all but regular files that are no second name of another.
    """

    file: ImageFile
    content: Content | None
    special: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedLayer:
    """A layer in the store. ``size`` is that of its tar in bytes."""

    diff_id: Digest
    tar: Path
    size: int
    entries: tuple[LayerEntry, ...]


class LayerStore:
    """The folder of unpacked layers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, diff_id: Digest) -> bool:
        """Whether the layer is here; what :meth:`open` finds damaged is too."""
        return self._index(diff_id).is_file() and self.tar(diff_id).is_file()

    def open(self, diff_id: Digest, number: int) -> UnpackedLayer | None:
        """The layer, as number ``number`` of an image, or None when it is not here whole."""
        body = read_checked(self._index(diff_id))
        tar = self.tar(diff_id)
        if body is None:
            return None
        index = json.loads(body)
        try:
            size = tar.stat().st_size
        except OSError:
            return None
        if index["format"] != _FORMAT or index["size"] != size:
            return None
        for path in (tar, self._index(diff_id)):  # somebody still wants it: see sweep
            with contextlib.suppress(OSError):
                os.utime(path)
        entries = tuple(_entry(row, tar, number) for row in index["entries"])
        return UnpackedLayer(diff_id=diff_id, tar=tar, size=size, entries=entries)

    def unpack(self, image: StoredImage, number: int) -> UnpackedLayer:
        """The layer ``number`` of an image, from the store or unpacked into it.

        BuildError for a layer that is damaged, hostile or not the one described; nothing is left then.
        """
        layer = image.layers[number]
        known = self.open(layer.diff_id, number)
        if known is not None:
            return known
        tar = self.tar(layer.diff_id)
        with disk_errors(self.folder):
            tar.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(tar, durable=False) as out:
                rows, size = _unpack(layer, out, image)
            index = {"format": _FORMAT, "size": size, "entries": rows}
            write_checked(self._index(layer.diff_id), json.dumps(index, separators=(",", ":")).encode())
        return UnpackedLayer(
            diff_id=layer.diff_id,
            tar=tar,
            size=size,
            entries=tuple(_entry(row, tar, number) for row in rows),
        )

    def tar(self, diff_id: Digest) -> Path:
        """Where the tar of a layer lies, or would lie."""
        return self.folder / f"{diff_id.encoded}.tar"

    def _index(self, diff_id: Digest) -> Path:
        return self.folder / f"{diff_id.encoded}.json"


def final_tree(layers: Iterable[UnpackedLayer], *, where: str) -> dict[str, LayerEntry]:
    """What a container sees of ``layers`` (lowest first), by path; hard links carry their file's content.

    BuildError for two entries of one path in a layer and for hard links to nothing.
    """
    above = Above()
    pending: list[Link] = []
    found: dict[str, LayerEntry] = {}
    for layer in reversed(tuple(layers)):
        names = LayerNames(f"The layer {layer.diff_id}")
        by_path = {one.file.path: one for one in layer.entries}
        for one in layer.entries:
            names.take(one.file, special=one.special)
            if one.special or one.file.whiteout is not Whiteout.NONE or above.hides(one.file.path):
                continue
            if one.file.hardlink:
                pending.append(Link(one.file, one.file.hardlink))
            else:
                found[one.file.path] = one
        here, pending = names.resolve(pending)
        for target, links in here.items():
            found.update((link.file.path, _linked(link.file, by_path[target])) for link in links)
        above.lay(names)
    check_links(pending, where)
    return found


def _linked(link: ImageFile, target: LayerEntry) -> LayerEntry:
    file = replace(target.file, path=link.path, hardlink=link.hardlink, layer=link.layer)
    return LayerEntry(file, target.content, target.special)


def _unpack(layer: StoredLayer, out: BinaryIO, image: StoredImage) -> tuple[list[list[Any]], int]:
    reader = TarReader(_copied(layer_chunks(layer, image.limits.layer_bytes), out), layer.name)
    rows = []
    for member in reader:
        offset = reader.position
        digest = hashlib.sha256()
        for chunk in reader.payload():
            digest.update(chunk)
        path = normal_path(member.name, layer.name)
        rows.append(_row(path, member, offset, digest.hexdigest() if member.size else _EMPTY))
        image.check_count(len(rows))
    reader.drain()
    return rows, out.tell()


_EMPTY = hashlib.sha256().hexdigest()


def _copied(chunks: Iterator[bytes], out: BinaryIO) -> Iterator[bytes]:
    for chunk in chunks:
        out.write(chunk)
        yield chunk


def _row(path: str, member: Member, offset: int, digest: str) -> list[Any]:
    xattrs = [[name, base64.b64encode(value).decode()] for name, value in member.xattrs]
    kind = member.kind.decode()
    row = [path, kind, member.mode, member.uid, member.gid, member.mtime, offset, member.size, digest]
    return [*row, member.link, xattrs] if member.link or xattrs else row


_LINK = 9


def _entry(row: list[Any], tar: Path, number: int) -> LayerEntry:
    path, kind, mode, uid, gid, mtime, offset, size, digest = row[:_LINK]
    link, xattrs = row[_LINK:] or ("", ())
    member = Member(
        path,
        kind.encode(),
        mode,
        uid,
        gid,
        size,
        mtime,
        link,
        tuple((name, base64.b64decode(value)) for name, value in xattrs),
    )
    file = as_file(path, member, None, number)
    is_special = member.kind in SPECIAL
    has_bytes = file.kind is Kind.FILE and not file.hardlink and not is_special
    content = (
        Content(store=tar, offset=offset, size=size, sha256=digest)
        if has_bytes and file.whiteout is Whiteout.NONE
        else None
    )
    return LayerEntry(file, content, is_special)
