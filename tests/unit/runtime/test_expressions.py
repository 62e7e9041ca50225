"""Expressions that are compiled late say truly how what they match begins."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.runtime.expressions import Expression, Index
from builder.runtime.rulebook import shipped_rules

_STARTS = {
    r"libssl\.so\.3": ("libssl.so.3",),
    r"libcurl(?:-gnutls)?\.so|libsoup-3": ("libcurl", "libsoup-3"),
    r"colou?r": ("colo",),
    r"ab*c": ("a",),
    r"ab{2}": ("a",),
    r"ab+": ("ab",),
    r"(?:a|b)c|d": ("", "d"),
    r"[|(]x|y": ("", "y"),
    r"/etc/a\|b": ("/etc/a",),
    r".*": ("",),
    "": ("",),
}


@pytest.mark.parametrize(("pattern", "starts"), _STARTS.items())
def test_the_literal_beginnings_of_an_expression(pattern: str, starts: tuple[str, ...]) -> None:
    assert Expression(pattern).starts == starts


_SHIPPED = sorted(
    {
        expression.pattern
        for rule in shipped_rules()
        for expression in (
            rule.when.library,
            rule.when.path,
            rule.when.package,
            rule.when.present,
            rule.when.interpreter,
        )
        if expression is not None
    }
)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), pattern=st.sampled_from(_SHIPPED))
def test_whatever_a_shipped_expression_matches_is_found_by_the_index(
    data: st.DataObject, pattern: str
) -> None:
    text = data.draw(st.from_regex(re.compile(pattern, re.DOTALL), fullmatch=True))
    assert text.startswith(Expression(pattern).starts)
    index = Index((one, Expression(one)) for one in _SHIPPED)
    assert pattern in {owner for owner, _ in index.matches(text)}


def test_an_index_gives_owners_in_order_and_nothing_for_what_matches_nothing() -> None:
    index = Index([(1, Expression("a.")), (2, None), (3, Expression("ab")), (4, Expression("b"))])
    assert [(owner, match[0]) for owner, match in index.matches("ab")] == [(1, "ab"), (3, "ab")]
    assert list(index.matches("c")) == []
    assert list(Index([(1, None)]).matches("c")) == []


def test_an_expression_is_a_value() -> None:
    assert Expression("a") == Expression("a") != Expression("b")
    assert len({Expression("a"), Expression("a")}) == 1
    assert repr(Expression("a")) == "Expression('a')"
