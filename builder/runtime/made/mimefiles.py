"""Types as the files of shared-mime-info describe them (Shared MIME-info Database specification).

What is wrong with a type ends that type, as update-mime-database does it; what came before it stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from builder.runtime.made.formats.xmltree import Element, read

_NAMESPACE = "http://www.freedesktop.org/standards/shared-mime-info"
_WORDS = frozenset(f"{_NAMESPACE} {name}" for name in ("comment", "acronym", "expanded-acronym"))
"""What a type is called, in every language: most of each file, and not in what is made of it."""
_NO_GLOBS = "__NOGLOBS__"
_NO_MAGIC = b"__NOMAGIC__"
_SIZES = {
    "string": 0,
    "byte": 1,
    "big16": 2,
    "big32": 4,
    "little16": 2,
    "little32": 4,
    "host16": 2,
    "host32": 4,
}
_KINDS = ("any", "file", "directory", "link")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.)|\Z)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "b": "\b", "t": "\t", "f": "\f", "v": "\v"}
_DEFAULT = 50


class MimeError(ValueError):
    """A description is not as the specification wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A pattern of file names. ``is_none`` takes all patterns of packages before away from the type."""

    pattern: str
    type: str
    weight: int = _DEFAULT
    case_sensitive: bool = False
    is_none: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Bytes within ``length`` places from ``start`` on, one of ``then`` after it if there are any."""

    start: int = 0
    length: int = 1
    word: int = 1
    value: bytes
    mask: bytes | None = None
    then: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Magic:
    """What a type's files hold. ``is_none`` takes all magic of packages before away from the type."""

    type: str
    priority: int = _DEFAULT
    matches: tuple[Match, ...]
    is_none: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeMatch:
    """A path of a folder tree and what it must be; ``options`` as the file has them."""

    path: str
    kind: str
    options: tuple[str, ...]
    then: tuple[TreeMatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeMagic:
    """What a volume of a type holds."""

    type: str
    priority: int
    matches: tuple[TreeMatch, ...]


@dataclass(slots=True, kw_only=True)
class Types:
    """Everything that the files say, each in the order in which it was first said."""

    types: dict[str, None] = field(default_factory=dict)
    globs: dict[str, list[Glob]] = field(default_factory=dict)
    magic: list[Magic] = field(default_factory=list)
    tree_magic: list[TreeMagic] = field(default_factory=list)
    namespaces: dict[str, str] = field(default_factory=dict)
    """The type of each ``URI name`` of a document element."""
    parents: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    icons: dict[str, str] = field(default_factory=dict)
    generic_icons: dict[str, str] = field(default_factory=dict)

    def read(self, data: bytes) -> list[str]:
        """Add a file's types; sentences about what is wrong with some. MimeError for no such file."""
        try:
            root = read(data, namespaces=True, without=_WORDS, texts=False)
        except ValueError as error:
            raise MimeError(str(error)) from error
        if root.name != f"{_NAMESPACE} mime-info":
            raise MimeError(f"its document is a {root.name}")
        problems = []
        for element in root:
            name = element.attributes.get("type", "")
            try:
                if element.name != f"{_NAMESPACE} mime-type" or name.count("/") != 1:
                    raise MimeError(f"it describes {name or element.name!r}, which is no type")
                self.types.setdefault(name)
                self._describe(name, element)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        return problems

    def _describe(self, name: str, element: Element) -> None:
        for child in element:
            space, _, kind = child.name.rpartition(" ")
            add = _ADDERS.get(kind) if space == _NAMESPACE else None
            if add is not None:
                add(self, name, child)


def _add_no_globs(types: Types, name: str, _: Element) -> None:
    _put_glob(types, Glob(pattern=_NO_GLOBS, type=name, weight=0, is_none=True))


def _add_magic(types: Types, name: str, element: Element) -> None:
    types.magic.append(_magic(name, element))


def _add_no_magic(types: Types, name: str, _: Element) -> None:
    types.magic.append(Magic(type=name, priority=0, matches=(Match(value=_NO_MAGIC),), is_none=True))


def _add_tree_magic(types: Types, name: str, element: Element) -> None:
    priority, matches = _weight(element, "priority"), tuple(_tree_matches(element))
    types.tree_magic.append(TreeMagic(type=name, priority=priority, matches=matches))


def _add_icon(types: Types, name: str, element: Element) -> None:
    icons = types.icons if element.name.endswith(" icon") else types.generic_icons
    if "name" in element.attributes:
        icons[name] = element.attributes["name"]


def _add_glob(types: Types, name: str, element: Element) -> None:
    weight = _weight(element, "weight")
    pattern = element.attributes.get("pattern", "")
    if not pattern:
        raise MimeError("a glob has no pattern")
    sensitive = element.attributes.get("case-sensitive") == "true"
    folded = pattern if sensitive else _folded(pattern)
    _put_glob(types, Glob(pattern=folded, type=name, weight=weight, case_sensitive=sensitive))


def _put_glob(types: Types, glob: Glob) -> None:
    types.globs.setdefault(glob.pattern, []).append(glob)


def _add_alias(types: Types, name: str, element: Element) -> None:
    types.aliases[_other_type(element)] = name


def _add_parent(types: Types, name: str, element: Element) -> None:
    types.parents.setdefault(name, []).append(_other_type(element))


def _add_namespace(types: Types, name: str, element: Element) -> None:
    uri, local = (element.attributes.get(key) for key in ("namespaceURI", "localName"))
    if uri is None or local is None or not (uri or local) or set(" \n") & set(uri + local):
        raise MimeError("a document element has no namespace and name")
    types.namespaces[f"{uri} {local}"] = name


_ADDERS: Mapping[str, Callable[[Types, str, Element], None]] = {
    "glob": _add_glob,
    "glob-deleteall": _add_no_globs,
    "magic": _add_magic,
    "magic-deleteall": _add_no_magic,
    "treemagic": _add_tree_magic,
    "alias": _add_alias,
    "sub-class-of": _add_parent,
    "root-XML": _add_namespace,
    "icon": _add_icon,
    "generic-icon": _add_icon,
}


def _other_type(element: Element) -> str:
    other = element.attributes.get("type", "")
    if "/" not in other:
        raise MimeError(f"{other!r} is no type")
    return other


def _weight(element: Element, name: str) -> int:
    text = element.attributes.get(name, str(_DEFAULT))
    if not re.fullmatch(r"\s*\+?[0-9]+", text) or int(text) > 100:  # noqa: PLR2004 (the specification's limit)
        raise MimeError(f"{text} is no {name}")
    return int(text)


def _magic(name: str, element: Element) -> Magic:
    matches = tuple(_matches(element))
    if not matches:
        raise MimeError("a magic has no match")
    return Magic(type=name, priority=_weight(element, "priority"), matches=matches)


def _matches(element: Element) -> Iterator[Match]:
    for child in element:
        if child.name != f"{_NAMESPACE} match":
            raise MimeError(f"{child.name} stands where a match should")
        start, length = _offset(child.attributes.get("offset", ""))
        kind = child.attributes.get("type", "")
        if kind not in _SIZES:
            raise MimeError(f"{kind!r} is no type of a match")
        value, mask = _value(kind, child)
        word = _SIZES[kind] if kind.startswith("host") else 1
        then = tuple(_matches(child))
        yield Match(start=start, length=length, word=word, value=value, mask=mask, then=then)


def _offset(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*([-+]?[0-9]+)(?::\s*([-+]?[0-9]+))?", text)
    if match is None:
        raise MimeError(f"{text!r} is no offset")
    start = int(match[1])
    last = start if match[2] is None else int(match[2])
    if last < start or (match[2] is not None and start < 0) or max(abs(start), abs(last)) >= 1 << 31:
        raise MimeError(f"{text!r} is no offset")
    return start, last - start + 1


def _value(kind: str, element: Element) -> tuple[bytes, bytes | None]:
    text, mask = element.attributes.get("value", ""), element.attributes.get("mask")
    if not text:
        raise MimeError("a match has no value")
    if kind == "string":
        value = b"".join(_unescaped(text))
        return value, None if mask is None else _string_mask(mask, len(value))
    size = _SIZES[kind]
    order = "big" if kind.startswith(("big", "host")) else "little"
    number = _number(text)
    if size < 4 and number >> 8 * size:  # noqa: PLR2004 (bytes; larger ones are cut, as they always were)
        raise MimeError(f"{text} does not fit in {size} bytes")
    limit = (1 << 8 * size) - 1
    masked = None if mask is None else (_number(mask) & limit).to_bytes(size, order)  # type: ignore[arg-type]
    return (number & limit).to_bytes(size, order), masked  # type: ignore[arg-type]


def _number(text: str) -> int:
    """A number as strtoul(3) reads it with base 0."""
    match = re.fullmatch(r"\s*([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)", text)
    if match is None:
        raise MimeError(f"{text!r} is no number")
    digits = match[2]
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") and digits != "0" else 10
    number = int(digits, base)
    if number >> 64:
        raise MimeError(f"{text!r} is out of range")
    return -number & ((1 << 64) - 1) if match[1] == "-" else number


def _string_mask(text: str, size: int) -> bytes:
    digits = text[2:]
    if not text.startswith("0x") or not re.fullmatch(r"[0-9a-fA-F]*", digits) or len(digits) > 2 * size:
        raise MimeError(f"{text} is no mask of {size} bytes")
    return bytes.fromhex(digits.ljust(2 * size, "0"))


def _unescaped(text: str) -> Iterator[bytes]:
    at = 0
    for match in _ESCAPE.finditer(text):
        yield text[at : match.start()].encode("utf-8", "surrogateescape")
        at = match.end()
        octal, hexadecimal, letter = match.groups()
        if octal or hexadecimal:
            yield bytes([int(octal, 8) & 0xFF if octal else int(hexadecimal, 16)])
        elif letter is not None:
            yield _LETTERS.get(letter, letter).encode("utf-8", "surrogateescape")
    yield text[at:].encode("utf-8", "surrogateescape")


def _tree_matches(element: Element) -> Iterator[TreeMatch]:
    for child in element:
        said = child.attributes
        if (
            child.name != f"{_NAMESPACE} treematch"
            or "path" not in said
            or said.get("type", "file") not in _KINDS[1:]
        ):
            raise MimeError("a match of a tree has no path, or a wrong type")
        flags = tuple(flag for flag in ("match-case", "executable", "non-empty") if said.get(flag) == "true")
        mime = (said["mimetype"],) if "mimetype" in said else ()
        kind = said.get("type", _KINDS[0])
        yield TreeMatch(
            path=said["path"], kind=kind, options=(*flags, *mime), then=tuple(_tree_matches(child))
        )


def _folded(text: str) -> str:
    """In small letters, ASCII's only."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)
