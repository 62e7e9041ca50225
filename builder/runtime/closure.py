"""Closure: the files an image needs, each with the edge that pulled it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from builder.reason import Reason
from builder.sysroot import Kind, Node


@dataclass(frozen=True, slots=True)
class Needed:
    """One node and the first reason found for it (breadth first, so the shortest chain)."""

    node: Node
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Every needed path of a sysroot. It knows no owner numbers, layers or files that rootlet makes.

    ``warnings`` are sentences for a person: what was found but not proven; ``hints`` are lines that a recipe
    might want. ``taken``: packages that rules want files of, whether the sysroot has them or not; ``made``:
    what rules want rootlet to make (docs/rules.md).
    """

    needed: Mapping[str, Needed]
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    taken: Mapping[str, Reason] = field(default_factory=dict)
    made: Mapping[str, Reason] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Needed]:
        return iter(self.needed.values())

    def packages(self) -> frozenset[str]:
        """Names of the packages that give at least one file or link."""
        nodes = (item.node for item in self if item.node.kind is not Kind.DIRECTORY)
        return frozenset(node.package for node in nodes if node.package)
