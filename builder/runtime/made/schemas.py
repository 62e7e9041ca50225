"""GSettings' schemas compiled, as glib-compile-schemas(1) does it, without running it.

Without gschemas.compiled a program ends as soon as it asks for a setting: GIO does not read the XML.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from builder.runtime.made.formats import gvdb
from builder.runtime.made.formats.ghash import iteration_order
from builder.runtime.made.formats.variant import Variant, serialise
from builder.runtime.made.formats.varianttext import parse
from builder.runtime.made.material import NOTHING, Made, MadeFile, Material, together
from builder.runtime.made.schemafiles import Key, Schema, SchemaError, Schemas

_FOLDERS = ("/usr/local/share/glib-2.0/schemas", "/usr/share/glib-2.0/schemas")
_NAME = "gschemas.compiled"
_ENDINGS = (".gschema.xml", ".enums.xml")


def make(material: Material) -> Made:
    """One file for each folder of schemas; a file in which something is wrong is left out, with a warning."""
    folders = (folder for folder in _FOLDERS if not material.dropped(f"{folder}/{_NAME}"))
    return together([_compiled(material, folder) for folder in folders])


def _compiled(material: Material, folder: str) -> Made:
    nodes = [node for node in material.files(f"{folder}/*.xml") if node.path.endswith(_ENDINGS)]
    if not nodes:
        return NOTHING
    nodes.sort(key=lambda node: (not node.path.endswith(".enums.xml"), node.path.encode()))
    overrides = sorted(material.files(f"{folder}/*.gschema.override"), key=lambda node: node.path.encode())
    schemas = Schemas()
    warnings: list[str] = []
    for node in nodes:
        try:
            schemas.read(material.read(node))
        except SchemaError as error:
            warnings.append(f"{node.path} is left out of {_NAME}: {error}")
    for node in overrides:
        try:
            _override(schemas, material.read(node).decode())
        except ValueError as error:
            warnings.append(f"{node.path} is left out of {_NAME}: {error}")
    return Made(
        files=(MadeFile(path=f"{folder}/{_NAME}", content=compiled(schemas)),),
        sources=frozenset(node.package for node in (*nodes, *overrides) if node.package),
        warnings=tuple(warnings),
    )


def compiled(schemas: Schemas) -> bytes:
    """The file of all schemas, byte for byte as GLib writes it."""
    order = iteration_order(schemas.schemas)
    tables = {name: _table(schemas.schemas[name]) for name in order}
    return gvdb.write(gvdb.Table(values=tables, children=frozenset(tables)))


def _table(schema: Schema) -> gvdb.Table:
    values = {name: serialise("v", _variant(schema.keys[name])) for name in iteration_order(schema.keys)}
    is_translated = any(isinstance(key, Key) and key.l10n for key in schema.keys.values())
    for name, text in (
        (".path", schema.path),
        (".extends", schema.extends),
        (".list-of", schema.list_of),
        (".gettext-domain", schema.domain if is_translated else None),
    ):
        if text is not None:
            values[name] = serialise("v", Variant("s", text))
    return gvdb.Table(values=values, children=frozenset(schema.keys))


def _variant(key: Key | str) -> Variant:
    """The default, and what else is known of the key, each behind the letter by which GIO finds it."""
    if isinstance(key, str):
        return Variant("s", key)
    parts = [Variant(key.type, key.default[0])]
    if key.l10n:
        parts.append(Variant("(y(ys))", (ord("l"), (ord(key.l10n), key.text))))
    if key.words.entries:
        parts.append(Variant("(yau)", (ord(key.words.kind), key.words.numbers())))
    if key.range is not None:
        parts.append(Variant(f"(y({key.type}{key.type}))", (ord("r"), key.range)))
    if key.desktops:
        values = dict(key.desktops)
        entries = [(name, Variant(key.type, values[name])) for name in iteration_order(values)]
        parts.append(Variant("(ya{sv})", (ord("d"), entries)))
    return Variant(f"({''.join(part.type for part in parts)})", tuple(part.value for part in parts))


def _override(schemas: Schemas, text: str) -> None:
    """Lay a vendor's defaults over the schemas; what does not fit is passed over, as by GLib's compiler.

    ValueError for a file that is no list of settings.
    """
    for group, name, value in list(_settings(text)):
        schema, _, desktop = group.partition(":")
        key = schemas.schemas[schema].keys.get(name) if schema in schemas.schemas else None
        if not isinstance(key, Key) or (desktop and key.l10n):
            continue
        try:
            parsed = parse(value, key.type)
            key.check(parsed)
        except ValueError:
            continue
        if desktop:
            changed = replace(key, desktops=(*key.desktops, (desktop, parsed)))
        else:
            changed = replace(key, default=(parsed,))
        schemas.schemas[schema].keys[name] = changed


def _settings(text: str) -> Iterator[tuple[str, str, str]]:
    """Group, name and value of each line of a key file (GLib, "GKeyFile")."""
    group = ""
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("[") and stripped.endswith("]"):
            group = stripped[1:-1]
            continue
        name, equals, value = stripped.partition("=")
        if not equals or not group:
            raise ValueError(f"{stripped!r} is no setting")
        yield group, name.rstrip(), value.lstrip()
