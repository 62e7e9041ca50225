"""Debian versions in dpkg's order, and control paragraphs as dpkg reads them."""

from __future__ import annotations

import functools
import itertools
import shutil
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.dpkg.control import paragraphs, source_of
from builder.dpkg.version import compare, is_version, version_key

# Each list is in ascending order.
ORDERS = {
    "a tilde sorts before the end": ["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a"],
    "digits by value, not by letter": ["1.2", "1.9", "1.10", "1.010.1"],
    "letters before everything else": ["1.0", "1.0-1", "1.0a", "1.0+", "1.0."],
    "the epoch first": ["9.0", "1:1.0", "2:0.1", "10:0"],
    "the revision last": ["1.0-0~", "1.0", "1.0-0.1", "1.0-1", "1.0-1a", "1.0-1.1"],
    "security and backports": ["1.2-3~bpo13+1", "1.2-3", "1.2-3+b1", "1.2-3+deb13u1", "1.2-3.1"],
    "hyphens in the upstream version": ["1.0-rc1-1", "1.0-rc2-1", "1.0-rc10-1"],
    "numbers longer than Python likes to read": ["1." + "8" * 4999, "1." + "9" * 4999, "1.1" + "0" * 5000],
}
EQUAL = (
    ("1.0", "1.0-0"),
    ("0:1.0", "1.0"),
    ("1.0", "1.00"),
    ("1.a", "1.a0"),
    ("1." + "0" * 6000 + "1", "1.1"),
)
VERSIONS = st.text("0123456789.+~abzAZ", max_size=8).map(lambda text: f"1{text}")
FULL = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "02:"]),
    VERSIONS,
    st.sampled_from(["", "-0", "-1", "-1~", "-1+b1", "-a"]),
)


@pytest.mark.parametrize("case", ORDERS)
def test_versions_in_order(case: str) -> None:
    for low, high in itertools.combinations(ORDERS[case], 2):
        assert (compare(low, high), compare(high, low)) == (-1, 1), (low[:40], high[:40])


@pytest.mark.parametrize("pair", EQUAL, ids=lambda pair: pair[1])
def test_versions_that_are_the_same(pair: tuple[str, str]) -> None:
    assert compare(*pair) == 0


@given(st.lists(FULL, min_size=3, max_size=3))
def test_the_order_is_total(versions: list[str]) -> None:
    one, two, three = sorted(versions, key=functools.cmp_to_key(compare))
    assert compare(one, two) <= 0
    assert compare(two, three) <= 0
    assert compare(one, three) <= 0
    assert compare(one, two) == -compare(two, one)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_has_a_place(one: str, other: str) -> None:
    assert compare(one, other) == -compare(other, one)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
@settings(max_examples=60, deadline=None)
@given(FULL, FULL)
def test_the_order_is_dpkgs(one: str, other: str) -> None:
    relation = {-1: "lt", 0: "eq", 1: "gt"}[compare(one, other)]
    assert subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0


def test_keys_are_of_one_kind() -> None:
    keys = [version_key(text) for text in ("", "1", "a", "1:1-1", "~", "-", ":")]
    assert sorted(keys)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1.0-1", True),
        ("1:2.3~rc1+dfsg-4", True),
        ("", False),
        ("1.0 ", False),
        ("1_0", False),
        ("1\n", False),
    ],
)
def test_the_form_of_a_version(text: str, right: bool) -> None:
    assert is_version(text) is right


def read(text: str) -> list[dict[str, str]]:
    return list(paragraphs(text))


def test_paragraphs_fields_and_folded_values() -> None:
    text = (
        "\n\nPackage: a\nDescription: one\n two\n .\n\tthree\n# no field\nTag: x\n \t \nPackage:b\r\n\r\nX:\n"
    )
    assert read(text) == [
        {"Package": "a", "Description": "one\n two\n .\n\tthree", "Tag": "x"},
        {"Package": "b"},
        {"X": ""},
    ]


@pytest.mark.parametrize("letter", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\r"], ids=repr)
def test_only_a_newline_ends_a_line(letter: str) -> None:
    text = f"Package: a\nDescription: x{letter}Version: 9\n"
    assert read(text) == [{"Package": "a", "Description": f"x{letter}Version: 9"}]


@pytest.mark.parametrize("text", [" x\n", "\tx", "no colon\n", "A: b\n\n c\n", "A: b\nno colon"])
def test_what_is_no_paragraph(text: str) -> None:
    with pytest.raises(ValueError, match="field"):
        read(text)


def test_a_value_of_many_lines_takes_time_in_proportion() -> None:
    started = time.perf_counter()
    (fields,) = read("A: x\n" + " y\n" * 400_000)
    assert len(fields["A"]) == 1 + 400_000 * 3
    assert time.perf_counter() - started < 3


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except ValueError:
        return
    assert all(fields for fields in found)


@pytest.mark.parametrize(
    ("source", "name", "version"),
    [
        ("", "bin", "2"),
        ("src", "src", "2"),
        ("src (1:1-1)", "src", "1:1-1"),
        ("src(1)", "src", "1"),
        ("  src  ( 3 )", "src", "3"),
        ("src ()", "src", "2"),
    ],
)
def test_the_source_of_a_binary_package(source: str, name: str, version: str) -> None:
    found = source_of({"Package": "bin", "Version": "2"} | ({"Source": source} if source else {}))
    assert (found.name, found.version) == (name, version)
