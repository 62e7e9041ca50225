"""The only importer of zstd: the standard library's own module from Python 3.14, its backport before."""

from __future__ import annotations

import sys

from builder.errors import BuildError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_LEVEL = 3
_BLOCK = 4 << 20
_CHUNK = 1 << 20
_WINDOW_LOG_MAX = 27
"""128 MiB, as every reader of registries allows; a frame that asks for more is refused."""


class Zstd:
    """One frame with a content checksum for each 4 MiB."""

    block_size = _BLOCK
    head = b""
    identity = False

    def pack(self, block: memoryview) -> tuple[bytes | memoryview, int]:
        """One whole frame."""
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: ZSTD_LEVEL,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        return zstd.compress(block, options=options), 0

    def join(self, checksum: int, size: int) -> None:
        """Frames carry their own checksums."""

    def tail(self) -> bytes:
        """Nothing follows the last frame."""
        return b""


def zstd_name() -> str:
    """Tell what decides the bytes: version, level, frame size."""
    return f"zstd {zstd.zstd_version} level {ZSTD_LEVEL} block 4MiB"


class Frame:
    """A zstd frame in the reading; its window is bounded."""

    def __init__(self) -> None:
        self._frame = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
        )
        self.eof = False
        self.rest = b""

    def step(self, piece: bytes) -> bytes:
        """Give at most 1 MiB. BuildError for damaged input."""
        try:
            chunk = self._frame.decompress(piece, _CHUNK)
        except zstd.ZstdError as error:
            raise BuildError(str(error)) from error
        self.eof = self._frame.eof
        self.rest = self._frame.unused_data if self.eof else b""
        return chunk
