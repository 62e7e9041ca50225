"""XML as a tree, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.runtime.made.formats.xmltree import XmlError, read

BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'


def test_elements_attributes_and_texts() -> None:
    root = read(b"<a x='1'>one<b/><!-- no -->two<b><![CDATA[<c>]]></b></a>")
    assert (root.name, dict(root.attributes), root.text) == ("a", {"x": "1"}, "onetwo")
    assert [child.text for child in root] == ["", "<c>"]


def test_namespaces_are_part_of_names_where_they_are_wanted() -> None:
    data = b"<a xmlns='n' xmlns:o='m'><o:b/><b/></a>"
    assert [child.name for child in read(data, namespaces=True)] == ["m b", "n b"]
    assert [child.name for child in read(data)] == ["o:b", "b"]


def test_what_is_not_wanted_is_left_out_with_what_is_in_it() -> None:
    root = read(b"<a>1<b>2<a>3<b/></a></b>4<c/></a>", without=frozenset({"b"}))
    assert (root.text, [child.name for child in root]) == ("14", ["c"])
    assert read(b"<a>1<b/></a>", texts=False).content == read(b"<a><b/></a>").content


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "no element", id="an empty file"),
        pytest.param(b"<a>", "no element", id="an element without an end"),
        pytest.param(b"<a></b>", "mismatched tag", id="another element's end"),
        pytest.param(BOMB, "declares an entity", id="entities that grow"),
        pytest.param(b"<a>" * 300 + b"</a>" * 300, "nested too deeply", id="nesting without end"),
        pytest.param(b"<?xml version='1.0' encoding='klingon'?><a/>", "encoding", id="an unknown encoding"),
        pytest.param(b"<a>\xff</a>", "not well-formed", id="bytes that are no text"),
    ],
)
def test_what_is_no_data_file_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(XmlError, match=said):
        read(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tree_or_refused(data: bytes) -> None:
    with contextlib.suppress(XmlError):
        read(data)
