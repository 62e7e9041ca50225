"""Decompression of layers as a stream: gzip (one member or many), zstd (frames), or none, told by magic."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Protocol, cast

from zlib_ng import zlib_ng

from builder.errors import BuildError

CHUNK = 1 << 20
"""Most bytes that are given at once."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_MAX_PARTS = 1_000_000
"""Most gzip members or zstd frames of one layer: far above one for each file, as eStargz writes them."""

_DeflateError = cast("type[Exception]", zlib_ng.error)


class _Part(Protocol):
    """One gzip member or zstd frame in the reading."""

    eof: bool
    rest: bytes
    """What was given and not used yet."""

    def step(self, piece: bytes) -> bytes:
        """Give at most ``CHUNK`` bytes; BuildError for damaged input."""


def decompressed(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Give the bytes of the compressed stream ``raw`` in chunks; ``where`` names it in errors.

    Memory is bounded whatever the stream says; the caller bounds the sum. BuildError for damaged or
    truncated bytes.
    """
    first = next(raw, b"")
    pieces = itertools.chain((first,), raw)
    if first.startswith(_GZIP_MAGIC):
        return _parts(pieces, _Member, where)
    if first.startswith(_ZSTD_MAGIC) or (first[1:4] == _SKIPPABLE and first[0] >> 4 == 5):  # noqa: PLR2004 (RFC 8878 §3.1.2)
        from builder.stored.zstandard import Frame  # noqa: PLC0415 (loaded only for zstd layers)

        return _parts(pieces, Frame, where)
    return pieces


class _Member:
    """A gzip member."""

    def __init__(self) -> None:
        self._inflate = zlib_ng.decompressobj(31)
        self.eof = False
        self.rest = b""

    def step(self, piece: bytes) -> bytes:
        """Inflate a little."""
        try:
            chunk = self._inflate.decompress(piece, CHUNK)
        except _DeflateError as error:
            raise BuildError(str(error)) from error
        self.eof = self._inflate.eof
        self.rest = self._inflate.unused_data if self.eof else self._inflate.unconsumed_tail
        return chunk


def _parts(pieces: Iterator[bytes], new: type[_Part], where: str) -> Iterator[bytes]:
    part: _Part | None = None
    count = 0
    for piece in pieces:
        rest = piece
        while rest or part is not None:
            if part is None:
                part, count = new(), count + 1
            chunk = _step(part, rest, count, where)
            if chunk:
                yield chunk
            rest = part.rest
            if part.eof:
                part = None
            elif not rest and not chunk:
                break
    if part is not None:
        raise BuildError(f"{where} is damaged: its compressed bytes end too early")


def _step(part: _Part, piece: bytes, count: int, where: str) -> bytes:
    if count > _MAX_PARTS:
        raise BuildError(f"{where} is cut into more than {_MAX_PARTS} compressed parts")
    try:
        return part.step(piece)
    except BuildError as error:
        raise BuildError(f"{where} is damaged: {error.message}") from error
