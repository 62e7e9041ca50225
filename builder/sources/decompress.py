"""xz, gzip, zstd, bzip2: streams unpacked in bounded pieces, with limits against bombs."""

from __future__ import annotations

import bz2
import contextlib
import importlib
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Protocol

from builder.errors import BuildError, MachineError

PIECE = 1 << 20
"""At most so many bytes come out at a time."""

_XZ_MEMORY = 256 << 20
"""xz -9 needs 65 MiB; a header may demand 4 GiB."""
_ZSTD_WINDOW = 27
"""Logarithm of the largest zstd window accepted (128 MiB), as zstd's own programs."""
_MAGICS = {"gz": b"\x1f\x8b", "xz": b"\xfd7zXZ\0", "zst": b"\x28\xb5\x2f\xfd", "bz2": b"BZh"}
_RATIO = 1000
_RATIO_FREE = 64 << 20
"""Output below this is never judged by its ratio: small files of zeros are honest."""


class _Decoder(Protocol):
    """The interface that lzma and zstd share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib with the interface of lzma."""

    def __init__(self) -> None:
        self._inner = _inflater()
        self._tail = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._inner.decompress(self._tail + data, max(max_length, 0))
        self._tail = self._inner.unconsumed_tail
        return out


class _Inflater(Protocol):
    """What is used of zlib's decompression object, and of zlib-ng's."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


def kind_of(head: bytes) -> str:
    """Tell by its first bytes how a stream is compressed; "" for not at all."""
    return next((kind for kind, magic in _MAGICS.items() if head.startswith(magic)), "")


def decompressed(chunks: Iterable[bytes], kind: str, *, name: str, limit: int) -> Iterator[bytes]:
    """Yield the content of a stream in pieces of at most ``PIECE`` bytes.

    ``kind`` is the end of a file name: "gz", "xz", "zst", "bz2" or "". BuildError that starts with ``name``
    for damaged, truncated or oversized streams (more than ``limit`` bytes, or a thousand times their size).
    """
    meter = Meter(name, limit)
    if kind == "":
        for chunk in chunks:
            meter.count(len(chunk), len(chunk))
            yield chunk
        return
    make = _makers().get(kind)
    if make is None:
        raise BuildError(f"{name} is compressed as {kind!r}; xz, gz, zst and bz2 are known")
    try:
        yield from _decode(chunks, make, meter)
    except _module_errors(kind) as error:
        raise BuildError(
            f"{name} is damaged: {error}", hint="try again; the mirror may be damaged"
        ) from error


def _decode(chunks: Iterable[bytes], make: Callable[[], _Decoder], meter: Meter) -> Iterator[bytes]:
    decoder: _Decoder | None = None
    started = False
    for chunk in chunks:
        meter.count(len(chunk), 0)
        pending = chunk
        while pending or (decoder is not None and not decoder.needs_input):
            if decoder is None:
                # Padding between and after streams is zeros; another stream starts with its magic.
                pending = pending.lstrip(b"\0")
                if not pending:
                    break
                decoder = make()
                started = True
            out = decoder.decompress(pending, PIECE)
            pending = b""
            if out:
                meter.count(0, len(out))
                yield out
            if decoder.eof:
                pending, decoder = decoder.unused_data, None
    if decoder is not None or not started:
        raise EOFError("it ends too early")


class Meter:
    """Counts both sides of a stream and stops it at the limits. BuildError that starts with its name."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self.seen = 0
        self._made = 0

    def count(self, seen: int, made: int) -> None:
        """Add bytes that were read and bytes that came out."""
        self.seen += seen
        self._made += made
        if self._made > self._limit:
            raise BuildError(f"{self._name} unpacks to more than {self._limit} bytes")
        if self._made > _RATIO_FREE and self._made > _RATIO * self.seen:
            raise BuildError(f"{self._name} unpacks to more than {_RATIO} times its size")


def _makers() -> dict[str, Callable[[], _Decoder]]:
    return {"xz": _xz, "gz": _Gzip, "zst": _zstd, "bz2": bz2.BZ2Decompressor}


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _inflater() -> _Inflater:
    try:
        from zlib_ng import zlib_ng  # noqa: PLC0415 (three times faster; only where gzip comes)
    except ImportError:
        return zlib.decompressobj(wbits=31)
    made: _Inflater = zlib_ng.decompressobj(wbits=31)
    return made


def _zstd() -> _Decoder:
    module = _zstd_module()
    options = {module.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
    made: _Decoder = module.ZstdDecompressor(options=options)
    return made


def _module_errors(kind: str) -> tuple[type[Exception], ...]:
    errors: list[type[Exception]] = [lzma.LZMAError, zlib.error, EOFError, ValueError]
    if kind == "bz2":
        errors.append(OSError)
    if kind == "zst":
        errors.append(_zstd_module().ZstdError)
    if kind == "gz":
        with contextlib.suppress(ImportError):
            errors.append(importlib.import_module("zlib_ng.zlib_ng").error)
    return tuple(errors)


def _zstd_module() -> ModuleType:
    # In the standard library from Python 3.14 (PEP 784), else the backport of the same interface.
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise MachineError("zstd streams cannot be unpacked here", hint="pip install backports.zstd")
