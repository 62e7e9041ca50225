"""Files of this machine, or of an unpacked root file system on it."""

from __future__ import annotations

from builder.recipe.source_model import HostSource
from builder.sources.folder import FolderSysroot
from builder.sources.supply import SourceTree


def host_tree(source: HostSource) -> SourceTree:
    """The machine's tree, looked at as it is asked for. ResolutionError when ``root`` is no folder."""
    tree = FolderSysroot(source.root)
    return SourceTree(name=source.name, tree=tree, key=f"host {tree.folder or '/'}")
