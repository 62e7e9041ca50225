"""Messages between a build and the rooms that it opens: one letter, four bytes of length, the payload.

Read by the room's process too, which must start fast: nothing but the standard library's core.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

SETUP, COMMAND, INPUT = b"S", b"C", b"I"
"""What a build sends: the room that it wants, a command, and the bytes of the command's standard input."""

READY, TROUBLE, OUTPUT, ERRORS, ENDED = b"R", b"T", b"O", b"E", b"X"
"""What a room answers: it is there, it cannot be; pieces of a command's two outputs, and its end."""

MOST_BYTES = 1 << 30
HEAD = struct.Struct(">cI")


def frame(kind: bytes, payload: bytes) -> bytes:
    """One message."""
    return HEAD.pack(kind, len(payload)) + payload


def read_frame(read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """Kind and payload of the next message; two empty strings when the other side has ended."""
    head = read(HEAD.size)
    if len(head) < HEAD.size:
        return b"", b""
    kind, length = HEAD.unpack(head)
    if length > MOST_BYTES:
        return b"", b""
    payload = read(length)
    return (kind, payload) if len(payload) == length else (b"", b"")
