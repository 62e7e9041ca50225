"""One streaming pass over any tree of files that gives its inventory.

Each file is handed to the readers that want it by its path, its name or its first bytes (readers.py), as it
streams by; nothing else is read. Whatever the tree holds, the pass ends with an inventory: what is damaged
or too large is said in its notes. Memory: one word for each path, the file lists of packages (packed), and
what the readers found, all within fixed limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from builder.errors import ScanError
from builder.inventory.assemble import assemble
from builder.inventory.elf import elf_file
from builder.inventory.files import TreeFile
from builder.inventory.found import NOTHING, Reader
from builder.inventory.model import Inventory
from builder.inventory.readers import lock_reader_for, reader_for, system_reader_for
from builder.inventory.tree import (
    DIVERSIONS,
    INFO,
    LISTS,
    STATUS,
    STATUS_D,
    Answer,
    Tree,
    is_kept,
    pack_list,
)
from builder.sysroot import Kind

MAX_PATHS = 5_000_000
MAX_DATABASE_FILE = 64 << 20
MAX_DATABASE = 512 << 20
MAX_PACKAGES = 200_000
MAX_CLAIMS = 500_000
"""Limits: paths of one tree, bytes of one file and of all files of dpkg's database, packages of all files,
programs that languages' packages say they bring along."""

_DPKG = "/var/lib/dpkg/"
_ELF = b"\x7fELF"
_MAX_NOTES = 10_000


def take_inventory(files: Iterable[TreeFile], *, development: bool = False) -> Inventory:
    """Read every path once and say what is installed.

    ``development`` says that the tree is a folder of this machine: if it is no root file system, the lock
    files in it count. A later entry of a path replaces an earlier one. ScanError when the tree has more than
    ``MAX_PATHS`` paths; every lesser defect is a note.
    """
    reading = _Reading(locks=lock_reader_for if development else None)
    return assemble(reading.all(files))


def take_owned_inventory(files: Iterable[TreeFile]) -> tuple[Inventory, dict[str, str]]:
    """Do the same, and give the package that owns each regular file that any file list names."""
    owners: dict[str, str] = {}
    inventory = assemble(_Reading().all(files), owners)
    return inventory, owners


def take_system_inventory(files: Iterable[TreeFile]) -> tuple[Inventory, dict[str, str]]:
    """Do the same for the distribution's own packages alone: nothing but their databases is read."""
    owners: dict[str, str] = {}
    inventory = assemble(_Reading(readers=system_reader_for, programs=False).all(files), owners)
    return inventory, owners


def is_file_list(path: str) -> bool:
    """Whether ``path`` is where dpkg's database lists the files of a package."""
    return path.startswith((INFO, STATUS_D)) and path.endswith(LISTS)


@dataclass(slots=True)
class _Reading:
    """The pass: who reads what, what was read, and how much of the limits is used."""

    readers: Callable[[str], Reader | None] = reader_for
    locks: Callable[[str], Reader | None] | None = None
    programs: bool = True
    tree: Tree = field(default_factory=Tree)
    database_bytes: int = 0
    packages: int = 0
    claims: int = 0

    def all(self, files: Iterable[TreeFile]) -> Tree:
        """Take every file of a stream."""
        for file in files:
            self._add(file)
        return self.tree

    def _add(self, file: TreeFile) -> None:
        path, tree = file.path, self.tree
        tree.forget(path)
        if file.kind is Kind.FILE:
            tree.regular[path] = 0
            if len(tree.regular) > MAX_PATHS:
                raise ScanError(f"the tree could not be scanned: it has more than {MAX_PATHS} files")
            try:
                self._regular(file, path)
            except OSError as error:
                tree.regular.pop(path, None)
                self._note(f"{path} could not be read: {error.strerror or error}")
        elif file.kind is Kind.SYMLINK and path.count("/") == 1:
            tree.links[path] = file.target

    def _regular(self, file: TreeFile, path: str) -> None:
        if path.startswith(_DPKG) and (path in {STATUS, DIVERSIONS} or _is_database(path)):
            self._database(file, path)
            return
        head = file.read(len(_ELF)) if not 0 <= file.size < len(_ELF) else b""
        if is_kept(path):
            self._database(file, path)
        elif head == _ELF:
            self.tree.elf.add(path)
            if self.programs:
                self._hand(file, path, elf_file)
        elif (reader := self.readers(path)) is not None:
            self._hand(file, path, reader)
        if self.locks is not None and (reader := self.locks(path)) is not None:
            self._hand(file, path, reader, lock=True)

    def _database(self, file: TreeFile, path: str) -> None:
        if file.size > MAX_DATABASE_FILE or self.database_bytes + file.size > MAX_DATABASE:
            self._note(f"{path} was not read: it is larger than any package database ({file.size} bytes)")
            return
        payload = file.read(MAX_DATABASE_FILE)
        if file.layer is not None:
            self.tree.layers[path] = file.layer
        self.database_bytes += len(payload)
        if payload.startswith(_ELF):
            self.tree.elf.add(path)
        if is_file_list(path):
            self.tree.lists[path] = pack_list(payload)
        else:
            self.tree.kept[path] = payload.decode(errors="surrogateescape")

    def _hand(self, file: TreeFile, path: str, reader: Reader, *, lock: bool = False) -> None:
        with file.content() as content:
            found = reader(content, path)
        if found == NOTHING:
            return
        self.packages += len(found.packages)
        if self.packages > MAX_PACKAGES:
            raise ScanError(f"the tree could not be scanned: it names more than {MAX_PACKAGES} packages")
        self.claims += len(found.claims)
        if self.claims > MAX_CLAIMS:
            self._note(f"{path} names programs, but there are more than {MAX_CLAIMS} already")
            found = replace(found, claims=())
        answer = Answer(path=path, layer=file.layer, found=found, lock=lock)
        self.tree.answers.setdefault(path, []).append(answer)

    def _note(self, note: str) -> None:
        if len(self.tree.notes) < _MAX_NOTES:
            self.tree.notes.append(note)


def _is_database(path: str) -> bool:
    return path.startswith(STATUS_D) or (path.startswith(INFO) and path.endswith(LISTS))
