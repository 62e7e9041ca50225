"""The rules at work: which of them the files of an image switch on, and what they add to it.

Monotone by construction: a rule that was switched on stays on, so the order of files does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from builder.elf.facts import ElfFacts
from builder.elf.object import ElfError, ElfObject
from builder.reason import Reason, ReasonKind
from builder.runtime.closure import Needed
from builder.runtime.expressions import Expression, Index
from builder.runtime.rulebook import Rule, expand
from builder.runtime.wishes import Wish
from builder.sysroot import Kind, Node, Sysroot, glob_pattern, read_content

_LONGEST_TEXT = 1 << 20
"""Files with more bytes are not searched for a rule's ``text``: no configuration is that long."""
_TRIPLET = re.compile(r".+-linux-(?:gnu|musl).*")


@dataclass(slots=True)
class _State:
    """What is known of one rule.

    ``subjects`` are the files that match it, one for each set of values that they give its globs; ``package``
    and ``present`` are what met the conditions on the whole image, "" so far; ``variables`` the named groups
    of each variable of the environment that did (one without groups where the rule asks for none), and
    ``variable`` the first of them.
    """

    rule: Rule
    subjects: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)
    fired: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    package: str = ""
    present: str = ""
    variables: tuple[Mapping[str, str], ...] = ({},)
    variable: str = ""

    @property
    def holds(self) -> bool:
        """Whether the conditions on the whole image hold."""
        when = self.rule.when
        return (
            bool(self.variables)
            and bool(self.package or not when.package)
            and bool(self.present or not when.present)
        )


class RuleRun:
    """The rules over one image that grows. ``taken`` and ``made`` say what they ask for besides files."""

    def __init__(
        self,
        rules: Iterable[Rule],
        sysroot: Sysroot,
        facts: ElfFacts,
        *,
        features: Iterable[str] = (),
        env: Iterable[tuple[str, str]] = (),
        made: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self._sysroot = sysroot
        self._facts = facts
        self._made = made
        self._states = [_State(rule) for rule in rules]
        self._by_symbol: dict[str, list[_State]] = {}
        self._by_text: dict[str, list[_State]] = {}
        self._features = frozenset(features)
        self._libdirs = _libdirs(sysroot)
        self.taken: dict[str, Reason] = {}
        self.made: dict[str, Reason] = {}
        variables = [f"{name}={value}" for name, value in env]
        for state in self._states:
            when = state.rule.when
            for symbol in when.symbols:
                self._by_symbol.setdefault(symbol, []).append(state)
            for text in when.holds:
                self._by_text.setdefault(text, []).append(state)
            if when.env is not None:
                matches = tuple(filter(None, map(when.env.fullmatch, variables)))
                state.variables = tuple(_values(match.groupdict()) for match in matches)
                state.variable = matches[0].string if matches else ""
        by_name = [state for state in self._states if not state.rule.when.symbols]
        self._libraries = Index((state, state.rule.when.library) for state in by_name)
        self._paths = Index((state, state.rule.when.path) for state in by_name)
        self._interpreters = Index((state, state.rule.when.interpreter) for state in self._states)
        self._scripts = Index((state, state.rule.when.script) for state in self._states)
        self._packages = Index((state, state.rule.when.package) for state in self._states)
        self._present = Index((state, state.rule.when.present) for state in self._states)
        self._seen_packages: set[str] = set()

    def begin(self) -> Iterator[Wish]:
        """Give what the recipe's own words switch on."""
        for state in self._states:
            rule = state.rule
            if rule.feature in self._features:
                yield from self._fire(
                    rule,
                    Reason(ReasonKind.FEATURE, rule.feature, rule.name if rule.name != rule.feature else ""),
                    {},
                )
        yield from self._fire_all()

    def look(
        self, files: Iterable[Needed], interpreters: Iterable[str], scripts: Iterable[tuple[Node, str]] = ()
    ) -> Iterator[Wish]:
        """Give what ``files`` and the paths of ``interpreters`` switch on; all of them are new in the image.

        ``scripts`` are those that the image starts now, each with the interpreter that it names.
        """
        for item in files:
            if item.node.kind is not Kind.DIRECTORY:
                self._see_package(item.node)
                for state, match in self._present.matches(item.node.path):
                    state.present = state.present or match.string
                self._see_file(item.node)
        for path in interpreters:
            for state, match in self._interpreters.matches(path):
                self._hit(state, path, match.groupdict())
        for node, interpreter in scripts:
            for state, match in self._scripts.matches(interpreter):
                for found in self._found_in_text(state.rule.when.text, node):
                    self._hit(state, node.path, match.groupdict() | found)
        yield from self._fire_all()

    def _see_package(self, node: Node) -> None:
        if node.package and node.package not in self._seen_packages:
            self._seen_packages.add(node.package)
            for state, match in self._packages.matches(node.package):
                state.package = state.package or match.string

    def _see_file(self, node: Node) -> None:
        elf = self._elf(node)
        name = "" if elf is None else elf.soname or node.path.rpartition("/")[2]
        imports: frozenset[str] = frozenset() if elf is None else self._facts.imports(node)
        candidates = [state for state, _ in self._paths.matches(node.path)]
        if name:
            candidates += (state for state, _ in self._libraries.matches(name))
            candidates += (state for symbol in imports for state in self._by_symbol.get(symbol, ()))
        for state in candidates:
            groups = state.rule.when.file_groups(node.path, name, imports)
            if groups is not None:
                for found in self._found_in_text(state.rule.when.text, node):
                    self._hit(state, node.path, groups | found)
        if elf is not None and not elf.is_library:
            for text in self._facts.contains(node):
                for state in self._by_text[text]:
                    self._hit(state, node.path, {})

    def _found_in_text(self, expression: Expression | None, node: Node) -> list[dict[str, str | None]]:
        """Named groups of each place of the file where ``expression`` is found; one without any for None."""
        if expression is None:
            return [{}]
        text = self._made.get(node.path, b"")
        if node.content is not None and node.content.size <= _LONGEST_TEXT:
            text = read_content(node.content)
        return [match.groupdict() for match in expression.finditer(text.decode("utf-8", "surrogateescape"))]

    def _elf(self, node: Node) -> ElfObject | None:
        try:
            return self._facts.of(node) if node.kind is Kind.FILE else None
        except ElfError:
            return None

    def _hit(self, state: _State, path: str, groups: Mapping[str, str | None]) -> None:
        for variables in state.variables:
            values = {**variables, **_values(groups), "folder": path.rpartition("/")[0]}
            used = tuple(sorted((name, value) for name, value in values.items() if _uses(state.rule, name)))
            state.subjects.setdefault(used, path)

    def _fire_all(self) -> Iterator[Wish]:
        for state in self._states:
            rule = state.rule
            if not state.holds or rule.when.is_empty:
                continue
            if not rule.when.of_a_file:
                self._hit(state, state.present or state.package or state.variable, {})
            for values, subject in state.subjects.items():
                if values not in state.fired:
                    state.fired.add(values)
                    yield from self._fire(rule, Reason(ReasonKind.RULE, subject, rule.name), dict(values))

    def _fire(self, rule: Rule, reason: Reason, values: Mapping[str, str]) -> Iterator[Wish]:
        for package in rule.take:
            self.taken.setdefault(package, reason)
        for what in rule.make:
            self.made.setdefault(what, reason)
        found: dict[str, Node] = {}
        for glob in rule.add:
            folders = self._libdirs if "{libdir}" in glob else ("",)
            for folder in folders:
                pattern = expand(glob, {**values, "libdir": folder})
                if pattern.startswith("/"):
                    found.update((node.path, node) for node in self._sysroot.glob(pattern))
        for node in found.values():
            if not any(glob_pattern(glob).fullmatch(node.path) for glob in rule.leave):
                yield Wish(node, reason)


def _values(groups: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value or "" for name, value in groups.items()}


def _uses(rule: Rule, name: str) -> bool:
    return any(f"{{{name}}}" in glob for glob in rule.add)


def _libdirs(sysroot: Sysroot) -> tuple[str, ...]:
    """/usr/lib/TRIPLET for each triplet there, then /usr/lib64 and /usr/lib."""
    triplets = [f"/usr/lib/{name}" for name in sysroot.children("/usr/lib") if _TRIPLET.fullmatch(name)]
    wide = [folder for folder in ("/usr/lib64", "/usr/lib") if sysroot.get(folder) is not None]
    return (*triplets, *wide)
