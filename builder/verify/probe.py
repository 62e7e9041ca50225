"""Asking a service over the loopback: HTTP/1.1 and plain TCP, bounded in bytes and in time."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from builder.verify.expect import matches, short
from builder.verify.task import Http, Tcp

MAX_ANSWER = 8 << 20
_CHUNK = 1 << 16
_ATTEMPT_SECONDS = 5.0
_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_HTTP = b"HTTP/"
_STATUS_LINE = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})(?: |$)")


class Answer(NamedTuple):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str


def ask_http(http: Http, deadline: float) -> str:
    """Ask once. Give "" for the right answer, else what came, in words."""
    try:
        with _connection(http["port"], deadline, tls=http["tls"]) as connection:
            connection.sendall(_request(http))
            answer = parse_answer(_received(connection, deadline))
    except ConnectionRefusedError:
        return f"nothing listens on port {http['port']}"
    except TimeoutError:
        return "no answer in time"
    except (OSError, ValueError) as error:
        return f"no answer: {error}"
    return _judged(answer, http)


def ask_tcp(tcp: Tcp, deadline: float) -> str:
    """Connect, send, and read until what is expected came. Give "" for that, else what came, in words."""
    received = b""
    try:
        with _connection(tcp["port"], deadline, tls=False) as connection:
            connection.sendall(tcp["send"].encode())
            if matches(tcp["expect"], ""):
                return ""
            for chunk in _chunks(connection, deadline):
                received += chunk
                if matches(tcp["expect"], received.decode(errors="replace")):
                    return ""
    except ConnectionRefusedError:
        return f"nothing listens on port {tcp['port']}"
    except TimeoutError:
        return f"{_shown(received)}, then silence"
    except OSError as error:
        return f"{_shown(received)}, then: {error}"
    return f"{_shown(received)}, then the end"


def _shown(received: bytes) -> str:
    return short(received.decode(errors="replace")) if received else "a connection without an answer"


def _connection(port: int, deadline: float, *, tls: bool) -> socket.socket:
    connection = _connected(port, deadline)
    if not tls:
        return connection
    import ssl  # noqa: PLC0415 (takes time, and few tests speak TLS; the sandbox reads it before it locks itself in)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate is for another name than localhost's
    try:
        return context.wrap_socket(connection, server_hostname="localhost")
    except (OSError, ValueError):
        connection.close()
        raise


def _connected(port: int, deadline: float) -> socket.socket:
    refused: OSError = ConnectionRefusedError()
    for family, address in _ADDRESSES:
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # a kernel without IPv6
        try:
            connection.settimeout(_left(deadline))
            connection.connect((address, port))
        except OSError as error:
            connection.close()
            if family is socket.AF_INET or not isinstance(error, ConnectionRefusedError):
                refused = refused if family is socket.AF_INET6 else error
            if not isinstance(error, ConnectionRefusedError):
                raise
        else:
            return connection
    raise refused


def _left(deadline: float) -> float:
    return max(min(deadline - time.monotonic(), _ATTEMPT_SECONDS), 0.001)


def _chunks(connection: socket.socket, deadline: float) -> Iterator[bytes]:
    until = time.monotonic() + _left(deadline)
    total = 0
    while total < MAX_ANSWER:
        connection.settimeout(_left(until))
        if time.monotonic() >= until:
            raise TimeoutError
        chunk = connection.recv(_CHUNK)
        if not chunk:
            return
        total += len(chunk)
        yield chunk


def _request(http: Http) -> bytes:
    names = {name.lower() for name, _ in http["headers"]}
    headers = [("Host", f"localhost:{http['port']}"), ("User-Agent", "rootlet"), ("Accept", "*/*")]
    lines = [f"GET {http['path']} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in names]
    lines += [f"{name}: {value}" for name, value in http["headers"]]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _received(connection: socket.socket, deadline: float) -> bytes:
    """The answer, or as much of it as came. TimeoutError when nothing did."""
    received = bytearray()
    try:
        for chunk in _chunks(connection, deadline):
            received += chunk
            if _is_whole(received) or not received.startswith(_HTTP[: len(received)]):
                break
    except TimeoutError:
        if not received:
            raise
    return bytes(received)


def _is_whole(received: bytearray) -> bool:
    """Say whether the body that the headers promise is there: some servers keep the connection open."""
    head, separator, body = bytes(received).partition(b"\r\n\r\n")
    if not separator:
        return False
    headers = _headers(head)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return body.endswith(b"0\r\n\r\n")
    length = headers.get("content-length", "")
    return length.isdecimal() and len(body) >= int(length)


def parse_answer(received: bytes) -> Answer:
    """Read an answer (RFC 9112). ValueError, with what it is instead, for anything else."""
    if not received:
        raise ValueError("the connection was closed")
    head, separator, body = received.partition(b"\r\n\r\n")
    status = _STATUS_LINE.match(head.split(b"\r\n", 1)[0])
    if status is None or not separator:
        raise ValueError(f"what came is not HTTP: {short(received.decode(errors='replace'))}")
    headers = _headers(head)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = b"".join(_unchunked(body))
    return Answer(int(status[1]), headers, body.decode(errors="replace"))


def _headers(head: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        key = name.strip().lower()
        found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found


def _unchunked(body: bytes) -> Iterator[bytes]:
    while body:
        line, _, rest = body.partition(b"\r\n")
        digits = line.split(b";", 1)[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
            raise ValueError("what came is not HTTP: a chunk without its size")
        size = int(digits, 16)
        if size == 0:
            return
        yield rest[:size]
        body = rest[size:].removeprefix(b"\r\n")


def _judged(answer: Answer, http: Http) -> str:
    if answer.status != http["status"]:
        return f"status {answer.status} with the body {short(answer.body)}"
    for name, pattern in http["expect_headers"]:
        value = answer.headers.get(name.lower())
        if value is None:
            return f"no header {name}"
        if not matches(pattern, value):
            return f"{name}: {short(value)}"
    return "" if matches(http["body"], answer.body) else f"the body {short(answer.body)}"
