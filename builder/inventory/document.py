"""JSON of unknown hands: bounded in size and number of values, so that reading it costs bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from builder.inventory.content import Readable

MAX_TEXT = 32 << 20
"""Bytes of one text file that are read."""
_MAX_JSON = 32 << 20
_MAX_VALUES = 1_000_000


class DocumentError(ValueError):
    """Why a document cannot be read; a note without the path."""


def whole_bytes(content: Readable, limit: int = MAX_TEXT) -> bytes:
    """Give all bytes. DocumentError when there are more than ``limit``."""
    if len(content) > limit:
        raise DocumentError(f"it was not read: it is larger than {limit >> 20} MB ({len(content)} bytes)")
    return content[0 : len(content)]


def whole_text(content: Readable, limit: int = MAX_TEXT) -> str:
    """Give the text; bytes that are not UTF-8 become surrogate escapes. DocumentError as above."""
    return whole_bytes(content, limit).decode(errors="surrogateescape").removeprefix("\ufeff")


def lines_of(text: str) -> Iterator[str]:
    """Give the lines one by one, without their ends: a hostile text is nothing but lines."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def json_value(content: Readable) -> Any:
    """Parse JSON. DocumentError when it is none, too large, too deep or has too many values."""
    payload = whole_bytes(content, _MAX_JSON)
    if payload.count(b",") + payload.count(b"[") + payload.count(b"{") > _MAX_VALUES:
        raise DocumentError("it was not read: it is JSON of too many values")
    try:
        return json.loads(payload.decode("utf-8-sig"))
    except RecursionError:
        raise DocumentError("it is damaged: JSON that is nested too deeply") from None
    except ValueError:
        raise DocumentError("it is damaged: it is no JSON") from None


def json_object(content: Readable) -> dict[str, Any]:
    """Parse a JSON object. DocumentError as above, and for any other value."""
    value = json_value(content)
    if not isinstance(value, dict):
        raise DocumentError("it is damaged: it is no JSON object")
    return value


def objects(value: object) -> list[dict[str, Any]]:
    """Give the objects of an array; what else is in it, or instead of it, is passed over."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def object_of(value: object) -> dict[str, Any]:
    """Give an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
