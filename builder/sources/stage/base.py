"""What stages start from: an image in the private storage, its tree, and how to see what changed.

A base is made once for its key: a system of Debian packages, or the tree of another source. Its stored image,
its nodes and the signs of its files (builder/sources/stage/inside.py) are kept together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from builder.engine.buildah import Engine
from builder.errors import BuildError
from builder.files import write_checked
from builder.lock import LockedPackage
from builder.sources.debian.store import PackageStore
from builder.sources.stage import dpkg_root
from builder.sources.stage.bench import Bench, RoomWish, Signs, container
from builder.sources.stage.journal import alone
from builder.sources.stage.packages import StoredPackages
from builder.sources.stage.rows import Rows, read_rows, write_rows
from builder.sources.stage.system import System
from builder.sources.supply import SourceTree
from builder.sysroot import Package, Sysroot

FORMAT = 1
"""Raised when bases are made otherwise; those of another format are made anew."""

Acquire: TypeAlias = Callable[[tuple[LockedPackage, ...]], tuple[Package, ...]]
"""Gives packages unpacked; what is missing is fetched."""

SCRATCH = "scratch"
_CONFIGURE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a stage starts from, before anything is looked at. ``tree`` None: nothing is there (scratch).

    ``locked`` are the packages of a Debian system, () for others.
    """

    key: str
    tree: SourceTree | None = None
    locked: tuple[LockedPackage, ...] = ()
    below: Base | None = None
    """A smaller system with packages of ``locked``, on which the others are laid."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables of an image, for every command."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where bases are made."""

    bench: Bench
    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A base that is there: its stored image, its tree, and the signs of its files (a list or a file)."""

    image: str
    tree: Sysroot
    signs: Signs


def scratch() -> Base:
    """The base that has nothing."""
    return Base(key=SCRATCH)


def tree_base(tree: SourceTree) -> Base:
    """The tree of another source as a base."""
    return Base(key=_key(["tree", tree.key]), tree=tree, env=tree.env)


def debian_base(locked: tuple[LockedPackage, ...], below: Base | None = None) -> Base:
    """A small system of Debian packages as a base, on ``below`` where that has the same versions."""
    sums = [[one.name, one.version, one.architecture, one.sha256] for one in locked]
    if below is not None and not set(_sums(below.locked)) < set(_sums(locked)):
        below = None
    under = below.key if below is not None else ""
    return Base(key=_key(["debian", dpkg_root.FORMAT, sums, under]), locked=locked, below=below)


def _sums(locked: tuple[LockedPackage, ...]) -> list[tuple[str, str]]:
    return [(one.name, one.sha256) for one in locked]


def _key(words: list[object]) -> str:
    return hashlib.sha256(json.dumps([FORMAT, *words]).encode()).hexdigest()


def base_tree(base: Base, bench: Bench) -> Sysroot | None:
    """The tree of a base without looking at its image; None where it was not made yet."""
    if base.key == SCRATCH:
        return Sysroot(())
    if base.tree is not None:
        return base.tree.tree
    if base.key not in bench.trees:
        rows = read_rows(_rows_path(bench, base.key), bench.cache)
        if rows is None:
            return None
        bench.trees[base.key] = _debian_tree(rows, base, bench)
    return bench.trees[base.key]


def prepare(base: Base, bench: Bench, engine: Engine, *, acquire: Acquire) -> Prepared:
    """The base, made where it is not there. Raises what making it raises."""
    if base.key == SCRATCH:
        return Prepared(image=SCRATCH, tree=Sysroot(()), signs={})
    found = _recall(base, bench)
    if found is not None:
        return found
    with alone(bench.folder / "locks" / base.key) as waited:
        found = _recall(base, bench) if waited else None
        return found or _make(base, bench, engine, acquire=acquire)


def _recall(base: Base, bench: Bench) -> Prepared | None:
    image = bench.image(base.key)
    tree = base_tree(base, bench)
    signs = _signs_path(bench, base.key)
    if not image or tree is None or not signs.is_file():
        return None
    return Prepared(image=image, tree=tree, signs=signs)


def _make(base: Base, bench: Bench, engine: Engine, *, acquire: Acquire) -> Prepared:
    if base.locked:
        below = None if base.below is None else prepare(base.below, bench, engine, acquire=acquire)
        image, tree = _make_debian(base, below, acquire(base.locked), _Place(bench, engine))
    elif base.tree is not None:
        tree = base.tree.tree
        image = _make_of_tree(bench, engine, base.tree)
    else:
        raise BuildError("A stage starts from nothing that is known")
    with container(bench, engine, RoomWish(image=image)) as made:
        signs = made.signs()
    path = _signs_path(bench, base.key)
    write_checked(path, json.dumps(signs).encode())
    bench.remember_image(base.key, image)
    return Prepared(image=image, tree=tree, signs=path)


def _make_debian(
    base: Base, below: Prepared | None, packages: tuple[Package, ...], place: _Place
) -> tuple[str, Sysroot]:
    known = None if base.below is None or below is None else _names(base.below)
    system = System(key=base.key, packages=packages)
    if known is not None and below is not None and system.can_lie_on(known):
        made = system.made(place.bench, place.engine, image=below.image, below=below.tree, there=known)
    else:
        made = system.made(place.bench, place.engine, image=SCRATCH)
    rows = Rows(nodes=tuple(made.tree))
    write_rows(_rows_path(place.bench, base.key), rows, place.bench.cache)
    return made.image, made.tree


def _names(base: Base) -> frozenset[str]:
    return frozenset(one.name for one in base.locked)


def _make_of_tree(bench: Bench, engine: Engine, source: SourceTree) -> str:
    bench.progress.step(f"bring {source.name} to the storage of stages")
    nodes = sorted(
        source.tree, key=lambda node: (bool(node.hardlink), node.path.encode("utf-8", "surrogateescape"))
    )
    with container(bench, engine, RoomWish(image=SCRATCH)) as made:
        made.lay(nodes)
        return made.commit()


def _debian_tree(rows: Rows, base: Base, bench: Bench) -> Sysroot:
    tree = Sysroot(rows.nodes)
    tree.packages = StoredPackages(PackageStore(bench.cache / "packages"), base.locked)
    return tree


def _rows_path(bench: Bench, key: str) -> Path:
    return bench.folder / "trees" / f"{key}.json"


def _signs_path(bench: Bench, key: str) -> Path:
    return bench.folder / "trees" / f"{key}.signs"
