"""What the files of a sysroot say, each read at most once ever: a memory of ELF objects, kept on disk.

Cached facts are keyed by the SHA-256 of the bytes, so they stay true wherever the bytes go. One file holds
the facts of one store file (that is, of one package); one that is damaged or of another version is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from builder.elf.object import ElfError, ElfObject, is_elf
from builder.elf.part import Part, opened
from builder.elf.shelf import Fact, Shelf, read_shelf, write_shelf
from builder.errors import BuildError
from builder.sysroot import Content, Node

if TYPE_CHECKING:  # it imports elftools, which costs 50 ms: only where something is parsed
    from builder.elf.symbols import ElfSymbols

_HEAD = 4096
"""Bytes read at first: the ELF header, the program headers and mostly the interpreter lie in them."""
_SMALLEST = 52
"""Bytes of a 32-bit ELF header; nothing shorter is ELF."""
_PATHS = "paths"
_CALLS = "calls"
_MOST_CALLS = 16
"""How many answers to different words are kept for one package."""

_Place = tuple[Path, int, int]


class ElfFacts:
    """Answers what a node's bytes say. ``cache`` is a folder of its own, or None to keep nothing on disk.

    ``watched`` are the symbols that :meth:`imports` looks for, ``texts`` what :meth:`contains` does. Not
    thread-safe. Nothing is written before :meth:`save`.
    """

    def __init__(
        self,
        cache: Path | None,
        *,
        watched: frozenset[str] = frozenset(),
        texts: frozenset[str] = frozenset(),
    ) -> None:
        self._cache = cache
        self._watched = watched
        self._texts = texts
        self._contains = f"contains {_digest(' '.join(sorted(texts)))}"
        self._imports = f"imports {_digest(' '.join(sorted(watched)))}"
        self._shelves: dict[str, Shelf] = {}
        self._loose: dict[_Place, Fact] = {}
        self._symbols: dict[_Place, ElfSymbols] = {}
        self.damaged: dict[str, str] = {}
        """Path → why :meth:`elf_nodes`, :meth:`imports` or :meth:`named_paths` passed over that ELF file."""

    def of(self, node: Node) -> ElfObject | None:
        """Read what the file at ``node`` says; None when it is not ELF (or no regular file).

        Raises ElfError for a damaged ELF file, BuildError when its bytes cannot be read from the store.
        """
        content = node.content
        if content is None or content.size < _SMALLEST:
            return None
        known, fact = self._recall(content)
        if not known:
            with opened(content.store) as descriptor:
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

    def imports(self, node: Node) -> frozenset[str]:
        """Give the watched symbols that the file at ``node`` uses and leaves to other files to define.

        None for a file that is not ELF. Raises as :meth:`of`; damaged symbols are passed over and recorded.
        """
        if not self._watched:
            return frozenset()

        def read(part: Part) -> frozenset[str]:
            from builder.elf.symbols import read_references  # noqa: PLC0415 (as above)

            return read_references(part, name=node.path) & self._watched

        return self._names(self._imports, node, read)

    def contains(self, node: Node) -> frozenset[str]:
        """Give the texts that stand anywhere in the bytes of the ELF file at ``node``.

        None for a file that is not ELF. Raises as :meth:`of`.
        """
        if not self._texts:
            return frozenset()

        def read(part: Part) -> frozenset[str]:
            from builder.elf.strings import contained  # noqa: PLC0415 (as above)

            return contained(part, self._texts)

        return self._names(self._contains, node, read)

    def named_paths(self, node: Node) -> frozenset[str]:
        """Give the absolute paths that the constants of the file at ``node`` name; see ``strings``.

        None for a file that is not ELF. Raises as :meth:`of`.
        """

        def read(part: Part) -> frozenset[str]:
            from builder.elf.strings import named_paths  # noqa: PLC0415 (as above)

            return named_paths(part, name=node.path)

        return self._names(_PATHS, node, read)

    def remembered(
        self, content: Content, words: Iterable[str], read: Callable[[], Iterable[str]]
    ) -> tuple[str, ...]:
        """Give what ``read`` finds, sorted, when it looks for ``words`` in the package that has ``content``.

        It is only called where that is not known yet: the bytes of a package never change.
        """
        shelf = self._shelf(content.store.name if content.sha256 else "")
        key = _digest("\n".join(sorted(words)))
        known = shelf.names(_CALLS, key) if content.sha256 else None
        if known is None or isinstance(known, str):
            known = frozenset(read())
            if content.sha256:
                lists = shelf.lists.setdefault(_CALLS, {})
                lists[key] = sorted(known)
                for old in list(lists)[:-_MOST_CALLS]:
                    del lists[old]
                shelf.changed = True
        return tuple(sorted(known))

    def symbols(self, node: Node) -> ElfSymbols | None:
        """Read the dynamic symbols of the file at ``node``, once a run; None for a file that is not ELF.

        Raises as :meth:`of`, and ElfError for damaged symbols.
        """
        content = node.content
        if content is None or self.of(node) is None:
            return None
        place = (content.store, content.offset, content.size)
        known = self._symbols.get(place)
        if known is None:
            from builder.elf.symbols import read_symbols  # noqa: PLC0415 (as above)

            with _reading(node.path, content) as part:
                known = self._symbols[place] = read_symbols(part, name=node.path)
        return known

    def save(self) -> None:
        """Write what was learnt since the last time; nothing new writes nothing. Raises OSError."""
        for name, shelf in self._shelves.items():
            if shelf.changed and self._cache is not None:
                write_shelf(self._file(self._cache, name), shelf)
                shelf.changed = False

    def _names(self, kind: str, node: Node, read: Callable[[Part], frozenset[str]]) -> frozenset[str]:
        content = node.content
        if content is None or self.of(node) is None:
            return frozenset()
        key = content.sha256 or f"{content.offset} {content.size} {content.store}"
        shelf = self._shelf(content.store.name if content.sha256 else "")
        found = shelf.names(kind, key)
        if found is None:
            try:
                with _reading(node.path, content) as part:
                    found = read(part)
            except ElfError as error:
                found = error.reason
            shelf.lists.setdefault(kind, {})[key] = found if isinstance(found, str) else sorted(found)
            shelf.changed |= bool(content.sha256)
        if isinstance(found, str):
            self.damaged[node.path] = ElfError(node.path, found).message
            return frozenset()
        return found

    def _learn_all(self, files: list[Node]) -> None:
        unknown: dict[Path, list[tuple[Node, Content]]] = {}
        for node in files:
            if node.content is not None and not self._recall(node.content)[0]:
                unknown.setdefault(node.content.store, []).append((node, node.content))
        for store, group in unknown.items():
            with opened(store) as descriptor:
                for node, content in group:
                    self._learn(node.path, content, descriptor)

    def _recall(self, content: Content) -> tuple[bool, Fact]:
        if not content.sha256:
            place = (content.store, content.offset, content.size)
            return place in self._loose, self._loose.get(place)
        return self._shelf(content.store.name).recall(content.sha256)

    def _learn(self, path: str, content: Content, descriptor: int) -> Fact:
        fact = _read(path, content, descriptor)
        if content.sha256:
            shelf = self._shelf(content.store.name)
            shelf.facts[content.sha256] = fact
            shelf.changed = True
        else:
            self._loose[content.store, content.offset, content.size] = fact
        return fact

    def _shelf(self, name: str) -> Shelf:
        shelf = self._shelves.get(name)
        if shelf is None:
            # Files without a checksum share a shelf that is never read or written: "" is no store's name.
            shelf = read_shelf(self._file(self._cache, name)) if self._cache and name else Shelf()
            if self._watched:  # what was learnt for other symbols has had its day
                kept = (self._imports, self._contains, _PATHS, _CALLS)
                shelf.lists = {kind: names for kind, names in shelf.lists.items() if kind in kept}
            self._shelves[name] = shelf
        return shelf

    @staticmethod
    def _file(cache: Path, name: str) -> Path:
        return cache / f"{_digest(name)}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _read(path: str, content: Content, descriptor: int) -> Fact:
    with _failing(path, content):
        head = os.pread(descriptor, min(_HEAD, content.size), content.offset)
        if not is_elf(head):
            return None
        from builder.elf.reader import read_elf  # noqa: PLC0415 (as above)

        try:
            return read_elf(Part(descriptor, content.offset, content.size, head), name=path)
        except ElfError as error:
            return error.reason


@contextlib.contextmanager
def _reading(path: str, content: Content) -> Iterator[Part]:
    with opened(content.store) as descriptor, _failing(path, content):
        head = os.pread(descriptor, min(_HEAD, content.size), content.offset)
        yield Part(descriptor, content.offset, content.size, head)


@contextlib.contextmanager
def _failing(path: str, content: Content) -> Iterator[None]:
    try:
        yield
    except (OSError, OverflowError) as error:
        raise BuildError(
            f"{path} could not be read from {content.store}: {error}",
            hint="remove that file; rootlet fetches the package again",
        ) from error
