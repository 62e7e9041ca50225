"""A system of Debian packages made in a container: laid, configured by dpkg, kept as image and tree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.engine import buildah
from builder.engine.buildah import Engine
from builder.errors import BuildError
from builder.files import write_bytes
from builder.sources.stage import dpkg_root
from builder.sources.stage.bench import Bench, Container, RoomWish, container
from builder.sources.stage.delta import DeltaSysroot
from builder.sources.stage.logs import StageLog
from builder.sources.stage.rows import taken
from builder.sysroot import Content, Kind, Node, Package, Sysroot, read_content

_CONFIGURE_SECONDS = 1800.0
_STATUS = "/var/lib/dpkg/status"
_NOTHING = Sysroot(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The stored image of a system, and its tree."""

    image: str
    tree: Sysroot


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Packages that make a system; ``key`` names its pack."""

    key: str
    packages: tuple[Package, ...]

    def can_lie_on(self, there: frozenset[str]) -> bool:
        """Whether a system of the packages ``there`` stays: nothing of it is replaced or diverted."""
        old = [package for package in self.packages if package.name in there]
        whole = dpkg_root.system_tree(self.packages)
        return all(_is_same(node, whole.get(node.path)) for node in dpkg_root.system_tree(old))

    def made(
        self,
        bench: Bench,
        engine: Engine,
        *,
        image: str,
        below: Sysroot = _NOTHING,
        there: frozenset[str] = frozenset(),
    ) -> Made:
        """Make it on the image of a smaller one, whose packages are ``there`` and whose tree is ``below``."""
        new = tuple(package for package in self.packages if package.name not in there)
        tree = dpkg_root.system_tree(self.packages)
        added = [node for node in tree if node.package not in there and _is_missing(node, below)]
        pack = bench.folder / "packs" / f"{self.key}.pack"
        pack.parent.mkdir(parents=True, exist_ok=True)
        bench.progress.step(f"lay {len(new)} packages for a stage")
        with (
            container(bench, engine, RoomWish(image=image)) as room,
            StageLog(bench, f"base-{self.key[:12]}") as log,
        ):
            files = dpkg_root.database(new, self.packages, _status(below))
            with _written(files, bench.folder / "scratch" / f"{room.name}.dpkg") as written:
                room.lay([*dpkg_root.laid_nodes(added), *written])
            before = room.signs()
            bench.progress.step(f"configure {len(new)} packages for a stage")
            _configure(room, log)
            laid = _over(below, added, tree)
            known = {node.path: node.content for node in laid if node.content is not None}
            answer = room.take(before, pack, known)
            stored = room.commit()
        changed = (taken(found, pack, laid.get(found["path"])) for found in answer["changed"])
        whole = DeltaSysroot(laid, (node for node in changed if node is not None), answer["gone"])
        return Made(image=stored, tree=whole)


def _over(below: Sysroot, added: list[Node], tree: Sysroot) -> Sysroot:
    laid = DeltaSysroot(below, added, ())
    laid.packages = tree.packages
    return laid


def _is_same(node: Node, other: Node | None) -> bool:
    return other is not None and (node == other or node.kind is other.kind is Kind.DIRECTORY)


def _is_missing(node: Node, below: Sysroot) -> bool:
    present = below.get(node.path)
    return present is None or (node.kind is not Kind.DIRECTORY and not _is_same(node, present))


def _status(below: Sysroot) -> str:
    node = below.get(_STATUS)
    if node is None or node.content is None:
        return ""
    return read_content(node.content).decode("utf-8", "surrogateescape")


def _configure(room: Container, log: StageLog) -> None:
    command = buildah.Run(argv=("/bin/sh", dpkg_root.SCRIPT), seconds=_CONFIGURE_SECONDS)
    try:
        room.run(command, log.line)
    except BuildError as error:
        raise log.explained("The packages of a stage could not be configured", error) from error


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
