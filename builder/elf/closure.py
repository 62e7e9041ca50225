"""Everything the dynamic loader opens for a program, found without running it, in the loader's own order.

Each root is a process of its own: what is already loaded decides what is searched (glibc: elf/dl-deps.c;
musl: ldso/dynlink.c, load_deps). Files, folders and search results are shared between roots.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from builder.elf.facts import ElfFacts
from builder.elf.glibc import GlibcSearch
from builder.elf.ldcache import LD_SO_CACHE, index_of, installed_index
from builder.elf.loader import Flavour, Loader, loader_of
from builder.elf.musl import MuslSearch
from builder.elf.object import ElfError, ElfObject
from builder.elf.process import ALREADY_LOADED, Process
from builder.elf.scope import INTERPRETER, MissingLibrary, Order, Record, Scope
from builder.elf.search import Found, Loaded, Search, Tree
from builder.errors import ResolutionError
from builder.sysroot import Node, Sysroot

__all__ = [
    "ALREADY_LOADED",
    "ANOTHER_ROOT",
    "INTERPRETER",
    "Edge",
    "ElfClosure",
    "GrowingClosure",
    "MissingLibrary",
    "Resolver",
    "Scope",
    "elf_closure",
    "elf_closures",
    "missing_message",
]

ANOTHER_ROOT = "loaded by another root"

_Key = tuple[str, str, str]
"""Dependent, name, provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One file that another needs. ``dependent`` and ``provider`` are canonical paths.

    ``name`` is as in DT_NEEDED (or PT_INTERP); ``links`` is every symbolic link crossed, in order;
    ``rule`` says how it was found: "RUNPATH /x", "default folder /lib/x86_64-linux-gnu", "interpreter",
    "already loaded".
    """

    dependent: str
    name: str
    provider: str
    links: tuple[Node, ...]
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfClosure:
    """What the roots need: each distinct edge once, in the order found."""

    edges: tuple[Edge, ...]
    missing: tuple[MissingLibrary, ...]
    warnings: tuple[str, ...]


def elf_closure(
    root: str, sysroot: Sysroot, facts: ElfFacts, *, library_path: tuple[str, ...] = ()
) -> ElfClosure:
    """Find the closure of one program or shared object; see :class:`Resolver`."""
    return Resolver(sysroot, facts, library_path=library_path).closure([root])


def elf_closures(
    roots: Iterable[str], sysroot: Sysroot, facts: ElfFacts, *, library_path: tuple[str, ...] = ()
) -> ElfClosure:
    """Find the closure of many roots together; see :class:`Resolver`."""
    return Resolver(sysroot, facts, library_path=library_path).closure(roots)


def missing_message(missing: MissingLibrary) -> str:
    """Say in one sentence what is missing, who needs it, and where it was looked for."""
    if missing.reason:
        text = f"{missing.name} is needed by {missing.dependent}, but {missing.reason}"
    else:
        text = f"{missing.name} is needed by {missing.dependent} and nothing provides it"
        if missing.searched:
            text += f"; searched {', '.join(missing.searched)}"
    if len(missing.chain) > 1:
        text += f" (loaded by {' → '.join(missing.chain)})"
    return text


class Resolver:
    """Closures inside one sysroot, for callers that ask several times: every look-up is made once.

    ``library_path`` are the folders of LD_LIBRARY_PATH in the image, absolute. ``installed_cache``: search by
    the /etc/ld.so.cache that the sysroot has, or without one if it has none, as ld.so would in it now; with
    the bytes of one as ``cache``, by that; else as if ldconfig had just run there.
    """

    def __init__(
        self,
        sysroot: Sysroot,
        facts: ElfFacts,
        *,
        library_path: tuple[str, ...] = (),
        installed_cache: bool = False,
        cache: bytes | None = None,
    ) -> None:
        if installed_cache or cache is not None:
            self._tree = _tree_with_cache(sysroot, facts, cache)
        else:
            self._tree = Tree(sysroot, facts)
        self._library_path = library_path
        self._programs: dict[str, tuple[Process, Loaded]] = {}
        self._plugins: dict[str, tuple[Process, Loaded]] = {}
        self._loaders: dict[tuple[str, tuple[int, int, bool]], tuple[Loader, Search]] = {}

    def closure(self, roots: Iterable[str]) -> ElfClosure:
        """Find what ``roots`` (paths of programs and shared objects, each a process of its own) need.

        Roots that are no ELF files are passed over; damaged ones become a warning. A shared object that is a
        root (a plugin) is loaded into some program, so what another root or its closure loads under the name
        counts for it. Raises ResolutionError for a root that is not in the sysroot, BuildError when bytes
        cannot be read.
        """
        growing = self.begin()
        growing.grow(roots)
        return growing.closure()

    def begin(self) -> GrowingClosure:
        """Give a closure without roots: they are added as they become known."""
        return GrowingClosure(self._root, self._process, self._tree.warnings)

    def dlopen(self, dependent: str, names: tuple[str, ...]) -> ElfClosure:
        """Find what the object at ``dependent`` gets when it opens the first of ``names`` that is found.

        The first edge goes from the dependent to what was opened ("already loaded" when its process has the
        name); the others are what that needs in turn. When no name is found, there is no edge and ``missing``
        has one optional entry with the names joined by " or ".

        What dlopen(3) searches depends on the process. It is taken to be that of the first program, else of
        the first other root, that :meth:`closure` met the dependent in: the RPATHs of the dependent, of what
        loaded it and so on up to that root, or the dependent's own RUNPATH. A dependent that was in no
        closure is a process of its own: the RPATH of its unknown host is not searched then. Raises as
        :meth:`closure`, and ElfError for a damaged dependent.
        """
        root = self._root(dependent)
        if root is None:
            raise ResolutionError(f"{dependent} opens no libraries: it is not ELF", hint="name an ELF file")
        union = self.begin()
        union.objects[root.path] = root
        host = self._programs.get(root.path) or self._plugins.get(root.path)
        if host is None:
            process = Process(root, *self._loader(root.elf), union)
            process.dlopen(process.main, names)
        else:
            host[0].fork(union).dlopen(host[1], names)
        return union.closure()

    def scope(self, root: str) -> Scope | None:
        """Say what one program or shared object loads, by itself and in order; None when it is no ELF file.

        Some three times as fast as :meth:`closure`. Raises ElfError for a damaged root, and as that does.
        """
        found = self._root(root)
        if found is None:
            return None
        order = Order(found)
        self._process(found, order)
        return order.scope()

    def _root(self, path: str) -> Found | None:
        found = self._tree.sysroot.lookup(path)
        if found.node is None:
            raise ResolutionError(f"{path} is not in the sysroot", hint="add the package that carries it")
        elf = self._tree.facts.of(found.node)
        return None if elf is None else Found(found.path, found.path, found.node, elf, (), "root")

    def _process(self, root: Found, union: Record) -> None:
        elf = root.elf
        if elf.interpreter is None and not (elf.needed or elf.auxiliary or elf.filter):
            return
        loader, search = self._loader(root.elf)
        process = Process(root, loader, search, union)
        if root.elf.interpreter is not None:
            process.need_interpreter()
        process.run()
        if isinstance(union, GrowingClosure):
            hosts = self._plugins if elf.interpreter is None else self._programs
            for loaded in process.loaded():
                hosts.setdefault(loaded.found.path, (process, loaded))

    def _loader(self, elf: ElfObject) -> tuple[Loader, Search]:
        musl = any(name == "libc.so" or name.startswith("libc.musl-") for name in elf.needed)
        key = (elf.interpreter if elf.interpreter is not None else f"{musl}:{elf.flags}", elf.target)
        known = self._loaders.get(key)
        if known is None:
            loader = loader_of(elf, self._tree.sysroot)
            rules = MuslSearch if loader.flavour is Flavour.MUSL else GlibcSearch
            search: Search = rules(self._tree, loader, elf.target, self._library_path)
            known = self._loaders[key] = (loader, search)
        return known


def _tree_with_cache(sysroot: Sysroot, facts: ElfFacts, cache: bytes | None) -> Tree:
    try:
        return Tree(sysroot, facts, installed_index(sysroot) if cache is None else index_of(cache))
    except ElfError as error:
        tree = Tree(sysroot, facts, {})
        tree.warnings[f"{LD_SO_CACHE} is not read, as ld.so would not: {error.reason}"] = None
        return tree


class GrowingClosure:
    """What roots need together, each of them closed over once; made by :meth:`Resolver.begin`."""

    wants_known = True

    def __init__(
        self,
        find: Callable[[str], Found | None],
        load: Callable[[Found, Record], None],
        warnings: Collection[str],
    ) -> None:
        self._find = find
        self._load = load
        self._tree_warnings = warnings
        self._warnings: dict[str, None] = {}
        self._edges: dict[_Key, Edge] = {}
        self._fresh: dict[_Key, Edge] = {}
        self._missing: dict[tuple[str, str], MissingLibrary] = {}
        self._final: set[tuple[str, str]] = set()
        self.objects: dict[str, Found] = {}

    def grow(self, roots: Iterable[str]) -> tuple[Edge, ...]:
        """Close over ``roots`` too; give the edges that are new, or cross more links than before.

        Raises as :meth:`Resolver.closure`.
        """
        self._fresh.clear()
        for path in roots:
            try:
                root = self._find(path)
            except ElfError as error:
                self._warnings[error.message] = None
                continue
            if root is not None:
                self.objects.setdefault(root.path, root)
                self._load(root, self)
        return tuple(self._fresh.values())

    def closure(self) -> ElfClosure:
        """Give everything so far, with what is missing if no root comes any more."""
        missing = tuple(self._settle())
        notes = (
            f"{found.path} has a damaged note about libraries it opens at run time: {found.elf.bad_notes}"
            for found in self.objects.values()
            if found.elf.bad_notes
        )
        return ElfClosure(
            edges=tuple(self._edges.values()),
            missing=missing,
            warnings=(*self._warnings, *self._tree_warnings, *notes),
        )

    def add(self, dependent: Found, name: str, provider: Found, links: tuple[Node, ...], rule: str) -> None:
        """Record an edge; one that was searched for takes the place of one that says "already loaded"."""
        key = (dependent.path, name, provider.path)
        known = self._edges.get(key)
        if known is not None:
            if rule == ALREADY_LOADED or links == known.links:
                return
            links = tuple(dict.fromkeys((*known.links, *links)))
            rule = rule if known.rule == ALREADY_LOADED else known.rule
        self.objects.setdefault(provider.path, provider)
        edge = Edge(dependent=dependent.path, name=name, provider=provider.path, links=links, rule=rule)
        self._edges[key] = self._fresh[key] = edge

    def miss(self, missing: MissingLibrary, *, final: bool) -> None:
        """Record a missing name; ``final``: no other root can help (the process starts with this one)."""
        key = (missing.dependent, missing.name)
        if key not in self._missing or (final and key not in self._final):
            self._missing[key] = missing
        if final:
            self._final.add(key)

    def _settle(self) -> Iterator[MissingLibrary]:
        """Give what is missing in the end; names that another root brings into the process become edges."""
        present: dict[tuple[object, str], Found] = {}
        for found in self.objects.values():
            for name in (found.elf.soname, found.opened.rpartition("/")[2]):
                if name:
                    present.setdefault((found.elf.target, name), found)
        for key, missing in self._missing.items():
            dependent = self.objects[missing.dependent]
            provider = present.get((dependent.elf.target, missing.name))
            if key in self._final or missing.reason or provider is None:
                yield missing
            else:
                self.add(dependent, missing.name, provider, provider.links, ANOTHER_ROOT)
