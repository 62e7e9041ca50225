"""A sysroot of this machine's own folders, for tests that compare with the machine's own loader."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder.sysroot import Content, Kind, Node, Sysroot


def host_sysroot(folders: tuple[str, ...]) -> Sysroot:
    """Nodes of every file, folder and link below ``folders``, and of the links that lead to them."""
    nodes: dict[str, Node] = {}
    first: dict[tuple[int, int], Content] = {}
    for folder in folders:
        _parents(Path(folder), nodes)
        if Path(folder).is_symlink() or not Path(folder).is_dir():
            continue
        for node in _below(folder):
            nodes[node.path] = _shared(node, first)
    return Sysroot(nodes.values())


def _parents(folder: Path, nodes: dict[str, Node]) -> None:
    for path in (*reversed(folder.parents), folder):
        if path.is_symlink():
            nodes[str(path)] = _link(str(path))
        elif path.is_dir():
            nodes.setdefault(str(path), Node(path=str(path), kind=Kind.DIRECTORY, mode=0o755))
        elif path.is_file():
            nodes[str(path)] = _file(str(path), path.stat())


def _below(folder: str) -> Iterator[Node]:
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as scan:
            for entry in scan:
                if entry.is_symlink():
                    yield _link(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    yield Node(path=entry.path, kind=Kind.DIRECTORY, mode=0o755)
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield _file(entry.path, entry.stat(follow_symlinks=False))


def _shared(node: Node, first: dict[tuple[int, int], Content]) -> Node:
    # Hard links carry the same content, as those of a package do.
    if node.content is None:
        return node
    status = node.content.store.stat()
    if status.st_nlink == 1:
        return node
    return replace(node, content=first.setdefault((status.st_dev, status.st_ino), node.content))


def _link(path: str) -> Node:
    return Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=str(Path(path).readlink()))


def _file(path: str, status: os.stat_result) -> Node:
    content = Content(store=Path(path), offset=0, size=status.st_size, sha256="")
    return Node(path=path, kind=Kind.FILE, mode=stat.S_IMODE(status.st_mode), content=content)
