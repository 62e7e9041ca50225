"""Nodes and packages as JSON: the indexes of unpacked trees (builder/sources/packed.py, Debian's store)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from builder.sysroot import Content, Kind, Node, Package

_DIRECTORY, _SYMLINK, _FILE = 0, 1, 2
_CODES = {Kind.DIRECTORY: _DIRECTORY, Kind.SYMLINK: _SYMLINK, Kind.FILE: _FILE}
_KINDS = {code: kind for kind, code in _CODES.items()}
_PLAIN = (0, 0, "root", "root")

Row = list[Any]
"""Columns in the order that :func:`node_of` reads them; what most nodes lack is last and left out."""


def row_of(node: Node, *, package: str = "") -> Row:
    """``node`` without its store. ``package`` owns what the row does not name an owner for."""
    owner = (node.uid, node.gid, node.user, node.group)
    rest: Row = [
        node.hardlink,
        [[name, base64.b64encode(value).decode()] for name, value in node.xattrs],
        *([node.package] if node.package != package else []),
    ]
    row: Row = [_CODES[node.kind], node.path, node.mode, node.mtime]
    content = node.content
    row += [content.offset, content.size, content.sha256] if content is not None else [node.target]
    if owner != _PLAIN or any(rest) or len(rest) > 2:  # noqa: PLR2004 (another owner, perhaps nobody)
        row += [list(owner), *rest]
    return row


def path_of(row: Row) -> str:
    """The path of a row."""
    path: str = row[1]
    return path


def nodes_of(rows: Iterable[Row], store: Path, *, package: str = "") -> Iterator[Node]:
    """The nodes of ``rows``; their bytes are in ``store``."""
    return (node_of(row, store, package=package) for row in rows)


def node_of(row: Row, store: Path, *, package: str = "") -> Node:
    """The node that :func:`row_of` wrote."""
    code, path, mode, mtime = row[:4]
    content = Content(store=store, offset=row[4], size=row[5], sha256=row[6]) if code == _FILE else None
    rest = row[7 if code == _FILE else 5 :] or (_PLAIN, "", ())
    uid, gid, user, group = rest[0]
    return Node(
        path=path,
        kind=_KINDS[code],
        mode=mode,
        uid=uid,
        gid=gid,
        user=user,
        group=group,
        mtime=mtime,
        content=content,
        target=row[4] if code == _SYMLINK else "",
        hardlink=rest[1],
        xattrs=tuple((name, base64.b64decode(value)) for name, value in rest[2]),
        package=rest[3] if len(rest) > 3 else package,  # noqa: PLR2004 (the last column)
    )


def package_row(package: Package) -> dict[str, Any]:
    """What is known of ``package``, without its nodes."""
    return {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "source": [package.source_name, package.source_version],
        "control": package.control,
        "md5sums": dict(package.md5sums),
        "conffiles": list(package.conffiles),
        "scripts": dict(package.scripts),
        "newest": package.newest,
        **({"purl": package.purl} if package.purl else {}),
    }


def package_of(row: Mapping[str, Any], nodes: tuple[Node, ...]) -> Package:
    """The package of :func:`package_row`, with its ``nodes``."""
    return Package(
        name=row["name"],
        version=row["version"],
        architecture=row["architecture"],
        source_name=row["source"][0],
        source_version=row["source"][1],
        control=row["control"],
        md5sums=row["md5sums"],
        conffiles=tuple(row["conffiles"]),
        nodes=nodes,
        scripts=row["scripts"],
        newest=row["newest"],
        purl=row.get("purl", ""),
    )
