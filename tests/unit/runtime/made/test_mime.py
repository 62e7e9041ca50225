"""The database of MIME types: what the files say, and where a reader of the binary file finds it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.runtime.made.material import NOTHING, Made, Material
from builder.runtime.made.mime import make
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Sysroot
from tests.support.packages import File, make_package

FOLDER = "/usr/share/mime"


def described(*types: str) -> str:
    """A file of ``types``."""
    return (
        '<?xml version="1.0"?><mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">'
        f"{''.join(types)}</mime-info>"
    )


TEXT = described(
    """<mime-type type="text/plain"><comment>text</comment><comment xml:lang="de">Text</comment>
      <glob pattern="*.TXT"/><glob pattern="README" weight="10"/><glob pattern="[Mm]akefile.*"/>
      <alias type="text/x-plain"/><generic-icon name="text-x-generic"/></mime-type>""",
    """<mime-type type="text/x-c"><sub-class-of type="text/plain"/>
      <glob pattern="*.c"/><glob pattern="*.C" weight="60" case-sensitive="true"/>
      <icon name="c-file"/></mime-type>""",
)
BINARY = described(
    """<mime-type type="image/png">
      <magic priority="60"><match type="string" value="\\x89PNG" offset="0"/></magic>
      <glob pattern="*.png"/></mime-type>""",
    """<mime-type type="application/x-box"><magic>
      <match type="big16" value="0x0102" mask="0xff00" offset="4:8">
        <match type="host32" value="7" offset="10"/><match type="byte" value="010" offset="11"/></match>
        <match type="string" value="a\\tb\\101" mask="0xff00ff" offset="0"/></magic>
      <root-XML namespaceURI="http://box" localName="box"/></mime-type>""",
    """<mime-type type="x-content/box"><treemagic priority="70">
      <treematch path="BOX" type="directory" non-empty="true" match-case="true">
        <treematch path="BOX/a" executable="true" mimetype="text/plain"/></treematch>
      </treemagic></mime-type>""",
)


@dataclass(frozen=True)
class Cache:
    """mime.cache, searched as xdgmimecache.c does it."""

    data: bytes

    def word(self, at: int) -> int:
        """The number there."""
        return int(struct.unpack_from(">I", self.data, at)[0])

    def text(self, at: int) -> str:
        """The text there."""
        return self.data[at : self.data.index(b"\0", at)].decode()

    def part(self, number: int) -> int:
        """Where a part starts."""
        return self.word(4 + 4 * number)

    def rows(self, number: int, width: int) -> list[tuple[int, ...]]:
        """The rows of a part."""
        start = self.part(number)
        return [
            struct.unpack_from(f">{width}I", self.data, start + 4 + 4 * width * row)
            for row in range(self.word(start))
        ]

    def pairs(self, number: int) -> dict[str, str]:
        """A part that leads from texts to texts."""
        return {self.text(one): self.text(other) for one, other in self.rows(number, 2)}

    def type_of(self, name: str) -> list[tuple[str, int]]:
        """The types, with weight and flags, of the longest ending of ``name`` that a pattern has."""
        start = self.part(3)
        count, first = self.word(start), self.word(start + 4)
        found: list[tuple[str, int]] = []
        for letter in reversed(name):
            rows = [struct.unpack_from(">3I", self.data, first + 12 * row) for row in range(count)]
            assert [row[0] for row in rows] == sorted(row[0] for row in rows)
            child = next((row for row in rows if row[0] == ord(letter)), None)
            if child is None:
                break
            _, count, first = child
            ends = [struct.unpack_from(">3I", self.data, first + 12 * row) for row in range(count)]
            found = [(self.text(kind), weight) for letter, kind, weight in ends if not letter] or found
        return found


def made(folder: Path, files: dict[str, str], drop: tuple[str, ...] = ()) -> Made:
    """What is made of a package's files."""
    shipped = {f"{FOLDER}/packages/{name}": File(content=text.encode()) for name, text in files.items()}
    package = make_package(folder, "shared-mime-info", shipped)
    return make(Material(sysroot=merged_tree((package,)), drop=drop))


def files_of(one: Made) -> dict[str, bytes]:
    """Contents by name."""
    return {file.path.removeprefix(f"{FOLDER}/"): file.content for file in one.files}


def test_the_texts(tmp_path: Path) -> None:
    one = made(tmp_path, {"a.xml": TEXT, "b.xml": BINARY})
    assert one.warnings == ()
    assert one.packages == {"shared-mime-info"}
    files = files_of(one)
    assert files["aliases"] == b"text/x-plain text/plain\n"
    assert files["subclasses"] == b"text/x-c text/plain\n"
    assert files["icons"] == b"text/x-c:c-file\n"
    assert files["generic-icons"] == b"text/plain:text-x-generic\n"
    assert files["types"].split() == [
        *(b"application/x-box", b"image/png", b"text/plain", b"text/x-c", b"x-content/box"),
    ]
    assert files["XMLnamespaces"] == b"http://box box application/x-box\n"
    globs = files["globs2"].decode().splitlines()[2:]
    assert globs[:2] == ["60:text/x-c:*.C:cs", "60:text/x-c:*.C"]
    assert globs[-1] == "10:text/plain:readme"
    assert set(globs[2:-1]) == {
        *("50:text/plain:*.txt", "50:text/plain:[mm]akefile.*", "50:text/x-c:*.c", "50:image/png:*.png"),
    }
    assert files["treemagic"].decode() == (
        'MIME-TreeMagic\0\n[70:x-content/box]\n>"BOX"=directory,match-case,non-empty\n'
        '1>"BOX/a"=any,executable,text/plain\n'
    )


def test_the_magic(tmp_path: Path) -> None:
    magic = files_of(made(tmp_path, {"b.xml": BINARY}))["magic"]
    assert magic == (
        b"MIME-Magic\0\n[60:image/png]\n>0=\0\4\x89PNG\n"
        b"[50:application/x-box]\n>4=\0\2\1\2&\xff\0+5\n1>10=\0\4\0\0\0\7~4\n1>11=\0\1\x08\n"
        b">0=\0\4a\tbA&\xff\0\xff\0\n"
    )


def test_what_a_reader_finds_in_the_cache(tmp_path: Path) -> None:
    cache = Cache(files_of(made(tmp_path, {"a.xml": TEXT, "b.xml": BINARY}))["mime.cache"])
    assert struct.unpack_from(">2H", cache.data) == (1, 2)
    assert cache.pairs(0) == {"text/x-plain": "text/plain"}
    assert cache.pairs(7) == {"text/x-c": "c-file"}
    assert cache.pairs(8) == {"text/plain": "text-x-generic"}
    ((kind, parents),) = cache.rows(1, 2)
    assert (cache.text(kind), cache.word(parents)) == ("text/x-c", 1)
    assert cache.text(cache.word(parents + 4)) == "text/plain"
    literal = [(cache.text(name), cache.text(kind), weight) for name, kind, weight in cache.rows(2, 3)]
    assert literal == [("readme", "text/plain", 10)]
    assert [cache.text(pattern) for pattern, _, _ in cache.rows(4, 3)] == ["[mm]akefile.*"]
    assert cache.type_of("a.txt") == [("text/plain", 50)]
    assert cache.type_of("a.C") == [("text/x-c", 60 | 0x100)]
    assert cache.type_of("a.unknown") == []
    assert cache.word(cache.part(9)) == 5  # types


def test_what_a_reader_matches_in_the_cache(tmp_path: Path) -> None:
    cache = Cache(files_of(made(tmp_path, {"b.xml": BINARY}))["mime.cache"])
    start = cache.part(5)
    count, extent, first = struct.unpack_from(">3I", cache.data, start)
    assert (count, extent) == (2, 15)
    priority, kind, matches, row = struct.unpack_from(">4I", cache.data, first + 16)
    assert (priority, cache.text(kind), matches) == (50, "application/x-box", 2)
    offset, length, word, size, value, mask, children, child = struct.unpack_from(">8I", cache.data, row)
    assert (offset, length, word, size, children) == (4, 5, 1, 2, 2)
    assert (cache.data[value : value + 2], cache.data[mask : mask + 2]) == (b"\1\2", b"\xff\0")
    assert struct.unpack_from(">4I", cache.data, child) == (10, 1, 4, 4)


def test_later_files_take_away_what_earlier_ones_gave(tmp_path: Path) -> None:
    none = described('<mime-type type="image/png"><glob-deleteall/><magic-deleteall/></mime-type>')
    files = files_of(made(tmp_path, {"a.xml": BINARY, "Override.xml": none}))
    assert files["globs2"].decode().splitlines()[2] == "0:image/png:__NOGLOBS__"
    assert files["magic"].startswith(b"MIME-Magic\0\n[0:image/png]\n>0=\0\x0b__NOMAGIC__\n[60:image/png]")


WRONG = {
    "no XML": ("<mime-info>", "no element"),
    "another document": ("<html/>", "its document is a html"),
    "no type": (described('<mime-type type="text"/>'), "'text', which is no type"),
    "a pattern without letters": (described('<mime-type type="a/b"><glob/></mime-type>'), "no pattern"),
    "a weight above all": (
        described('<mime-type type="a/b"><glob pattern="x" weight="101"/></mime-type>'),
        "weight",
    ),
    "an alias of nothing": (described('<mime-type type="a/b"><alias/></mime-type>'), "no type"),
    "a magic of nothing": (described('<mime-type type="a/b"><magic/></mime-type>'), "no match"),
    "a document element without a name": (
        described('<mime-type type="a/b"><root-XML/></mime-type>'),
        "namespace",
    ),
    "a tree without a path": (
        described('<mime-type type="a/b"><treemagic><treematch/></treemagic></mime-type>'),
        "no path",
    ),
}
MATCHES = {
    "of no type": ('offset="0" value="x"', "type of a match"),
    "without a place": ('type="string" value="x"', "no offset"),
    "at a place that is none": ('type="string" offset="4:2" value="x"', "no offset"),
    "of nothing": ('type="string" offset="0" value=""', "no value"),
    "of a number that is none": ('type="byte" offset="0" value="1x"', "no number"),
    "of a number too large": ('type="big16" offset="0" value="0x10000"', "fit in 2 bytes"),
    "under a mask that is too long": ('type="string" offset="0" value="x" mask="0xffff"', "no mask"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_the_rest_is_kept(case: tuple[str, str], tmp_path: Path) -> None:
    text, said = case
    one = made(tmp_path, {"a.xml": TEXT, "b.xml": text})
    assert len(one.warnings) == 1
    assert one.warnings[0].startswith(f"{FOLDER}/packages/b.xml: ")
    assert said in one.warnings[0]
    assert b"text/x-c\n" in files_of(one)["types"]


@pytest.mark.parametrize("case", MATCHES.values(), ids=MATCHES)
def test_a_match_that_is_none(case: tuple[str, str], tmp_path: Path) -> None:
    attributes, said = case
    inside = f'<mime-type type="a/b"><magic><match {attributes}/></magic></mime-type>'
    one = made(tmp_path, {"a.xml": described(inside)})
    assert said in one.warnings[0]


def test_without_descriptions_there_is_no_database(tmp_path: Path) -> None:
    assert make(Material(sysroot=Sysroot(()))) == NOTHING
    assert len(files_of(made(tmp_path, {"a.xml": TEXT}, drop=(f"{FOLDER}/packages/*",)))) == 12
