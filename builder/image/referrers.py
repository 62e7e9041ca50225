"""What belongs to an image at its registry: bills of materials, signatures (distribution-spec, "Referrers").

Registries that do not list referrers themselves have an index under the tag ``sha256-…`` instead, which
clients keep ("Referrers Tag Schema").
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.oci import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor, Digest
from builder.registry.answers import NOT_FOUND, OK
from builder.registry.name import Repository
from builder.registry.session import MAX_MANIFEST, Errand, Registries, refuse
from builder.registry.upload import Blob, push_blob, push_manifest
from builder.stored.fields import canonical
from builder.stored.manifest import Manifest, descriptor_fields, manifest_bytes, parse_index
from builder.transport import FilePart, NotFoundError

MEDIA_TYPE_EMPTY = "application/vnd.oci.empty.v1+json"
_EMPTY = b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that belongs to an image: ``kind`` is its media type and the type of what is attached."""

    path: Path
    kind: str
    annotations: tuple[tuple[str, str], ...] = ()


def attach(
    registries: Registries, repository: Repository, subject: Descriptor, attachment: Attachment, scratch: Path
) -> Digest:
    """Push a file as a referrer of the image ``subject``; the digest of its manifest.

    ``scratch`` is a folder for a small file. MachineError when the registry refuses, BuildError when it
    holds something else than was sent.
    """
    empty = scratch / "empty.json"
    empty.write_bytes(_EMPTY)
    config = _push_file(registries, repository, empty, MEDIA_TYPE_EMPTY)
    layer = _push_file(registries, repository, attachment.path, attachment.kind)
    payload = manifest_bytes(
        Manifest(
            config=config,
            layers=(layer,),
            annotations=attachment.annotations,
            artifact_type=attachment.kind,
            subject=replace(subject, platform=None, annotations=()),
        )
    )
    digest = Digest("sha256", hashlib.sha256(payload).hexdigest())
    is_listed = push_manifest(registries, repository, payload, MEDIA_TYPE_MANIFEST, reference=str(digest))
    if not is_listed:
        entry = Descriptor(
            media_type=MEDIA_TYPE_MANIFEST,
            digest=digest,
            size=len(payload),
            annotations=attachment.annotations,
        )
        _list(registries, repository, subject.digest, {"artifactType": attachment.kind}, entry)
    return digest


def referrers(registries: Registries, repository: Repository, subject: Digest) -> tuple[Descriptor, ...]:
    """What belongs to an image: descriptors of manifests. MachineError when the registry does not say."""
    answer = registries.ask(repository, Errand(rest=f"referrers/{subject}", limit=MAX_MANIFEST))
    if answer.status == OK:
        return parse_index(answer.body, f"The referrers of {subject}")
    if answer.status != NOT_FOUND:
        refuse(answer, repository, f"The referrers of {repository}@{subject}")
    return parse_index(_listed(registries, repository, subject), f"The referrers of {subject}")


def _push_file(registries: Registries, repository: Repository, path: Path, kind: str) -> Descriptor:
    with path.open("rb") as stream:
        digest = Digest("sha256", hashlib.file_digest(stream, "sha256").hexdigest())
    size = path.stat().st_size
    blob = Blob(digest=digest, source=FilePart(path=path, offset=0, size=size))
    push_blob(registries, repository, blob, lambda _: None)
    return Descriptor(media_type=kind, digest=digest, size=size)


def _list(
    registries: Registries,
    repository: Repository,
    subject: Digest,
    members: dict[str, Any],
    entry: Descriptor,
) -> None:
    """Add ``entry`` to the index that stands in for the registry's own list."""
    document = json.loads(_listed(registries, repository, subject))
    others = [one for one in document["manifests"] if one.get("digest") != str(entry.digest)]
    document["manifests"] = [*others, descriptor_fields(entry) | members]
    push_manifest(registries, repository, canonical(document), MEDIA_TYPE_INDEX, reference=_tag(subject))


def _listed(registries: Registries, repository: Repository, subject: Digest) -> bytes:
    try:
        payload = registries.manifest(repository, _tag(subject), (MEDIA_TYPE_INDEX,)).payload
    except NotFoundError:
        return canonical({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": []})
    parse_index(payload, f"The referrers of {subject}")
    return payload


def _tag(subject: Digest) -> str:
    return f"{subject.algorithm}-{subject.encoded}"[:128]
