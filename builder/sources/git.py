"""Repositories as sources: the files of one commit, as git stored them."""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from builder.errors import BuildError, ResolutionError
from builder.recipe.source_model import GitSource
from builder.sources.fetched import not_offline
from builder.sources.packed import FOLDER, PackedTrees, Packer
from builder.sources.repository import GitEntry, Repository
from builder.sources.supply import SourceTree, Supply
from builder.staging import staging
from builder.sysroot import Kind, Node

FORMAT = 1
"""Raised when commits are packed in another way; trees of another format are made anew."""

_SUBMODULE = 0o160000
_DEEPEST = 8
_MOST_MODULES = 500


def git_tree(source: GitSource, supplies: Supply) -> SourceTree:
    """The commit's tree: files 0644 or 0755, links, folders; nothing of ``.git``.

    A commit names all of its bytes, so it is fetched once ever. ResolutionError when it is not in the
    repository or not at ``ref``, MachineError when the repository cannot be had.
    """
    trees = PackedTrees(supplies.cache / FOLDER)
    key = _key(source)
    packed = trees.open(key)
    if packed is None:
        address = _address(source)
        if source.path is None:
            not_offline(f"{source.commit} of {address}", supplies)
        supplies.effects.progress.step(f"fetch {source.name} at {source.commit[:12]}")
        with staging(supplies.cache / "staging") as work, trees.pack(key, address) as packer:
            _fetch(source, address, work, packer, supplies)
        packed = trees.written(key)
    return SourceTree(name=source.name, tree=packed.tree, key=key)


def _key(source: GitSource) -> str:
    asked = (source.url, str(source.path), source.ref) if source.ref else ()
    shape = hashlib.sha256(repr((FORMAT, source.submodules, asked)).encode()).hexdigest()
    return f"git-{source.commit}-{shape[:12]}"


def _address(source: GitSource) -> str:
    if source.path is None:
        return source.url
    if not source.path.is_dir():
        raise ResolutionError(
            f"{source.path}, the repository of the source {source.name}, is no folder",
            hint="the path starts at the recipe's folder",
        )
    return source.path.resolve().as_uri()


def _fetch(source: GitSource, address: str, work: Path, packer: Packer, supplies: Supply) -> None:
    fetcher = _Fetcher(work, supplies, packer)
    if source.ref:
        fetcher.check(address, source)
    fetcher.take(_Place(address=address, commit=source.commit, path="", depth=0), modules=source.submodules)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A commit of a repository, and the folder of the tree where it goes ("" for the root)."""

    address: str
    commit: str
    path: str
    depth: int


class _Fetcher:
    """Fetches a commit and its submodules, each into a repository of its own."""

    def __init__(self, work: Path, supplies: Supply, packer: Packer) -> None:
        self._work = work
        self._supplies = supplies
        self._packer = packer
        self._count = 0

    def check(self, address: str, source: GitSource) -> None:
        """ResolutionError when the commit is not what the tag says, or not in the branch."""
        repository = self._repository(source.commit)
        tag, branch = repository.heads(address, source.ref)
        if not tag and not branch:
            raise ResolutionError(
                f"{address} has no tag or branch {source.ref}", hint="correct ref, or leave it out"
            )
        if source.commit in {tag, branch}:
            return
        if tag or not repository.descends(address, source.ref, source.commit):
            at = f"the tag {source.ref} is {tag}" if tag else f"the branch {source.ref} does not have it"
            raise ResolutionError(
                f"{address} was asked for {source.commit}, and {at}",
                hint="find out who moved it before you correct the hash",
            )

    def take(self, place: _Place, *, modules: bool) -> None:
        """Pack the commit of ``place``."""
        repository = self._repository(place.commit)
        repository.fetch(place.address, place.commit)
        time = repository.time(place.commit)
        entries = tuple(repository.entries(place.commit))
        for node in _folders(entries, place.path):
            self._packer.add(node)
        for entry, content in repository.blobs(one for one in entries if one.mode != _SUBMODULE):
            self._packer.add(_node(entry, place.path, time, content), (content,))
        if modules:
            named = repository.modules(place.commit)
            for entry in (one for one in entries if one.mode == _SUBMODULE):
                self.take(_module(entry, named, place), modules=True)

    def _repository(self, commit: str) -> Repository:
        self._count += 1
        if self._count > _MOST_MODULES:
            raise BuildError(f"the repository has more than {_MOST_MODULES} submodules")
        effects = self._supplies.effects
        folder = self._work / str(self._count)
        return Repository(folder, effects.runner, effects.settings, commit=commit)


def _folders(entries: Iterable[GitEntry], top: str) -> Iterator[Node]:
    paths = {top + entry.path for entry in entries if entry.mode == _SUBMODULE}
    for path in sorted(paths | ({top} if top else set())):
        yield Node(path=path, kind=Kind.DIRECTORY, mode=0o755)


def _node(entry: GitEntry, top: str, time: int, content: bytes) -> Node:
    path = top + entry.path
    if stat.S_ISLNK(entry.mode):
        target = content.decode("utf-8", "surrogateescape")
        return Node(path=path, kind=Kind.SYMLINK, mode=0o777, mtime=time, target=target)
    mode = 0o755 if entry.mode & 0o100 else 0o644
    return Node(path=path, kind=Kind.FILE, mode=mode, mtime=time)


def _module(entry: GitEntry, named: Mapping[str, str], place: _Place) -> _Place:
    address = named.get(entry.path[1:], "")
    if not address or place.depth >= _DEEPEST:
        why = "has no address in .gitmodules" if not address else "is nested too deeply"
        raise ResolutionError(
            f"the submodule {entry.path} of {place.address} {why}",
            hint="set submodules = false to leave it out",
        )
    return _Place(
        address=_joined(place.address, address, entry.path),
        commit=entry.object,
        path=place.path + entry.path,
        depth=place.depth + 1,
    )


def _joined(parent: str, address: str, path: str) -> str:
    """The address of a submodule, relative ones from its parent's. What is fetched otherwise is refused."""
    if address.startswith(("./", "../")):
        parts = urlsplit(parent)
        joined = posixpath.normpath(posixpath.join(parts.path, address))
        return urljoin(parent, joined)
    if address.startswith(("https://", "http://")) or (
        address.startswith("file://") and parent.startswith("file://")
    ):
        return address
    raise ResolutionError(
        f"the submodule {path} is at {address}, which is not fetched: only http and https addresses are",
        hint="set submodules = false, and name the submodule as a source of its own",
    )
