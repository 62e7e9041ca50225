"""The facts of one store file (that is, of one package) on disk: JSON after a line with its checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.elf.object import ElfObject
from builder.files import read_checked, write_checked

_VERSION = 2

Fact = ElfObject | str | None
"""What is known of some bytes: an object, why they are damaged, or None: they are not ELF."""


@dataclass(slots=True)
class Shelf:
    """The facts of one store file. ``raw`` is as JSON gave it; objects are made when they are asked for."""

    raw: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Kind of list → SHA-256 → names, or why they cannot be read."""
    changed: bool = False

    def recall(self, sha256: str) -> tuple[bool, Fact]:
        """Tell whether something is known of these bytes, and what. A bad entry is not known."""
        if sha256 in self.facts:
            return True, self.facts[sha256]
        if sha256 not in self.raw:
            return False, None
        raw = self.raw[sha256]
        try:
            fact = raw if raw is None or isinstance(raw, str) else ElfObject.from_json(raw)
        except ValueError:
            return False, None
        self.facts[sha256] = fact
        return True, fact

    def names(self, kind: str, key: str) -> frozenset[str] | str | None:
        """Give the list of one kind for some bytes, why it cannot be read, or None: it is not known."""
        found = self.lists.get(kind, {}).get(key)
        if isinstance(found, str):
            return found
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return frozenset(found)
        return None


def read_shelf(file: Path) -> Shelf:
    """Read what :func:`write_shelf` wrote; an empty one when it is absent, damaged or of another version."""
    body = read_checked(file)
    if body is None:
        return Shelf()
    try:
        document = json.loads(body)
        if document["version"] != _VERSION:
            return Shelf()
        facts: dict[str, Any] = dict.fromkeys(document["other"])
        facts.update(document["elf"])
        lists = {kind: dict(names) for kind, names in document["lists"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Shelf()
    return Shelf(raw=facts, lists=lists)


def write_shelf(file: Path, shelf: Shelf) -> None:
    """Write a shelf whole or not at all. Raises OSError."""
    facts: dict[str, object] = dict(shelf.raw)
    for sha256, fact in shelf.facts.items():
        facts[sha256] = fact.to_json() if isinstance(fact, ElfObject) else fact
    document = {
        "version": _VERSION,
        "elf": _by_name({sha256: fact for sha256, fact in facts.items() if fact is not None}),
        "other": sorted(sha256 for sha256, fact in facts.items() if fact is None),
        "lists": _by_name({kind: _by_name(names) for kind, names in shelf.lists.items()}),
    }
    write_checked(file, json.dumps(document, separators=(",", ":")).encode("ascii"))


def _by_name(entries: Mapping[str, object]) -> dict[str, object]:
    return dict(sorted(entries.items()))
