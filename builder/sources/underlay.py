"""Trees of sources laid below the packages' tree: whatever is on top hides what lies at its path below.

A package comes from one place: where the top has it too, in any version, the files that the trees below give
to it are not seen. Nothing is walked before it is asked for, so that a tree may be a whole machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from builder.sysroot import Kind, Node, Package, Sysroot

_USR = "/usr"
_MOVED = tuple(f"{_USR}/{name}" for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"))
"""Folders whose content a tree without a merged /usr has one level higher."""


def underlaid(top: Sysroot, below: Iterable[Sysroot]) -> Sysroot:
    """``top`` with the trees of ``below`` under it, the first one highest; their packages are ``alone``."""
    trees = tuple(below)
    return Underlaid(top, trees) if trees else top


class Underlaid(Sysroot):
    """A tree that looks into other trees for what it does not have itself."""

    def __init__(self, top: Sysroot, below: tuple[Sysroot, ...]) -> None:
        """Lay ``below`` under ``top``; both stay as they are."""
        super().__init__(())
        self._top = top
        self._below = below
        self.packages = _Packages(top.packages, tuple(tree.packages for tree in below))
        self._nodes = self._found = _Found(top, below, tuple(self._owners()))

    @property
    def own_packages(self) -> Mapping[str, Package]:
        """The packages of the top."""
        return self._top.own_packages

    def _owners(self) -> Iterator[frozenset[str]]:
        """For each tree below, the packages that come from somewhere above it."""
        taken = set(self._top.packages)
        for tree in self._below:
            yield frozenset(taken)
            taken |= tree.packages.keys()

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
        names = {name for tree in (self._top, *self._below) for name in _children(tree, path)}
        return tuple(sorted(name for name in names if self.get(f"{prefix}/{name}") is not None))

    def overlay(self, nodes: Iterable[Node]) -> Sysroot:
        """The same trees below, with ``nodes`` laid over the top."""
        return Underlaid(self._top.overlay(nodes), self._below)

    def __iter__(self) -> Iterator[Node]:
        root = self.get("/")
        if root is not None:
            yield root
        yield from self.below("/")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Packages(Mapping[str, Package]):
    """Packages of several trees, the highest first, made when somebody asks for one."""

    def __init__(self, top: Mapping[str, Package], below: tuple[Mapping[str, Package], ...]) -> None:
        self._top = top
        self._below = below
        self._names = tuple(dict.fromkeys(name for one in (top, *below) for name in one))
        self._made: dict[str, Package] = {}

    def __getitem__(self, name: str) -> Package:
        if name in self._top:
            return self._top[name]
        if name not in self._made:
            holder = next((one for one in self._below if name in one), None)
            if holder is None:
                raise KeyError(name)
            self._made[name] = replace(holder[name], alone=True)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._top or any(name in one for one in self._below)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _children(tree: Sysroot, path: str) -> tuple[str, ...]:
    higher = _higher(path)
    return (*tree.children(path), *(tree.children(higher) if higher else ()))


def _higher(path: str) -> str:
    """Where a tree without a merged /usr may have what belongs at ``path``; "" for nowhere."""
    return path[len(_USR) :] if path.startswith(_MOVED) else ""


class _Found(dict[str, Node]):
    """Nodes by path, looked for when they are asked for: :meth:`get` is all that a look-up calls."""

    def __init__(self, top: Sysroot, below: tuple[Sysroot, ...], hidden: tuple[frozenset[str], ...]) -> None:
        super().__init__()
        self._top = top
        self._below = tuple(zip(below, hidden, strict=True))
        self._absent: set[str] = set()

    def get(self, path: str, default: Any = None) -> Any:
        """Give the node at ``path``, or ``default``."""
        if path in self:
            return self[path]
        if path in self._absent:
            return default
        node = self._top.get(path) or self._look_below(path)
        if node is None:
            self._absent.add(path)
            return default
        self[path] = node
        return node

    def _look_below(self, path: str) -> Node | None:
        # A tree below may have a folder where the top has a link or a file: what is in it is hidden.
        parent = self.get(path.rpartition("/")[0] or "/") if path != "/" else None
        if parent is not None and parent.kind is not Kind.DIRECTORY:
            return None
        for tree, hidden in self._below:
            node = tree.get(path) or self._look_higher(tree, path)
            if node is not None and (node.package not in hidden or node.kind is Kind.DIRECTORY):
                return node
        return None

    def _look_higher(self, tree: Sysroot, path: str) -> Node | None:
        higher = _higher(path)
        node = tree.get(higher) if higher else None
        if node is None or (node.kind is Kind.SYMLINK and f"{_USR}{node.path}" in _MOVED):
            return None
        return replace(node, path=path)
