"""One reader for images that anyone made: OCI layout folder, OCI archive, docker-archive.

``open_image`` reads the small documents. ``files`` streams the layers as they are, whiteouts included;
``tree`` streams what a container would see. Both prove every layer on the way: a caller that stops early
has read bytes that nobody vouched for.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import BuildError
from builder.inventory.content import IN_MEMORY, Readable, spooled
from builder.oci import Descriptor, Platform
from builder.stored.blobs import BlobSource, open_blobs, read_json_blob, read_section
from builder.stored.config import ConfigFile, parse_config
from builder.stored.fields import children, parse_object, text, texts
from builder.stored.manifest import INDEX_TYPES, MANIFEST_TYPES, parse_index, parse_manifest, reference_name
from builder.stored.stream import StoredLayer, layer_chunks
from builder.stored.untar import DIRECTORY, LINK, SPECIAL, SYMLINK, Member, TarReader
from builder.sysroot import Kind

MAX_LAYERS = 1000
_MAX_PATH = 4096
_MAX_DEPTH = 4
_SHOWN = 10
"""Indexes inside indexes."""
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a hostile image may cost: uncompressed bytes of a layer, entries of the whole image."""

    layer_bytes: int = 16 << 30
    entries: int = 2_000_000


class Whiteout(enum.Enum):
    """Whether an entry takes away what lower layers hold (layer.md, "Whiteouts")."""

    NONE = "none"
    PATH = "path"
    """``path`` and everything below it."""
    CONTENTS = "contents"
    """Everything below the folder ``path``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image of one platform where it lies; no file is open. ``manifest`` is None for a docker-archive."""

    path: Path
    names: tuple[str, ...]
    manifest: Descriptor | None
    config: ConfigFile
    layers: tuple[StoredLayer, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()
    config_blob: Descriptor | None = None
    """The configuration as a blob; None for a docker-archive."""

    def check_count(self, entries: int) -> None:
        """BuildError when so many entries are more than an image may have."""
        if entries > self.limits.entries:
            raise BuildError(f"{self.path} has more than {self.limits.entries} entries")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One path of a layer. ``layer`` counts from 0, the lowest; ``whiteout`` entries only take away.

    ``hardlink`` is the other name of the same file ("" for none): from ``files`` such an entry has no bytes,
    from ``tree`` it has the file's size and bytes. Bytes can be read until the iterator moves on.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    layer: int
    target: str = ""
    hardlink: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    whiteout: Whiteout = Whiteout.NONE
    payload: Payload | None = field(default=None, repr=False, compare=False)

    def read(self, limit: int) -> bytes:
        """Give the first bytes, at most ``limit``; may be called again. ValueError after moving on."""
        return self.payload.peek(limit) if self.payload is not None else b""

    @contextlib.contextmanager
    def content(self) -> Iterator[Readable]:
        """Give all the bytes, any part of them. A large file waits on the disk: OSError without room."""
        if self.size <= IN_MEMORY:
            yield self.read(self.size)
        else:
            with spooled(self.chunks()) as content:
                yield content

    def chunks(self) -> Iterator[bytes]:
        """Give all the bytes, once. ValueError after moving on, or when they were taken."""
        return self.payload.take() if self.payload is not None else iter(())


class Payload:
    """The bytes of the present member of a stream."""

    __slots__ = ("_again", "_reader", "_serial")

    def __init__(self, reader: TarReader, again: Callable[[], Iterator[bytes]] | None = None) -> None:
        self._reader = reader
        self._serial = reader.serial
        self._again = again

    def peek(self, limit: int) -> bytes:
        """Give the first bytes and leave them."""
        if self._is_taken():
            return _first(self._repeat(), limit)
        return self._reader.peek(limit)

    def take(self) -> Iterator[bytes]:
        """Give the bytes and drop them."""
        return self._repeat() if self._is_taken() else self._reader.payload()

    def _is_taken(self) -> bool:
        if self._serial != self._reader.serial:
            raise ValueError("the bytes of an image's file can be read only until the iterator moves on")
        return self._reader.taken

    def _repeat(self) -> Iterator[bytes]:
        # Several hard links pass with one payload: who comes second reads the layer again.
        if self._again is None:
            raise ValueError("the bytes of an image's file can be taken only once")
        return self._again()


def _first(chunks: Iterator[bytes], limit: int) -> bytes:
    found = b""
    while len(found) < limit and (chunk := next(chunks, b"")):
        found += chunk
    return found[:limit]


def open_image(
    path: Path, *, name: str = "", platform: Platform | None = None, limits: Limits | None = None
) -> StoredImage:
    """Read what the image at ``path`` says of itself; layers are only located.

    ``name`` (or a digest) and ``platform`` choose where there are several. BuildError when nothing there is
    an image, when it is damaged, or when the choice is not clear.
    """
    source = open_blobs(path)
    if source.has("index.json"):
        return _open_layout(source, path, name, platform, limits or Limits())
    if source.has("manifest.json"):
        return _open_docker_archive(source, path, name, limits or Limits())
    raise BuildError(
        f"{path} is no image: it holds neither index.json nor manifest.json",
        hint="give an OCI layout folder, or an uncompressed archive of skopeo, podman save or docker save",
    )


def files(image: StoredImage) -> Iterator[ImageFile]:
    """Stream every entry of every layer, lowest layer first, proving each layer. Devices are passed over.

    BuildError for a layer that is damaged, hostile (names that climb out, bombs) or not the one described.
    """
    read = 0
    for number in range(len(image.layers)):
        for path, member, reader in layer_members(image, number):
            read += 1
            image.check_count(read)
            if member.kind not in SPECIAL:
                yield as_file(path, member, reader, number)


def layer_members(image: StoredImage, number: int) -> Iterator[tuple[str, Member, TarReader]]:
    """Stream one layer: absolute normal path, member, and the reader that has its bytes."""
    layer = image.layers[number]
    where = layer.name
    reader = TarReader(layer_chunks(layer, image.limits.layer_bytes), where)
    for member in reader:
        yield normal_path(member.name, where), member, reader
    reader.drain()


def normal_path(name: str, where: str) -> str:
    """Give an entry's name as a path of the image: ``./usr/bin/`` is ``/usr/bin``. BuildError for ``..``."""
    path = "/" + name.removeprefix("./").strip("/")
    if "//" in path or "/." in path:
        path = _squeezed(path, where)
    if len(path) > _MAX_PATH:
        raise BuildError(f"{where} holds a name of {len(path)} characters; no system has such paths")
    return path


def _squeezed(path: str, where: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise BuildError(f"{where} holds {path[:200]!a}, which climbs out of its folder")
    return "/" + "/".join(parts)


def as_file(path: str, member: Member, reader: TarReader | None, layer: int) -> ImageFile:
    """Make the value of a member that is no device; without ``reader`` it has no bytes."""
    whiteout = Whiteout.NONE
    folder, _, base = path.rpartition("/")
    if base.startswith(_WHITEOUT):
        whiteout = Whiteout.CONTENTS if base == _OPAQUE else Whiteout.PATH
        path = (folder or "/") if base == _OPAQUE else f"{folder}/{base[len(_WHITEOUT) :]}"
    link = member.kind == LINK
    return ImageFile(
        path=path,
        kind=_KINDS.get(member.kind, Kind.FILE),
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        size=member.size,
        mtime=member.mtime,
        layer=layer,
        target="" if link else member.link,
        hardlink=normal_path(member.link, "A layer") if link else "",
        xattrs=member.xattrs,
        whiteout=whiteout,
        payload=Payload(reader) if reader is not None else None,
    )


_KINDS: Mapping[bytes, Kind] = {DIRECTORY: Kind.DIRECTORY, SYMLINK: Kind.SYMLINK}


def _open_layout(
    source: BlobSource, path: Path, name: str, platform: Platform | None, limits: Limits
) -> StoredImage:
    entries = parse_index(read_section(source.named("index.json"), str(path)), f"{path}: index.json")
    named = tuple(
        entry for entry in entries if not name or name in (reference_name(entry), str(entry.digest))
    )
    if not named and ":" in name:  # the digest of one platform
        named = tuple(one for one in _manifests(source, entries) if str(one.digest) == name)
    names = tuple(sorted({reference_name(entry) for entry in named} - {""}))
    if not named and name:
        has = ", ".join(sorted({reference_name(entry) for entry in entries} - {""})[:_SHOWN])
        raise BuildError(f"{path} holds no image named {name}", hint=f"it has {has or 'no names'}")
    chosen = _choose(_manifests(source, named), platform, path, names if not name else ())
    manifest = parse_manifest(read_json_blob(source, chosen), f"The manifest {chosen.digest}")
    where = f"The configuration {manifest.config.digest}"
    config = parse_config(read_json_blob(source, manifest.config), where)
    if len(manifest.layers) != len(config.diff_ids) or len(manifest.layers) > MAX_LAYERS:
        raise BuildError(
            f"{where} speaks of {len(config.diff_ids)} layers, its manifest of {len(manifest.layers)}"
        )
    layers = tuple(
        StoredLayer(section=source.blob(layer.digest), descriptor=layer, diff_id=diff_id)
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    )
    return StoredImage(
        path=path,
        names=names,
        manifest=chosen,
        config=config,
        layers=layers,
        annotations=manifest.annotations,
        limits=limits,
        config_blob=manifest.config,
    )


def _manifests(source: BlobSource, entries: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """Give the manifests of ``entries``, through indexes, each once, without attestations (no platform)."""
    found: dict[str, Descriptor] = {}
    level = entries
    for _ in range(_MAX_DEPTH):
        for entry in level:
            attestation = entry.platform is not None and entry.platform.os == "unknown"
            if entry.media_type in MANIFEST_TYPES and not attestation:
                found.setdefault(str(entry.digest), entry)
        indexes = [entry for entry in level if entry.media_type in INDEX_TYPES]
        level = tuple(
            inner
            for entry in indexes
            for inner in parse_index(read_json_blob(source, entry), f"The index {entry.digest}")
        )
    return tuple(found.values())


def _choose(
    manifests: tuple[Descriptor, ...], platform: Platform | None, path: Path, names: tuple[str, ...]
) -> Descriptor:
    fitting = [
        one for one in manifests if platform is None or one.platform is None or one.platform.runs(platform)
    ]
    if len(fitting) == 1:
        return fitting[0]
    platforms = sorted({str(one.platform) for one in (fitting or manifests) if one.platform})[:_SHOWN]
    if not fitting:
        wanted = f" for {platform}" if platform else ""
        raise BuildError(
            f"{path} holds no image{wanted}", hint=f"it has {', '.join(platforms)}" if platforms else None
        )
    ways = [f"--platform, one of {', '.join(platforms)}"] if len(platforms) > 1 else []
    if len(names) > 1 and len(platforms) < min(len(fitting), _SHOWN):
        ways.append(f"a name, one of {', '.join(names[:_SHOWN])}")
    raise BuildError(
        f"{path} holds {len(fitting)} images, and which one is meant is not said",
        hint=f"choose with {' and '.join(ways)}" if ways else None,
    )


def _open_docker_archive(source: BlobSource, path: Path, name: str, limits: Limits) -> StoredImage:
    payload = read_section(source.named("manifest.json"), f"{path}: manifest.json")
    where = f"{path}: manifest.json"
    images = children(parse_object(b'{"images":%s}' % payload, where), "images", where)
    fitting = [image for image in images if not name or name in texts(image, "RepoTags", where)]
    if len(fitting) != 1:
        raise BuildError(f"{path} holds {len(fitting)} images" + (f" named {name}" if name else ""))
    members = texts(fitting[0], "Layers", where)
    section = source.named(text(fitting[0], "Config", where))
    config = parse_config(read_section(section, where), f"{path}: the configuration")
    if len(members) != len(config.diff_ids) or len(members) > MAX_LAYERS:
        raise BuildError(
            f"{path}: the configuration speaks of {len(config.diff_ids)} layers, not of {len(members)}"
        )
    layers = tuple(
        StoredLayer(section=source.named(member), descriptor=None, diff_id=diff_id)
        for member, diff_id in zip(members, config.diff_ids, strict=True)
    )
    names = texts(fitting[0], "RepoTags", where)
    return StoredImage(path=path, names=names, manifest=None, config=config, layers=layers, limits=limits)
