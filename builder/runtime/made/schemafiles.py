"""GSettings' schemas as their files say them (glib-compile-schemas(1); GLib, "GSettings").

A file in which anything is wrong is left out whole, as the compiler of GLib does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from builder.runtime.made.formats.variant import is_type
from builder.runtime.made.formats.varianttext import parse
from builder.runtime.made.formats.xmltree import Element, read

_KEY = re.compile(r"[a-z](?:-?[a-z0-9])*")
_LONGEST_KEY = 1024
_LIMITS = {
    "y": ("0", "255"),
    "n": ("-32768", "32767"),
    "q": ("0", "65535"),
    "i": ("-2147483648", "2147483647"),
    "u": ("0", "4294967295"),
    "x": ("-9223372036854775808", "9223372036854775807"),
    "t": ("0", "18446744073709551615"),
    "d": ("-inf", "inf"),
}
_ATTRIBUTES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "schemalist": (frozenset(), frozenset({"gettext-domain"})),
    "schema": (frozenset({"id"}), frozenset({"path", "gettext-domain", "extends", "list-of"})),
    "enum": (frozenset({"id"}), frozenset()),
    "flags": (frozenset({"id"}), frozenset()),
    "key": (frozenset({"name"}), frozenset({"type", "enum", "flags"})),
    "child": (frozenset({"name", "schema"}), frozenset()),
    "override": (frozenset({"name"}), frozenset({"l10n", "context"})),
    "default": (frozenset(), frozenset({"l10n", "context"})),
    "summary": (frozenset(), frozenset()),
    "description": (frozenset(), frozenset()),
    "range": (frozenset(), frozenset({"min", "max"})),
    "choices": (frozenset(), frozenset()),
    "aliases": (frozenset(), frozenset()),
    "choice": (frozenset({"value"}), frozenset()),
    "alias": (frozenset({"value", "target"}), frozenset()),
    "value": (frozenset({"nick", "value"}), frozenset()),
}
"""What each element must have, and may have."""
_MIXED = frozenset({"default", "override", "summary", "description"})
_MOST_WORDS = 17


class SchemaError(ValueError):
    """The file is no list of schemas."""


@dataclass(frozen=True, slots=True)
class Words:
    """Names with numbers, or other names for them: what a key's text may be (gio/strinfo.c).

    ``kind``: "e" for an enumeration, "f" for flags, "c" for choices, "" for none.
    """

    kind: str = ""
    entries: tuple[tuple[str, int | str], ...] = ()

    def with_number(self, name: str, number: int) -> Words:
        """Add a name. SchemaError when it or its number is there already."""
        if name in dict(self.entries) or (self.kind != "c" and number in dict(self.entries).values()):
            raise SchemaError(f"{name} ({number}) is given twice")
        return self._with(name, number)

    def with_alias(self, name: str, target: str) -> Words:
        """Add another name for ``target``. SchemaError when that is none."""
        if name in dict(self.entries) or not self.allows(target):
            raise SchemaError(f"{name} cannot be another name for {target}")
        return self._with(name, target)

    def _with(self, name: str, value: int | str) -> Words:
        if (len(name.encode()) + 6) >> 2 > _MOST_WORDS:
            raise SchemaError(f"{name} is too long")
        return replace(self, entries=(*self.entries, (name, value)))

    def allows(self, name: str) -> bool:
        """Whether it is a name, and not another one for it."""
        return isinstance(dict(self.entries).get(name), int)

    def numbers(self) -> list[int]:
        """Words of 32 bits, as GIO searches them."""
        data = b""
        places: dict[str, int] = {}
        for name, value in self.entries:
            raw = name.encode("utf-8", "surrogateescape")
            size = max(8, (len(raw) + 6) & ~3)
            number = places[value] if isinstance(value, str) else value & 0xFFFFFFFF
            places[name] = len(data) // 4
            mark = b"\xfe" if isinstance(value, str) else b"\xff"
            data += number.to_bytes(4, "little") + (mark + raw).ljust(size - 1, b"\0") + b"\xff"
        return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting. ``text`` is the default as written, where it is translated (``l10n``: "m" or "t")."""

    type: str
    default: Any = None
    l10n: str = ""
    text: str = ""
    words: Words = field(default_factory=Words)
    range: tuple[Any, Any] | None = None
    is_override: bool = False
    desktops: tuple[tuple[str, Any], ...] = ()
    """Defaults for one desktop each."""

    def check(self, value: Any) -> None:
        """Raise SchemaError for a value that the key cannot have."""
        if self.range is not None and not self.range[0] <= value <= self.range[1]:
            raise SchemaError(f"{value} is out of range")
        if self.range is None and self.words.kind and not all(map(self.words.allows, _texts(value))):
            raise SchemaError(f"{value!r} is none of the choices")


@dataclass(slots=True, kw_only=True)
class Schema:
    """Keys by name; a name with a slash behind it is a child, and its value that schema's id."""

    path: str | None = None
    domain: str | None = None
    extends: str | None = None
    list_of: str | None = None
    keys: dict[str, Key | str] = field(default_factory=dict)


class Schemas:
    """Every schema by id, in the order in which they were read."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._words: dict[tuple[str, str], Words] = {}

    def read(self, data: bytes) -> None:
        """Add a file's schemas; SchemaError, and none of them, when anything in it is wrong."""
        schemas, words = dict(self.schemas), dict(self._words)
        try:
            root = read(data)
            if root.name != "schemalist":
                raise SchemaError(f"<{root.name}> is no list of schemas")
            _check(root)
            for element in _children(root, {"schema", "enum", "flags"}):
                if element.name == "schema":
                    self._schema(element, root.attributes.get("gettext-domain"))
                else:
                    self._enumeration(element)
        except ValueError as error:
            self.schemas, self._words = schemas, words
            raise SchemaError(str(error)) from error

    def _enumeration(self, element: Element) -> None:
        name = (element.name, element.attributes["id"])
        if name in self._words:
            raise SchemaError(f"<{element.name} id='{name[1]}'> is given twice")
        words = Words("f" if element.name == "flags" else "e")
        seen: set[int] = set()
        for value in _children(element, {"value"}):
            nick, number = value.attributes["nick"], _number(value.attributes["value"], words.kind)
            if len(nick) < 2 or number in seen:  # noqa: PLR2004 (letters)
                raise SchemaError(f"the value {nick} is too short, or given twice")
            seen.add(number)
            if words.kind == "f" and number & (number - 1):
                raise SchemaError(f"the flag {nick} has more than one bit")
            if number or words.kind == "e":  # no flag at all has no name
                words = words.with_number(nick, number)
        if not words.entries:
            raise SchemaError(f"<{element.name} id='{name[1]}'> has no value")
        self._words[name] = words

    def _schema(self, element: Element, domain: str | None) -> None:
        said = element.attributes
        parent = self._known(said.get("extends"))
        listed = self._known(said.get("list-of"))
        path = said.get("path")
        if said["id"] in self.schemas:
            raise SchemaError(f"<schema id='{said['id']}'> is given twice")
        if (listed and listed.path) or (parent and parent.path):
            raise SchemaError("a schema with a path cannot be extended or listed")
        schema = Schema(
            path=path,
            domain=said.get("gettext-domain", domain),
            extends=said.get("extends"),
            list_of=said.get("list-of", parent.list_of if parent else None),
        )
        self._check_list(schema, parent)
        if path is not None and not (path.startswith("/") and path.endswith(":/" if schema.list_of else "/")):
            raise SchemaError(f"{path} is no path of a schema")
        self.schemas[said["id"]] = schema
        for child in _children(element, {"key", "child", "override"}):
            add = {"key": self._key, "child": _add_child, "override": self._override}[child.name]
            add(child, schema)

    def _check_list(self, schema: Schema, parent: Schema | None) -> None:
        if parent is None or schema.list_of is None or schema.list_of == parent.list_of:
            return
        kind: str | None = schema.list_of
        while kind is not None and kind != parent.list_of:
            kind = self.schemas[kind].extends
        if kind is None:
            raise SchemaError(f"{schema.list_of} does not extend {parent.list_of}")

    def _known(self, name: str | None) -> Schema | None:
        if name is not None and name not in self.schemas:
            raise SchemaError(f"there is no schema {name} yet")
        return None if name is None else self.schemas[name]

    def _key(self, element: Element, schema: Schema) -> None:
        name = element.attributes["name"]
        inherited = self._inherited(schema, name)
        if schema.list_of or name in schema.keys or (inherited and not inherited.is_override):
            raise SchemaError(f"there cannot be a key {name} here")
        _check_name(name)
        key = self._new_key(element.attributes)
        for child in _children(element, {"default", "summary", "description", "range", "choices", "aliases"}):
            if child.name == "default":
                key = _with_default(key, child, schema)
            elif child.name == "range":
                key = _with_range(key, child)
            elif child.name == "choices":
                key = _with_choices(key, child)
            elif child.name == "aliases":
                key = _with_aliases(key, child)
        if key.default is None:
            raise SchemaError(f"the key {name} has no default")
        key.check(key.default[0])
        schema.keys[name] = key

    def _new_key(self, said: Mapping[str, str]) -> Key:
        kinds = [kind for kind in ("type", "enum", "flags") if kind in said]
        if len(kinds) != 1:
            raise SchemaError(f"the key {said['name']} must have either a type, an enum or flags")
        kind = kinds[0]
        if kind == "type":
            if not is_type(said["type"]):
                raise SchemaError(f"{said['type']} is no type")
            return Key(type=said["type"])
        words = self._words.get((kind, said[kind]))
        if words is None:
            raise SchemaError(f"there is no <{kind} id='{said[kind]}'> yet")
        return Key(type="as" if kind == "flags" else "s", words=words)

    def _override(self, element: Element, schema: Schema) -> None:
        name = element.attributes["name"]
        original = self._inherited(schema, name)
        if original is None or name in schema.keys:
            raise SchemaError(f"there is no key {name} to override, or it is overridden twice")
        plain = Key(type=original.type, words=original.words, range=original.range, is_override=True)
        key = _with_default(plain, element, schema)
        key.check(key.default[0])
        schema.keys[name] = key

    def _inherited(self, schema: Schema, name: str) -> Key | None:
        while schema.extends is not None:
            schema = self.schemas[schema.extends]
            key = schema.keys.get(name)
            if isinstance(key, Key):
                return key
        return None


def _add_child(element: Element, schema: Schema) -> None:
    name = element.attributes["name"]
    _check_name(name)
    if f"{name}/" in schema.keys:
        raise SchemaError(f"the child {name} is given twice")
    schema.keys[f"{name}/"] = element.attributes["schema"]


def _with_default(key: Key, element: Element, schema: Schema) -> Key:
    """``key`` with its default, which is kept in a tuple of its own: None is none yet."""
    l10n, context = element.attributes.get("l10n"), element.attributes.get("context")
    if (l10n is not None and schema.domain is None) or (l10n is None and context is not None):
        raise SchemaError("what is translated needs a gettext domain, and a context needs a translation")
    if l10n not in (None, "messages", "time"):
        raise SchemaError(f"{l10n} is no category of translations")
    text = element.text.strip(" \t\n\v\f\r")
    text = text if context is None else f"{context}\x04{text}"
    return replace(key, default=(parse(element.text, key.type),), l10n=(l10n or "")[:1], text=text)


def _with_range(key: Key, element: Element) -> Key:
    if key.type not in _LIMITS or key.range is not None:
        raise SchemaError(f"keys of the type {key.type} have no range, others have one")
    low, high = _LIMITS[key.type]
    said = element.attributes
    limits = (parse(said.get("min", low), key.type), parse(said.get("max", high), key.type))
    if limits[0] > limits[1]:
        raise SchemaError("the range is empty")
    return replace(key, range=limits)


def _with_choices(key: Key, element: Element) -> Key:
    if key.words.kind or key.type.lstrip("ma") != "s":
        raise SchemaError(f"a key of the type {key.type} has no choices, or has them already")
    words = Words("c")
    for choice in _children(element, {"choice"}):
        words = words.with_number(choice.attributes["value"], 0)
    if not words.entries:
        raise SchemaError("there is no choice")
    return replace(key, words=words)


def _with_aliases(key: Key, element: Element) -> Key:
    words = key.words
    for alias in _children(element, {"alias"}):
        words = words.with_alias(alias.attributes["value"], alias.attributes["target"])
    if words == key.words:
        raise SchemaError("there is no alias")
    return replace(key, words=words)


def _children(element: Element, allowed: set[str]) -> list[Element]:
    """The elements in it, each of which is allowed; those of other languages (with a colon) do not count."""
    found = [child for child in element if ":" not in child.name]
    for child in found:
        if child.name not in allowed:
            raise SchemaError(f"<{child.name}> is not allowed inside <{element.name}>")
        _check(child)
    return found


def _check(element: Element) -> None:
    required, optional = _ATTRIBUTES[element.name]
    said = {name for name in element.attributes if ":" not in name}
    if not required <= said <= required | optional:
        raise SchemaError(f"<{element.name}> lacks an attribute, or has one too many")
    if element.name not in _MIXED and element.text.strip(" \t\n\v\f\r"):
        raise SchemaError(f"text is not allowed inside <{element.name}>")


def _check_name(name: str) -> None:
    if not _KEY.fullmatch(name) or len(name) > _LONGEST_KEY:
        raise SchemaError(f"{name} is no name of a key")


def _number(text: str, kind: str) -> int:
    """A number as strtoll(3) reads it with base 0, within 32 bits."""
    match = re.fullmatch(r"\s*([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)", text)
    if match is None:
        raise SchemaError(f"{text} is no number")
    digits = match[2]
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") and digits != "0" else 10
    number = int(digits, base) * (-1 if match[1] == "-" else 1)
    low, high = (0, (1 << 32) - 1) if kind == "f" else (-(1 << 31), (1 << 31) - 1)
    if not low <= number <= high:
        raise SchemaError(f"{text} is out of range")
    return number


def _texts(value: Any) -> list[str]:
    """Every text in a value of texts, lists and maybes."""
    if isinstance(value, str):
        return [value]
    return [] if value is None else [text for part in value for text in _texts(part)]
