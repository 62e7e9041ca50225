"""Nodes written down: one file for a tree or for what changed in it, read whole in milliseconds.

    {"format": …, "stores": [[path, size], …], "nodes": [row, …], "gone": [path, …], "more": …}

Rows name the file that holds their bytes by number; files below the cache folder are named from there, so
that the folder can be moved. A file that is damaged, of another format, or whose stores are not there any
more counts as absent.
"""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.files import read_checked, write_checked
from builder.sysroot import Content, Kind, Node

FORMAT = 1
_CODES = {Kind.FILE: "f", Kind.DIRECTORY: "d", Kind.SYMLINK: "l"}
_KINDS = {code: kind for kind, code in _CODES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a file holds. ``more`` is whatever its writer adds, in JSON's types."""

    nodes: tuple[Node, ...]
    gone: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def write_rows(path: Path, rows: Rows, cache: Path) -> None:
    """Write ``rows`` whole or not at all."""
    stores = _Stores(cache)
    plain = {
        "format": FORMAT,
        "nodes": [_row(node, stores) for node in rows.nodes],
        "stores": stores.plain(),
        "gone": rows.gone,
        "more": rows.more,
    }
    write_checked(path, json.dumps(plain, separators=(",", ":")).encode())


def read_rows(path: Path, cache: Path) -> Rows | None:
    """Read what :func:`write_rows` wrote; None when it is absent or cannot be relied on."""
    body = read_checked(path)
    if body is None:
        return None
    plain = json.loads(body)
    if plain["format"] != FORMAT:
        return None
    stores: list[Path] = []
    for name, size in plain["stores"]:
        store = cache / name  # an absolute name stays what it is
        try:
            if store.stat().st_size < size:
                return None
        except OSError:
            return None
        stores.append(store)
    return Rows(nodes=tuple(_nodes(plain["nodes"], stores)), gone=tuple(plain["gone"]), more=plain["more"])


class _Stores:
    """Numbers for the files that hold bytes, and how long each must be at least."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._numbers: dict[Path, int] = {}
        self._sizes: list[int] = []

    def number(self, content: Content) -> int:
        """Give the number of a content's store."""
        number = self._numbers.setdefault(content.store, len(self._numbers))
        if number == len(self._sizes):
            self._sizes.append(0)
        self._sizes[number] = max(self._sizes[number], content.offset + content.size)
        return number

    def plain(self) -> list[tuple[str, int]]:
        """Names and sizes."""
        return [(self._name(path), self._sizes[number]) for path, number in self._numbers.items()]

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._cache) if path.is_relative_to(self._cache) else path)


def _row(node: Node, stores: _Stores) -> list[Any]:
    content = node.content
    row: list[Any] = [_CODES[node.kind], node.path, node.mode, node.uid, node.gid, node.mtime, node.package]
    if content is not None:
        row += [stores.number(content), content.offset, content.size, content.sha256]
    else:
        row.append(node.target)
    if node.hardlink or node.xattrs:
        row += [node.hardlink, [[name, base64.b64encode(value).decode()] for name, value in node.xattrs]]
    return row


def _nodes(rows: list[list[Any]], stores: list[Path]) -> Iterator[Node]:
    for row in rows:
        kind = _KINDS[row[0]]
        content = None
        rest = 8
        if kind is Kind.FILE:
            content = Content(store=stores[row[7]], offset=row[8], size=row[9], sha256=row[10])
            rest = 11
        hardlink, xattrs = row[rest:] or ("", ())
        yield Node(
            path=row[1],
            kind=kind,
            mode=row[2],
            uid=row[3],
            gid=row[4],
            mtime=row[5],
            package=row[6],
            content=content,
            target=row[7] if content is None else "",
            hardlink=hardlink,
            xattrs=tuple((name, base64.b64decode(value)) for name, value in xattrs),
        )


def laid(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Nodes as builder/sources/stage/inside.py lays them, in the same order.

    Stores are named without links: inside, an absolute one would lead somewhere else.
    """
    real = functools.cache(os.path.realpath)
    return [
        {
            "kind": _CODES[node.kind],
            "path": node.path,
            "mode": node.mode,
            "uid": node.uid,
            "gid": node.gid,
            "mtime": node.mtime,
            "target": node.target or node.hardlink,
            "content": _place(node.content, real),
            "xattrs": [[name, base64.b64encode(value).decode()] for name, value in node.xattrs],
        }
        for node in nodes
    ]


def _place(content: Content | None, real: Callable[[Path], str]) -> list[Any]:
    if content is None:
        return []
    return [real(content.store), content.offset, content.size, content.sha256]


def taken(found: dict[str, Any], pack: Path, base: Node | None) -> Node | None:
    """Make the node of a path that the walk found changed; None when ``base`` says the same of it."""
    kind = _KINDS[found["kind"]]
    content = None
    package = base.package if base is not None and base.kind is kind else ""
    if kind is Kind.FILE:
        offset = found["offset"]
        if base is not None and base.content is not None and base.content.sha256 == found["sha256"]:
            content = base.content
        elif offset >= 0:
            content = Content(store=pack, offset=offset, size=found["size"], sha256=found["sha256"])
            package = ""  # other bytes than the package's
    node = Node(
        path=found["path"],
        kind=kind,
        mode=0o777 if kind is Kind.SYMLINK else found["mode"],
        uid=found["uid"],
        gid=found["gid"],
        content=content,
        target=found["target"],
        hardlink=found["hardlink"],
        xattrs=tuple((name, base64.b64decode(value)) for name, value in found["xattrs"]),
        package=package if kind is not Kind.SYMLINK or (base and base.target == found["target"]) else "",
    )
    return None if base is not None and _same(node, base) else node


def _same(one: Node, other: Node) -> bool:
    return (
        one.kind is other.kind
        and (one.mode == other.mode or one.kind is Kind.SYMLINK)
        and (one.uid, one.gid) == (other.uid, other.gid)
        and one.target == other.target
        and one.xattrs == other.xattrs
        and (
            one.content is None or (other.content is not None and one.content.sha256 == other.content.sha256)
        )
    )
