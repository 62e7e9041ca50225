"""A configuration laid over the packages' tree."""

from __future__ import annotations

from builder.sources.debian.configure.model import Configuration
from builder.sysroot import Sysroot


def lay(configuration: Configuration, tree: Sysroot) -> Sysroot:
    """The tree as it would be once its packages are configured."""
    if configuration.removed:
        kept = (node for node in tree if node.path not in configuration.removed)
        tree = Sysroot(kept, tree.packages.values())
    return tree.overlay(configuration.nodes)
