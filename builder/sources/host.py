"""Files of this machine, or of an unpacked root file system on it, with the packages that own them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from builder.recipe.source_model import HostSource
from builder.sources.folder import FolderSysroot
from builder.sources.owners import NOBODY, Owners, owners_of
from builder.sources.supply import SourceTree
from builder.sysroot import Kind, Node

_FIXED_IDS = 100
"""Numbers below are the same on every Debian system (Debian Policy §9.2.2); others are this machine's own."""
_SET_ID = 0o6000


def host_tree(source: HostSource, cache: Path) -> SourceTree:
    """The machine's tree, looked at as it is asked for. ResolutionError when ``root`` is no folder.

    Files that a package owns keep their modes. Others get 0644 or 0755, so that the image is the same whoever
    compiled them, with whatever umask; accounts of this machine mean nothing in the image.
    """
    tree = FolderSysroot(source.root)
    owners = NOBODY
    with contextlib.suppress(OSError):  # without its cache the build ends in a moment, with a better sentence
        owners = owners_of(tree, cache)
    tree.packages = owners.packages
    tree.dress(_dressed(owners))
    return SourceTree(name=source.name, tree=tree, key=f"host {tree.folder or '/'}", stamps=tree.stamps)


def _dressed(owners: Owners) -> Callable[[Node], Node]:
    def dressed(node: Node) -> Node:
        package = "" if node.kind is Kind.DIRECTORY else owners.owner(node.path)
        if node.kind is Kind.SYMLINK:
            return replace(node, mode=0o777, uid=0, gid=0, mtime=0, package=package)
        uid, gid, mode = node.uid, node.gid, node.mode
        if not package and (node.kind is Kind.FILE or (uid, gid) != (0, 0)):
            uid, gid, mode = 0, 0, 0o755 if node.kind is Kind.DIRECTORY or mode & 0o100 else 0o644
        elif max(uid, gid) >= _FIXED_IDS:  # as chown(2): what was for that account is for no other
            uid, gid, mode = 0, 0, mode & ~_SET_ID
        return replace(node, mode=mode, uid=uid, gid=gid, mtime=0, package=package)

    return dressed
