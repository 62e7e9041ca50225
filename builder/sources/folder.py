"""A folder of this machine as a sysroot: an unpacked root file system, or the machine itself.

Nothing is walked: a path is looked at (lstat, readlink) when somebody asks for it, and remembered. Every
path is taken apart and each of its folders is known to be a real folder before what is in it is looked at,
so no link is ever followed by the machine and nothing outside the folder is touched: links, absolute ones
too, start again at the root of the tree (builder/sysroot.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from builder.errors import ResolutionError
from builder.files import Stamp, absent, stamp, stamp_of
from builder.sysroot import Content, Kind, Node, Sysroot

_NO_NAMES = frozenset({"", ".", ".."})


class FolderSysroot(Sysroot):
    """The tree below ``folder``, read as it is asked for.

    Not thread-safe; what changes meanwhile may go unseen. Files carry the owner's numbers and no package;
    their content has no checksum. Device nodes, sockets and pipes are not there. What may not be looked at is
    not there either, as for a loader that this user starts, and is recorded in :attr:`unreadable`.
    """

    def __init__(self, folder: Path) -> None:
        """Check that ``folder`` is one. ResolutionError when it is not."""
        super().__init__(())
        self._folder = _real_folder(folder)
        self._nodes = self._seen = _Seen(self._folder)

    def dress(self, change: Callable[[Node], Node]) -> None:
        """Let ``change`` decide how each path that is looked at from now on appears."""
        self._seen.change = change

    def state(self, path: str) -> Stamp:
        """Give the stamp of ``path``, which counts as looked at from now on, with all that is in it."""
        found = stamp(Path(self._folder + path))
        return self._seen.stamps.setdefault(path, found)

    def stamps(self) -> tuple[Stamp, ...]:
        """What was looked at, as it was then: files, links, listed folders, and where nothing was."""
        return tuple(self._seen.stamps.values())

    @property
    def folder(self) -> str:
        """The folder of this machine, absolute and without links; "" for the machine's own root folder."""
        return self._folder

    @property
    def unreadable(self) -> dict[str, str]:
        """Path inside the tree → why it could not be looked at."""
        return self._seen.unreadable

    def get(self, path: str) -> Node | None:
        """The node at exactly ``path``; links are not followed."""
        node: Node | None = self._seen.get(path)
        return node

    def children(self, path: str) -> tuple[str, ...]:
        """Names directly inside the folder ``path`` (exact, links not followed), sorted."""
        node = self._seen.get(path)
        if node is None or node.kind is not Kind.DIRECTORY:
            return ()
        self.state(path)
        try:
            with os.scandir(self._folder + path) as scan:
                return tuple(sorted(entry.name for entry in scan))
        except OSError as error:
            self._seen.unreadable[path] = str(error.strerror)
            return ()

    def overlay(self, nodes: Iterable[Node]) -> Sysroot:
        """A sysroot of the whole folder, read now, with ``nodes`` laid over it."""
        return Sysroot(self).overlay(nodes)

    def __iter__(self) -> Iterator[Node]:
        root = self._seen.get("/")
        if root is not None:
            yield root
        yield from self.below("/")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Seen(dict[str, Node]):
    """Nodes by path; those not looked at yet are, by :meth:`get`, which is all that a look-up calls."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self._absent: set[str] = set()
        self._first: dict[tuple[int, int], Content] = {}
        self.unreadable: dict[str, str] = {}
        self.stamps: dict[str, Stamp] = {}
        self.change: Callable[[Node], Node] = _as_it_is

    def get(self, path: str, default: Any = None) -> Any:
        """Give the node at ``path``, or ``default``."""
        if path in self:
            return self[path]
        if path in self._absent:
            return default
        node = self._look(path)
        if node is None:
            self._absent.add(path)
            return default
        self[path] = node
        return node

    def _look(self, path: str) -> Node | None:
        parent, slash, name = path.rpartition("/")
        if path != "/":
            # The machine would follow a link in the middle of a path: each folder must be a real one.
            above = self.get(parent or "/") if slash and name not in _NO_NAMES else None
            if above is None or above.kind is not Kind.DIRECTORY:
                return None
        place = self._folder + path
        try:
            status = os.lstat(place)
            if not stat.S_ISDIR(status.st_mode):
                self.stamps[path] = stamp_of(place, status)
            return self._node(path, place, status)
        except (FileNotFoundError, NotADirectoryError):
            self.stamps[path] = absent(place)
            return None
        except ValueError:  # a NUL in a name
            return None
        except OSError as error:
            self.unreadable[path] = str(error.strerror)
            return None

    def _node(self, path: str, place: str, status: os.stat_result) -> Node | None:
        mode = status.st_mode
        target, content = "", None
        if stat.S_ISDIR(mode):
            kind = Kind.DIRECTORY
        elif stat.S_ISLNK(mode):
            kind, target = Kind.SYMLINK, os.readlink(place)  # noqa: PTH115 (a Path would tidy the text)
        elif stat.S_ISREG(mode):
            kind, content = Kind.FILE, self._content(place, status)
        else:
            return None
        return self.change(
            Node(
                path=path,
                kind=kind,
                mode=stat.S_IMODE(mode),
                uid=status.st_uid,
                gid=status.st_gid,
                mtime=int(status.st_mtime),
                content=content,
                target=target,
            )
        )

    def _content(self, place: str, status: os.stat_result) -> Content:
        content = Content(store=Path(place), offset=0, size=status.st_size, sha256="")
        if status.st_nlink == 1:
            return content
        # Names of one file share their bytes, as the hard links of a package do: a loader opens them once.
        return self._first.setdefault((status.st_dev, status.st_ino), content)


def _as_it_is(node: Node) -> Node:
    return node


def _real_folder(folder: Path) -> str:
    try:
        real = folder.resolve(strict=True)
        is_folder = stat.S_ISDIR(real.stat().st_mode)
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ResolutionError(
            f"{folder} cannot be the root of a tree: {reason}", hint="name a folder with an unpacked root"
        ) from error
    if not is_folder:
        raise ResolutionError(
            f"{folder} cannot be the root of a tree: it is no folder",
            hint="name a folder with an unpacked root",
        )
    return "" if str(real) == "/" else str(real)
