"""Everything the dynamic loader opens for a program, found without running it, in the loader's own order.

Each root is a process of its own: what is already loaded decides what is searched (glibc: elf/dl-deps.c;
musl: ldso/dynlink.c, load_deps). Files, folders and search results are shared between roots.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.elf.facts import ElfFacts
from builder.elf.glibc import GlibcSearch
from builder.elf.ldcache import LD_SO_CACHE, installed_index
from builder.elf.loader import Flavour, Loader, loader_of
from builder.elf.musl import MuslSearch
from builder.elf.object import ElfError, ElfObject
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
    "MissingLibrary",
    "Resolver",
    "Scope",
    "elf_closure",
    "elf_closures",
    "missing_message",
]

ALREADY_LOADED = "already loaded"
ANOTHER_ROOT = "loaded by another root"


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
    the /etc/ld.so.cache that the sysroot has, or without one if it has none, as ld.so would in it now; else
    as if ldconfig had just run there.
    """

    def __init__(
        self,
        sysroot: Sysroot,
        facts: ElfFacts,
        *,
        library_path: tuple[str, ...] = (),
        installed_cache: bool = False,
    ) -> None:
        self._tree = _tree_with_cache(sysroot, facts) if installed_cache else Tree(sysroot, facts)
        self._library_path = library_path
        self._loaders: dict[tuple[str, tuple[int, int, bool]], tuple[Loader, Search]] = {}

    def closure(self, roots: Iterable[str]) -> ElfClosure:
        """Find what ``roots`` (paths of programs and shared objects, each a process of its own) need.

        Roots that are no ELF files are passed over; damaged ones become a warning. A shared object that is a
        root (a plugin) is loaded into some program, so what another root or its closure loads under the name
        counts for it. Raises ResolutionError for a root that is not in the sysroot, BuildError when bytes
        cannot be read.
        """
        union = _Union()
        warnings: dict[str, None] = {}
        for path in roots:
            try:
                root = self._root(path)
            except ElfError as error:
                warnings[error.message] = None
                continue
            if root is not None:
                union.objects.setdefault(root.path, root)
                self._process(root, union)
        missing = tuple(union.settle())
        return ElfClosure(
            edges=tuple(union.edges.values()),
            missing=missing,
            warnings=(*warnings, *self._tree.warnings),
        )

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
        process = _Process(root, loader, search, union)
        if root.elf.interpreter is not None:
            process.need_interpreter()
        process.run()

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


def _tree_with_cache(sysroot: Sysroot, facts: ElfFacts) -> Tree:
    try:
        return Tree(sysroot, facts, installed_index(sysroot))
    except ElfError as error:
        tree = Tree(sysroot, facts, {})
        tree.warnings[f"{LD_SO_CACHE} is not read, as ld.so would not: {error.reason}"] = None
        return tree


class _Union:
    """What all roots need together."""

    def __init__(self) -> None:
        self.edges: dict[tuple[str, str, str], Edge] = {}
        self.objects: dict[str, Found] = {}
        self._missing: dict[tuple[str, str], MissingLibrary] = {}
        self._final: set[tuple[str, str]] = set()

    def add(self, dependent: Found, name: str, provider: Found, links: tuple[Node, ...], rule: str) -> None:
        """Record an edge; one that was searched for takes the place of one that says "already loaded"."""
        key = (dependent.path, name, provider.path)
        known = self.edges.get(key)
        if known is not None:
            if rule == ALREADY_LOADED or links == known.links:
                return
            links = tuple(dict.fromkeys((*known.links, *links)))
            rule = rule if known.rule == ALREADY_LOADED else known.rule
        self.objects.setdefault(provider.path, provider)
        self.edges[key] = Edge(
            dependent=dependent.path, name=name, provider=provider.path, links=links, rule=rule
        )

    def miss(self, missing: MissingLibrary, *, final: bool) -> None:
        """Record a missing name; ``final``: no other root can help (the process starts with this one)."""
        key = (missing.dependent, missing.name)
        if key not in self._missing or (final and key not in self._final):
            self._missing[key] = missing
        if final:
            self._final.add(key)

    def settle(self) -> Iterator[MissingLibrary]:
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


class _Process:
    """One root with its loader: what is loaded, under which names, in the loader's order."""

    def __init__(self, root: Found, loader: Loader, search: Search, union: Record) -> None:
        self._search = search
        self._union = union
        self._loader = loader
        self._is_program = root.elf.interpreter is not None
        self._main = search.admit(root, None)
        self._names: dict[str, Loaded] = {}
        self._identities: dict[tuple[Path | str, int], Loaded] = {}
        self._rtld = self._load_loader()
        self._register(self._main, "")
        if search.matches_program:
            self._identities[root.identity] = self._main

    def need_interpreter(self) -> None:
        """Record the edge from the program to the loader it names."""
        if self._rtld is None:
            node, name = self._loader.node, self._loader.name
            reason = "" if node is None else f"{self._loader.path} is not a usable ELF file"
            self._miss(self._main, name, optional=False, reason=reason, searched=())
        else:
            found = self._rtld.found
            self._union.add(self._main.found, self._loader.name, found, found.links, INTERPRETER)

    def run(self) -> None:
        """Scan every object once; those that a filter brings come before the rest of the queue."""
        queue = deque([self._main])
        while queue:
            loaded = queue.popleft()
            if loaded.scanned:
                continue
            loaded.scanned = True
            queue.extend(self._needs(loaded, loaded.found.elf.needed, optional=False))
            if self._search.loads_filters and (loaded.found.elf.auxiliary or loaded.found.elf.filter):
                first = self._needs(loaded, loaded.found.elf.filter, optional=False)
                first += self._needs(loaded, loaded.found.elf.auxiliary, optional=True)
                queue.extendleft(reversed(first))

    def _load_loader(self) -> Loaded | None:
        node = self._loader.node
        elf = self._search.describe(node) if node is not None else ""
        if node is None or isinstance(elf, str):
            return None
        found = Found(self._loader.name, self._loader.path, node, elf, self._loader.links, INTERPRETER)
        loaded = self._search.admit(found, None)
        self._register(loaded, self._loader.name)
        self._identities[found.identity] = loaded
        return loaded

    def _register(self, loaded: Loaded, asked: str) -> None:
        for name in self._search.names(loaded, asked):
            self._names.setdefault(name, loaded)

    def _needs(self, requester: Loaded, names: tuple[str, ...], *, optional: bool) -> list[Loaded]:
        added: list[Loaded] = []
        for name in names:
            expanded = self._search.expand(name, requester)
            known = self._rtld if self._search.is_loader(expanded) else self._names.get(expanded)
            if known is not None:
                links = known.found.links if known is self._rtld else ()
                self._union.add(requester.found, name, known.found, links, ALREADY_LOADED)
            else:
                added += self._look(requester, name, expanded, optional=optional)
        return added

    def _look(self, requester: Loaded, name: str, expanded: str, *, optional: bool) -> list[Loaded]:
        answer = self._search.find(expanded, requester)
        outcome = answer.outcome
        added: list[Loaded] = []
        if isinstance(outcome, Found):
            added += self._open(requester, name, outcome, asked=expanded)
        else:
            reason = f"{outcome.path} cannot be loaded: {outcome.reason}" if outcome is not None else ""
            searched = self._search.searched(requester) if "/" not in expanded else ()
            self._miss(requester, name, optional=optional, reason=reason, searched=searched)
        for variant in answer.variants:
            added += self._open(requester, name, variant, asked="")
        return added

    def _open(self, requester: Loaded, name: str, found: Found, *, asked: str) -> list[Loaded]:
        known = self._identities.get(found.identity)
        if known is None and not found.elf.is_library:
            reason = f"{found.opened} cannot be loaded: it is a program, not a shared object"
            self._miss(requester, name, optional=False, reason=reason, searched=())
            return []
        self._union.add(requester.found, name, found, found.links, found.rule)
        if known is not None:
            if asked:
                self._names.setdefault(asked, known)
            return []
        loaded = self._search.admit(found, requester)
        self._identities[found.identity] = loaded
        if asked:
            self._register(loaded, asked)
        return [loaded]

    def _miss(
        self, requester: Loaded, name: str, *, optional: bool, reason: str, searched: tuple[str, ...]
    ) -> None:
        missing = MissingLibrary(
            dependent=requester.found.path,
            name=name,
            searched=searched,
            chain=tuple(_chain(requester))[::-1],
            optional=optional,
            reason=reason,
        )
        self._union.miss(missing, final=self._is_program)


def _chain(loaded: Loaded | None) -> Iterator[str]:
    while loaded is not None:
        yield loaded.found.path
        loaded = loaded.parent
