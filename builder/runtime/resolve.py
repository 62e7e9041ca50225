"""From a sysroot to a closure: the recipe's words, then scripts, links, libraries and rules to a fixpoint."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from builder.elf.closure import INTERPRETER, Edge, ElfClosure, Resolver
from builder.elf.facts import ElfFacts
from builder.elf.search import library_path
from builder.errors import ResolutionError
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Recipe
from builder.runtime.absent import judge_missing, refuse, root_of
from builder.runtime.closure import Closure, Needed
from builder.runtime.hints import plugin_hints
from builder.runtime.openings import openings
from builder.runtime.optional import recommended
from builder.runtime.payload import is_hook
from builder.runtime.rulebook import Rule
from builder.runtime.rules import RuleRun
from builder.runtime.scripts import shebang
from builder.runtime.started import Scripts
from builder.runtime.wishes import Wish, dropper, find_program, wishes
from builder.sources.local import LocalFiles
from builder.sysroot import Content, Kind, Lookup, Node, Sysroot

_HEAD = 256
_SAID_BY_THE_AUTHOR = (
    ReasonKind.PAYLOAD,
    ReasonKind.SAME_SOURCE,
    ReasonKind.KEEP,
    ReasonKind.INSTALL,
    ReasonKind.RECIPE,
)
_OWN = (ReasonKind.INSTALL, ReasonKind.RECIPE)
_FOUND_BY_NAME = (ReasonKind.NEEDED, ReasonKind.INTERPRETER)


def resolve(
    recipe: Recipe,
    sysroot: Sysroot,
    local: LocalFiles,
    facts: ElfFacts,
    rules: Iterable[Rule] = (),
    *,
    asked: tuple[str, ...] = (),
) -> Closure:
    """The files that the recipe's image needs from ``sysroot``, in which ``local`` is already laid.

    ``facts`` must watch the symbols that ``rules`` ask for. ``asked`` are the packages that an earlier
    closure of the recipe took (``Closure.taken``); those that the sysroot still lacks cannot be had.
    ResolutionError for an entry point, library, kept path or interpreter that is not there, unless this
    closure takes more packages, with which it has to be made again.
    """
    search = _Search(recipe, sysroot, local, facts, asked)
    run = RuleRun(
        rules,
        sysroot,
        facts,
        features=recipe.runtime.features,
        env=recipe.config.env,
        made=local.made,
    )
    for wish in wishes(recipe, sysroot, local, facts):
        search.add(wish.node, wish.reason, wish.links)
    return search.run(run)


class _Search:
    """One worklist. Nothing is followed twice; the first reason of a path stays."""

    def __init__(
        self, recipe: Recipe, sysroot: Sysroot, local: LocalFiles, facts: ElfFacts, asked: tuple[str, ...]
    ) -> None:
        self._recipe = recipe
        self._asked = asked
        self._sysroot = sysroot
        self._local = local
        self._facts = facts
        self._needed: dict[str, Needed] = {}
        self._pending: deque[Node] = deque()
        self._roots: list[str] = []
        self._by_rules: set[str] = set()
        self._warnings: dict[str, None] = {}
        self._absent: list[str] = []
        self._hints: list[str] = []
        self._scripts = Scripts(self._needed, lambda name: find_program(name, recipe, sysroot))
        self._dropped = dropper(recipe.runtime.drop)

    def run(self, rules: RuleRun) -> Closure:
        """Follow everything that is pending until nothing new is found."""
        resolver = Resolver(self._sysroot, self._facts, library_path=library_path(self._recipe.config.env))
        self._take(rules.begin())
        growing = resolver.begin()
        looked = 0
        closed = 0
        while self._pending or closed < len(self._roots) or looked < len(self._needed):
            while self._pending:
                self._follow(self._pending.popleft())
            if closed < len(self._roots):
                fresh, closed = self._roots[closed:], len(self._roots)
                self._add_edges(growing.grow(fresh))
            else:
                fresh_files = list(self._needed.values())[looked:]
                looked = len(self._needed)
                self._take(rules.look(fresh_files, *self._scripts.news()))
                self._open((item.node for item in fresh_files), resolver)
        taken = self._judge(growing.closure(), rules.taken)
        plugins = plugin_hints(self._needed, self._sysroot, self._facts)
        return Closure(
            needed=self._needed,
            warnings=tuple(self._warnings),
            hints=(*self._hints, *self._scripts.hints(), *plugins),
            taken=taken,
            made=rules.made,
        )

    def _take(self, found: Iterable[Wish]) -> None:
        for wish in found:
            if not self._dropped(wish.node.path):
                known = self._needed.get(wish.node.path)
                # A library that the author's own file lacks is missing, whichever rule takes that file too.
                if known is None or known.reason.kind not in _OWN:
                    self._by_rules.add(wish.node.path)
                self.add(wish.node, wish.reason, wish.links)

    def _open(self, nodes: Iterable[Node], resolver: Resolver) -> None:
        for opening in openings(nodes, self._recipe.runtime.dlopen, resolver, self._facts):
            if opening.edges:
                library, *others = opening.edges
                provider = self._sysroot.get(library.provider)
                if provider is not None:
                    self.add(provider, Reason(ReasonKind.DLOPEN, opening.path, opening.words), library.links)
                self._add_edges(others)
            elif opening.is_required:
                self._absent.append(opening.missing)
            else:
                self._hints.append(f"{opening.missing}; name the package that ships it to have it")

    def _follow(self, node: Node) -> None:
        self._scripts.arrive(node)
        if node.kind is Kind.SYMLINK:
            self._follow_link(node)
        elif node.kind is Kind.FILE:
            self._follow_file(node)

    def _follow_link(self, node: Node) -> None:
        found = self._sysroot.lookup(node.path)
        if found.node is None:
            if found.loop:
                self._warn(f"{node.path} is a link that leads to itself")
            return
        reason = Reason(ReasonKind.LINK_TARGET, node.path)
        self.add(found.node, reason, found.links)
        if found.node.kind is Kind.DIRECTORY and self._needed[node.path].reason.kind in _SAID_BY_THE_AUTHOR:
            for below in self._owned_folder(found.node):
                if not self._dropped(below.path):
                    self.add(below, reason)

    def _follow_file(self, node: Node) -> None:
        if node.content is not None and self._facts.of(node) is not None:
            # Libraries that were found by name are closed over with the program that needs them.
            if self._needed[node.path].reason.kind not in _FOUND_BY_NAME:
                self._roots.append(node.path)
        elif not self._scripts.is_read_by_one(node) and node.mode & 0o111 and not is_hook(node.path):
            script = shebang(self._head(node))
            for found in self._scripts.programs(node, script) if script is not None else ():
                self._add_lookup(found, Reason(ReasonKind.SHEBANG, node.path))

    def _add_edges(self, edges: Iterable[Edge]) -> None:
        for edge in edges:
            kind, rule = (
                (ReasonKind.INTERPRETER, "") if edge.rule == INTERPRETER else (ReasonKind.NEEDED, edge.rule)
            )
            provider = self._sysroot.get(edge.provider)
            if provider is not None:
                if kind is ReasonKind.INTERPRETER:
                    self._scripts.interpreters[provider.path] = None
                self.add(provider, Reason(kind, edge.dependent, rule), edge.links)

    def _judge(self, elf: ElfClosure, by_rules: Mapping[str, Reason]) -> dict[str, Reason]:
        """Refuse what cannot work, unless more packages come; give all the packages that are wanted."""
        for warning in (*self._scripts.warnings(), *elf.warnings):
            self._warn(warning)
        # Not asked for by name either: plug-ins of the packages that are built with a named one.
        siblings = {path for path, item in self._needed.items() if item.reason.kind is ReasonKind.SAME_SOURCE}
        absent, dispensable = judge_missing(elf, self._by_rules | siblings, self._sysroot, self._facts)
        taken = {**dict(recommended(absent.values(), self._sysroot)), **dict(self._useful()), **by_rules}
        if taken.keys() <= set(self._asked):
            self._judge_start()
            roots = set(map(root_of, absent.values()))
            dependents = roots if not self._absent and all(map(self._is_payload, roots)) else ()
            absences = refuse([*absent, *self._absent], self._recipe.runtime.missing, dependents)
            for text in (*absences, *dispensable):
                self._warn(text)
        return taken

    def _useful(self) -> Iterator[tuple[str, Reason]]:
        """Packages that were asked for, and of which something needs a library: they stay wanted."""
        for item in self._needed.values():
            if item.reason.kind is ReasonKind.NEEDED and item.node.package in self._asked:
                yield item.node.package, item.reason

    def _is_payload(self, path: str) -> bool:
        needed = self._needed.get(path)
        return needed is not None and needed.reason.kind is ReasonKind.PAYLOAD

    def _judge_start(self) -> None:
        if self._scripts.unstarted:
            raise ResolutionError(self._scripts.unstarted, hint="name the package that ships it in packages")

    # ---- adding ------------------------------------------------------------------------------------

    def add(self, node: Node, reason: Reason, links: Iterable[Node] = ()) -> None:
        """Include ``node`` and the links that lead to it, those of its folder too."""
        if node.path not in self._needed:
            self._needed[node.path] = Needed(node, reason)
            self._pending.append(node)
        for link in links:
            if link.path not in self._needed:
                self._needed[link.path] = Needed(link, Reason(ReasonKind.LINK, node.path))
                self._pending.append(link)

    def _add_lookup(self, found: Lookup, reason: Reason) -> None:
        if found.node is not None:
            self.add(found.node, reason, found.links)

    def _owned_folder(self, folder: Node) -> Iterator[Node]:
        packages = self._sysroot.packages.values()
        owners = {package.name for package in packages if _ships(package.nodes, folder.path)}
        if len(owners) == 1:  # a folder that many packages share is no part of one package's link
            yield from self._sysroot.below(folder.path)

    def _head(self, node: Node) -> bytes:
        if node.content is None:
            return self._local.made.get(node.path, b"")[:_HEAD]
        return _first_bytes(node.content)

    def _warn(self, text: str) -> None:
        self._warnings[text] = None


def _ships(nodes: Iterable[Node], path: str) -> bool:
    return any(node.path == path or node.path.startswith(f"{path}/") for node in nodes)


def _first_bytes(content: Content) -> bytes:
    descriptor = os.open(content.store, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, min(_HEAD, content.size), content.offset)
    finally:
        os.close(descriptor)
