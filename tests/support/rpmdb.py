"""rpm's databases made in memory, in its three formats."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

TAGS = {
    "name": (1000, 6),
    "version": (1001, 6),
    "release": (1002, 6),
    "epoch": (1003, 4),
    "vendor": (1011, 6),
    "arch": (1022, 6),
    "sourcerpm": (1044, 6),
    "dirindexes": (1116, 4),
    "basenames": (1117, 8),
    "dirnames": (1118, 8),
    "modularitylabel": (5096, 6),
}
_PAGE = 4096


Value = str | int | Sequence[str | int]


def header(**values: Value) -> bytes:
    """A header as the database keeps it."""
    entries, data = b"", b""
    for key, value in values.items():
        tag, kind = TAGS[key]
        each = [value] if isinstance(value, (str, int)) else list(value)
        if kind == 4:
            data += bytes(-len(data) % 4)
        entries += struct.pack(">4I", tag, kind, len(data), len(each))
        data += b"".join(
            struct.pack(">I", one) if isinstance(one, int) else one.encode() + b"\0" for one in each
        )
    return struct.pack(">2I", len(values), len(data)) + entries + data


def package(name: str, version: str = "1.0", release: str = "1.el9", **values: Value) -> bytes:
    """The header of an AlmaLinux package."""
    fields: Mapping[str, Value] = {
        "name": name,
        "version": version,
        "release": release,
        "arch": "x86_64",
        "vendor": "AlmaLinux",
        "sourcerpm": f"{name}-{version}-{release}.src.rpm",
        **values,
    }
    return header(**fields)


def owning(*paths: str) -> dict[str, Any]:
    """The fields of a header that list files."""
    folders = sorted({path.rpartition("/")[0] + "/" for path in paths})
    return {
        "dirindexes": [folders.index(path.rpartition("/")[0] + "/") for path in paths],
        "basenames": [path.rpartition("/")[2] for path in paths],
        "dirnames": folders,
    }


def sqlite(blobs: Sequence[bytes]) -> bytes:
    """rpmdb.sqlite, made by SQLite itself."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("CREATE TABLE 'Name' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL)")
        connection.execute(
            "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)"
        )
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", ((blob,) for blob in blobs))
        return connection.serialize()
    finally:
        connection.close()


def ndb(blobs: Sequence[bytes]) -> bytes:
    """Packages.db."""
    slots = struct.pack("<4s7I", b"RpmP", 0, 1, 1, len(blobs) + 1, 0, 0, 0)
    data, block = b"", _PAGE // 16
    for number, blob in enumerate(blobs, 1):
        body = struct.pack("<4s3I", b"BlbS", number, 1, len(blob)) + blob
        body += bytes(-(len(body) + 12) % 16)
        body += struct.pack("<2I4s", zlib.adler32(body), len(blob), b"BlbE")
        slots += struct.pack("<4s3I", b"Slot", number, block, len(body) // 16)
        block += len(body) // 16
        data += body
    slots += struct.pack("<4s3I", b"Slot", 0, 0, 0) * ((_PAGE - len(slots)) // 16)
    return slots + data


def berkeley(blobs: Sequence[bytes], *, order: str = "<", page: int = 512) -> bytes:
    """Packages: a hash whose small values lie in its pages, the others in chains of overflow pages."""
    pages: list[bytes] = [b""]
    pairs = [(bytes(4), struct.pack(f"{order}I", len(blobs)))]
    pairs += [(struct.pack(f"{order}I", number), blob) for number, blob in enumerate(blobs, 1)]
    chains: list[bytes] = []
    first = 1 + len(pairs)  # each pair has a page of its own
    for key, value in pairs:
        if len(value) + len(key) + 64 < page:
            entry = b"\x01" + value
        else:
            entry = b"\x03\0\0\0" + struct.pack(f"{order}2I", first + len(chains), len(value))
            chains += _chain(value, first + len(chains), order, page)
        pages.append(_hash_page(b"\x01" + key, entry, len(pages), order, page))
    meta = struct.pack(f"{order}2I I 3I", 0, 1, 0, 0x00061561, 9, page) + b"\0\x08\0\0"
    meta += struct.pack(f"{order}2I", 0, len(pages) + len(chains) - 1)
    pages[0] = meta.ljust(page, b"\0")
    return b"".join(pages + chains)


def _head(number: int, following: int, entries: int, free: int, kind: int, order: str) -> bytes:
    return struct.pack(f"{order}2I3I2H2B", 0, 0, number, 0, following, entries, free, 0, kind)


def _hash_page(key: bytes, value: bytes, number: int, order: str, page: int) -> bytes:
    key_at, value_at = page - len(key), page - len(key) - len(value)
    head = _head(number, 0, 2, value_at, 13, order) + struct.pack(f"{order}2H", key_at, value_at)
    return head.ljust(value_at, b"\0") + value + key


def _chain(value: bytes, number: int, order: str, page: int) -> list[bytes]:
    room = page - 26
    parts = [value[at : at + room] for at in range(0, len(value), room)]
    return [
        (
            _head(number + at, number + at + 1 if at + 1 < len(parts) else 0, 1, len(part), 7, order) + part
        ).ljust(page, b"\0")
        for at, part in enumerate(parts)
    ]
