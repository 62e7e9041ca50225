"""JSON that others wrote: parsed with limits, its members fetched by type. Every fault is a BuildError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from builder.errors import BuildError

Object: TypeAlias = Mapping[str, Any]

MAX_JSON = 8 << 20
"""Bytes of the largest manifest, index or configuration that is read; registries stop at 4 MiB."""


def parse_object(payload: bytes, where: str) -> Object:
    """Give the JSON object in ``payload``; ``where`` names it in errors."""
    try:
        parsed = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{where} is not JSON: {str(error)[:200]}") from error
    if not isinstance(parsed, dict):
        raise BuildError(f"{where} is not a JSON object")
    return parsed


def text(fields: Object, key: str, where: str, *, default: str | None = None) -> str:
    """Give a string member; ``default`` (where given) for an absent or null one."""
    value = fields.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _wrong(where, key, "a string")
    return value


def integer(fields: Object, key: str, where: str, *, default: int | None = None) -> int:
    """Give a whole, non-negative number."""
    value = fields.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(where, key, "a whole number")
    return value


def child(fields: Object, key: str, where: str) -> Object:
    """Give an object member; empty when it is absent or null."""
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(where, key, "an object")
    return value


def texts(fields: Object, key: str, where: str) -> tuple[str, ...]:
    """Give a list of strings; empty when it is absent or null."""
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(where, key, "a list of strings")
    return tuple(value)


def children(fields: Object, key: str, where: str) -> tuple[Object, ...]:
    """Give a list of objects; empty when it is absent or null."""
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(where, key, "a list of objects")
    return tuple(value)


def pairs(fields: Object, key: str, where: str) -> tuple[tuple[str, str], ...]:
    """Give an object of strings as sorted pairs; empty when it is absent or null."""
    found = child(fields, key, where)
    if not all(isinstance(value, str) for value in found.values()):
        raise _wrong(where, key, "an object of strings")
    return tuple(sorted(found.items()))


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces. BuildError for text that is not Unicode."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BuildError(
            f"The image's configuration holds text that is not Unicode: {error.object[:80]!a}"
        ) from error


def _wrong(where: str, key: str, expected: str) -> BuildError:
    return BuildError(f"{where}: {key!a} is not {expected}")
