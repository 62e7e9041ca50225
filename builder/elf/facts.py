"""What the files of a sysroot say, each read at most once ever: a memory of ELF objects, kept on disk.

Cached facts are keyed by the SHA-256 of the bytes, so they stay true wherever the bytes go. One JSON file
holds the facts of one store file (that is, of one package), after a line with its checksum; one that is
damaged or of another version is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.elf.object import ElfError, ElfObject, is_elf
from builder.errors import BuildError
from builder.files import read_checked, write_checked
from builder.sysroot import Content, Node

_VERSION = 1
_HEAD = 4096
"""Bytes read at first: the ELF header, the program headers and mostly the interpreter lie in them."""
_SMALLEST = 52
"""Bytes of a 32-bit ELF header; nothing shorter is ELF."""
_Fact = ElfObject | str | None
"""What is known of some bytes: an object, why they are damaged, or None: they are not ELF."""


@dataclass(slots=True)
class _Shelf:
    """The facts of one store file. ``raw`` is as JSON gave it; objects are made when they are asked for."""

    raw: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, _Fact] = field(default_factory=dict)
    changed: bool = False


class ElfFacts:
    """Answers what a node's bytes say. ``cache`` is a folder of its own, or None to keep nothing on disk.

    Not thread-safe. Nothing is written before :meth:`save`.
    """

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._shelves: dict[str, _Shelf] = {}
        self._loose: dict[tuple[Path, int, int], _Fact] = {}
        self.damaged: dict[str, str] = {}
        """Path → why :meth:`elf_nodes` passed over it: ELF files that cannot be read."""

    def of(self, node: Node) -> ElfObject | None:
        """Read what the file at ``node`` says; None when it is not ELF (or no regular file).

        Raises ElfError for a damaged ELF file, BuildError when its bytes cannot be read from the store.
        """
        content = node.content
        if content is None or content.size < _SMALLEST:
            return None
        known, fact = self._recall(content)
        if not known:
            with _opened(content.store) as descriptor:
                fact = self._learn(node.path, content, descriptor)
        if isinstance(fact, str):
            raise ElfError(node.path, fact)
        return fact

    def elf_nodes(self, nodes: Iterable[Node]) -> Iterator[tuple[Node, ElfObject]]:
        """Give the nodes that are ELF files and what each says, in the order given.

        Damaged ELF files are passed over and recorded in :attr:`damaged`: packages carry some as test data.
        Raises BuildError when bytes cannot be read from the store.
        """
        files = [node for node in nodes if node.content is not None and node.content.size >= _SMALLEST]
        self._learn_all(files)
        for node in files:
            try:
                found = self.of(node)
            except ElfError as error:
                self.damaged[node.path] = error.message
                continue
            if found is not None:
                yield node, found

    def save(self) -> None:
        """Write what was learnt since the last time; nothing new writes nothing. Raises OSError."""
        for name, shelf in self._shelves.items():
            if shelf.changed and self._cache is not None:
                write_checked(self._file(self._cache, name), _encode(shelf))
                shelf.changed = False

    def _learn_all(self, files: list[Node]) -> None:
        unknown: dict[Path, list[tuple[Node, Content]]] = {}
        for node in files:
            if node.content is not None and not self._recall(node.content)[0]:
                unknown.setdefault(node.content.store, []).append((node, node.content))
        for store, group in unknown.items():
            with _opened(store) as descriptor:
                for node, content in group:
                    self._learn(node.path, content, descriptor)

    def _recall(self, content: Content) -> tuple[bool, _Fact]:
        if not content.sha256:
            key = (content.store, content.offset, content.size)
            return key in self._loose, self._loose.get(key)
        shelf = self._shelf(content.store.name)
        if content.sha256 in shelf.facts:
            return True, shelf.facts[content.sha256]
        if content.sha256 not in shelf.raw:
            return False, None
        return self._thaw(shelf, content.sha256)

    def _thaw(self, shelf: _Shelf, sha256: str) -> tuple[bool, _Fact]:
        raw = shelf.raw[sha256]
        try:
            fact = raw if raw is None or isinstance(raw, str) else ElfObject.from_json(raw)
        except ValueError:
            return False, None
        shelf.facts[sha256] = fact
        return True, fact

    def _learn(self, path: str, content: Content, descriptor: int) -> _Fact:
        fact = _read(path, content, descriptor)
        if content.sha256:
            shelf = self._shelf(content.store.name)
            shelf.facts[content.sha256] = fact
            shelf.changed = True
        else:
            self._loose[content.store, content.offset, content.size] = fact
        return fact

    def _shelf(self, name: str) -> _Shelf:
        shelf = self._shelves.get(name)
        if shelf is None:
            raw = {} if self._cache is None else _decode(self._file(self._cache, name))
            shelf = self._shelves[name] = _Shelf(raw)
        return shelf

    @staticmethod
    def _file(cache: Path, name: str) -> Path:
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return cache / f"{digest}.json"


def _encode(shelf: _Shelf) -> bytes:
    facts: dict[str, object] = dict(shelf.raw)
    for sha256, fact in shelf.facts.items():
        facts[sha256] = fact.to_json() if isinstance(fact, ElfObject) else fact
    others = sorted(sha256 for sha256, fact in facts.items() if fact is None)
    known = {sha256: fact for sha256, fact in sorted(facts.items()) if fact is not None}
    document = {"version": _VERSION, "elf": known, "other": others}
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _decode(file: Path) -> dict[str, Any]:
    body = read_checked(file)
    if body is None:
        return {}
    try:
        document = json.loads(body)
        if document["version"] != _VERSION:
            return {}
        facts: dict[str, Any] = dict.fromkeys(document["other"])
        facts.update(document["elf"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return facts


class _Part:
    """A part of an open file as the reader wants it: sliced with ``pread``, its head kept."""

    def __init__(self, descriptor: int, offset: int, size: int, head: bytes) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._size = size
        self._head = head

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        if stop <= len(self._head):
            return self._head[start:stop]
        return os.pread(self._descriptor, max(0, stop - start), self._offset + start)


def _read(path: str, content: Content, descriptor: int) -> _Fact:
    try:
        head = os.pread(descriptor, min(_HEAD, content.size), content.offset)
        if not is_elf(head):
            return None
        from builder.elf.reader import read_elf  # noqa: PLC0415 (elftools costs 50 ms: only where something is parsed)

        return read_elf(_Part(descriptor, content.offset, content.size, head), name=path)
    except ElfError as error:
        return error.reason
    except (OSError, OverflowError) as error:
        raise BuildError(
            f"{path} could not be read from {content.store}: {error}",
            hint="remove that file; rootlet fetches the package again",
        ) from error


@contextlib.contextmanager
def _opened(store: Path) -> Iterator[int]:
    try:
        descriptor = os.open(store, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BuildError(
            f"{store} could not be opened: {error.strerror}",
            hint="make it readable for you"
            if isinstance(error, PermissionError)
            else "run the build again; rootlet fetches what is missing",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
