"""The rules of ``rules/*.toml`` as values: what no ELF header says, as data (docs/resolution.md, "Rules")."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.runtime.expressions import Expression

_FOLDER = Path(__file__).resolve().parent / "rules"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """All the conditions that are given must hold.

    ``library``, ``symbols``, ``path`` and ``interpreter`` speak of one file of the image, all of the same
    one: its SONAME (else its name), a dynamic symbol that it imports, its path, its being named as an
    interpreter by a program or script. ``text`` is searched for in the file that ``path`` names; each
    place where it is found switches the rule on with its own named groups. ``holds`` are texts of which one
    stands in the bytes of a program (no library): what is linked into it shows no symbol. ``script`` is the
    interpreter that a script names which the image starts, be it there or not; ``text`` may be searched for
    in the script. ``package`` (gives the image a file), ``present`` (path of some file of the image) and
    ``env`` (``NAME=value`` of the image's environment, whose named groups globs may use too) speak of the
    image. Expressions but ``text`` match whole; in ``text`` ^ and $ stand for the ends of lines.
    """

    library: Expression | None = None
    symbols: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
    path: Expression | None = None
    text: Expression | None = None
    interpreter: Expression | None = None
    script: Expression | None = None
    package: Expression | None = None
    present: Expression | None = None
    env: Expression | None = None

    def file_groups(self, path: str, library: str, imports: frozenset[str]) -> dict[str, str | None] | None:
        """Named groups of the expressions where one file meets every condition on a file, else None.

        ``library`` is the SONAME or name of an ELF file, "" for other files. Rules with ``interpreter``,
        ``script`` or ``holds`` never match here: those are found otherwise.
        """
        if (
            self.interpreter is not None
            or self.script is not None
            or self.holds
            or (self.symbols and not self.symbols & imports)
        ):
            return None
        groups: dict[str, str | None] = {}
        for expression, text in ((self.path, path), (self.library, library)):
            match = expression.fullmatch(text) if expression is not None and text else None
            if expression is not None and match is None:
                return None
            groups |= match.groupdict() if match is not None else {}
        return groups

    @property
    def of_a_file(self) -> bool:
        """Whether a file must match."""
        return bool(
            self.library or self.symbols or self.holds or self.path or self.interpreter or self.script
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing but the recipe's word switches the rule on."""
        return not (self.of_a_file or self.package or self.present or self.env)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. ``about`` is the sentence that a user reads: who opens the files, and how.

    ``feature`` is the word of ``[runtime] features`` that switches the rule on whatever the image holds.
    ``add``: globs with ``{folder}`` (of the file that matched), ``{libdir}`` (each library folder of the
    distribution) and the named groups of the expression that matched; ``leave``: globs of what is not taken
    of it. ``take``: packages whose files the globs may find although nothing depends on them. ``make``: names
    of what rootlet makes itself.
    """

    name: str
    about: str
    when: When
    feature: str = ""
    add: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    take: tuple[str, ...] = ()
    make: tuple[str, ...] = ()


@functools.cache
def shipped_rules() -> tuple[Rule, ...]:
    """Every shipped rule, by file and place in it."""
    files = sorted(_FOLDER.glob("*.toml"))
    return tuple(rule for file in files for rule in _read(file.read_text("utf-8"), file.name))


def watched_symbols(rules: Iterable[Rule]) -> frozenset[str]:
    """Every symbol that a rule asks for."""
    return frozenset(symbol for rule in rules for symbol in rule.when.symbols)


def watched_texts(rules: Iterable[Rule]) -> frozenset[str]:
    """Every text that a rule looks for in programs."""
    return frozenset(text for rule in rules for text in rule.when.holds)


def read_rules(text: str, name: str) -> tuple[Rule, ...]:
    """Read one file of rules. ValueError with the file's ``name`` and the rule for what is wrong with it."""
    rules = tuple(_read(text, name))
    for rule in rules:
        try:
            _check(rule)
        except (ValueError, re.error) as error:
            raise ValueError(f"{name}: {rule.name}: {error}") from error
    return rules


def _read(text: str, name: str) -> Iterator[Rule]:
    """Read without the checks that need every expression compiled: shipped rules are checked in the tests."""
    for number, table in enumerate(tomllib.loads(text).get("rule", []), 1):
        label = table.get("name", f"rule {number}")
        try:
            rule = _rule(table)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{name}: {label}: {error}") from error
        yield rule


def _rule(table: Mapping[str, Any]) -> Rule:
    _only(table, {"name", "about", "feature", "when", "add", "leave", "take", "make"})
    when = _when(table.get("when", {}))
    return Rule(
        name=_text(table["name"]),
        about=_text(table["about"]),
        when=when,
        feature=_text(table.get("feature", "")),
        add=_texts(table.get("add", [])),
        leave=_texts(table.get("leave", [])),
        take=_texts(table.get("take", [])),
        make=_texts(table.get("make", [])),
    )


def _when(table: Mapping[str, Any]) -> When:
    _only(
        table,
        {"library", "symbols", "holds", "path", "text", "interpreter", "script", "package", "present", "env"},
    )
    expressions = {
        key: Expression(_text(value), re.MULTILINE if key == "text" else re.DOTALL)
        for key, value in table.items()
        if key not in ("symbols", "holds")
    }
    return When(
        symbols=frozenset(_texts(table.get("symbols", []))),
        holds=frozenset(_texts(table.get("holds", []))),
        **expressions,
    )


def _check(rule: Rule) -> None:
    when = rule.when
    if when.is_empty and not rule.feature:
        raise ValueError("nothing switches it on: give it `when` or `feature`")
    if when.holds and (when.interpreter or when.path or when.library or when.symbols):
        raise ValueError("`holds` stands alone among the conditions on a file")
    if when.script and (when.interpreter or when.path or when.library or when.symbols or when.holds):
        raise ValueError("`script` stands alone among the conditions on a file")
    if when.interpreter and (when.path or when.library or when.symbols):
        raise ValueError("`interpreter` stands alone among the conditions on a file")
    if rule.feature and any(set(_PLACEHOLDER.findall(glob)) - {"libdir"} for glob in rule.add):
        raise ValueError("a feature gives globs nothing but {libdir}")
    if when.text and not (when.path or when.script):
        raise ValueError("`text` needs the `path` of the files to search, or `script`")
    if not (rule.add or rule.make):
        raise ValueError("it does nothing: give it `add` or `make`")
    expressions = (when.path, when.text, when.library, when.interpreter, when.script, when.env)
    groups = {name for expression in expressions if expression for name in expression.groupindex}
    for glob in rule.add:
        _check_glob(glob, groups, of_a_file=when.of_a_file)


def _check_glob(glob: str, groups: set[str], *, of_a_file: bool) -> None:
    if not glob.startswith(("/", *(f"{{{name}}}" for name in ("folder", "libdir", *groups)))):
        raise ValueError(f"add: {glob!r} is no absolute path")
    unknown = set(_PLACEHOLDER.findall(glob)) - groups - {"folder", "libdir"}
    if unknown:
        raise ValueError(f"add: {glob!r} has unknown placeholders: {', '.join(sorted(unknown))}")
    if "{folder}" in glob and not of_a_file:
        raise ValueError(f"add: {glob!r} needs a file that matched")


def expand(glob: str, values: Mapping[str, str]) -> str:
    """Put ``values`` in the places of ``glob``; letters that mean something in a glob lose their meaning.

    "" where the glob starts with a named group that took no part in the match: it speaks of no folder then.
    """
    first = _PLACEHOLDER.match(glob)
    if first is not None and first[1] != "folder" and not values[first[1]]:
        return ""
    return _PLACEHOLDER.sub(lambda match: re.sub(r"[*?\[]", r"[\g<0>]", values[match[1]]), glob)


def _only(table: Mapping[str, Any], known: set[str]) -> None:
    if not isinstance(table, dict):
        raise TypeError("expected a table")
    unknown = table.keys() - known
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list of texts, found {value!r}")
    return tuple(_text(one) for one in value)
