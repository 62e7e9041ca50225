"""Ignore files are read as Docker reads them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.sources.stage.ignore import Ignore, read_lines

CASES = {
    "a name at the top": (["a"], {"a": True, "a/b": True, "b/a": False}),
    "a slash before changes nothing": (["/a/"], {"a": True, "a/b": True, "b/a": False}),
    "a star inside a name": (["*.o"], {"x.o": True, "b/x.o": False, "x.c": False}),
    "two stars over folders": (["**/*.o"], {"x.o": True, "b/x.o": True, "b/c/x.o": True}),
    "two stars at the end": (["a/**"], {"a": False, "a/b": True, "a/b/c": True}),
    "two stars in the middle": (["a/**/z"], {"a/z": True, "a/b/z": True, "a/b/c/z": True, "z": False}),
    "a question mark": (["?.c"], {"a.c": True, "ab.c": False, "/.c": False}),
    "a set": (["[ab].c"], {"a.c": True, "c.c": False}),
    "a set of others": (["[^a].c"], {"a.c": False, "c.c": True}),
    "a range": (["[a-c].c"], {"b.c": True, "d.c": False}),
    "a quoted star": ([r"\*.c"], {"*.c": True, "a.c": False}),
    "dots that are letters": (["a.c"], {"abc": False, "a.c": True}),
    "dots that are steps": (["./a/../b"], {"b": True, "a": False}),
    "the last line that fits decides": (["*.md", "!README.md"], {"x.md": True, "README.md": False}),
    "taken back and left out again": (["*", "!a", "a/b"], {"a": False, "a/x": False, "a/b": True, "c": True}),
    "taken back below a folder that is left out": (["a", "!a/b"], {"a": True, "a/b": False, "a/c": True}),
    "empty lines and spaces": (["", "  ", "  a  ", "! b "], {"a": True, "b": False}),
    "everything": (["**"], {"a": True, "a/b": True}),
    "the folder itself cannot be left out": ([".", "/"], {"a": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_patterns(case: str) -> None:
    lines, expected = CASES[case]
    ignore = Ignore(lines)
    assert {path: ignore(path) for path in expected} == expected


def test_folders_are_looked_into_only_where_something_may_come_back() -> None:
    assert Ignore(["node_modules"]).whole("node_modules")
    assert not Ignore(["node_modules", "!node_modules/keep"]).whole("node_modules")


def test_the_container_file_wins_and_comments_are_none(tmp_path: Path) -> None:
    assert read_lines(tmp_path) is None
    (tmp_path / ".dockerignore").write_text("docker\n")
    assert read_lines(tmp_path) == ("docker",)
    (tmp_path / ".containerignore").write_bytes(b"\xef\xbb\xbf# comment\ncontainer\r\n")
    assert read_lines(tmp_path) == ("container",)


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_bytes(b"a\n" * (1 << 20))
    with pytest.raises(ResolutionError, match="longer than 1 MiB"):
        read_lines(tmp_path)


@pytest.mark.parametrize("line", ["[b-a]", "[z-", "a" * 5000 + "*" * 500, "(((", "***///***"])
def test_odd_patterns_end_in_a_value_or_an_error(line: str) -> None:
    with contextlib.suppress(ResolutionError):
        assert Ignore([line])("x") in {True, False}
