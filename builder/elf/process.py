"""One process as a loader builds it up: what is loaded, under which names, in the loader's order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from builder.elf.loader import Loader
from builder.elf.scope import INTERPRETER, MissingLibrary, Record
from builder.elf.search import Found, Loaded, Search

ALREADY_LOADED = "already loaded"


class Process:
    """One root with its loader: what is loaded, under which names, in the loader's order."""

    def __init__(self, root: Found, loader: Loader, search: Search, union: Record) -> None:
        self._search = search
        self._union = union
        self._loader = loader
        self._is_program = root.elf.interpreter is not None
        self.main = search.admit(root, None)
        self._names: dict[str, Loaded] = {}
        self._identities: dict[str, Loaded] = {}
        self._rtld = self._load_loader()
        self._register(self.main, "")
        if search.matches_program:
            self._identities[root.identity] = self.main

    def need_interpreter(self) -> None:
        """Record the edge from the program to the loader it names."""
        if self._rtld is None:
            node, name = self._loader.node, self._loader.name
            reason = "" if node is None else f"{self._loader.path} is not a usable ELF file"
            self._miss(self.main, name, optional=False, reason=reason, searched=())
        else:
            found = self._rtld.found
            self._union.add(self.main.found, self._loader.name, found, found.links, INTERPRETER)

    def run(self) -> None:
        """Scan every object once; those that a filter brings come before the rest of the queue."""
        self._scan([self.main])

    def loaded(self) -> Iterable[Loaded]:
        """Give every object of the process, the root among them."""
        return (self.main, *self._identities.values())

    def fork(self, union: Record) -> Process:
        """Give the same process for one more question, whose answer goes to ``union``."""
        process = Process(self.main.found, self._loader, self._search, union)
        process.main = self.main
        process._names.update(self._names)
        process._identities.update(self._identities)
        return process

    def dlopen(self, requester: Loaded, names: tuple[str, ...]) -> None:
        """Open the first of ``names`` that is found, and all that it needs."""
        for name in names:
            expanded = self._search.expand(name, requester)
            outcome = None if self._known(expanded) else self._search.find(expanded, requester).outcome
            if self._known(expanded) or (isinstance(outcome, Found) and outcome.elf.is_library):
                self._scan(self._needs(requester, (name,), optional=True))
                return
        searched = self._search.searched(requester)
        self._miss(requester, " or ".join(names), optional=True, reason="", searched=searched)

    def _scan(self, first: list[Loaded]) -> None:
        queue = deque(first)
        while queue:
            loaded = queue.popleft()
            if loaded.scanned:
                continue
            loaded.scanned = True
            queue.extend(self._needs(loaded, loaded.found.elf.needed, optional=False))
            if self._search.loads_filters and (loaded.found.elf.auxiliary or loaded.found.elf.filter):
                filters = self._needs(loaded, loaded.found.elf.filter, optional=False)
                filters += self._needs(loaded, loaded.found.elf.auxiliary, optional=True)
                queue.extendleft(reversed(filters))

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
        # The hot loop of every closure: most names are loaded already and hold no token.
        loaded, reserved = self._names, self._search.reserves_names
        for name in names:
            expanded = self._search.expand(name, requester) if "$" in name else name
            known = self._known(expanded) if reserved else loaded.get(expanded)
            if known is not None:
                if known is not self._rtld and not self._union.wants_known:
                    continue
                links = known.found.links if known is self._rtld else ()
                self._union.add(requester.found, name, known.found, links, ALREADY_LOADED)
            else:
                added += self._look(requester, name, expanded, optional=optional)
        return added

    def _known(self, name: str) -> Loaded | None:
        return self._rtld if self._search.is_loader(name) else self._names.get(name)

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
