"""Compression of layers in blocks, so that threads can share one layer.

The blocks' sizes are fixed, therefore the bytes do not depend on how many threads there are. gzip is one
member (RFC 1952): raw DEFLATE blocks that end in a full flush, with the checksums combined. zstd is one
frame for each block (RFC 8878). Which bytes come out is the business of the compressor's version alone;
:func:`compressor_name` tells it.
"""

from __future__ import annotations

import struct
from typing import Protocol, TypeAlias

from zlib_ng import zlib_ng

from builder.oci import MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD
from builder.recipe.model import Compression

Buffer: TypeAlias = bytes | memoryview

GZIP_LEVEL = 2
"""Measured: 16 % smaller than level 1 at 1.6 times its time; level 6 is 7 % smaller at 1.8 times that."""

_GZIP_BLOCK = 1 << 20
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_DEFLATE_END = b"\x03\0"
_STORED_BLOCK = 1 << 20


class Compressor(Protocol):
    """Compresses one layer. ``pack`` may run in any thread; ``join`` and ``tail`` in one, in block order."""

    block_size: int
    """Uncompressed bytes of every block but the last."""
    head: bytes
    """What the blob starts with."""
    identity: bool
    """Whether the blob is the tar itself: then one digest is both."""

    def pack(self, block: memoryview) -> tuple[Buffer, int]:
        """Give the compressed block and its checksum (0 where the format needs none)."""

    def join(self, checksum: int, size: int) -> None:
        """Take the checksum of the next block of ``size`` uncompressed bytes into the whole."""

    def tail(self) -> bytes:
        """Tell what the blob ends with."""


class Gzip:
    """One gzip member; time 0, no name, operating system "unknown"."""

    block_size = _GZIP_BLOCK
    head = _GZIP_HEAD
    identity = False

    def __init__(self) -> None:
        self._checksum = 0
        self._size = 0

    def pack(self, block: memoryview) -> tuple[Buffer, int]:
        """Raw DEFLATE up to a full flush: it can be read without the blocks before it."""
        deflate = zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, -15)
        body = deflate.compress(block)
        return body + deflate.flush(zlib_ng.Z_FULL_FLUSH), zlib_ng.crc32(block)

    def join(self, checksum: int, size: int) -> None:
        """Combine the CRC-32."""
        self._checksum = zlib_ng.crc32_combine(self._checksum, checksum, size)
        self._size += size

    def tail(self) -> bytes:
        """Give an empty last block, CRC-32 and size modulo 2**32."""
        return _DEFLATE_END + struct.pack("<LL", self._checksum, self._size & 0xFFFFFFFF)


class Stored:
    """No compression: the blob is the tar."""

    block_size = _STORED_BLOCK
    head = b""
    identity = True

    def pack(self, block: memoryview) -> tuple[Buffer, int]:
        """Give the block itself."""
        return block, 0

    def join(self, checksum: int, size: int) -> None:
        """Nothing to combine."""

    def tail(self) -> bytes:
        """Nothing follows."""
        return b""


def compressor(compression: Compression) -> Compressor:
    """Give a new compressor for one layer."""
    if compression is Compression.GZIP:
        return Gzip()
    if compression is Compression.NONE:
        return Stored()
    from builder.stored.zstandard import Zstd  # noqa: PLC0415 (loaded only by who asks for zstd)

    return Zstd()


def smallest_gzip(payload: bytes) -> bytes:
    """Give ``payload`` as one gzip member, as small as DEFLATE makes it: for text that holds it in base64."""
    packer = Gzip()
    deflate = zlib_ng.compressobj(9, zlib_ng.DEFLATED, -15)
    body = deflate.compress(payload) + deflate.flush(zlib_ng.Z_FULL_FLUSH)
    packer.join(zlib_ng.crc32(payload), len(payload))
    return packer.head + body + packer.tail()


def compressor_name(compression: Compression) -> str:
    """Tell what decides the blob's bytes besides the tar: library, version, level and block size."""
    if compression is Compression.GZIP:
        return f"zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION} level {GZIP_LEVEL} block 1MiB"
    if compression is Compression.NONE:
        return "none"
    from builder.stored.zstandard import zstd_name  # noqa: PLC0415 (loaded only by who asks for zstd)

    return zstd_name()


def layer_media_type(compression: Compression) -> str:
    """Give the media type of a layer so compressed (media-types.md)."""
    return {
        Compression.GZIP: MEDIA_TYPE_LAYER_GZIP,
        Compression.ZSTD: MEDIA_TYPE_LAYER_ZSTD,
        Compression.NONE: MEDIA_TYPE_LAYER,
    }[compression]
