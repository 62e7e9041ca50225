"""Everything that an image or an index of images consists of, each blob once."""

from __future__ import annotations

from builder.oci import Descriptor
from builder.stored.blobs import BlobSource, read_json_blob
from builder.stored.manifest import INDEX_TYPES, MANIFEST_TYPES, parse_index, parse_manifest


def closure(source: BlobSource, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """Give what ``descriptor`` consists of, each part after those it names. BuildError for damaged ones."""
    found: dict[str, Descriptor] = {}
    stack = [(descriptor, False)]
    while stack:
        one, expanded = stack.pop()
        if expanded or str(one.digest) in found:
            found.setdefault(str(one.digest), one)
            continue
        stack.append((one, True))
        stack += [(part, False) for part in _parts(source, one)]
    return tuple(found.values())


def _parts(source: BlobSource, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    if descriptor.media_type in INDEX_TYPES:
        return parse_index(read_json_blob(source, descriptor), f"The index {descriptor.digest}")
    if descriptor.media_type in MANIFEST_TYPES:
        payload = read_json_blob(source, descriptor)
        manifest = parse_manifest(payload, f"The manifest {descriptor.digest}")
        return (manifest.config, *manifest.layers)
    return ()
