"""Image manifests and indexes (OCI manifest.md, image-index.md, descriptor.md), both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builder.errors import BuildError
from builder.oci import (
    ANNOTATION_REF_NAME,
    MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST,
    Descriptor,
    Digest,
    Platform,
)
from builder.stored.fields import Object, canonical, child, children, integer, pairs, parse_object, text

LAYOUT_VERSION = "1.0.0"
LAYOUT_BYTES = b'{"imageLayoutVersion":"1.0.0"}'
"""The ``oci-layout`` file (image-layout.md)."""

MANIFEST_TYPES = frozenset({MEDIA_TYPE_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"})
INDEX_TYPES = frozenset({MEDIA_TYPE_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One platform's image: its configuration and its layers, bottom first.

    ``subject``: the image that this is said of; ``artifact_type`` says what it is, "" for an image.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    artifact_type: str = ""
    subject: Descriptor | None = None


def manifest_bytes(manifest: Manifest) -> bytes:
    """Give the manifest in canonical bytes."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": descriptor_fields(manifest.config),
        "layers": [descriptor_fields(layer) for layer in manifest.layers],
    }
    if manifest.annotations:
        document["annotations"] = dict(manifest.annotations)
    if manifest.artifact_type:
        document["artifactType"] = manifest.artifact_type
    if manifest.subject is not None:
        document["subject"] = descriptor_fields(manifest.subject)
    return canonical(document)


def index_bytes(manifests: tuple[Descriptor, ...]) -> bytes:
    """Give an index over ``manifests``, in their order, in canonical bytes."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE_INDEX,
            "manifests": [descriptor_fields(manifest) for manifest in manifests],
        }
    )


def reference_name(descriptor: Descriptor) -> str:
    """Give the name that an index gives its entry, "" for none (annotations.md, ``ref.name``)."""
    return dict(descriptor.annotations).get(ANNOTATION_REF_NAME, "")


def parse_manifest(payload: bytes, where: str) -> Manifest:
    """Read a manifest of OCI or Docker (version 2, schema 2). BuildError naming what is wrong."""
    document = _document(payload, where)
    return Manifest(
        config=_parse_descriptor(child(document, "config", where), f"{where}: config"),
        layers=_parse_descriptors(document, "layers", where),
        annotations=pairs(document, "annotations", where),
    )


def parse_index(payload: bytes, where: str) -> tuple[Descriptor, ...]:
    """Give the entries of an index or manifest list. BuildError naming what is wrong."""
    return _parse_descriptors(_document(payload, where), "manifests", where)


def _document(payload: bytes, where: str) -> Object:
    document = parse_object(payload, where)
    version = integer(document, "schemaVersion", where)
    if version != 2:  # noqa: PLR2004 (the only version there is)
        raise BuildError(f"{where} has schema version {version}, not 2")
    return document


def descriptor_fields(descriptor: Descriptor) -> dict[str, Any]:
    """Give the members of a descriptor as JSON has them."""
    members: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    if descriptor.annotations:
        members["annotations"] = dict(descriptor.annotations)
    if (platform := descriptor.platform) is not None:
        members["platform"] = {"os": platform.os, "architecture": platform.architecture}
        if platform.variant:
            members["platform"]["variant"] = platform.variant
    return members


def _parse_descriptors(document: Object, key: str, where: str) -> tuple[Descriptor, ...]:
    found = enumerate(children(document, key, where))
    return tuple(_parse_descriptor(fields, f"{where}: {key}[{place}]") for place, fields in found)


def _parse_descriptor(fields: Object, where: str) -> Descriptor:
    try:
        digest = Digest.parse(text(fields, "digest", where))
    except ValueError as error:
        raise BuildError(f"{where}: {error}") from error
    platform = child(fields, "platform", where)
    return Descriptor(
        media_type=text(fields, "mediaType", where),
        digest=digest,
        size=integer(fields, "size", where),
        platform=_parse_platform(platform, where) if platform else None,
        annotations=pairs(fields, "annotations", where),
    )


def _parse_platform(fields: Object, where: str) -> Platform:
    return Platform(
        text(fields, "os", where),
        text(fields, "architecture", where),
        text(fields, "variant", where, default=""),
    )
