"""Whose files those of a tree are, by the package database that lies in the tree itself.

Debian's packages become owners with their control data, so that an image that gets some of their files can
say so. Of other formats nothing is said: a Debian image has no place for their records.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from builder.inventory.collect import MAX_DATABASE_FILE, take_system_inventory
from builder.inventory.content import FilePart, Readable
from builder.inventory.model import Component, ComponentKind
from builder.sysroot import Content, Kind, Node, Package

_SUMS = ".md5sums"
_LISTS = (_SUMS, ".list")
_BREAK = re.compile(r"\n(?:[ \t\r]*\n)+")
_FIELD = re.compile(r"^(Package|Version|Architecture)[ \t]*:(.*)$", re.MULTILINE | re.IGNORECASE)
_ADDED = re.compile(
    r"^(?:Status|Conffiles|Config-Version)[ \t]*:.*\n(?:[ \t].*\n)*", re.MULTILINE | re.IGNORECASE
)
"""Fields that dpkg adds to a package's own paragraph."""


def with_owners(nodes: Iterable[Node]) -> tuple[tuple[Node, ...], tuple[Package, ...]]:
    """The nodes with the packages that own them, and these packages, which have no nodes themselves."""
    plain = tuple(nodes)
    inventory, owners = take_system_inventory(_File(node) for node in plain)
    newest: dict[str, int] = {}
    for node in plain:
        if owner := owners.get(node.path):
            newest[owner] = max(newest.get(owner, 0), node.mtime)
    database = _Database({node.path: node.content for node in plain if node.content is not None})
    found: dict[str, Package] = {}
    for component in inventory.components:
        if component.kind is ComponentKind.DEB:
            package = database.package(component, newest.get(component.name, 0))
            if package is not None:
                found.setdefault(component.name, package)
    owned = (_owned(node, owners.get(node.path, ""), found) for node in plain)
    return tuple(owned), tuple(found.values())


def _owned(node: Node, owner: str, packages: Mapping[str, Package]) -> Node:
    return replace(node, package=owner) if owner in packages else node


class _Database:
    """The files of dpkg's database, read when they are asked for."""

    def __init__(self, contents: Mapping[str, Content]) -> None:
        self._contents = contents
        self._paragraphs: dict[str, Mapping[tuple[str, str, str], str]] = {}

    def package(self, component: Component, newest: int) -> Package | None:
        """The package behind a component of the inventory; None when its paragraph is not found again."""
        status = next((path for path in component.evidence if not path.endswith(_LISTS)), "")
        if status not in self._paragraphs:
            self._paragraphs[status] = _paragraphs(self._text(status))
        key = (component.name, component.version, component.architecture)
        control = self._paragraphs[status].get(key)
        if control is None:
            return None
        sums = next((path for path in component.evidence if path.endswith(_SUMS)), "")
        return Package(
            name=component.name,
            version=component.version,
            architecture=component.architecture,
            source_name=component.source_name,
            source_version=component.source_version,
            control=control,
            md5sums=_sums(self._text(sums)),
            conffiles=(),
            nodes=(),
            scripts={},
            newest=newest,
        )

    def _text(self, path: str) -> str:
        content = self._contents.get(path)
        return _first(content, MAX_DATABASE_FILE).decode(errors="surrogateescape") if content else ""


def _paragraphs(text: str) -> Mapping[tuple[str, str, str], str]:
    """Control paragraphs as their packages carry them, by name, version and architecture."""
    found: dict[tuple[str, str, str], str] = {}
    for paragraph in _BREAK.split(text):
        fields = {name.capitalize(): value.strip() for name, value in _FIELD.findall(paragraph)}
        key = (fields.get("Package", ""), fields.get("Version", ""), fields.get("Architecture", ""))
        found.setdefault(key, _ADDED.sub("", paragraph.strip("\n") + "\n"))
    return found


def _sums(text: str) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.splitlines())
    return {f"/{path}": digest for digest, _, path in lines if path and not path.startswith("/")}


@dataclass(frozen=True, slots=True)
class _File:
    """A node as the inventory reads it."""

    node: Node

    @property
    def path(self) -> str:
        return self.node.path

    @property
    def kind(self) -> Kind:
        return self.node.kind

    @property
    def target(self) -> str:
        return self.node.target

    @property
    def size(self) -> int:
        return self.node.content.size if self.node.content is not None else 0

    @property
    def mode(self) -> int:
        return self.node.mode

    @property
    def layer(self) -> None:
        return

    @contextlib.contextmanager
    def content(self) -> Iterator[Readable]:
        content = self.node.content
        if content is None:
            yield b""
            return
        with _opened(content) as number:
            yield FilePart(number, content.size, content.offset)

    def read(self, limit: int) -> bytes:
        return _first(self.node.content, limit) if self.node.content is not None else b""


def _first(content: Content, limit: int) -> bytes:
    with _opened(content) as number:
        return os.pread(number, min(limit, content.size), content.offset)


@contextlib.contextmanager
def _opened(content: Content) -> Iterator[int]:
    number = os.open(content.store, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield number
    finally:
        os.close(number)
