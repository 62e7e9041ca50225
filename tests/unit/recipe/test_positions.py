from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.recipe.positions import MAX_DEPTH, KeyPath, TooDeepError, positions

DOCUMENTS = {
    "keys and values": ('a = 1\n\nb = "x" # c = 2\n', {("a",): 1, ("b",): 3}),
    "tables named by their children first": (
        "[a.b]\nc = 1\n[a]\nd = 2\n",
        {("a",): 3, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "d"): 4},
    ),
    "dotted keys with blanks and quotes": (
        "a . 'b.c' . \"d\\u0020e\" = 1\n",
        {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "d e"): 1},
    ),
    "arrays of tables with tables in them": (
        "[[a]]\nx = 1\n[a.b]\ny = 1\n[[a]]\n[[a.c]]\n[[a.c]]\nz = 1\n",
        {
            ("a",): 1,
            ("a", 0): 1,
            ("a", 0, "x"): 2,
            ("a", 0, "b"): 3,
            ("a", 0, "b", "y"): 4,
            ("a", 1): 5,
            ("a", 1, "c"): 6,
            ("a", 1, "c", 0): 6,
            ("a", 1, "c", 1): 7,
            ("a", 1, "c", 1, "z"): 8,
        },
    ),
    "arrays over several lines": (
        "a = [ # ]\n  1,\n  [2,\n 3], # x\n  { b = 4 },\n]\n",
        {
            ("a",): 1,
            ("a", 0): 2,
            ("a", 1): 3,
            ("a", 1, 0): 3,
            ("a", 1, 1): 4,
            ("a", 2): 5,
            ("a", 2, "b"): 5,
        },
    ),
    "strings that look like TOML": (
        'a = """\n[b]\nc = "1"\n\\""" """"\nd = \'\'\'\n[e]\'\'\'\'\'\nf = "\\"[g]"\nh = \'\\\'\n',
        {("a",): 1, ("d",): 5, ("f",): 7, ("h",): 8},
    ),
    "moments with a blank in them": (
        "a = [1979-05-27 07:32:00, 07:32:00]\nb = 1\n",
        {("a",): 1, ("a", 0): 1, ("a", 1): 1, ("b",): 2},
    ),
    "inline tables with dotted keys": (
        "a = { b.c = 1, d = [{ e = 2 }] }",
        {
            ("a",): 1,
            ("a", "b"): 1,
            ("a", "b", "c"): 1,
            ("a", "d"): 1,
            ("a", "d", 0): 1,
            ("a", "d", 0, "e"): 1,
        },
    ),
    "a document that stops being TOML": ('a = 1\nb = "x\nc = 3\n', {("a",): 1, ("b",): 2}),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_keys_stand_where_they_begin(case: str) -> None:
    text, expected = DOCUMENTS[case]
    assert positions(text) == expected


NESTED = {
    "an array": lambda depth: "a = " + "[" * depth + "]" * depth,
    "an inline table": lambda depth: "a = " + "{ a = " * depth + "1" + "}" * depth,
    "a dotted key": lambda depth: "a." * depth + "a = 1",
    "a header": lambda depth: "[" + "a." * depth + "a]",
    "an array of tables": lambda depth: "[[" + "a." * depth + "a]]",
}


@pytest.mark.parametrize("case", NESTED)
def test_depth_has_an_end_and_says_its_line(case: str) -> None:
    tomllib.loads(NESTED[case](MAX_DEPTH - 1))
    positions(NESTED[case](MAX_DEPTH - 1))
    with pytest.raises(TooDeepError) as caught:
        positions("\n\n" + NESTED[case](MAX_DEPTH))
    assert caught.value.line == 3


def key_paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key path of what tomllib reads."""
    lists = enumerate(value) if isinstance(value, list) else ()
    for name, child in value.items() if isinstance(value, dict) else lists:
        yield (*path, name)
        yield from key_paths(child, (*path, name))


class Writer:
    """Writes a table as TOML in one of many ways, and notes the line of each key that it writes itself."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def table(self, table: dict[str, object], path: KeyPath, header: str) -> None:
        later: list[tuple[str, object]] = []
        for name, value in table.items():
            if (isinstance(value, dict) and self._draw(st.booleans())) or (
                is_tables(value) and self._draw(st.booleans())
            ):
                later.append((name, value))
            else:
                self._pair(name, value, path)
        for name, value in later:
            title = f"{header}.{self._key(name)}" if header else self._key(name)
            if isinstance(value, dict):
                self._header(f"[{title}]", (*path, name))
                self.table(value, (*path, name), title)
            elif isinstance(value, list):
                for index, one in enumerate(value):
                    self._header(f"[[ {title} ]]", (*path, name, index))
                    self.table(one, (*path, name, index), title)

    def _header(self, text: str, path: KeyPath) -> None:
        self.lines[path] = self._line()
        self.text += f"{text}{self._end()}"

    def _pair(self, name: str, value: object, path: KeyPath) -> None:
        self.lines[*path, name] = self._line()
        self.text += self._key(name)
        while isinstance(value, dict) and len(value) == 1 and self._draw(st.booleans()):
            path, (name, value) = (*path, name), next(iter(value.items()))
            self.lines[*path, name] = self._line()
            self.text += f" . {self._key(name)}"
        self.text += " = "
        self._value(value, (*path, name))
        self.text += self._end()

    def _value(self, value: object, path: KeyPath) -> None:
        if isinstance(value, list):
            self.text += "["
            for index, one in enumerate(value):
                self.text += self._draw(st.sampled_from(["", " ", "\n", " # ]\n\t"]))
                self.lines[*path, index] = self._line()
                self._value(one, (*path, index))
                self.text += ","
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for number, (name, one) in enumerate(value.items()):
                self.text += ", " if number else " "
                self.lines[*path, name] = self._line()
                self.text += f"{self._key(name)} = "
                self._value(one, (*path, name))
            self.text += "}"
        else:
            self.text += self._scalar(value)

    def _scalar(self, value: object) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        ways = [basic(value)]
        if not re.search(r"['\x00-\x1f\x7f]", value):
            ways.append(f"'{value}'")
        if not re.search(r"'''|'$|[\x00-\x09\x0b-\x1f\x7f]", value):
            ways.append(f"'''\n{value}'''")
        if not re.search(r"[\\\x00-\x09\x0b-\x1f\x7f]|\"\"\"", value):
            ways.append(f'"""{value.replace(chr(34), chr(92) + chr(34))}\\\n"""')
        return self._draw(st.sampled_from(ways))

    def _key(self, name: str) -> str:
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
        return name if bare and self._draw(st.booleans()) else basic(name)

    def _end(self) -> str:
        return self._draw(st.sampled_from(["\n", "\n\n", " # [x]\n", '\t# "\n']))

    def _line(self) -> int:
        return self.text.count("\n") + 1


def basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


NAMES = st.sampled_from(["a", "b", "key", "1", "", "a.b", "x y", "[", '"', "é", "=\n#"])
TEXTS = st.text(alphabet="ab[]{}=#.,\"'\\\n\té😀 ", max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers(-9, 9) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.table(draw(st.dictionaries(NAMES, VALUES, max_size=5)), (), "")
    return writer


@settings(max_examples=150, deadline=None)
@given(written=documents())
def test_key_paths_are_those_of_tomllib_and_lines_those_written(written: Writer) -> None:
    document = tomllib.loads(written.text)
    found = positions(written.text)
    assert set(found) == set(key_paths(document))
    assert {path: found[path] for path in written.lines} == written.lines


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(["a", ".", "=", "[", "]", "{", "}", '"', "'", "\n", ",", "1", "#", "\\"]))
)
def test_a_document_that_tomllib_reads_is_scanned_whole(pieces: list[str]) -> None:
    text = "".join(itertools.chain(pieces, "\nend = 1\n"))
    found = positions(text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(found) == set(key_paths(document))
