"""The files of an image in a folder of this machine: written by one writer that never follows a link.

Each path of the final tree is made once, exclusively, in folders that this writer made itself, so that no
name or link of the image can lead out of the folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from builder.errors import BuildError, MachineError
from builder.stored.read import ImageFile, StoredImage
from builder.stored.tree import tree
from builder.sysroot import Kind
from builder.verify.accounts import Identity

_ACCOUNTS = ("/etc/passwd", "/etc/group")
_MAX_ACCOUNTS = 4 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Rights(NamedTuple):
    """What the image says of a file or folder."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """An image's tree below ``root``; ``passwd`` and ``group`` are bytes of its accounts, b"" where absent.

    Rights are not given yet: see :meth:`give_rights` and :meth:`show_to`. ``folders`` and ``files`` by path.
    """

    root: Path
    passwd: bytes
    group: bytes
    folders: dict[str, Rights]
    files: dict[str, Rights]

    def give_rights(self) -> None:
        """Give every path the image's owner and mode. Needs the right to; MachineError without."""

        def give(path: bytes, rights: Rights) -> None:
            os.chown(path, rights.uid, rights.gid)
            os.chmod(path, rights.mode)  # noqa: PTH101 (bytes: names need not be UTF-8)

        self._each(give)

    def show_to(self, user: Identity) -> None:
        """Give ``user``, who will seem to own every path, the rights that the image gives to this user.

        For machines where only one user number can be used.
        """

        def give(path: bytes, rights: Rights) -> None:
            os.chmod(path, mode_for(rights, user))  # noqa: PTH101 (as above)

        self._each(give)

    def _each(self, give: Callable[[bytes, Rights], None]) -> None:
        root = os.fsencode(self.root)
        try:
            for path in sorted(self.folders):  # from the top: an earlier user may not have been let in
                os.chmod(root + os.fsencode(path), 0o700)  # noqa: PTH101 (as above)
            for path, rights in self.files.items():
                give(root + os.fsencode(path), rights)
            for path in sorted(self.folders, reverse=True):
                give(root + os.fsencode(path), self.folders[path])
        except OSError as error:
            raise _disk_error(self.root, error) from error


def mode_for(rights: Rights, user: Identity) -> int:
    """Give the mode whose bits for the owner are those that the image gives to ``user``."""
    if rights.uid == user.uid:
        shift = 6
    elif rights.gid in (user.gid, *user.groups):
        shift = 3
    else:
        shift = 0
    return rights.mode & 0o1077 | (rights.mode >> shift & 0o7) << 6


def unpack(image: StoredImage, folder: Path) -> Unpacked:
    """Write the final tree of ``image`` into ``folder``, which must not be there yet; modes come later.

    BuildError for an image that is damaged or hostile, MachineError when the disk refuses.
    """
    try:
        folder.mkdir(mode=0o700)
        with _Writer(folder) as writer:
            for file in tree(image):
                writer.write(file)
    except OSError as error:
        raise _disk_error(folder, error) from error
    return Unpacked(
        root=folder,
        passwd=writer.accounts.get(_ACCOUNTS[0], b""),
        group=writer.accounts.get(_ACCOUNTS[1], b""),
        folders=writer.folders,
        files=writer.files,
    )


def _disk_error(folder: Path, error: OSError) -> MachineError:
    return MachineError(
        f"The image could not be unpacked for its tests in {folder}: {error.strerror}",
        hint="the disk of the image's target is used; --no-test builds without tests",
    )


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._root = os.open(folder, _FOLDER)
        self._parent = ""
        self._descriptor = os.dup(self._root)
        self.folders: dict[str, Rights] = {"/": Rights(0o755, 0, 0)}
        self.files: dict[str, Rights] = {}
        self.accounts: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        os.close(self._root)

    def write(self, file: ImageFile) -> None:
        """Make one path of the tree."""
        rights = Rights(file.mode & 0o7777, file.uid, file.gid)
        if file.kind is Kind.DIRECTORY:
            self._make_folder(file.path)
            self.folders[file.path] = rights
            return
        parent, name = self._inside(file.path)
        try:
            if file.kind is Kind.SYMLINK:
                os.symlink(os.fsencode(file.target), name, dir_fd=parent)
                return
            descriptor = os.open(name, _NEW, 0o600, dir_fd=parent)
        except FileExistsError:
            raise _two_kinds(file.path) from None
        self.files[file.path] = rights
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            for chunk in self._watched(file):
                stream.write(chunk)
            os.utime(stream.fileno(), (file.mtime, file.mtime))

    def _watched(self, file: ImageFile) -> Iterator[bytes]:
        if file.path in _ACCOUNTS:
            self.accounts[file.path] = file.read(_MAX_ACCOUNTS)
        return file.chunks()

    def _inside(self, path: str) -> tuple[int, bytes]:
        """The open folder of ``path``, made where it is missing, and the name in it."""
        parent, _, name = path.rpartition("/")
        if parent != self._parent:
            self._make_folder(parent or "/")
            descriptor = os.open(os.fsencode(f".{parent}"), _FOLDER, dir_fd=self._root)
            os.close(self._descriptor)
            self._parent, self._descriptor = parent, descriptor
        return self._descriptor, os.fsencode(name)

    def _make_folder(self, path: str) -> None:
        """Every folder on the way was made here: none of them can be a link."""
        missing: list[str] = []
        while path not in self.folders:
            missing.append(path)
            path = path.rpartition("/")[0] or "/"
        for folder in reversed(missing):
            try:
                os.mkdir(os.fsencode(f".{folder}"), 0o700, dir_fd=self._root)
            except FileExistsError:
                raise _two_kinds(folder) from None
            self.folders[folder] = Rights(0o755, 0, 0)


def _two_kinds(path: str) -> BuildError:
    return BuildError(f"The image holds {path[:200]!a} as a folder and as something else")
