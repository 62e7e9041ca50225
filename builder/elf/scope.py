"""What one process loads, in order, and nothing else: for callers that ask of thousands of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from builder.elf.search import Found
from builder.sysroot import Node

INTERPRETER = "interpreter"
_VARIANT = "glibc-hwcaps "


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingLibrary:
    """A name that nothing provides. ``searched`` are the folders looked in, in order.

    ``chain`` are the canonical paths from the root to ``dependent``. ``optional``: the program starts without
    it (DT_AUXILIARY). ``reason`` says why a file of that name cannot be used, "" where there is none.
    """

    dependent: str
    name: str
    searched: tuple[str, ...]
    chain: tuple[str, ...]
    optional: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the loader makes of one program or shared object. Every path is canonical.

    ``interpreter`` is None where ``root`` names none or it is not there. ``libraries`` are in the order in
    which they are loaded, without the root; the loader is one of them if an object needs it by name.
    ``variants`` take the place of libraries on better processors (glibc-hwcaps). ``names`` gives the library
    for each name of DT_NEEDED.
    """

    root: str
    interpreter: str | None
    libraries: tuple[str, ...]
    variants: tuple[str, ...]
    missing: tuple[MissingLibrary, ...]
    names: Mapping[str, str] = field(default_factory=dict)


class Record(Protocol):
    """Takes down what a process loads. ``wants_known``: also needs for what is loaded already."""

    wants_known: bool

    def add(self, dependent: Found, name: str, provider: Found, links: tuple[Node, ...], rule: str) -> None:
        """Take down that ``dependent`` needs ``provider`` under ``name``."""

    def miss(self, missing: MissingLibrary, *, final: bool) -> None:
        """Take down what is not found; ``final`` unless another process may bring it."""


class Order:
    """The record that makes a scope."""

    wants_known = False

    def __init__(self, root: Found) -> None:
        self._root = root
        self._interpreter: str | None = None
        self._libraries: dict[str, None] = {}
        self._names: dict[str, str] = {}
        self._variants: dict[str, None] = {}
        self._missing: dict[tuple[str, str], MissingLibrary] = {}

    def add(self, dependent: Found, name: str, provider: Found, links: tuple[Node, ...], rule: str) -> None:
        """Take down the provider alone."""
        del dependent, links
        if rule is INTERPRETER:
            self._interpreter = provider.path
        elif rule.startswith(_VARIANT):
            self._variants[provider.path] = None
        else:
            self._libraries[provider.path] = None
            self._names.setdefault(name, provider.path)

    def miss(self, missing: MissingLibrary, *, final: bool) -> None:
        """Take down a name, once for each object that needs it."""
        del final
        self._missing.setdefault((missing.dependent, missing.name), missing)

    def scope(self) -> Scope:
        """Give what was taken down."""
        self._libraries.pop(self._root.path, None)
        return Scope(
            root=self._root.path,
            interpreter=self._interpreter,
            libraries=tuple(self._libraries),
            variants=tuple(path for path in self._variants if path not in self._libraries),
            missing=tuple(self._missing.values()),
            names=self._names,
        )
