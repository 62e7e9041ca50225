"""Secrets are blotted out of output wherever its pieces are cut."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.engine.redact import BLOT, Lines, Redactor, spellings

SECRET = b"s3cr3t/token+value"


def through(texts: tuple[bytes, ...], pieces: list[bytes]) -> bytes:
    redactor = Redactor(texts)
    return b"".join([*(redactor.feed(piece) for piece in pieces), redactor.flush()])


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        base64.b64encode(SECRET),
        base64.urlsafe_b64encode(SECRET),
        b"s3cr3t/token%2Bvalue",
    ],
    ids=["as it is", "base64", "base64 for addresses", "percent-encoded"],
)
def test_every_spelling(text: bytes) -> None:
    assert through(spellings([SECRET + b"\n"]), [b"a " + text + b" b\n"]) == b"a *** b\n"


def test_lines_of_a_secret_count_alone_but_short_ones_do_not() -> None:
    texts = spellings([b"first line\nab\nsecond line"])
    assert through(texts, [b"ab: second line, first line"]) == b"ab: ***, ***"


@given(st.binary(max_size=60), st.lists(st.integers(0, 80), max_size=6), st.integers(1, 3))
def test_no_cut_lets_a_secret_through(around: bytes, cuts: list[int], times: int) -> None:
    text = (around + SECRET) * times + around
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    shown = through(spellings([SECRET]), pieces)
    assert SECRET not in shown
    assert shown.count(BLOT) >= times


def test_without_secrets_nothing_is_kept_back() -> None:
    assert Redactor(()).feed(b"x") == b"x"


def test_lines_end_as_on_a_terminal() -> None:
    lines = Lines()
    assert lines.feed(b"10 %\r20 %\r\nd\xff") == ["10 %", "20 %"]
    assert lines.feed(b"one") == []
    assert lines.flush() == ["d\ufffdone"]
    assert lines.flush() == []


def test_a_line_without_end_is_cut() -> None:
    assert [len(line) for line in Lines().feed(b"x" * 70_000)] == [70_000]
