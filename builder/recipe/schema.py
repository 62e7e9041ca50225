"""The JSON schema of a recipe (draft 2020-12) and the tables of docs/recipe.md, both made from the keys.

A schema judges one file: what layers above add and what stands in variables is not known to it, so a string
that mentions a variable passes where a form is asked for, and tables that may be completed elsewhere may
lack keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from builder.recipe.keys import WHEN
from builder.recipe.outline import DOCUMENT, TABLES
from builder.recipe.shapes import Day, Either, Flag, Key, ListOf, MapOf, Number, Shape, Table, Text, Variants

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, object]

_VARIABLE = r"\{[A-Za-z_][A-Za-z0-9_.-]*\}"
_MARK = re.compile(r"(<!-- keys: (?P<title>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def schema() -> Schema:
    """Make the JSON schema of a recipe file."""
    named = [key.name for key in DOCUMENT.keys if key.name in ("name", "image", "extends")]
    return {
        "$schema": DIALECT,
        "title": "rootlet recipe",
        "$defs": {_slug(table): _table(table) for table in (WHEN, *TABLES) if table is not DOCUMENT},
        **_table(DOCUMENT),
        "required": [key.name for key in DOCUMENT.keys if key.required],
        "anyOf": [{"required": [name]} for name in named],
    }


def _slug(table: Table) -> str:
    return re.sub(r"[^a-z]+", "-", table.title.lower().replace("name", "")).strip("-")


def _table(table: Table) -> Schema:
    properties = {key.name: _key(key) for key in table.keys}
    if table.conditional:
        properties["when"] = _reference(WHEN)
    # A key with "!" takes what the key takes; as a pattern it does not crowd completion lists.
    path = "#/properties" if table is DOCUMENT else f"#/$defs/{_slug(table)}/properties"
    replacing = {f"^{key.name}!$": {"$ref": f"{path}/{key.name}"} for key in table.keys if not key.later}
    return {
        "type": "object",
        "description": table.about,
        "properties": properties,
        "patternProperties": replacing,
        "additionalProperties": False,
    }


def _key(key: Key) -> Schema:
    if key.later:
        return {"not": {}, "description": f"{key.about} (not supported yet)"}
    made: Schema = {**_shape(key.shape), "description": key.about}
    default = _plain(key.default)
    return made if default in (None, "", [], {}) else {**made, "default": default}


def _shape(shape: Shape) -> Schema:
    if isinstance(shape, Text):
        return _text(shape)
    if isinstance(shape, Number):
        return {"type": "integer", "minimum": shape.low, "maximum": shape.high}
    if isinstance(shape, (Flag, Day)):
        return {"type": "boolean"} if isinstance(shape, Flag) else {"type": "string", "format": "date"}
    return _collection(shape)


def _collection(shape: Either | ListOf | MapOf | Table | Variants) -> Schema:
    if isinstance(shape, Either):
        return {"anyOf": [_shape(one) for one in shape.shapes]}
    if isinstance(shape, ListOf):
        return {"type": "array", "items": _item(shape.of), **({"uniqueItems": True} if shape.unique else {})}
    if isinstance(shape, Variants):
        return _variants(shape)
    return _map(shape) if isinstance(shape, MapOf) else _reference(shape)


def _variants(shape: Variants) -> Schema:
    """Each word has its table; without a word, which a layer above may add, the keys of all may stand."""
    name = shape.key.name
    made: Schema = {**_table(shape.every), "properties": _table(shape.every)["properties"]}
    for word, table in shape.tables.items():
        said = {"properties": {name: {"const": word}}, "required": [name]}
        made = {"if": said, "then": _reference(table), "else": made}
    return made


def _item(shape: Text | Number | Either | Table) -> Schema:
    # Tables of an array are whole where they stand: nothing above can add a key.
    required = [key.name for key in shape.keys if key.required] if isinstance(shape, Table) else []
    return {**_shape(shape), "required": required} if required else _shape(shape)


def _text(shape: Text) -> Schema:
    if shape.choices:
        return {"anyOf": [{"enum": list(shape.choices)}, {"type": "string", "pattern": _VARIABLE}]}
    if shape.pattern:
        return {"type": "string", "pattern": f"^(?:{shape.pattern})$|{_VARIABLE}"}
    return {"type": "string"}


def _map(shape: MapOf) -> Schema:
    condition = _reference(WHEN)
    text = isinstance(shape.of, Text)
    made: Schema = {
        "type": "object",
        "properties": {"when": {"anyOf": [condition, _shape(shape.of)]} if text else condition},
        "additionalProperties": _shape(shape.of),
    }
    return (
        {**made, "propertyNames": {"pattern": f"^(?:{shape.names.pattern})!?$|^when$"}}
        if shape.names.pattern
        else made
    )


def _reference(table: Table) -> Schema:
    return {"$ref": f"#/$defs/{_slug(table)}"}


def _plain(value: object) -> object:
    """Write a default as JSON has it: tables of strings are kept as pairs."""
    return list(value) if isinstance(value, tuple) else value


def key_tables() -> Mapping[str, str]:
    """Make the Markdown table of the keys of every recipe table, by title."""
    return {table.title: _markdown(table) for table in (*TABLES, WHEN)}


def refresh(document: str) -> str:
    """Give docs/recipe.md with the tables between its marks made anew.

    A mark is a line ``<!-- keys: TITLE -->``; the table ends at ``<!-- end -->``. KeyError for a title that
    no table has.
    """
    tables = key_tables()
    return _MARK.sub(lambda match: f"{match[1]}{tables[match['title']]}{match[3]}", document)


def _markdown(table: Table) -> str:
    rows = [("Key", "Value", "Default", "Meaning"), ("---", "---", "---", "---")]
    rows += [_row(key) for key in table.keys]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def _row(key: Key) -> tuple[str, str, str, str]:
    if key.later:
        return f"`{key.name}`", "", "", f"{key.about}: *not supported yet*"
    return f"`{key.name}`", _words(key.shape), _default(key), key.about


def _default(key: Key) -> str:
    if key.required:
        return "(required)"
    if key.otherwise or key.moves_to or key.default is None:
        return key.otherwise
    if isinstance(key.shape, (ListOf, MapOf, Either)) and not key.default:
        return "none"
    default = json.dumps(_plain(key.default), ensure_ascii=False)
    return "none" if default == '""' else f"`{default}`"


def _words(shape: Shape) -> str:
    if isinstance(shape, Either):
        return " or ".join(_words(one) for one in shape.shapes)
    if isinstance(shape, (ListOf, MapOf)):
        return f"{'array' if isinstance(shape, ListOf) else 'table'} of {_many(shape.of)}"
    if isinstance(shape, Text):
        return f"string{_form(shape)}"
    if isinstance(shape, Number):
        return f"integer, {shape.low} to {shape.high}" if shape.low < shape.high else f"`{shape.low}`"
    return "table" if isinstance(shape, (Table, Variants)) else shape.phrase.removeprefix("a ")


def _many(shape: Text | Number | Either | Table | Variants) -> str:
    if isinstance(shape, (Table, Variants)):
        return "tables"
    if isinstance(shape, Text):
        return f"strings{_form(shape)}"
    return f"either {_words(shape)}"


def _form(shape: Text) -> str:
    words = ", ".join(f'`"{word}"`' for word in shape.choices)
    later = ", ".join(f'`"{word}"`' for word in shape.later)
    words = words or (shape.expected if shape.expected != Text().expected else "")
    return (f": {words}" if words else "") + (f" (not yet: {later})" if later else "")
