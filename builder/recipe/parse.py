"""Recipe files read from disk, with those that they extend. Whatever is wrong with a file is a problem."""

from __future__ import annotations

import codecs
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import Problem
from builder.recipe.outline import SCHEMA_VERSION
from builder.recipe.positions import MAX_DEPTH, TooDeepError, positions
from builder.recipe.tree import Node, Origin, Problems, make_tree, nearest, show

MAX_BYTES = 1 << 20
"""A recipe is written by people: more than this is another file given by mistake."""
MAX_FILES = 64

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)\s*$")
_BARE_EXCLAMATION = re.compile(r"\s*(?:\[+[^\]#\"']*)?([A-Za-z0-9_-]+!)\s*[=.\]]")
_LOOKED_AT = 200
_FRAGMENT_NAME = re.compile(r"[A-Za-z0-9_-]+")

_Identity = tuple[int, int]


@dataclass(slots=True, kw_only=True)
class Layers:
    """Recipe files in the order in which they are laid, each over the ones before; the recipe is the last."""

    roots: list[Node] = field(default_factory=list)
    inputs: list[Path] = field(default_factory=list)
    complete: bool = True
    """False when a file could not be read: then nothing that follows can be judged."""


def read_layers(path: Path, folder: Path, fragments: Path, problems: Problems) -> Layers:
    """Read the recipe ``path`` (relative ones from ``folder``) and everything that it extends."""
    reader = _Reader(folder, fragments, problems)
    reader.read(Origin(folder / path, printable(path)), asked_by=None, chain=())
    return reader.layers


def printable(path: Path) -> str:
    """Write a path so that it cannot break a line of a message."""
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]


class _Reader:
    """Walks ``extends`` depth first. A file that is reached twice is laid once, where it is first needed."""

    def __init__(self, folder: Path, fragments: Path, problems: Problems) -> None:
        self.layers = Layers()
        self._folder = folder
        self._fragments = fragments
        self._problems = problems
        self._seen: set[_Identity] = set()

    def read(
        self, origin: Origin, *, asked_by: Node | None, chain: tuple[tuple[_Identity, str], ...]
    ) -> None:
        found = self._bytes(origin, asked_by)
        if found is None:
            return
        identity, data = found
        if identity in (one for one, _ in chain):
            names = " → ".join((*(label for _, label in chain), origin.label))
            self._fail(origin, asked_by, f"the files extend each other in a circle: {names}")
        elif identity not in self._seen:
            self._seen.add(identity)
            self._problems.files.append(origin.label)
            self.layers.inputs.append(origin.path)
            self._lay(data, origin, is_recipe=asked_by is None, chain=(*chain, (identity, origin.label)))

    def _lay(
        self, data: bytes, origin: Origin, *, is_recipe: bool, chain: tuple[tuple[_Identity, str], ...]
    ) -> None:
        root = parse(data, origin, self._problems)
        if root is None or not _schema_fits(root, self._problems, is_recipe=is_recipe):
            self.layers.complete = False
            return
        extends = root.children.get("extends") or root.children.get("extends!") or root
        for node in extends.elements:
            if isinstance(node.value, str):
                self._extend(node, node.value, chain)
        self.layers.roots.append(root)

    def _extend(self, node: Node, text: str, chain: tuple[tuple[_Identity, str], ...]) -> None:
        if len(self._seen) >= MAX_FILES:
            self._fail(node.origin, node, f"more than {MAX_FILES} files extend each other")
            return
        if _FRAGMENT_NAME.fullmatch(text):
            path = self._fragments / f"{text}.toml"
            if not path.is_file():
                self._fail(node.origin, node, self._no_fragment(text))
                return
        else:
            path = node.origin.folder / text
        self.read(Origin(path, self._label(path)), asked_by=node, chain=chain)

    def _no_fragment(self, name: str) -> str:
        known = sorted(path.stem for path in self._fragments.glob("*.toml"))
        hint = nearest(name, known) or (f"there are {', '.join(known)}" if known else "")
        path = "; write a path with a slash for a file of your own"
        return f"there is no fragment {show(name)}" + (f"; {hint}" if hint else path)

    def _label(self, path: Path) -> str:
        plain = os.path.normpath(path)
        relative = os.path.relpath(plain, self._folder)
        return printable(Path(plain if relative.startswith("..") else relative))

    def _bytes(self, origin: Origin, asked_by: Node | None) -> tuple[_Identity, bytes] | None:
        try:
            status = origin.path.stat()
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
                self._fail(origin, asked_by, f"{kind}; a recipe is a TOML file")
                return None
            with origin.path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no file name"
            self._fail(origin, asked_by, f"cannot be read: {reason}")
            return None
        if len(data) > MAX_BYTES:
            self._fail(origin, asked_by, f"longer than {MAX_BYTES >> 20} MiB; a recipe is a small text")
            return None
        return (status.st_dev, status.st_ino), data

    def _fail(self, origin: Origin, asked_by: Node | None, message: str) -> None:
        self.layers.complete = False
        if asked_by is None:
            self._problems.add(Problem(file=origin.label, line=None, key="", message=message))
        elif origin is asked_by.origin:
            self._problems.at(asked_by, message)
        else:
            self._problems.at(asked_by, f"{origin.label}: {message}")


def parse(data: bytes, origin: Origin, problems: Problems) -> Node | None:
    """Read the bytes of a recipe file; None when they are no TOML, which is then reported."""
    line: int | None
    try:
        text = _decoded(data)
        lines = positions(text)
        document = tomllib.loads(text)
    except _NoTextError as error:
        message, line = error.message, error.line
    except TooDeepError as error:
        message, line = f"keys, arrays and tables are nested more than {MAX_DEPTH} deep", error.line
    except tomllib.TOMLDecodeError as error:
        message, line = _syntax(str(error), text)
    except ValueError:  # Python's own limit on the digits of an integer
        message, line = "not TOML: a number has too many digits", None
    else:
        return make_tree(document, origin, lines)
    problems.add(Problem(file=origin.label, line=line, key="", message=message))
    return None


class _NoTextError(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def _decoded(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        raise _NoTextError("starts with a byte order mark; save it as UTF-8 without one", 1)
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"expected UTF-8 text, found the byte 0x{data[error.start]:02x}"
        raise _NoTextError(message, line) from error


def _syntax(message: str, text: str) -> tuple[str, int | None]:
    match = _PLACE.search(message)
    reason = message[: match.start()] if match else message
    number = int(match[1]) if match and match[1] else None
    if match and number is None:
        return f"not TOML: {reason} at the end of the file", text.count("\n") + 1
    lines = text.split("\n")
    mark = (
        _BARE_EXCLAMATION.match(lines[number - 1][:_LOOKED_AT]) if number and number <= len(lines) else None
    )
    if mark:
        return f'not TOML: a key that ends in "!" needs quotes; write {show(mark[1])}', number
    return f"not TOML: {reason}" + (f" (column {match[2]})" if match else ""), number


def _schema_fits(root: Node, problems: Problems, *, is_recipe: bool) -> bool:
    node = root.children.get("schema")
    if node is None:
        if is_recipe:
            problems.at(root, f"is missing; write schema = {SCHEMA_VERSION}", child="schema")
        return True
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value == SCHEMA_VERSION:
        return True
    wrong = f"expected {SCHEMA_VERSION}, found {show(node.value)}"
    problems.at(node, f"{wrong}; this rootlet reads schema {SCHEMA_VERSION} only")
    return False
