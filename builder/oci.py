"""Words of the OCI image specification as values: no input, no output.

https://github.com/opencontainers/image-spec (v1.1): descriptor.md, config.md, media-types.md.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from pathlib import Path

MEDIA_TYPE_INDEX = "application/vnd.oci.image.index.v1+json"
MEDIA_TYPE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_TYPE_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_TYPE_LAYER = "application/vnd.oci.image.layer.v1.tar"
MEDIA_TYPE_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MEDIA_TYPE_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_BASE_NAME = "org.opencontainers.image.base.name"
ANNOTATION_BASE_DIGEST = "org.opencontainers.image.base.digest"

_DOCKER_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar": MEDIA_TYPE_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": MEDIA_TYPE_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": MEDIA_TYPE_LAYER_ZSTD,
}


def oci_media_type(media_type: str) -> str:
    """The type of a layer as OCI calls it: Docker's layers are the same bytes under other names."""
    return _DOCKER_LAYERS.get(media_type, media_type)


_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_REPOSITORY = re.compile(
    r"(?:(?P<registry>(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:[0-9]))(?::[0-9]+)?)/)?"
    r"(?P<repository>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Digest:
    """A content digest, ``algorithm:encoded`` (descriptor.md, "Digests")."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:…`` or ``sha512:…``; ValueError for anything else."""
        if not _DIGEST.fullmatch(text):
            raise ValueError(f"not a digest: {text!r}")
        algorithm, _, encoded = text.partition(":")
        return cls(algorithm, encoded)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """Operating system and processor as OCI names them: ``linux/arm64/v8``."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture[/variant]``; ValueError when it has another form."""
        parts = text.split("/")
        if not 2 <= len(parts) <= 3 or not all(re.fullmatch(r"[a-z0-9_.-]+", part) for part in parts):  # noqa: PLR2004 (two or three parts)
            raise ValueError(f"not a platform: {text!r} (expected os/architecture, as linux/amd64)")
        return cls(*parts)

    def runs(self, other: Platform) -> bool:
        """Whether ``other`` is the same platform: the usual variant may be written or not."""
        return self._whole() == other._whole()

    def _whole(self) -> tuple[str, str, str]:
        return (self.os, self.architecture, self.variant or _USUAL.get(self.architecture, ""))

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


_USUAL = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
"""Variants that are meant where none is written (containerd's platforms.Normalize)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A pointer to a blob: type, digest, size in bytes (descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """Docker's health check; times in nanoseconds. ``test`` as Docker writes it, ("CMD", …)."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How a container starts (config.md, "config"). ``ports`` as "8080/tcp"; ``env`` in order."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """A whole name: ``[registry/]repository[:tag][@digest]``. A tag is only the part after the colon."""

    registry: str = ""
    repository: str
    tag: str = ""
    digest: Digest | None = field(default=None)

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read a reference; ValueError says which part is wrong. Nothing is filled in."""
        name, _, digest = text.partition("@")
        head, _, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        match = _REPOSITORY.fullmatch(f"{head}/{last}" if "/" in name else last)
        if match is None:
            raise ValueError(f"not an image name: {text!r} (lower-case letters, digits, '.', '_', '-', '/')")
        if (":" in name.rpartition("/")[2]) and not _TAG.fullmatch(tag):
            raise ValueError(f"not a tag: {tag!r} in {text!r}")
        return cls(
            registry=match["registry"] or "",
            repository=match["repository"],
            tag=tag,
            digest=Digest.parse(digest) if digest else None,
        )

    @property
    def name(self) -> str:
        """The name without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    def __str__(self) -> str:
        text = f"{self.registry}/{self.repository}" if self.registry else self.repository
        if self.tag:
            text += f":{self.tag}"
        return f"{text}@{self.digest}" if self.digest else text


class ImagePlace(enum.Enum):
    """Where images are."""

    REGISTRY = "registry"
    LAYOUT = "oci"
    OCI_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"
    STORAGE = "containers-storage"


_PLACES = {
    **{place.value: place for place in ImagePlace},
    "storage": ImagePlace.STORAGE,
    "docker": ImagePlace.REGISTRY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAddress:
    """An image as a recipe or a command line names it; nobody has looked whether it is there.

    ``path``: the folder or file of a layout or an archive, ``name`` the image's name (or digest) inside it or
    its name in the storage. ``reference`` is that of an image of a registry.
    """

    place: ImagePlace
    path: Path | None = None
    name: str = ""
    reference: ImageReference | None = None

    @classmethod
    def parse(cls, text: str, folder: Path) -> ImageAddress:
        """Read ``registry/name[:tag][@digest]``, ``oci:FOLDER[:TAG]`` or the like; paths start at ``folder``.

        ValueError says what is wrong.
        """
        word, colon, rest = text.partition(":")
        place = _PLACES.get(word) if colon and "/" not in word else None
        if place is None or place is ImagePlace.REGISTRY:
            name = text if place is None else rest.removeprefix("//")
            return cls(place=ImagePlace.REGISTRY, reference=ImageReference.parse(name))
        if not rest.strip("/"):
            raise ValueError(f"{text!r} names no image")
        if place is ImagePlace.STORAGE:
            return cls(place=place, name=rest)
        path, at, name = rest.partition("@")
        if at and not _DIGEST.fullmatch(name):
            raise ValueError(f"{name!r} in {text!r} is not a digest")
        if not at:
            path, _, name = rest.partition(":")  # as containers-transports(5)
        return cls(place=place, path=folder / path, name=name)

    def __str__(self) -> str:
        if self.reference is not None:
            return str(self.reference)
        if self.path is None:
            return f"{self.place.value}:{self.name}"
        return f"{self.place.value}:{self.path}" + (f":{self.name}" if self.name else "")
