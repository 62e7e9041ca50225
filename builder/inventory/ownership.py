"""Who owns each file of a tree: the file lists of packages, held against the tree's own paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.inventory.dpkg import parse_diversions
from builder.inventory.model import ComponentKind
from builder.inventory.system import SystemPackage
from builder.inventory.tree import DIVERSIONS, INFO, Tree

_MAX_LINKS = 8


class Ownership:
    """The owners of regular files; of several packages that list one path, the last one has it."""

    def __init__(self, tree: Tree, installed: Sequence[SystemPackage]) -> None:
        self._tree = tree
        self._installed = installed
        self._prefixes: dict[str, str] = {}
        self._diverted = parse_diversions(tree.kept.get(DIVERSIONS, ""))
        self._counts = [self._take(number, one) for number, one in enumerate(installed, 1)]
        self._take_scripts()
        self._numbers = {id(one): number for number, one in enumerate(installed)}

    def owner_of(self, path: str) -> SystemPackage | None:
        """Give the package whose file list names ``path`` of the tree."""
        number = self._tree.regular.get(path, 0)
        return self._installed[number - 1] if number else None

    def files_of(self, package: SystemPackage) -> int:
        """Count the regular files that the lists of one of the packages name."""
        return self._counts[self._numbers[id(package)]]

    def names(self) -> Iterator[tuple[str, str]]:
        """Give each owned path and the name of the package that has it."""
        for path, number in self._tree.regular.items():
            if number:
                yield path, self._installed[number - 1].package.name

    def _take(self, number: int, package: SystemPackage) -> int:
        regular = self._tree.regular
        divertible = package.package.kind is ComponentKind.DEB and bool(self._diverted)
        seen: set[str] = set()
        for path in package.paths():
            if divertible:
                path = self._undiverted(path, package.package.name)  # noqa: PLW2901 (where it went)
            there = self._real(path)
            if there in regular and there not in seen:
                seen.add(there)
                regular[there] = number
        return len(seen)

    def _take_scripts(self) -> None:
        """Give maintainer scripts to their packages: one may be a program (bash.preinst)."""
        names = {
            one.package.name: number
            for number, one in enumerate(self._installed, 1)
            if one.package.kind is ComponentKind.DEB
        }
        for path in self._tree.elf:
            if path.startswith(INFO):
                name = path[len(INFO) :].rpartition(".")[0].partition(":")[0]
                self._tree.regular[path] = names.get(name, 0)

    def _undiverted(self, path: str, package: str) -> str:
        moved = self._diverted.get(path)
        return moved[0] if moved is not None and moved[1] != package else path

    def _real(self, path: str) -> str:
        """Turn a path as packaged ("/lib/x") into the tree's own ("/usr/lib/x") where /usr is merged."""
        at = path.find("/", 1)
        if at < 0:
            return path
        top = path[:at]
        prefix = self._prefixes.get(top)
        if prefix is None:
            prefix = self._prefixes[top] = self._follow(top)
        return prefix + path[at:] if prefix is not top else path

    def _follow(self, top: str) -> str:
        there = top
        for _ in range(_MAX_LINKS):
            target = self._tree.links.get(there)
            if target is None:
                break
            parts = [part for part in target.split("/") if part not in {"", "."}]
            if ".." in parts:
                break
            there = "/" + "/".join(parts)
        return there
