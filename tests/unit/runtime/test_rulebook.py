"""Rules as they are written: what a file of rules may say, and what is wrong with one that says more."""

from __future__ import annotations

from pathlib import Path

import pytest

import builder.runtime
from builder.recipe.model import FEATURES
from builder.runtime.made.makers import MAKERS
from builder.runtime.rulebook import expand, read_rules, shipped_rules, watched_symbols

_GOOD = """
[[rule]]
name = "plugins"
about = "libapp loads its plug-ins by name (app(1))"
when.library = 'libapp\\.so\\.(?P<version>[0-9]+)'
add = ["{folder}/app-{version}/*.so"]
leave = ["/usr/lib/app-*/debug.so"]
take = ["app-data"]
"""


def test_a_rule_is_read_whole() -> None:
    (rule,) = read_rules(_GOOD, "app.toml")
    assert (rule.name, rule.add, rule.take) == ("plugins", ("{folder}/app-{version}/*.so",), ("app-data",))
    assert rule.when.file_groups("/usr/lib/libapp.so.2", "libapp.so.2", frozenset()) == {"version": "2"}
    assert rule.when.file_groups("/usr/lib/libapp.so.2", "libother.so.2", frozenset()) is None
    assert rule.leave == ("/usr/lib/app-*/debug.so",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nadd = ["/x"]',
            "a.toml: a: nothing switches it on",
            id="a rule that nothing switches on",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nfeature = "f"',
            "a.toml: a: it does nothing",
            id="a rule that does nothing",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nfeature = "f"\nadd = ["x"]',
            "'x' is no absolute path",
            id="a glob that is not absolute",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nwhen.path = "/x"\nadd = ["/{version}"]',
            "unknown placeholders: version",
            id="a placeholder that no expression gives",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nwhen.package = "x"\nadd = ["{folder}/x"]',
            "needs a file that matched",
            id="the folder of a file where no file matches",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nfeature = "f"\nad = ["/x"]',
            "unknown keys: ad",
            id="a misspelled key",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nwhen.path = "("\nadd = ["/x"]',
            "a.toml: a:",
            id="a broken expression",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nwhen.path = "/x"\nwhen.interpreter = "/y"\nadd = ["/x"]',
            "`interpreter` stands alone",
            id="an interpreter and a path in one",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nwhen.package = "p"\nwhen.text = "x"\nadd = ["/x"]',
            "`text` needs the `path`",
            id="a text of no file",
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nfeature = "f"\nwhen.path = "/x"\nadd = ["{folder}/y"]',
            "a feature gives globs nothing but {libdir}",
            id="a feature whose globs speak of a file",
        ),
        pytest.param(
            '[[rule]]\nabout = "b"\nfeature = "f"\nadd = ["/x"]', "a.toml: rule 1: 'name'", id="no name"
        ),
        pytest.param(
            '[[rule]]\nname = "a"\nabout = "b"\nfeature = "f"\nadd = "/x"',
            "expected a list of texts",
            id="text where a list is expected",
        ),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_rules(text, "a.toml")
    assert message in str(caught.value)


def test_values_in_globs_stand_for_themselves() -> None:
    assert expand("{folder}/x-{a}/*.so", {"folder": "/o[1]?", "a": "*"}) == "/o[[]1][?]/x-[*]/*.so"


def test_shipped_rules_pass_every_check() -> None:
    files = sorted((Path(builder.runtime.__file__).parent / "rules").glob("*.toml"))
    checked = tuple(rule for file in files for rule in read_rules(file.read_text("utf-8"), file.name))
    assert checked == shipped_rules()


def test_shipped_rules_have_names_of_their_own_and_speak_in_sentences() -> None:
    rules = shipped_rules()
    assert len({rule.name for rule in rules}) == len(rules) > 0
    assert [rule.name for rule in rules if len(rule.about.split()) < 4] == []


def test_the_recipes_features_are_those_of_the_rules() -> None:
    assert {rule.feature for rule in shipped_rules() if rule.feature} == set(FEATURES)


def test_watched_symbols_are_all_that_rules_ask_for() -> None:
    rules = read_rules(
        '[[rule]]\nname = "a"\nabout = "b"\nwhen.symbols = ["x", "y"]\nadd = ["/z"]'
        '\n[[rule]]\nname = "c"\nabout = "d"\nwhen.symbols = ["y"]\nadd = ["/z"]',
        "a.toml",
    )
    assert watched_symbols(rules) == {"x", "y"}


def test_what_rules_want_made_has_a_maker() -> None:
    assert {name for rule in shipped_rules() for name in rule.make} == set(MAKERS)
