"""Unpacked packages by content: for each .deb one uncompressed data archive and one index.

    <folder>/<SHA-256 of the .deb>.tar     bytes of the files, read by offset
    <folder>/<SHA-256 of the .deb>.json    what is where; a checksum on its first line; written last

An index that is damaged or of another format counts as absent, and the package is fetched and unpacked again.
Files are named by content and replaced by rename alone, so several processes may use one folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.files import read_checked, write_checked
from builder.lock import LockedPackage
from builder.sources.rows import nodes_of, package_of, package_row, row_of
from builder.sysroot import Kind, Node, Package

FORMAT = 2
"""Raised when the index changes; indexes of another format are made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A package whose bytes lie in the store. ``size``: bytes of its uncompressed data archive."""

    package: Package
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
        package = replace(stored.package, newest=_newest(stored.package.nodes))
        index = {
            "format": FORMAT,
            **package_row(package),
            "size": stored.size,
            "nodes": [row_of(node, package=package.name) for node in package.nodes],
        }
        write_checked(self._index_path(sha256), json.dumps(index, separators=(",", ":")).encode())

    def forget(self, locked: LockedPackage) -> None:
        """Count a package as absent, so that it is fetched and unpacked again."""
        self._index_path(locked.sha256).unlink(missing_ok=True)

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
        return package_of(index, tuple(nodes_of(index["nodes"], tar, package=index["name"])))

    def _index_path(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.json"


def _is_locked(index: Mapping[str, Any], locked: LockedPackage) -> bool:
    found = (index["name"], index["version"], index["architecture"])
    return found == (locked.name, locked.version, locked.architecture)


def _newest(nodes: tuple[Node, ...]) -> int:
    files = tuple(node for node in nodes if node.kind is Kind.FILE) or nodes
    return max((node.mtime for node in files), default=0)
