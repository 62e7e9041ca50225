"""The one door to the network: HTTP downloads over kept-alive connections.

Addresses are ``http://`` and ``https://``; ``file://`` addresses and plain absolute folders are read too, for
mirrors that lie on a disk.

    Transport.get        small documents, in memory, with a limit
    Transport.get_into   a document of any size, into an open file
    Transport.fetch      one file: resumed, verified while it streams, renamed into place when whole
    Transport.fetch_all  many files at once; the first failure ends the rest
    Transport.ask        any question (method, headers, a body that is streamed), answered whatever the status
    Transport.run_all    work of several threads; the first failure ends the rest

What goes wrong ends in :class:`NotFoundError` (the server says that it has no such thing), ``MachineError``
(the network or the server fails) or ``BuildError`` (other bytes came than were promised).
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from builder.connections import (
    BAD_RANGE,
    NOT_MODIFIED,
    OK,
    PARTIAL,
    REDIRECTING,
    Body,
    FilePart,
    LockedError,
    NotFoundError,
    PassingError,
    Pools,
    Question,
    check_passing,
    judge,
    network_errors,
    open_file,
    origin,
)
from builder.download import Download, Part, part_file, shown
from builder.errors import BuildError, MachineError
from builder.progress import Meter, Progress, human_size

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "REDIRECTING",
    "Answer",
    "Download",
    "FilePart",
    "LockedError",
    "NotFoundError",
    "PassingError",
    "Question",
    "Response",
    "Transport",
    "origin",
]

_CHUNK = 1 << 18
_BACK_OFF = 0.5
_LONGEST_WAIT = 30.0
_SLOWEST = 100
"""Bytes a second below which a connection counts as stalled."""
_NO_HEADERS: Mapping[str, str] = {}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A document. ``status`` is 200, or 304 with an empty body; a validator that is absent is "".

    ``headers`` are those of the answer; ``body`` is empty where it went into a file.
    """

    status: int
    body: bytes
    etag: str = ""
    last_modified: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said: ``status`` any but those that may pass, ``body`` as far as it was wanted."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _CancelledError(Exception):
    """Another download failed; this one ends."""


class Transport:
    """Connections to servers, kept alive until the ``with`` block ends. Threads may share one.

    ``proxies`` maps "http" and "https" to addresses, "no" to hosts (comma-separated, as ``no_proxy``); the
    names may end with ``_proxy``.
    ``timeout``: seconds for connecting and for each silence of the server. ``retries`` counts attempts after
    the first.
    """

    def __init__(
        self,
        *,
        progress: Progress,
        proxies: Mapping[str, str] = _NO_HEADERS,
        retries: int = 3,
        timeout: float = 30.0,
        user_agent: str = "rootlet",
    ) -> None:
        self._progress = progress
        self._attempts = retries + 1
        self._pools = Pools(proxies, timeout, user_agent)
        self._timeout = timeout
        self._cancelled = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection."""
        self._pools.clear()

    def get(self, url: str, *, limit: int, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
        """Return a document of at most ``limit`` bytes; 304 comes only with conditional ``headers``."""
        return self.persist(url, lambda: self._get(url, limit, headers))

    def get_into(
        self, stream: BinaryIO, url: str, *, limit: int, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Response:
        """Do the same for a document of any size: its bytes go into ``stream``, from its beginning on."""
        return self.persist(url, lambda: self._get(url, limit, headers, stream))

    def fetch(self, download: Download) -> None:
        """Fetch one file to its destination; nothing but a ``.part`` file is left on failure.

        An earlier ``.part`` file is continued when a ``sha256`` can prove the whole.
        """
        self._fetch(download, lambda done: self._progress.advance(done, download.size or 0))

    def fetch_all(
        self,
        downloads: Iterable[Download],
        *,
        jobs: int = 4,
        then: Callable[[Download], None] | None = None,
    ) -> None:
        """Fetch in ``jobs`` threads; ``then`` is called in them with each file that has arrived.

        The first error cancels the others and is raised when all have ended.
        """
        wanted = tuple(downloads)
        meter: Meter[Path] = Meter(self._progress, sum(download.size or 0 for download in wanted))
        self.run_all(
            (functools.partial(self._fetch_one, download, meter, then) for download in wanted), jobs=jobs
        )

    def run_all(self, tasks: Iterable[Callable[[], None]], *, jobs: int = 4) -> None:
        """Run ``tasks`` in ``jobs`` threads; the first error ends what the others fetch and send."""
        self._cancelled.clear()
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="fetch") as pool:
            futures = [pool.submit(self._unless_cancelled, task) for task in tasks]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._cancelled.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self._cancelled.clear()
        _raise_first(futures)

    def ask(self, question: Question, *, limit: int = 0) -> Answer:
        """Ask until there is an answer that will not pass. ``limit``: most bytes of its body; 0 to read none.

        MachineError when there is none, BuildError for a body above the limit.
        """
        return self.persist(question.url, lambda: self.exchange(question, limit=limit))

    def exchange(
        self, question: Question, *, limit: int = 0, report: Callable[[int], None] | None = None
    ) -> Answer:
        """Ask once, for use within :meth:`persist`: failures that may pass go through to it.

        ``report`` is told how many bytes of the body were sent so far.
        """
        chunks = self._sent(question.body, report) if question.body is not None else None
        headers = dict(question.headers)
        if question.body is not None:
            size = question.body.size if isinstance(question.body, FilePart) else len(question.body)
            headers["Content-Length"] = str(size)
        body = self._pools.request(replace(question, headers=headers), chunks)
        with contextlib.closing(body), network_errors():
            check_passing(body)
            payload = b"".join(self._stream(body, question.url, limit)) if limit else b""
            if limit and question.method != "HEAD":
                _check_complete(len(payload), _length(body))
            return Answer(status=body.status, headers=body.headers, body=payload)

    def _sent(self, body: bytes | FilePart, report: Callable[[int], None] | None) -> Iterator[bytes]:
        """The pieces of a body. BuildError when the file does not give them."""
        if isinstance(body, bytes):
            yield body
            return
        with body.path.open("rb", buffering=0) as stream:
            done = 0
            while done < body.size:
                if self._cancelled.is_set():
                    raise _CancelledError
                wanted = min(_CHUNK, body.size - done)
                piece = os.pread(stream.fileno(), wanted, body.offset + done)
                if not piece:
                    raise BuildError(f"{body.path} ends too early")
                yield piece
                done += len(piece)
                if report is not None:
                    report(done)

    def _unless_cancelled(self, task: Callable[[], None]) -> None:
        if self._cancelled.is_set():
            raise _CancelledError
        task()

    def _fetch_one(
        self, download: Download, meter: Meter[Path], then: Callable[[Download], None] | None
    ) -> None:
        self._fetch(download, lambda done: meter.report(download.destination, done))
        if then is not None:
            then(download)

    def _get(
        self, url: str, limit: int, headers: Mapping[str, str], stream: BinaryIO | None = None
    ) -> Response:
        with self._open(Question(url=url, headers=headers)) as body:
            if body.status == NOT_MODIFIED:
                return Response(status=NOT_MODIFIED, body=b"", headers=body.headers)
            promised = _length(body)
            if promised is not None and promised > limit:
                raise _too_large(url, promised, limit)
            pieces = self._stream(body, url, limit)
            payload = b"".join(pieces) if stream is None else b""
            size = len(payload) if stream is None else self._write(pieces, stream, promised)
            _check_complete(size, promised)
            return Response(
                status=OK,
                body=payload,
                etag=body.headers.get("ETag", ""),
                last_modified=body.headers.get("Last-Modified", ""),
                headers=body.headers,
            )

    def _write(self, pieces: Iterator[bytes], stream: BinaryIO, promised: int | None) -> int:
        stream.seek(0)
        stream.truncate()
        size = 0
        for piece in pieces:
            size += stream.write(piece)
            self._progress.advance(size, promised or 0)
        return size

    def _fetch(self, download: Download, report: Callable[[int], None]) -> None:
        with part_file(download) as part:
            self.persist(download.url, lambda: self._continue(download, part, report))
            try:
                part.check()
            except BuildError:
                if not part.continued:
                    raise
                # What an earlier run left may be the damaged half: once more from nothing.
                part.restart()
                self.persist(download.url, lambda: self._continue(download, part, report))
                part.check()
            part.keep()

    def _continue(self, download: Download, part: Part, report: Callable[[int], None]) -> None:
        if download.size is not None and part.size >= download.size:
            return
        headers = part.range_headers()
        question = Question(url=download.url, headers={**download.headers(), **headers}, plain=download.plain)
        with self._open(question) as body:
            if body.status == BAD_RANGE:
                part.restart()
                raise PassingError("the server refused to continue the download")
            if headers and not (body.status == PARTIAL and _starts_at(body, part.size)):
                part.restart()
                if body.status == PARTIAL:
                    raise PassingError("the server continued the download at another place")
            part.validator = body.headers.get("ETag", "") or body.headers.get("Last-Modified", "")
            promised = _length(body)
            most = download.limit if download.size is None else download.size
            if promised is not None and part.size + promised > most:
                raise _too_large(download.url, part.size + promised, most)
            start = part.size
            for chunk in self._stream(body, download.url, most - start):
                part.write(chunk)
                report(part.size)
            _check_complete(part.size - start, promised)

    @contextlib.contextmanager
    def _open(self, question: Question) -> Iterator[Body]:
        """Open an answer that may be read: 200, 206, 304 or 416; anything else is raised."""
        folder = _local(question.url)
        body: Body = open_file(folder, question.url) if folder else self._pools.request(question)
        with contextlib.closing(body), network_errors():
            judge(body, question.url)
            yield body

    def _stream(self, body: Body, url: str, limit: int) -> Iterator[bytes]:
        """Pieces as they come; ends on ``limit``, on cancellation, and on a server that drips."""
        total, mark, since = 0, 0, time.monotonic()
        while chunk := body.read1(_CHUNK):
            if self._cancelled.is_set():
                raise _CancelledError
            total += len(chunk)
            if total > limit:
                raise _too_large(url, total, limit)
            yield chunk
            passed = time.monotonic() - since
            if passed > self._timeout:
                if total - mark < passed * _SLOWEST:
                    raise PassingError(f"the server sent {total - mark} bytes in {passed:.0f} s")
                mark, since = total, time.monotonic()

    def persist(self, url: str, attempt: Callable[[], _T]) -> _T:
        """Call ``attempt`` until it does not fail with something that may pass, as often as retries allow."""
        for number in range(1, self._attempts + 1):
            try:
                return attempt()
            except PassingError as error:
                if number == self._attempts:
                    raise _unreachable(url, error, self._attempts) from error
                pause = max(_BACK_OFF * 2 ** (number - 1), error.wait)
                if self._cancelled.wait(min(pause, _LONGEST_WAIT)):
                    raise _CancelledError from error
        raise AssertionError


def _raise_first(futures: Iterable[Future[None]]) -> None:
    """Raise what failed first in the order of the list; cancellations only follow from it."""
    for future in futures:
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, _CancelledError):
            raise error


def _length(body: Body) -> int | None:
    text = body.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _starts_at(body: Body, offset: int) -> bool:
    return body.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _check_complete(received: int, promised: int | None) -> None:
    if promised is not None and received != promised:
        raise PassingError(f"the connection ended after {received} of {promised} bytes")


def _too_large(url: str, size: int, limit: int) -> BuildError:
    return BuildError(
        f"{shown(url)} has at least {size} bytes; at most {limit} ({human_size(limit)}) are accepted",
        hint="the server is damaged or hostile, or being updated: try again, or use another one",
    )


def _unreachable(url: str, error: PassingError, attempts: int) -> MachineError:
    count = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return MachineError(
        f"{shown(url)} could not be fetched after {count}: {error}",
        hint="check the address, the network and the proxy settings",
    )


def _local(url: str) -> Path | None:
    """Return the path on this machine that the address means, if it means one."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise MachineError(f"{url} is not an address: {error}") from error
    if "://" not in url:
        return Path(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise MachineError(f"{shown(url)} cannot be fetched: only http, https and file addresses are known")
    return None
