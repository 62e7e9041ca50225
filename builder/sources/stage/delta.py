"""A tree that another tree became: what commands changed lies over what was there before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from builder.sysroot import Kind, Node, Package, Sysroot, children_by_parent


class DeltaSysroot(Sysroot):
    """``base`` with the paths of ``gone`` taken away and ``changed`` laid over it. Nothing is walked."""

    def __init__(self, base: Sysroot, changed: Iterable[Node], gone: Iterable[str]) -> None:
        """Lay the changes over ``base``, which stays as it is."""
        super().__init__(())
        self._base = base
        self._changed = {node.path: node for node in changed}
        self._gone = frozenset(gone)
        self.packages: Mapping[str, Package] = base.packages
        self._nodes = self._found = _Found(base, self._changed, self._gone)
        self._inside = children_by_parent(self._changed)

    @property
    def changes(self) -> Mapping[str, Node]:
        """What was changed or made, by path."""
        return self._changed

    def get(self, path: str) -> Node | None:
        """The node at exactly ``path``; links are not followed."""
        node: Node | None = self._found.get(path)
        return node

    def children(self, path: str) -> tuple[str, ...]:
        """Names directly inside the folder ``path`` (exact, links not followed), sorted."""
        node = self.get(path)
        if node is None or node.kind is not Kind.DIRECTORY:
            return ()
        prefix = path.rstrip("/")
        names = {name for name in self._base.children(path) if f"{prefix}/{name}" not in self._gone}
        return tuple(sorted(names.union(self._inside.get(path, ()))))

    def overlay(self, nodes: Iterable[Node]) -> Sysroot:
        """The same tree with more nodes laid over it."""
        return DeltaSysroot(self, nodes, ())

    def __iter__(self) -> Iterator[Node]:
        root = self.get("/")
        if root is not None:
            yield root
        yield from self.below("/")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Found(dict[str, Node]):
    """Nodes by path, looked for when they are asked for: :meth:`get` is all that a look-up calls."""

    def __init__(self, base: Sysroot, changed: Mapping[str, Node], gone: frozenset[str]) -> None:
        super().__init__(changed)
        self._base = base
        self._gone = gone

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def __getitem__(self, path: str) -> Node:
        node: Node | None = self.get(path)
        if node is None:
            raise KeyError(path)
        return node

    def get(self, path: str, default: Any = None) -> Any:
        """Give the node at ``path``, or ``default``."""
        node = dict.get(self, path)
        if node is not None:
            return node
        if path in self._gone:
            return default
        return self._base.get(path) or default
