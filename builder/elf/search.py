"""What the search rules of both loaders share: the tree they look in, and what a search gives.

The rules themselves are in ``glibc`` and ``musl``. A tree that becomes an image gets an /etc/ld.so.cache of
its own: what a cache gives is what ldconfig would find, in the folders of ld.so.conf and the default ones. A
tree that is judged as it stands is searched by the cache that it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from builder.elf.facts import ElfFacts
from builder.elf.ldconf import cache_folders
from builder.elf.object import ElfError, ElfObject
from builder.elf.tokens import Folders
from builder.errors import ResolutionError
from builder.sysroot import Kind, Lookup, Node, Sysroot

if TYPE_CHECKING:
    from builder.elf.ldcache import CacheEntry

MAX_NAME = 255
"""NAME_MAX. A longer name is in no folder."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that the loader opens. ``opened`` is the path it uses, ``path`` the canonical one."""

    opened: str
    path: str
    node: Node
    elf: ElfObject
    links: tuple[Node, ...]
    rule: str
    identity: str = field(init=False, compare=False)
    """Equal for two names of one file: loaders compare device and inode, hard links share their bytes."""

    def __post_init__(self) -> None:
        content = self.node.content
        identity = self.path if content is None else f"{content.offset} {content.store}"
        object.__setattr__(self, "identity", identity)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that stands first on the search path and cannot be used: the program does not start."""

    path: str
    reason: str


Outcome = Found | Refused | None


@dataclass(frozen=True, slots=True)
class Place:
    """One search path of an object: the tag it comes from and its folders."""

    label: str
    folders: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Loaded:
    """An object in a process: the file, who first asked for it, and the paths searched for what it needs."""

    found: Found
    parent: Loaded | None
    inherited: tuple[Place, ...] = ()
    """Its own RPATH and those of its ancestors, nearest first."""
    places: tuple[Place, ...] = ()
    """What is searched for its own needs, before the system's folders."""
    scanned: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search gave; ``variants`` are copies for better processors (glibc-hwcaps), taken first there."""

    outcome: Outcome
    variants: tuple[Found, ...] = ()


class Search(Protocol):
    """The rules of one flavour for one loader and one machine."""

    matches_program: bool
    """Whether a library that turns out to be the program's own file is the program."""
    loads_filters: bool
    """Whether DT_AUXILIARY and DT_FILTER mean anything."""
    reserves_names: bool
    """Whether some names mean the loader whatever files there are; see :meth:`is_loader`."""

    def describe(self, node: Node) -> ElfObject | str:
        """Read what a file says, or why no loader can use it."""

    def expand(self, name: str, requester: Loaded) -> str:
        """Give the name as the loader takes it."""

    def is_loader(self, name: str) -> bool:
        """Whether ``name`` means the loader itself, whatever files there are."""

    def find(self, name: str, requester: Loaded) -> Answer:
        """Look for a name that is not loaded yet."""

    def admit(self, found: Found, parent: Loaded | None) -> Loaded:
        """Make an object of a file."""

    def names(self, loaded: Loaded, asked: str) -> tuple[str, ...]:
        """Names that mean ``loaded`` from now on; ``asked`` is "" for the program itself."""

    def searched(self, requester: Loaded) -> tuple[str, ...]:
        """Every folder that is looked in for the needs of ``requester``, in order."""


class Tree:
    """Look-ups of a sysroot, remembered. ``warnings`` collects what cannot be decided from bytes alone.

    ``index`` is the tree's own /etc/ld.so.cache by name, empty where it has none; None to search as if
    ldconfig had just run.
    """

    def __init__(
        self,
        sysroot: Sysroot,
        facts: ElfFacts,
        index: Mapping[str, tuple[CacheEntry, ...]] | None = None,
    ) -> None:
        self.sysroot = sysroot
        self.facts = facts
        self.index = index
        self.warnings: dict[str, None] = {}
        self.cache_folders = cache_folders(sysroot)
        self._folders: dict[str, Lookup] = {}

    def folder(self, path: str) -> Lookup:
        """Follow ``path`` to a folder."""
        found = self._folders.get(path)
        if found is None:
            found = self._folders[path] = self.sysroot.lookup(path)
        return found

    def file(self, folder: str, name: str) -> Lookup | None:
        """Follow ``folder``/``name``; None when nothing is there."""
        parent = self.folder(folder)
        if parent.node is None:
            return parent if parent.loop else None
        path = f"{parent.path}/{name}" if parent.path != "/" else f"/{name}"
        node = self.sysroot.get(path)
        if node is None:
            return None
        if node.kind is not Kind.SYMLINK:
            return Lookup(path=path, node=node, links=parent.links)
        found = self.sysroot.lookup(path)
        return Lookup(path=found.path, node=found.node, links=parent.links + found.links, loop=found.loop)

    def describe(self, node: Node) -> ElfObject | str:
        """Read what a file says, or why no loader can use it."""
        if node.kind is not Kind.FILE:
            return "it is a folder"
        try:
            return self.facts.of(node) or "it is not an ELF file"
        except ElfError as error:
            return error.reason

    def known(self, folders: Folders, tag: str, path: str) -> tuple[str, ...]:
        """Give the folders that are known; the others become a warning that names the object's ``path``."""
        for folder in folders.unknown:
            self.warnings[
                f"{tag} {folder!r} of {path} is relative to the working directory and was not searched"
            ] = None
        return folders.known


def too_many(name: str, requester: str) -> ResolutionError:
    """Make the error that ends a search without end: hostile files name folders by the million."""
    return ResolutionError(
        f"The search for {name} was given up: "
        f"{requester} and what loads it name too many folders and libraries",
        hint="leave that file out: no real program comes near",
    )


def library_path(env: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Give the absolute folders of LD_LIBRARY_PATH in an image's environment."""
    listed = dict(env).get("LD_LIBRARY_PATH", "")
    return tuple(folder for folder in listed.split(":") if folder.startswith("/"))


def join(folder: str, name: str) -> str:
    """Give the path of ``name`` in ``folder``."""
    return f"/{name}" if folder == "/" else f"{folder}/{name}"
