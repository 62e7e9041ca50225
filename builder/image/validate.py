"""Every way in which an image that rootlet wrote breaks the OCI specifications or its own promises."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from builder.errors import BuildError
from builder.image.config import config_bytes, rfc3339
from builder.image.tar import is_written
from builder.oci import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_LAYER,
    MEDIA_TYPE_LAYER_GZIP,
    MEDIA_TYPE_LAYER_ZSTD,
    Descriptor,
)
from builder.plan.model import Entry, ImagePlan, Layer
from builder.stored.blobs import FolderBlobs, read_json_blob, read_section
from builder.stored.config import ConfigFile, parse_config
from builder.stored.fields import parse_object
from builder.stored.manifest import (
    INDEX_TYPES,
    LAYOUT_VERSION,
    MANIFEST_TYPES,
    Manifest,
    parse_index,
    parse_manifest,
)
from builder.stored.stream import StoredLayer, layer_chunks
from builder.stored.untar import DIRECTORY, FILE, LINK, SPECIAL, SYMLINK, Member, TarReader
from builder.sysroot import Content, Kind

_LAYER_TYPES = {MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD}
_LIMIT = 16 << 30
_ALL_MODES = 0o7777
_MAX_DEPTH = 4
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_FLAGS = {Kind.FILE: FILE, Kind.DIRECTORY: DIRECTORY, Kind.SYMLINK: SYMLINK}


def validate(layout: Path, *, plan: ImagePlan | None = None) -> tuple[str, ...]:
    """Give every violation found in the layout folder, in the order of reading; () is a valid image.

    With ``plan``, the one image of the layout must be exactly what the plan says, bytes included.
    """
    return tuple(_layout(layout, plan))


def _layout(layout: Path, plan: ImagePlan | None) -> Iterator[str]:
    source = FolderBlobs(layout)
    try:
        marker = parse_object(read_section(source.named("oci-layout"), "oci-layout"), "oci-layout")
        if marker.get("imageLayoutVersion") != LAYOUT_VERSION:
            yield f"oci-layout: imageLayoutVersion is not {LAYOUT_VERSION}"
    except BuildError as error:
        yield error.message
    try:
        entries = parse_index(read_section(source.named("index.json"), "index.json"), "index.json")
    except BuildError as error:
        yield error.message
        return
    if plan is not None and len(entries) != 1:
        yield f"index.json: {len(entries)} entries, the plan makes one image"
    for entry in entries:
        yield from _entry(source, entry, plan, _MAX_DEPTH)


def _entry(source: FolderBlobs, entry: Descriptor, plan: ImagePlan | None, depth: int) -> Iterator[str]:
    try:
        if entry.media_type in MANIFEST_TYPES:
            manifest = parse_manifest(read_json_blob(source, entry), f"manifest {entry.digest}")
            yield from _image(source, entry, manifest, plan)
        elif entry.media_type in INDEX_TYPES and depth:
            for inner in parse_index(read_json_blob(source, entry), f"index {entry.digest}"):
                yield from _entry(source, inner, plan, depth - 1)
        else:
            yield f"{entry.digest}: the media type {entry.media_type!a} is neither a manifest nor an index"
    except BuildError as error:
        yield error.message


def _image(
    source: FolderBlobs, entry: Descriptor, manifest: Manifest, plan: ImagePlan | None
) -> Iterator[str]:
    where = f"manifest {entry.digest}"
    first = len(plan.base.layers) if plan is not None and plan.base is not None else 0
    if manifest.config.media_type != MEDIA_TYPE_CONFIG:
        yield f"{where}: the configuration has the media type {manifest.config.media_type!a}"
    payload = read_json_blob(source, manifest.config)
    config = parse_config(payload, f"configuration {manifest.config.digest}")
    yield from _config(entry, manifest, config)
    if plan is not None:
        if payload != config_bytes(plan, config.diff_ids):
            yield f"configuration {manifest.config.digest}: not the one of the plan"
        if manifest.annotations != tuple(sorted(plan.annotations)):
            yield f"{where}: the annotations are not the plan's"
        if len(plan.layers) + first != len(manifest.layers):
            yield f"{where}: {len(manifest.layers)} layers, the plan has {len(plan.layers) + first}"
    for number, (descriptor, diff_id) in enumerate(zip(manifest.layers, config.diff_ids, strict=False)):
        planned = _planned(plan, number - first)
        try:
            section = source.blob(descriptor.digest)
            stored = StoredLayer(section=section, descriptor=descriptor, diff_id=diff_id)
            if number < first:  # of the base: proven, and otherwise as somebody else wrote it
                for _ in layer_chunks(stored, _LIMIT):
                    pass
            else:
                yield from _layer(stored, config.created, planned)
        except BuildError as error:
            yield error.message


def _planned(plan: ImagePlan | None, number: int) -> Layer | None:
    return plan.layers[number] if plan is not None and 0 <= number < len(plan.layers) else None


def _config(entry: Descriptor, manifest: Manifest, config: ConfigFile) -> Iterator[str]:
    where = f"configuration {manifest.config.digest}"
    if len(config.diff_ids) != len(manifest.layers):
        yield f"{where}: {len(config.diff_ids)} DiffIDs, the manifest has {len(manifest.layers)} layers"
    if config.history is not None and config.history != len(config.diff_ids):
        yield f"{where}: the history tells of {config.history} layers, not of {len(config.diff_ids)}"
    if not config.platform.architecture:
        yield f"{where}: no architecture"
    if entry.platform not in {None, config.platform}:
        yield f"{where}: it is for {config.platform}, its descriptor says {entry.platform}"
    if not _TIME.fullmatch(config.created):
        yield f"{where}: {config.created!a} is no time"


def _layer(layer: StoredLayer, created: str, planned: Layer | None) -> Iterator[str]:
    where = layer.name.removeprefix("The ")
    if layer.descriptor is not None and layer.descriptor.media_type not in _LAYER_TYPES:
        yield f"{where}: the media type {layer.descriptor.media_type!a} is no layer"
    reader = TarReader(layer_chunks(layer, _LIMIT), layer.name)
    rules = _Rules(created)
    expected = iter(() if planned is None else filter(is_written, planned.entries))
    for member in reader:
        yield from (f"{where}: {member.name!a} {problem}" for problem in rules.broken(member))
        if planned is not None:
            entry = next(expected, None)
            digest = _digest(reader) if entry is not None and entry.content is not None else ""
            yield from (f"{where}: {member.name!a} {problem}" for problem in _differs(member, entry, digest))
    yield from (f"{where}: {entry.path!a} of the plan is not in it" for entry in expected)
    reader.drain()


class _Rules:
    """What a layer must be by itself. Remembers the names that have passed."""

    def __init__(self, created: str) -> None:
        self._created = created
        self._last = b""
        self._folders: set[str] = {""}
        self._files: set[str] = set()

    def broken(self, member: Member) -> Iterator[str]:
        """Give what is wrong with the next member."""
        path = member.name.rstrip("/")
        if path in {"", "."}:
            path = "."
        elif member.name.startswith("/") or {"", ".", ".."} & set(path.split("/")):
            yield "is no plain path inside the image"
        yield from self._place(path, member)
        if member.kind in SPECIAL:
            yield "is a device or a pipe"
        if member.mode & ~_ALL_MODES:
            yield f"has the mode {member.mode:o}"
        if rfc3339(min(member.mtime, _LIMIT)) != self._created:
            yield "has another time than the image"
        if member.kind == LINK and member.link not in self._files:
            yield f"is a hard link to {member.link!a}, which is no file before it"
        if member.kind == FILE:
            self._files.add(path)

    def _place(self, path: str, member: Member) -> Iterator[str]:
        raw = b"/" if path == "." else b"/" + path.encode("utf-8", "surrogateescape")
        if raw == self._last:
            yield "is there twice"
        elif raw < self._last:
            yield "is not in sorted order"
        self._last = max(raw, self._last)
        if path.rpartition("/")[0] not in self._folders:
            yield "comes without its folder"
        if member.kind == DIRECTORY:
            self._folders.add(path)
            if not member.name.endswith("/"):
                yield "is a folder without a slash at the end"


def _digest(reader: TarReader) -> str:
    digest = hashlib.sha256()
    for chunk in reader.payload():
        digest.update(chunk)
    return digest.hexdigest()


def _differs(member: Member, entry: Entry | None, digest: str) -> Iterator[str]:
    if entry is None:
        yield "is not in the plan"
        return
    name = entry.path[1:] + ("/" if entry.kind is Kind.DIRECTORY else "")
    kind = LINK if entry.hardlink else _FLAGS[entry.kind]
    is_root = entry.path == "/" and member.name == "./"
    if member.name != name and not is_root:
        yield f"stands where the plan has {entry.path!a}"
        return
    link = entry.hardlink[1:] if entry.hardlink else entry.target
    said = (member.kind, member.mode, member.uid, member.gid, member.size, member.link)
    planned = (kind, entry.mode, entry.uid, entry.gid, entry.size, link)
    if said != planned or member.xattrs != tuple(sorted(entry.xattrs)):
        yield f"is {said}, the plan says {planned}"
    if digest and digest != _planned_digest(entry, digest):
        yield "has other bytes than the plan says"


def _planned_digest(entry: Entry, otherwise: str) -> str:
    if isinstance(entry.content, Content):
        return entry.content.sha256 or otherwise
    return hashlib.sha256(entry.content or b"").hexdigest()
