"""Files of the author: [[install]] from a folder or from another path of a source, and [[file]]."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import MappingProxyType

from builder.errors import ResolutionError
from builder.recipe.model import FileType, Install, Owner, RecipeFile
from builder.sources.debian.configure.model import NOTHING, Configuration
from builder.sources.folder import FolderSysroot
from builder.sources.supply import SourceTree
from builder.sysroot import Content, Kind, Node, Sysroot, glob_pattern

_FILE_MODE = 0o644
_FOLDER_MODE = 0o755
_PROGRAM_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFiles:
    """Nodes to lay over the packages' tree.

    ``user`` and ``group`` are names or numbers as written; the numbers are not known yet. ``made`` has the
    bytes of nodes that carry no ``content``. ``configured`` is what the packages' scripts lay there before.
    """

    installed: tuple[tuple[Node, str], ...] = ()
    """Each node with where it comes from, for its reason."""
    files: tuple[Node, ...] = ()
    made: Mapping[str, bytes]
    configured: Configuration = NOTHING

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in the order in which they are laid over the tree."""
        return (*(node for node, _ in self.installed), *self.files)


def local_files(
    installs: Iterable[Install],
    files: Iterable[RecipeFile],
    sysroot: Sysroot,
    trees: Mapping[str, SourceTree] = MappingProxyType({}),
) -> LocalFiles:
    """What the recipe adds by itself. ResolutionError for a path that is not there or cannot be read.

    Files of archives come from ``sysroot``, those of other sources from ``trees``, by the source's name.
    """
    installed: list[tuple[Node, str]] = []
    for install in installs:
        tree = trees[install.source].tree if install.source in trees else sysroot
        found = _from_folder(install) if install.context else _owned(install, tree, sysroot)
        origin = str(install.context) if install.context else f"{install.source}:{install.path}"
        installed += ((node, PurePath(origin).name if install.context else origin) for node in found)
    written = tuple(files)
    return LocalFiles(
        installed=tuple(installed),
        files=tuple(_made(file) for file in written),
        made={file.path: file.content.encode() for file in written if file.type is FileType.FILE},
    )


def with_configuration(local: LocalFiles, configured: Configuration) -> LocalFiles:
    """``local``, laid over what configuring the packages makes."""
    return replace(local, configured=configured, made={**configured.contents, **local.made})


def _made(file: RecipeFile) -> Node:
    default = _FOLDER_MODE if file.type is FileType.DIRECTORY else _FILE_MODE
    kind = Kind(file.type.value)
    mode = 0o777 if kind is Kind.SYMLINK else default if file.mode is None else file.mode
    owner = file.owner
    return Node(path=file.path, kind=kind, mode=mode, user=owner.user, group=owner.group, target=file.target)


def _from_source(install: Install, sysroot: Sysroot) -> Iterator[Node]:
    found = sysroot.lookup(install.path)
    if found.node is None:
        raise ResolutionError(
            f"{install.path} is not in the source {install.source}, asked for by [[install]]",
            hint="correct the path, or name the package that ships it in the source's packages",
        )
    to = _destination(install, install.path.rpartition("/")[2])
    yield _moved(found.node, to, install)
    top = found.path.rstrip("/")
    for node in _below(sysroot, top, install.ignore):
        yield _moved(node, f"{to.rstrip('/')}/{node.path[len(top) + 1 :]}", install)
    if isinstance(sysroot, FolderSysroot):
        _refuse_unreadable(sysroot, top, install)


def _below(tree: Sysroot, top: str, ignore: tuple[str, ...]) -> Iterator[Node]:
    """Everything in the folder ``top``; what is ignored is not looked into."""
    pending = [f"{top}/{name}" for name in reversed(tree.children(top or "/"))]
    while pending:
        node = tree.get(pending.pop())
        if node is None or _ignored(node.path[len(top) + 1 :], ignore):
            continue
        yield node
        if node.kind is Kind.DIRECTORY:
            pending += (f"{node.path}/{name}" for name in reversed(tree.children(node.path)))


def _refuse_unreadable(tree: FolderSysroot, top: str, install: Install) -> None:
    for path, why in tree.unreadable.items():
        relative = path.removeprefix(f"{top}/")
        if path == top or (relative != path and not _ignored(relative, install.ignore)):
            raise ResolutionError(
                f"{tree.folder}{path} cannot be installed: {why}",
                hint="make it readable for you, or add it to ignore",
            )


def _owned(install: Install, tree: Sysroot, sysroot: Sysroot) -> Iterator[Node]:
    """What is installed of ``tree``: a file of another version of a package than the image's is nobody's."""
    for node in _from_source(install, tree):
        if node.kind is Kind.DIRECTORY and install.to == "/" and sysroot.get(node.path) is not None:
            continue  # a tree laid over the whole image changes none of its folders
        own, known = tree.packages.get(node.package), sysroot.packages.get(node.package)
        is_other = own is not None and known is not None and own.version != known.version
        yield replace(node, package="") if is_other else node


def _moved(node: Node, path: str, install: Install) -> Node:
    mode = node.mode if install.mode is None or node.kind is not Kind.FILE else install.mode
    owner = install.owner
    if owner == Owner():  # nobody asked for another owner: the package's own stays
        owner = Owner(user=node.user or str(node.uid), group=node.group or str(node.gid))
    return replace(node, path=path, mode=mode, user=owner.user, group=owner.group, hardlink="")


def _destination(install: Install, name: str) -> str:
    return f"{install.to.rstrip('/')}/{name}" if install.into else install.to


def _from_folder(install: Install) -> Iterator[Node]:
    root = install.context
    if root is None:
        return
    try:
        status = root.lstat()
        if not stat.S_ISDIR(status.st_mode):
            yield _local(root, _destination(install, root.name), status, install)
            return
        yield _local(root, install.to, status, install)
        yield from _walk(root, root, install)
    except OSError as error:
        raise ResolutionError(
            f"{error.filename or root} cannot be installed: {error.strerror}",
            hint="the path of context starts at the recipe's folder",
        ) from error


def _walk(folder: Path, root: Path, install: Install) -> Iterator[Node]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        path = Path(entry.path)
        relative = path.relative_to(root).as_posix()
        if _ignored(relative, install.ignore):
            continue
        yield _local(path, f"{install.to.rstrip('/')}/{relative}", entry.stat(follow_symlinks=False), install)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, root, install)


def _ignored(relative: str, patterns: tuple[str, ...]) -> bool:
    return any(
        glob_pattern(pattern).fullmatch(relative) or glob_pattern(f"**/{pattern}").fullmatch(relative)
        for pattern in patterns
    )


def _local(path: Path, to: str, status: os.stat_result, install: Install) -> Node:
    user, group = install.owner.user, install.owner.group
    if stat.S_ISLNK(status.st_mode):
        target = str(path.readlink())
        return Node(path=to, kind=Kind.SYMLINK, mode=0o777, target=target, user=user, group=group)
    if stat.S_ISDIR(status.st_mode):
        return Node(path=to, kind=Kind.DIRECTORY, mode=_FOLDER_MODE, user=user, group=group)
    if not stat.S_ISREG(status.st_mode):
        raise ResolutionError(
            f"{path} is neither file, folder nor link, and an image cannot hold it", hint="add it to ignore"
        )
    default = _PROGRAM_MODE if status.st_mode & stat.S_IXUSR else _FILE_MODE
    content = Content(store=path.resolve(), offset=0, size=status.st_size, sha256="")
    mode = default if install.mode is None else install.mode
    return Node(path=to, kind=Kind.FILE, mode=mode, content=content, user=user, group=group)
