"""The record of reasons in an image: written small and the same, read back with hostile input in mind."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError, ResolutionError
from builder.plan.model import Entry
from builder.plan.reasons import (
    RECORD,
    RECORD_REASON,
    Provenance,
    add_record,
    reasons_from_json,
    reasons_to_json,
)
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind
from tests.support.images import plain

NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="/")
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    min_size=1,
    max_size=6,
)
ENTRY = st.builds(
    Entry,
    path=st.lists(NAME, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names)),
    kind=st.sampled_from(Kind),
    mode=st.just(0o644),
    package=st.sampled_from(["", "app", "lib"]),
    reason=st.builds(Reason, st.sampled_from(ReasonKind), NAME, NAME),
)


@given(st.lists(ENTRY, max_size=12, unique_by=lambda entry: entry.path), st.randoms())
def test_what_was_written_is_read_in_whatever_order(entries: list[Entry], dice: random.Random) -> None:
    payload = reasons_to_json(entries)
    shuffled = list(entries)
    dice.shuffle(shuffled)
    assert reasons_to_json(shuffled) == payload
    expected = {entry.path: Provenance(entry.reason, entry.package) for entry in entries}
    assert reasons_from_json(payload, "x") == expected | {RECORD: Provenance(RECORD_REASON, "")}


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "reasons", "kind", "subject", "files", "/", "x"]),
                inner,
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_reasons_or_an_error_in_words(payload: bytes) -> None:
    try:
        reasons_from_json(payload, "the record")
    except BuildError as error:
        assert error.message.startswith("the record")  # noqa: PT017 (no error is right, too)


def record(*reasons: object, form: object = 1) -> bytes:
    return json.dumps({"format": form, "reasons": reasons}).encode()


GOOD = {"kind": "keep", "files": {"/": ["a"]}}
HOSTILE = [
    pytest.param(b"", "not JSON", id="nothing"),
    pytest.param(b"[" * 100_000, "not JSON", id="nested without end"),
    pytest.param(b"9" * 5000, "not JSON", id="a number without end"),
    pytest.param(b"[]", "no list of reasons", id="a list"),
    pytest.param(b'{"format": 1, "reasons": {}}', "no list of reasons", id="reasons that are an object"),
    pytest.param(record(form=2), "this rootlet reads 1", id="a later format"),
    pytest.param(record("x"), "not an object", id="a reason that is text"),
    pytest.param(record({"kind": 1, "files": {}}), "where text belongs", id="a kind that is a number"),
    pytest.param(record(GOOD | {"subject": []}), "where text belongs", id="a subject that is a list"),
    pytest.param(record(GOOD | {"kind": "magic"}), "does not know", id="a reason of a later rootlet"),
    pytest.param(record(GOOD | {"kind": "KEEP"}), "does not know", id="a kind in capitals"),
    pytest.param(record({"kind": "keep"}), "has no files", id="a reason for nothing"),
    pytest.param(record(GOOD | {"files": {"etc": ["a"]}}), "no folder", id="a relative folder"),
    pytest.param(record(GOOD | {"files": {"/": "abc"}}), "no folder", id="names that are text"),
    pytest.param(record(GOOD | {"files": {"/": [["a"]]}}), "no name", id="a name that is a list"),
    pytest.param(record(GOOD | {"files": {"/": ["a/b"]}}), "no name", id="a name with a slash"),
    pytest.param(record(GOOD, GOOD | {"kind": "rule"}), "twice", id="two reasons for one path"),
]


@pytest.mark.parametrize(("payload", "words"), HOSTILE)
def test_what_is_no_record_is_said_in_words(payload: bytes, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        reasons_from_json(payload, "the record of x")


def test_a_record_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.plan.reasons.MAX_RECORD", 100)
    with pytest.raises(BuildError, match="more than 100 bytes"):
        reasons_from_json(b" " * 101, "x")


def test_the_record_does_not_speak_of_itself_and_belongs_to_nobody() -> None:
    entries = {"/a": plain("/a", b"x")}
    add_record(entries)
    add_record(entries)
    made = entries[RECORD]
    assert isinstance(made.content, bytes)
    assert b"reasons.json" not in made.content
    assert made.package == ""


def test_something_else_in_its_place_is_refused() -> None:
    entry = replace(plain(RECORD, b"mine"), reason=Reason(ReasonKind.RECIPE, "[[file]]"))
    with pytest.raises(ResolutionError, match="where rootlet writes down"):
        add_record({RECORD: entry})
