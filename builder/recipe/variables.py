"""``{NAME}`` in the strings of a recipe: ``--set`` first, then ``[vars]``, then what the caller gives.

``{{NAME}}`` stands for the text ``{NAME}``. Any other brace stands for itself, so that configuration files
and JSON can be written as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from builder.errors import Problem
from builder.recipe.tree import Broken, Node, Problems, nearest, show

MAX_TEXT = 4 << 20
"""Letters that all substitutions together may make: variables of variables grow fast."""

MAX_CHAIN = 32

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_REFERENCE = re.compile(rf"\{{\{{(?P<literal>{_NAME})\}}\}}|\{{(?P<name>{_NAME})\}}")
_NOT_SUBSTITUTED = frozenset({"schema", "vars"})


class _BrokenText(Exception):  # noqa: N818 (a way out of nested calls; the problem is reported already)
    """A string refers to a variable that has no value."""


def substitute(
    root: Node, settings: Sequence[tuple[str, str]], given: Mapping[str, str], problems: Problems
) -> Node:
    """Replace every variable of the settled tree. Strings that cannot be made are ``Broken``."""
    variables = _Variables(root, dict(settings), given, problems)
    variables.check()
    children = {
        name: child if name in _NOT_SUBSTITUTED else variables.replaced(child)
        for name, child in root.children.items()
    }
    return root.holding(children)


class _Variables:
    """The variables of one recipe; each is expanded once."""

    def __init__(
        self, root: Node, settings: Mapping[str, str], given: Mapping[str, str], problems: Problems
    ) -> None:
        table = root.children.get("vars")
        self._written = {
            name: node
            for name, node in (table.children if table else {}).items()
            if isinstance(node.value, str)
        }
        self._root = root
        self._settings = settings
        self._given = given
        self._problems = problems
        self._done: dict[str, str | None] = {}
        self._made = 0

    def check(self) -> None:
        """Report settings that set nothing, and variables that cannot be expanded though nobody uses them."""
        for name in self._settings:
            if name not in self._written:
                hint = nearest(name, self._written) or "add it to [vars]"
                message = f"--set {name}: there is no variable {show(name)}; {hint}"
                self._problems.add(Problem(file=self._root.origin.label, line=None, key="", message=message))
        for name in self._written:
            self._value(name, self._root, ())

    def replaced(self, node: Node) -> Node:
        """Give the tree below ``node`` with its strings expanded."""
        if isinstance(node.value, dict):
            return node.holding({name: self.replaced(child) for name, child in node.value.items()})
        if isinstance(node.value, tuple):
            return node.holding(tuple(self.replaced(child) for child in node.value))
        if not isinstance(node.value, str) or "{" not in node.value:
            return node
        try:
            return node.holding(self._expanded(node.value, node, ()))
        except _BrokenText:
            return node.holding(Broken.BROKEN)

    def _expanded(self, text: str, node: Node, trail: tuple[str, ...]) -> str:
        pieces: list[str] = []
        end = 0
        for match in _REFERENCE.finditer(text):
            name = match["name"]
            value = f"{{{match['literal']}}}" if name is None else self._value(name, node, trail)
            pieces += [text[end : match.start()], self._counted(value, node)]
            end = match.end()
        return "".join([*pieces, text[end:]])

    def _counted(self, value: str | None, node: Node) -> str:
        if value is None:
            raise _BrokenText
        self._made += len(value)
        if self._made > MAX_TEXT:
            if self._made - len(value) <= MAX_TEXT:
                self._problems.at(node, f"the variables make more than {MAX_TEXT >> 20} MiB of text")
            raise _BrokenText
        return value

    def _value(self, name: str, node: Node, trail: tuple[str, ...]) -> str | None:
        if name in trail:
            names = " → ".join((*trail[trail.index(name) :], name))
            self._problems.at(node, f"the variables refer to each other in a circle: {names}")
            return None
        written = self._written.get(name)
        if written is None:
            return self._from_caller(name, node)
        if name not in self._done:
            self._done[name] = self._from_recipe(name, written, trail)
        return self._done[name]

    def _from_recipe(self, name: str, written: Node, trail: tuple[str, ...]) -> str | None:
        if name in self._settings:
            return self._settings[name]
        if len(trail) >= MAX_CHAIN:
            self._problems.at(written, f"more than {MAX_CHAIN} variables refer to each other in a row")
            return None
        try:
            return self._expanded(str(written.value), written, (*trail, name))
        except _BrokenText:
            return None

    def _from_caller(self, name: str, node: Node) -> str | None:
        if name in self._given:
            return self._given[name]
        hint = nearest(name, (*self._written, *self._given)) or "add it to [vars]"
        if name == "git.sha":
            hint = "the recipe's folder is in no git repository with a commit, or git is not installed"
        hint += f" (the text itself is written {{{{{name}}}}})"
        self._problems.at(node, f"there is no variable {show(name)}; {hint}")
        return None
