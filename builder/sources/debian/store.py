"""Unpacked packages by content: for each .deb one uncompressed data archive and one index.

    <folder>/<SHA-256 of the .deb>.tar     bytes of the files, read by offset
    <folder>/<SHA-256 of the .deb>.json    what is where; a checksum on its first line; written last

An index that is damaged or of another format counts as absent, and the package is fetched and unpacked again.
Files are named by content and replaced by rename alone, so several processes may use one folder.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.files import read_checked, write_checked
from builder.lock import LockedPackage
from builder.sysroot import Content, Kind, Node, Package

FORMAT = 2
"""Raised when the index changes; indexes of another format are made anew."""

_DIRECTORY, _SYMLINK, _FILE = 0, 1, 2
_CODES = {Kind.DIRECTORY: _DIRECTORY, Kind.SYMLINK: _SYMLINK, Kind.FILE: _FILE}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNode:
    """One path of a data archive, as :class:`builder.sysroot.Node`; ``offset`` counts from its start."""

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    user: str
    group: str
    mtime: int
    offset: int
    size: int
    sha256: str
    target: str
    hardlink: str
    xattrs: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What an index holds. ``source``: name and version; ``size``: bytes of the uncompressed data archive."""

    name: str
    version: str
    architecture: str
    source: tuple[str, str]
    control: str
    md5sums: Mapping[str, str]
    conffiles: tuple[str, ...]
    scripts: Mapping[str, str]
    nodes: tuple[StoredNode, ...]
    size: int


class PackageStore:
    """The folder of unpacked packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tar_path(self, sha256: str) -> Path:
        """Where the data archive of the .deb with this checksum is kept."""
        return self.folder / f"{sha256}.tar"

    def write(self, sha256: str, stored: Stored) -> None:
        """Write the index; the data archive is there already."""
        body = json.dumps(_to_json(stored), separators=(",", ":")).encode()
        write_checked(self._index_path(sha256), body)

    def open(self, locked: LockedPackage) -> Package | None:
        """Return the package, or None when it is not here whole, or is not the one that was locked."""
        body = read_checked(self._index_path(locked.sha256))
        if body is None:
            return None
        tar = self.tar_path(locked.sha256)
        try:
            size = tar.stat().st_size
        except OSError:
            return None
        index = json.loads(body)
        if index["format"] != FORMAT or index["size"] != size or not _is_locked(index, locked):
            return None
        return _package(index, tar)

    def _index_path(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.json"


def _is_locked(index: Mapping[str, Any], locked: LockedPackage) -> bool:
    found = (index["name"], index["version"], index["architecture"])
    return found == (locked.name, locked.version, locked.architecture)


def _to_json(stored: Stored) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": stored.name,
        "version": stored.version,
        "architecture": stored.architecture,
        "source": stored.source,
        "control": stored.control,
        "md5sums": stored.md5sums,
        "conffiles": stored.conffiles,
        "scripts": stored.scripts,
        "size": stored.size,
        "newest": max((node.mtime for node in _files_or_all(stored.nodes)), default=0),
        "nodes": [_row(node) for node in stored.nodes],
    }


def _files_or_all(nodes: tuple[StoredNode, ...]) -> tuple[StoredNode, ...]:
    return tuple(node for node in nodes if node.kind is Kind.FILE) or nodes


def _row(node: StoredNode) -> list[Any]:
    """Columns in the order that :func:`_nodes` reads them; what most nodes lack is last and left out."""
    owner = [node.uid, node.gid, node.user, node.group]
    rest = [node.hardlink, [[name, base64.b64encode(value).decode()] for name, value in node.xattrs]]
    row: list[Any] = [_CODES[node.kind], node.path, node.mode, node.mtime]
    row += [node.offset, node.size, node.sha256] if node.kind is Kind.FILE else [node.target]
    plain = [0, 0, "root", "root"]
    if owner != plain or any(rest):
        row += [owner, *rest]
    return row


def _package(index: Mapping[str, Any], tar: Path) -> Package:
    return Package(
        name=index["name"],
        version=index["version"],
        architecture=index["architecture"],
        source_name=index["source"][0],
        source_version=index["source"][1],
        control=index["control"],
        md5sums=index["md5sums"],
        conffiles=tuple(index["conffiles"]),
        nodes=tuple(_nodes(index["nodes"], tar, index["name"])),
        scripts=index["scripts"],
        newest=index["newest"],
    )


def _nodes(rows: list[list[Any]], tar: Path, package: str) -> Iterator[Node]:
    for row in rows:
        code, path, mode, mtime = row[:4]
        place = 7 if code == _FILE else 5
        (uid, gid, user, group), hardlink, xattrs = row[place:] or ((0, 0, "root", "root"), "", ())
        if code == _FILE:
            content = Content(store=tar, offset=row[4], size=row[5], sha256=row[6])
        yield Node(
            path=path,
            kind=_KINDS[code],
            mode=mode,
            uid=uid,
            gid=gid,
            user=user,
            group=group,
            mtime=mtime,
            content=content if code == _FILE else None,
            target=row[4] if code == _SYMLINK else "",
            hardlink=hardlink,
            xattrs=tuple((name, base64.b64decode(value)) for name, value in xattrs),
            package=package,
        )


_KINDS = {code: kind for kind, code in _CODES.items()}
