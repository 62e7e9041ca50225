"""The network's side of a download: connections, proxies, credentials, and which failures may go away.

Only this module imports urllib3; :mod:`builder.transport` is its only user.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, ProxyError, SSLError
from urllib3.util import Retry, Timeout, make_headers

from builder.download import shown
from builder.errors import MachineError

OK, PARTIAL, NOT_MODIFIED, BAD_RANGE, UNAUTHORISED = 200, 206, 304, 416, 401
_REDIRECTS = 5
REDIRECTING = frozenset({301, 302, 303, 307, 308})
_SECRETS = frozenset({"authorization", "cookie"})
_DRAINED = 1 << 16
"""Bytes of an unwanted body that are read so that the connection can be used again."""
_BLOCK = 1 << 18
_CONNECT_SECONDS = 15.0
_ABSENT = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509})
_LOCKED = frozenset({401, 403, 407})


class NotFoundError(MachineError):
    """The server answers, and has nothing at this address (404, 410; for folders: no such file)."""


class LockedError(MachineError):
    """The server wants credentials, or refuses those it got (401, 403, 407)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """Bytes to send: ``size`` bytes at ``offset`` of a file of this machine."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a server. Redirections of GET are followed, others are given back.

    (Where the blobs of a registry are kept, an address for GET is often signed for nothing else.)

    ``headers`` that carry credentials go to no other server than that of ``url``. ``plain``: whether a
    redirection may lead from TLS to plain HTTP.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | FilePart | None = field(default=None, repr=False)
    plain: bool = True


class PassingError(Exception):
    """A failure that may go away: ``wait`` is what the server asks for, in seconds."""

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Body(Protocol):
    """What is read of an answer, from the network or from a folder."""

    status: int
    headers: Mapping[str, str]

    def read1(self, amount: int) -> bytes:
        """Read some bytes, b"" at the end."""

    def close(self) -> None:
        """Give the connection back, or end it when something is left unread."""


class Pools:
    """Connection pools: straight, and one for each proxy."""

    def __init__(self, proxies: Mapping[str, str], timeout: float, user_agent: str) -> None:
        named = {name.lower().removesuffix("_proxy"): address for name, address in proxies.items() if address}
        hosts = named.pop("no", "").lower().split(",")
        self._proxies = named
        self._straight_hosts = tuple(host.strip().lstrip(".") for host in hosts if host.strip())
        self._timeout = Timeout(connect=min(timeout, _CONNECT_SECONDS), read=timeout)
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._lock = threading.Lock()
        self._pools: dict[str, urllib3.PoolManager] = {}

    def request(self, question: Question, chunks: Iterator[bytes] | None = None) -> Body:
        """Ask; ``chunks`` are sent as the body. PassingError or MachineError when there is no answer."""
        address, credentials = _credentials(question.url)
        headers = {**self._headers, **credentials, **question.headers}
        follows = question.method == "GET"
        for _ in range(_REDIRECTS + 1):
            answer = self._once(question.method, address, headers, chunks)
            place = answer.headers.get("Location", "") if answer.status in REDIRECTING and follows else ""
            if not place:
                return answer
            answer.release()
            target = _redirected(address, place, question)
            if origin(target) != origin(address):
                headers = {name: text for name, text in headers.items() if name.lower() not in _SECRETS}
            address = target
        raise MachineError(f"{shown(question.url)} cannot be had: it redirects more than {_REDIRECTS} times")

    def _once(
        self, method: str, address: str, headers: Mapping[str, str], chunks: Iterator[bytes] | None
    ) -> _Answer:
        try:
            return _Answer(
                self._pool(self._proxy(address)).request(
                    method,
                    address,
                    headers=headers,
                    body=chunks,
                    preload_content=False,
                    decode_content=False,
                    timeout=self._timeout,
                    redirect=False,
                    retries=Retry(total=None, connect=0, read=0, redirect=0, status=0, other=0),
                )
            )
        except (HTTPError, UnicodeError) as error:
            raise _lasting(error, address) from error

    def clear(self) -> None:
        """Close all of them."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _proxy(self, url: str) -> str:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if any(name in (host, "*") or host.endswith(f".{name}") for name in self._straight_hosts):
            return ""
        return self._proxies.get(parts.scheme, "")

    def _pool(self, proxy: str) -> urllib3.PoolManager:
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._make(proxy)
            return self._pools[proxy]

    def _make(self, proxy: str) -> urllib3.PoolManager:
        if not proxy:
            return urllib3.PoolManager(maxsize=16, blocksize=_BLOCK)
        address, credentials = _credentials(proxy if "://" in proxy else f"http://{proxy}")
        authorization = credentials.get("authorization")
        headers = {"proxy-authorization": authorization} if authorization else None
        return urllib3.ProxyManager(address, maxsize=16, blocksize=_BLOCK, proxy_headers=headers)


class _Answer:
    """An answer of a server."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def read1(self, amount: int) -> bytes:
        return self._response.read1(amount, decode_content=False) or b""

    def release(self) -> None:
        """Read the little that a redirection says, so that the connection can be used again."""
        with contextlib.suppress(HTTPError):
            if self.headers.get("Content-Length", "").isdecimal():
                self._response.read(_DRAINED, decode_content=False)
        self.close()

    def close(self) -> None:
        # A body that was not read to its end leaves a connection that cannot be used again.
        self._response.close()


class _FileBody:
    """A file of a folder that stands in for a server."""

    status = OK

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.headers: Mapping[str, str] = {"Content-Length": str(os.fstat(stream.fileno()).st_size)}

    def read1(self, amount: int) -> bytes:
        return self._stream.read(amount)

    def close(self) -> None:
        self._stream.close()


@contextlib.contextmanager
def network_errors() -> Iterator[None]:
    """Turn what urllib3 raises while a body is read into a failure that may go away."""
    try:
        yield
    except HTTPError as error:
        raise PassingError(_words(error)) from error


def open_file(path: Path, url: str) -> Body:
    """Open a file of a folder that stands in for a server."""
    try:
        if path.is_file():
            return _FileBody(path.open("rb"))
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from error
    raise NotFoundError(f"{shown(url)} does not exist")


def judge(body: Body, url: str) -> None:
    """Let 200, 206, 304 and 416 pass; raise what any other status means."""
    if body.status in {OK, PARTIAL, NOT_MODIFIED, BAD_RANGE}:
        return
    if body.status in _ABSENT:
        raise NotFoundError(f"{shown(url)} does not exist (the server says {body.status})")
    check_passing(body)
    hint = "give the address or the proxy its user and password" if body.status in _LOCKED else None
    kind = LockedError if body.status in _LOCKED else MachineError
    raise kind(f"{shown(url)} cannot be had: the server says {body.status}", hint=hint)


def check_passing(body: Body) -> None:
    """PassingError for a status that may go away."""
    if body.status in _PASSING:
        raise PassingError(f"the server says {body.status}", wait=_retry_after(body))


def _redirected(address: str, place: str, question: Question) -> str:
    """Where a redirection leads. MachineError for a place that may not be gone to."""
    try:
        target = urljoin(address, place)
        scheme, host, _ = origin(target)
    except ValueError:
        scheme, host = "", ""
    if scheme not in {"http", "https"} or not host:
        raise MachineError(f"{shown(question.url)} cannot be had: it redirects to {place[:200]!a}")
    if scheme == "http" and address.startswith("https:") and not question.plain:
        raise MachineError(
            f"{shown(question.url)} cannot be had: it redirects to {host} without TLS",
            hint="have the server redirect to an https address",
        )
    return target


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials are given to."""
    parts = urlsplit(url)
    return (
        parts.scheme,
        (parts.hostname or "").lower(),
        parts.port or (443 if parts.scheme == "https" else 80),
    )


def _retry_after(body: Body) -> float:
    text = body.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _lasting(error: Exception, url: str) -> Exception:
    """Tell a failure to try again from one that no retry mends."""
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    if isinstance(reason, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return MachineError(
            f"{shown(url)} cannot be trusted: its TLS certificate is not valid ({_words(reason)})",
            hint="install the certificate authority of the server, or check the machine's clock",
        )
    if isinstance(reason, (LocationValueError, UnicodeError)):
        return MachineError(f"{shown(url)} is not an address that can be fetched: {reason}")
    if isinstance(reason, ProxyError):
        return PassingError(f"the proxy does not answer ({_words(reason.original_error)})")
    return PassingError(_words(reason))


def _words(error: Exception) -> str:
    """Find the last sentence of urllib3's nested messages: "Connection refused"."""
    text = str(error)
    return text.rpartition(">: ")[2].rpartition("): ")[2][:300] or type(error).__name__


def _credentials(url: str) -> tuple[str, dict[str, str]]:
    """Split an address into the one without ``user:password@`` and the header that carries them."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    host = parts.netloc.rpartition("@")[2]
    basic = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return urlunsplit(parts._replace(netloc=host)), dict(make_headers(basic_auth=basic))
