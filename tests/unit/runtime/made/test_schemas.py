"""GSettings' schemas: what is read, what is refused whole, what overrides change, and how it is looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.runtime.made.formats.variant import Variant, serialise
from builder.runtime.made.material import NOTHING, Material
from builder.runtime.made.schemafiles import SchemaError, Schemas
from builder.runtime.made.schemas import compiled, make
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Sysroot
from tests.support import gvdb
from tests.support.packages import File, make_package
from tests.support.schemas import EVERYTHING, OVERRIDES, WRONG

FOLDER = "/usr/share/glib-2.0/schemas"


def material(folder: Path, files: dict[str, str], drop: tuple[str, ...] = ()) -> Material:
    """A package of schemas."""
    shipped = {f"{FOLDER}/{name}": File(content=text.encode()) for name, text in files.items()}
    return Material(sysroot=merged_tree((make_package(folder, "schemas", shipped),)), drop=drop)


def look_up(data: bytes, schema: str, key: str) -> bytes | gvdb.Table | list[str]:
    """What GIO finds."""
    table = gvdb.read(data)[schema]
    assert isinstance(table, gvdb.Table)
    return table[key]


def value(kind: str, what: object) -> bytes:
    """A variant with its type behind it, as in the file."""
    return serialise("v", Variant(kind, what))


def test_every_key_is_found_with_its_type_and_default(tmp_path: Path) -> None:
    (file,) = make(material(tmp_path, {"a.gschema.xml": EVERYTHING})).files
    assert file.path == f"{FOLDER}/gschemas.compiled"
    lab = gvdb.read(file.content)["org.example.lab"]
    assert isinstance(lab, gvdb.Table)
    assert lab["truth"] == value("(b)", (True,))
    assert lab["size"] == value("((ii))", ((-1, -1),))
    assert lab["port"] == value("(q(y(qq)))", (8080, (ord("r"), (1, 0xFFFF))))
    assert lab["words"] == value("(as)", (["a", "b", "c"],))
    assert lab["child/"] == value("s", "org.example.lab.child")
    assert lab[".path"] == value("s", "/org/example/lab/")
    assert lab[".gettext-domain"] == value("s", "lab")
    greeting = ("hello", (ord("l"), (ord("m"), "formal\x04'hello'")))
    assert lab["greeting"] == value("(s(y(ys)))", greeting)
    assert set(lab.keys()).isdisjoint({"ignored", "other:key"})
    assert look_up(file.content, "org.example.lab.extended", "a") == value(
        "(s(y(ys)))", ("changed", (ord("l"), (ord("m"), "'changed'")))
    )
    assert look_up(file.content, "org.example.lab.extended", ".extends") == value(
        "s", "org.example.lab.child"
    )


def test_names_of_an_enumeration_are_words_of_32_bits(tmp_path: Path) -> None:
    (file,) = make(material(tmp_path, {"a.gschema.xml": EVERYTHING})).files
    red, green, rouge = b"\xffred\0\0\0\xff", b"\xffgreen\0\xff", b"\xferouge\0\xff"
    words = bytes(4) + red + b"\2\0\0\0" + green + bytes(4) + rouge
    numbers = [int.from_bytes(words[at : at + 4], "little") for at in range(0, len(words), 4)]
    assert look_up(file.content, "org.example.lab", "colour") == value(
        "(s(yau))", ("green", (ord("e"), numbers))
    )


def test_overrides_change_defaults_where_they_fit(tmp_path: Path) -> None:
    files = {"a.gschema.xml": EVERYTHING, "10_a.gschema.override": OVERRIDES}
    made = make(material(tmp_path, files))
    content = made.files[0].content
    assert made.warnings == ()
    assert look_up(content, "org.example.lab", "port") == value("(q(y(qq)))", (99, (ord("r"), (1, 0xFFFF))))
    number = (7, (ord("r"), (-3, (1 << 31) - 1)))  # -9 is out of its range
    assert look_up(content, "org.example.lab", "number") == value("(i(y(ii)))", number)
    text = look_up(content, "org.example.lab", "text")
    assert isinstance(text, bytes)
    assert text.startswith(b"vendor\0")
    assert all(part in text for part in (b"GNOME\0", b"for GNOME\0", b"KDE\0"))


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_file_in_which_something_is_wrong_leaves_nothing(text: str) -> None:
    schemas = Schemas()
    schemas.read(b"<schemalist><schema id='good'/></schemalist>")
    with pytest.raises(SchemaError, match=r"."):
        schemas.read(text.encode())
    assert list(schemas.schemas) == ["good"]


def test_wrong_files_are_said_and_the_others_go_in(tmp_path: Path) -> None:
    files = {"a.gschema.xml": EVERYTHING, "b.gschema.xml": "<html/>", "c.gschema.override": "nonsense"}
    made = make(material(tmp_path, files))
    assert [warning.split(": ")[0] for warning in made.warnings] == [
        f"{FOLDER}/b.gschema.xml is left out of gschemas.compiled",
        f"{FOLDER}/c.gschema.override is left out of gschemas.compiled",
    ]
    assert look_up(made.files[0].content, "org.example.lab", "truth")
    assert made.packages == {"schemas"}


def test_enumerations_of_their_own_files_come_first(tmp_path: Path) -> None:
    enum = "<schemalist><enum id='e'><value nick='aa' value='1'/></enum></schemalist>"
    key = "<key name='k' enum='e'><default>'aa'</default></key>"
    schema = f"<schemalist><schema id='s'>{key}</schema></schemalist>"
    made = make(material(tmp_path, {"a.gschema.xml": schema, "z.enums.xml": enum}))
    assert made.warnings == ()


def test_without_schemas_or_where_the_recipe_drops_them_there_is_no_file(tmp_path: Path) -> None:
    assert make(Material(sysroot=Sysroot(()))) == NOTHING
    dropped = material(tmp_path, {"a.gschema.xml": "<schemalist/>"}, drop=(f"{FOLDER}/gschemas.compiled",))
    assert make(dropped) == NOTHING
    kept = make(material(tmp_path, {"a.gschema.xml": EVERYTHING}, drop=(f"{FOLDER}/*.xml",)))
    assert len(kept.files) == 1


def test_no_schema_at_all_is_a_file_too() -> None:
    assert gvdb.read(compiled(Schemas())).keys() == [""]
