"""Packages.db: rpm's own database, as SUSE's images have it (rpm's lib/backend/ndb/rpmpkg.cc)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from builder.inventory.content import Readable
from builder.inventory.rpm.header import MAX_HEADER
from builder.inventory.rpm.sqlite import DamagedDatabaseError

MAGIC = b"RpmP"
_PAGE = 4096
_SLOT = struct.Struct("<4s3I")
_BLOB = struct.Struct("<4s3I")
_BLOCK = 16
_MAX_PAGES = 2048
"""Pages of slots: half a million packages."""


def package_blobs(content: Readable) -> Iterator[bytes]:
    """Give the header of each package. DamagedDatabaseError after what could be read."""
    header = content[0:32]
    if len(header) < 32 or not header.startswith(MAGIC):  # noqa: PLR2004 (bytes of the header)
        raise DamagedDatabaseError("it is no ndb database")
    pages = int.from_bytes(header[12:16], "little")
    if not 0 < pages <= _MAX_PAGES or pages * _PAGE > len(content):
        raise DamagedDatabaseError(f"it has {pages} pages of slots")
    slots = content[0 : pages * _PAGE]
    # The header takes the place of the first two slots.
    for magic, package, block, blocks in _SLOT.iter_unpack(slots[2 * _SLOT.size :]):
        if magic != b"Slot":
            raise DamagedDatabaseError("a slot is damaged")
        if package:
            yield _blob(content, package, block * _BLOCK, blocks * _BLOCK)


def _blob(content: Readable, package: int, at: int, room: int) -> bytes:
    magic, index, _, size = _BLOB.unpack((content[at : at + _BLOB.size]).ljust(_BLOB.size, b"\0"))
    if magic != b"BlbS" or index != package or not 0 < size <= min(room, MAX_HEADER):
        raise DamagedDatabaseError(f"package {package} of it is damaged")
    blob = content[at + _BLOB.size : at + _BLOB.size + size]
    if len(blob) < size:
        raise DamagedDatabaseError(f"package {package} of it is cut off")
    return blob
