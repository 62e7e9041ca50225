"""What stages start from: an image in the private storage, its tree, and how to see what changed.

A base is made once for its key: a system of Debian packages, or the tree of another source. Its stored image,
its nodes and the signs of its files (builder/sources/stage/inside.py) are kept together.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from builder.engine import buildah
from builder.engine.buildah import Engine
from builder.engine.command import Sink
from builder.errors import BuildError
from builder.files import write_bytes, write_checked
from builder.lock import LockedPackage
from builder.sources.debian.store import PackageStore
from builder.sources.stage import dpkg_root
from builder.sources.stage.bench import Bench, Container, RoomWish, Signs, container
from builder.sources.stage.delta import DeltaSysroot
from builder.sources.stage.journal import alone
from builder.sources.stage.logs import StageLog
from builder.sources.stage.packages import StoredPackages
from builder.sources.stage.rows import Rows, read_rows, taken, write_rows
from builder.sources.supply import SourceTree
from builder.sysroot import Content, Kind, Node, Package, Sysroot

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
    env: tuple[tuple[str, str], ...] = ()
    """Variables of an image, for every command."""


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


def debian_base(locked: tuple[LockedPackage, ...]) -> Base:
    """A small system of Debian packages as a base."""
    sums = [[one.name, one.version, one.architecture, one.sha256] for one in locked]
    return Base(key=_key(["debian", dpkg_root.FORMAT, sums]), locked=locked)


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
        image, tree = _make_debian(base, bench, engine, acquire(base.locked))
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


def _make_of_tree(bench: Bench, engine: Engine, source: SourceTree) -> str:
    bench.progress.step(f"bring {source.name} to the storage of stages")
    nodes = sorted(
        source.tree, key=lambda node: (bool(node.hardlink), node.path.encode("utf-8", "surrogateescape"))
    )
    with container(bench, engine, RoomWish(image=SCRATCH)) as made:
        made.lay(nodes)
        return made.commit()


def _make_debian(
    base: Base, bench: Bench, engine: Engine, packages: tuple[Package, ...]
) -> tuple[str, Sysroot]:
    bench.progress.step(f"lay {len(packages)} packages for a stage")
    tree = dpkg_root.system_tree(packages)
    pack = bench.folder / "packs" / f"{base.key}.pack"
    pack.parent.mkdir(parents=True, exist_ok=True)
    with (
        container(bench, engine, RoomWish(image=SCRATCH)) as made,
        StageLog(bench, f"base-{base.key[:12]}") as log,
    ):
        with _written(
            dpkg_root.database(packages), bench.folder / "scratch" / f"{made.name}.dpkg"
        ) as written:
            made.lay([*dpkg_root.laid_nodes(tree), *written])
        before = made.signs()
        bench.progress.step(f"configure {len(packages)} packages for a stage")
        _configure(made, log.line, log)
        known = {node.path: node.content for node in tree if node.content is not None}
        answer = made.take(before, pack, known)
        image = made.commit()
    rows = Rows(
        nodes=tuple(_changed(answer["changed"], tree, pack)),
        gone=tuple(answer["gone"]),
        more={"packages": [asdict(one) for one in base.locked]},
    )
    whole = DeltaSysroot(tree, rows.nodes, rows.gone)
    write_rows(_rows_path(bench, base.key), Rows(nodes=tuple(whole), more=rows.more), bench.cache)
    return image, whole


def _configure(made: Container, sink: Sink, log: StageLog) -> None:
    command = buildah.Run(argv=("/bin/sh", dpkg_root.SCRIPT), seconds=_CONFIGURE_SECONDS)
    try:
        made.run(command, sink)
    except BuildError as error:
        raise log.explained("The packages of a stage could not be configured", error) from error


def _changed(changed: list[dict[str, object]], tree: Sysroot, pack: Path) -> Iterable[Node]:
    for found in changed:
        node = taken(found, pack, tree.get(str(found["path"])))
        if node is not None:
            yield node


@contextlib.contextmanager
def _written(files: Iterable[tuple[str, bytes, int]], path: Path) -> Iterator[list[Node]]:
    """Files of dpkg's database as nodes: their bytes lie in one file of this machine meanwhile."""
    nodes: list[Node] = []
    pieces: list[bytes] = []
    offset = 0
    for name, payload, mode in files:
        content = Content(store=path, offset=offset, size=len(payload), sha256=dpkg_root.checksum(payload))
        nodes.append(Node(path=name, kind=Kind.FILE, mode=mode, content=content))
        pieces.append(payload)
        offset += len(payload)
    write_bytes(path, b"".join(pieces), durable=False)
    try:
        yield nodes
    finally:
        path.unlink(missing_ok=True)


def _debian_tree(rows: Rows, base: Base, bench: Bench) -> Sysroot:
    tree = Sysroot(rows.nodes)
    tree.packages = StoredPackages(PackageStore(bench.cache / "packages"), base.locked)
    return tree


def _rows_path(bench: Bench, key: str) -> Path:
    return bench.folder / "trees" / f"{key}.json"


def _signs_path(bench: Bench, key: str) -> Path:
    return bench.folder / "trees" / f"{key}.signs"
