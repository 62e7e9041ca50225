from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import Problem, RecipeError
from builder.recipe.load import Request, read_recipe
from builder.recipe.parse import parse
from builder.recipe.tree import Origin, Problems
from tests.support.recipe_cases import AMD64, HEAD, VALID, WRONG, report

MIB = 1 << 20
LONG = 10.0
"""Seconds, for a loaded machine: what hangs takes minutes."""
DEEP = "keys, arrays and tables are nested more than 32 deep"

BYTES: Mapping[str, tuple[bytes, str]] = {
    "a byte order mark": (
        b"\xef\xbb\xbfschema = 1\n",
        "recipe.toml:1: starts with a byte order mark; save it as UTF-8 without one",
    ),
    "Latin-1": (b'schema = 1\nname = "\xe4"\n', "recipe.toml:2: expected UTF-8 text, found the byte 0xe4"),
    "UTF-16": ("schema = 1".encode("utf-16"), "recipe.toml:1: expected UTF-8 text, found the byte 0xff"),
    "NUL bytes": (b"\0" * 10, "recipe.toml:1: not TOML: Invalid statement (column 1)"),
    "10 MB": (b"#" * 10 * MIB, "recipe.toml: longer than 1 MiB; a recipe is a small text"),
    "deep arrays": (b"a = " + b"[" * 500_000, f"recipe.toml:1: {DEEP}"),
    "deep arrays that end": (b"a = " + b"[" * 500 + b"]" * 500, f"recipe.toml:1: {DEEP}"),
    "deep tables": (b"\na = " + b"{a=" * 200_000, f"recipe.toml:2: {DEEP}"),
    "a long dotted key": (b"a." * 500_000 + b"a = 1", f"recipe.toml:1: {DEEP}"),
    "a long dotted header": (b"[" + b"a." * 500_000 + b"a]", f"recipe.toml:1: {DEEP}"),
    "dotted keys below a deep table": (b"[" + b"a." * 20 + b"a]\n" + b"b." * 20 + b"b = 1",
                                       f"recipe.toml:2: {DEEP}"),
    "a string that never ends": (
        b'a = """' + b"x" * 500_000,
        "recipe.toml:1: not TOML: Unterminated string at the end of the file",
    ),
    "a line that never ends": (b"[" + b"a" * MIB, "recipe.toml: longer than 1 MiB; a recipe is a small text"),
    "a key that never ends": (
        b"[" + b"a" * 500_000,
        "recipe.toml:1: not TOML: Expected ']' at the end of a table declaration at the end of the file",
    ),
}  # fmt: skip


def read_bytes(folder: Path, data: bytes) -> RecipeError:
    (folder / "recipe.toml").write_bytes(data)
    return read_path(folder, Path("recipe.toml"))


def read_path(folder: Path, path: Path) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        read_recipe(path, Request(folder=folder, machine=AMD64), fragments=folder / "fragments")
    return caught.value


@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_no_recipe_are_refused_quickly(case: str, tmp_path: Path) -> None:
    data, message = BYTES[case]
    start = time.monotonic()
    error = read_bytes(tmp_path, data)
    assert [str(problem) for problem in error.problems] == [message]
    assert time.monotonic() - start < LONG


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    found = {
        name: str(read_path(tmp_path, Path(name)).problems[0]) for name in ("no", "folder", "pipe", "loop")
    }
    assert found == {
        "no": "no: cannot be read: No such file or directory",
        "folder": "folder: a folder; a recipe is a TOML file",
        "pipe": "pipe: not a regular file; a recipe is a TOML file",
        "loop": "loop: cannot be read: Too many levels of symbolic links",
    }


def test_a_name_of_a_file_cannot_break_a_line(tmp_path: Path) -> None:
    assert str(read_path(tmp_path, Path("a\n\x1b[31mb")).problems[0]) == (
        "a\\n\\x1b[31mb: cannot be read: No such file or directory"
    )


def test_problems_beyond_the_first_hundred_are_not_listed(tmp_path: Path) -> None:
    text = HEAD + "".join(f"unknown{number} = 1\n" for number in range(10_000))
    start = time.monotonic()
    error = read_bytes(tmp_path, text.encode())
    assert len(error.problems) == 100
    assert error.hint == "these are the first 100"
    assert time.monotonic() - start < LONG


BOMBS = {
    "variables that double": (
        "".join(f'a{number} = "{{a{number + 1}}}{{a{number + 1}}}"\n' for number in range(30))
        + 'a30 = "x"\n',
        "the variables make more than 4 MiB of text",
    ),
    "a chain of variables": (
        "".join(f'a{number} = "{{a{number + 1}}}"\n' for number in range(40)) + 'a40 = "x"\n',
        "more than 32 variables refer to each other in a row",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_variables_make_only_so_much(case: str, tmp_path: Path) -> None:
    text, message = BOMBS[case]
    tracemalloc.start()
    start = time.monotonic()
    problems = report(tmp_path, HEAD + "[vars]\n" + text)
    assert time.monotonic() - start < LONG
    assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    tracemalloc.stop()
    assert [problem.rpartition(": ")[2] for problem in problems] == [message]


def test_one_long_variable_used_often_makes_only_so_much(tmp_path: Path) -> None:
    uses, value = '"{a}", ' * 20_000, "x" * 100_000
    text = HEAD + f'cmd = [{uses}]\n[vars]\na = "{value}"\n'
    assert report(tmp_path, text) == ("3: cmd[41]: the variables make more than 4 MiB of text",)


def test_many_values_cost_little(tmp_path: Path) -> None:
    words = ", ".join(f'"t{number}"' for number in range(20_000))
    (tmp_path / "recipe.toml").write_text(HEAD + f"tags = [{words}]\n", encoding="utf-8")
    start = time.monotonic()
    document = read_recipe(Path("recipe.toml"), Request(folder=tmp_path, machine=AMD64), fragments=tmp_path)
    assert len(document.recipe(AMD64).tags) == 20_000
    assert time.monotonic() - start < LONG


SEEDS = [*VALID.values(), *(wrong.text for wrong in WRONG.values() if len(wrong.text) < 1000)]
PIECES = [
    "[",
    "]",
    "[[",
    "{",
    "}",
    '"',
    '"""',
    "'",
    "\\",
    "\n",
    "=",
    ".",
    "!",
    "#",
    ",",
    "when",
    "{a}",
    "\0",
    "1",
]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 8))
        text = text[:at] + draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[at + cut :]
    return text


@settings(max_examples=150, deadline=None)
@given(text=damaged())
def test_a_damaged_recipe_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "recipe.toml").write_bytes(text.encode("utf-8", "replace"))
    request = Request(folder=folder, machine=AMD64)
    problems: tuple[Problem, ...] | None = None
    try:
        read_recipe(Path("recipe.toml"), request, fragments=folder)
    except RecipeError as error:
        problems = error.problems
    assert problems != ()
    assert all(str(problem).isprintable() for problem in problems or ())


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    problems = Problems()
    root = parse(data, Origin(Path("/r"), "r"), problems)
    assert (root is None) == bool(problems)
