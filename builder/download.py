"""The disk's side of a download: what was asked for, and the part that has arrived so far."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from builder.errors import BuildError, MachineError

_CHUNK = 1 << 20
_TRY_AGAIN = "the mirror is being updated or is damaged: try again, or use another mirror"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to fetch. ``size`` in bytes and ``sha256`` in hex are verified where they are given.

    ``limit``: the most bytes accepted when ``size`` is None. ``headers`` gives what is sent with each
    request: credentials may be renewed between two. ``plain``: whether a redirection may lead from TLS to
    plain HTTP.
    """

    url: str
    destination: Path
    size: int | None = None
    sha256: str | None = None
    limit: int = 8 << 30
    headers: Callable[[], Mapping[str, str]] = field(default=dict, repr=False, compare=False)
    plain: bool = True


class Part:
    """The bytes of a download that have arrived, hashed as they are written.

    ``size``: bytes so far. ``continued``: some of them come from an earlier run. ``validator``: the ETag or
    date that the server gave for them.
    """

    def __init__(self, download: Download, path: Path, stream: BinaryIO) -> None:
        self._download = download
        self._path = path
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0
        self.validator = ""
        self.continued = False
        self.kept = False
        if download.sha256 is not None:
            self._take_up()
        else:
            self.restart()

    def _take_up(self) -> None:
        while chunk := self._stream.read(_CHUNK):
            self._hash.update(chunk)
            self.size += len(chunk)
        self.continued = self.size > 0
        if self._download.size is not None and self.size > self._download.size:
            self.restart()

    def range_headers(self) -> dict[str, str]:
        """Ask for the rest; restart when the rest could belong to another file."""
        if self.size and self._download.sha256 is None and not self.validator:
            self.restart()
        if not self.size:
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        if self.validator and not self.validator.startswith("W/"):
            headers["If-Range"] = self.validator
        return headers

    def write(self, chunk: bytes) -> None:
        """Append."""
        self._stream.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget everything that has arrived."""
        self._stream.seek(0)
        self._stream.truncate()
        self._hash = hashlib.sha256()
        self.size, self.validator, self.continued = 0, "", False

    def check(self) -> None:
        """BuildError when size or checksum is another than promised; the part is emptied then."""
        wanted = self._download
        if wanted.size is not None and self.size != wanted.size:
            found, promised = f"{self.size} bytes", f"{wanted.size}"
        elif wanted.sha256 is not None and self._hash.hexdigest() != wanted.sha256:
            found, promised = f"the SHA-256 {self._hash.hexdigest()}", wanted.sha256
        else:
            return
        continued = self.continued
        self.restart()
        self.continued = continued
        raise BuildError(f"{shown(wanted.url)} has {found}; {promised} was promised", hint=_TRY_AGAIN)

    def keep(self) -> None:
        """Give the whole file its name."""
        self._stream.flush()
        self._path.replace(self._download.destination)
        self.kept = True


@contextlib.contextmanager
def part_file(download: Download) -> Iterator[Part]:
    """Open the ``.part`` file beside the destination, locked; another name while another process holds it.

    MachineError when the disk refuses. What is left of a failed download is kept only where a checksum can
    prove the whole later.
    """
    path = download.destination.with_name(f"{download.destination.name}.part")
    try:
        download.destination.parent.mkdir(parents=True, exist_ok=True)
        stream, path = _open_locked(path)
        with stream:
            part = Part(download, path, stream)
            try:
                yield part
            finally:
                useless = download.sha256 is None or part.size == 0 or path.name.startswith(".")
                if useless and not part.kept:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(
            f"{download.destination} could not be written: {error.strerror or error}",
            hint="free some space, or make the folder writable",
        ) from error


def _open_locked(path: Path) -> tuple[BinaryIO, Path]:
    stream = path.open("a+b")
    stream.seek(0)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before may have renamed the file between our open and our lock.
        if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
            return stream, path
    except OSError:
        pass
    stream.close()
    private = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    return private.open("a+b"), private


def shown(url: str) -> str:
    """``url`` for messages: a password in it is not shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2]))
