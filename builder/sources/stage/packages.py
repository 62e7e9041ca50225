"""The packages of a stage, opened in the store when somebody asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.errors import BuildError
from builder.lock import LockedPackage
from builder.sources.debian.store import PackageStore
from builder.sysroot import Package


class StoredPackages(Mapping[str, Package]):
    """Packages by name."""

    def __init__(self, store: PackageStore, locked: tuple[LockedPackage, ...]) -> None:
        self._store = store
        self._locked = {one.name: one for one in locked}
        self._opened: dict[str, Package] = {}

    def __getitem__(self, name: str) -> Package:
        if name not in self._opened:
            locked = self._locked[name]
            package = self._store.open(locked)
            if package is None:
                raise BuildError(
                    f"{name} {locked.version}, of a build stage, is not in the package store any more",
                    hint="run it again with --no-cache",
                )
            self._opened[name] = package
        return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self._locked

    def __iter__(self) -> Iterator[str]:
        return iter(self._locked)

    def __len__(self) -> int:
        return len(self._locked)
