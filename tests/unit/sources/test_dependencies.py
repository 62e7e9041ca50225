"""The resolver on small archives written as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields as fields_of

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.dpkg.version import version_key
from builder.errors import BuildError, ResolutionError, RootletError
from builder.sources.debian.candidates import Candidate, Provider
from builder.sources.debian.dependencies import Choice, Want, resolve
from builder.sources.debian.relations import Relation, parse_alternatives, parse_relations


class TextIndex:
    """An archive as lines: ``name version; Field: value; …``."""

    def __init__(self, *lines: str) -> None:
        self._candidates = [_candidate(line) for line in lines]

    def named(self, name: str) -> tuple[Candidate, ...]:
        found = [one for one in self._candidates if one.name == name]
        return tuple(sorted(found, key=lambda one: version_key(one.version), reverse=True))

    def providers(self, name: str) -> tuple[Provider, ...]:
        found = [
            Provider(candidate=one, version=relation.version)
            for one in self._candidates
            for relation in parse_relations(one.provides)
            if relation.name == name
        ]
        return tuple(sorted(found, key=lambda provider: provider.candidate.name))

    def names(self) -> Iterable[str]:
        return [one.name for one in self._candidates]


class Unprovided(TextIndex):
    """An archive in which nothing is looked up by what provides it."""

    def providers(self, name: str) -> tuple[Provider, ...]:  # noqa: ARG002 (the protocol's)
        return ()


def _candidate(line: str) -> Candidate:
    head, *fields = (part.strip() for part in line.split(";"))
    name, _, version = head.partition(" ")
    known = {field.name for field in fields_of(Candidate)}
    values = {
        field.partition(":")[0].lower().replace("-", "_"): field.partition(":")[2].strip() for field in fields
    }
    values = {name: text for name, text in values.items() if name in known}
    return Candidate(name=name, version=version or "1.0", architecture="amd64", **values)  # type: ignore[arg-type]  # text fields


def run(lines: Iterable[str], *names: str, pins: Mapping[str, str] | None = None) -> tuple[Choice, ...]:
    wants = [Want(name=name) for name in names]
    return resolve(wants, TextIndex(*lines), architecture="amd64", pins=pins or {})


def shown(choices: Iterable[Choice]) -> list[str]:
    return [f"{choice.candidate}{'*' if choice.requested else ''}" for choice in choices]


@pytest.mark.parametrize(
    ("lines", "names", "expected"),
    [
        pytest.param(["a", "b"], ["a"], ["a 1.0*"], id="a package alone"),
        pytest.param(
            ["a; Depends: b; Recommends: x; Suggests: y", "b; Pre-Depends: c", "c", "x", "y"],
            ["a"],
            ["a 1.0*", "b 1.0", "c 1.0"],
            id="Depends and Pre-Depends, no Recommends",
        ),
        pytest.param(["a; Depends: b", "b; Depends: a"], ["a"], ["a 1.0*", "b 1.0"], id="a cycle"),
        pytest.param(["a 1.9", "a 1.10", "a 1.10~rc1"], ["a"], ["a 1.10*"], id="the highest version"),
        pytest.param(
            ["a; Depends: x | b | c", "b", "c"],
            ["a"],
            ["a 1.0*", "b 1.0"],
            id="the first alternative that exists",
        ),
        pytest.param(
            ["a; Depends: b | c", "b", "c"],
            ["a", "c"],
            ["a 1.0*", "c 1.0*"],
            id="the alternative that is requested",
        ),
        pytest.param(
            ["a; Depends: d, b | c", "b", "c", "d; Depends: c"],
            ["a"],
            ["a 1.0*", "c 1.0", "d 1.0"],
            id="the alternative that is needed anyway",
        ),
        pytest.param(
            ["a; Depends: b (>= 2) | c", "b 1", "c"], ["a"], ["a 1.0*", "c 1.0"], id="an alternative too old"
        ),
        pytest.param(["a; Depends: v", "p; Provides: v"], ["a"], ["a 1.0*", "p 1.0"], id="a virtual package"),
        pytest.param(
            ["a; Depends: v", "v", "p; Provides: v"], ["a"], ["a 1.0*", "v 1.0"], id="the real one before"
        ),
        pytest.param(
            ["a; Depends: v", "p; Provides: v; Priority: optional", "z; Provides: v; Priority: important"],
            ["a"],
            ["a 1.0*", "z 1.0"],
            id="the provider of higher priority",
        ),
        pytest.param(
            ["a; Depends: v", "p; Provides: v", "q; Provides: v"],
            ["a", "q"],
            ["a 1.0*", "q 1.0*"],
            id="the provider that is requested",
        ),
        pytest.param(
            ["a; Depends: v (>= 2)", "p; Provides: v", "q; Provides: v (= 1)", "r; Provides: v (= 2)"],
            ["a"],
            ["a 1.0*", "r 1.0"],
            id="a versioned Provides",
        ),
        pytest.param(
            ["a; Depends: v", "p 1; Provides: v", "p 2"], ["p", "a"], None, id="only an old version provides"
        ),
        pytest.param(
            ["a; Depends: py:any", "py"], ["a"], ["a 1.0*", "py 1.0"], id="an architecture qualifier"
        ),
        pytest.param(
            ["a; Depends: b:native, c:amd64", "b", "c"],
            ["a"],
            ["a 1.0*", "b 1.0", "c 1.0"],
            id="own architecture",
        ),
        pytest.param(["a; Depends: b:arm64", "b"], ["a"], None, id="another architecture"),
        pytest.param(["p; Provides: v"], ["v"], ["p 1.0*"], id="a virtual package requested, one provider"),
        pytest.param(
            ["a; Depends: b (= 1)", "b 2", "b 1"],
            ["a", "b"],
            ["a 1.0*", "b 1*"],
            id="a requested package lowered by an exact condition",
        ),
        pytest.param(
            ["a; Depends: c, b", "b; Depends: c (<< 2)", "c 1", "c 2"],
            ["a"],
            ["a 1.0*", "b 1.0", "c 1"],
            id="a later condition revises a choice",
        ),
        pytest.param(
            ["a; Depends: b | c", "b; Conflicts: d", "c", "d"],
            ["a", "d"],
            ["a 1.0*", "c 1.0", "d 1.0*"],
            id="an alternative that excludes nothing",
        ),
        pytest.param(
            ["a; Depends: b | c", "b", "c", "d; Breaks: b (<< 2)"],
            ["a", "d"],
            ["a 1.0*", "c 1.0", "d 1.0*"],
            id="an alternative that nothing excludes",
        ),
        pytest.param(
            ["a; Conflicts: a", "b; Provides: v; Conflicts: v"],
            ["a", "b"],
            ["a 1.0*", "b 1.0*"],
            id="a package never excludes itself",
        ),
        pytest.param(
            ["a; Conflicts: b (<< 1)", "b"],
            ["a", "b"],
            ["a 1.0*", "b 1.0*"],
            id="a conflict with another version",
        ),
        pytest.param(
            ["a; Depends: b (>> 1), b (<< 3)", "b 1", "b 2", "b 3"],
            ["a"],
            ["a 1.0*", "b 2"],
            id="two conditions on one package",
        ),
    ],
)
def test_resolution(lines: list[str], names: list[str], expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(ResolutionError):
            run(lines, *names)
    else:
        assert shown(run(lines, *names)) == expected


@pytest.mark.parametrize(
    ("lines", "names", "pins", "message"),
    [
        pytest.param(
            ["redis-server", "redis-tools"],
            ["redis-servr"],
            {},
            "redis-servr was not found, asked for by the recipe; nearest names: redis-server",
            id="a name that does not exist",
        ),
        pytest.param(
            ["x"],
            ["quite-other"],
            {},
            "quite-other was not found, asked for by the recipe",
            id="nothing near",
        ),
        pytest.param(
            ["bar; Depends: libfoo (>= 2)", "libfoo 1.9", "top; Depends: bar"],
            ["top"],
            {},
            "libfoo (>= 2) is needed by bar 1.0 (Depends), available: 1.9\n"
            "  bar 1.0 is needed by top 1.0 (Depends: bar)\n"
            "  top 1.0 is asked for by the recipe",
            id="a version too old, with the chain to the recipe",
        ),
        pytest.param(
            ["a; Depends: b | c (>= 2)", "c 1"],
            ["a"],
            {},
            "b | c (>= 2) is needed by a 1.0 (Depends), no package is called b or provides it; available: 1\n"
            "  a 1.0 is asked for by the recipe",
            id="alternatives that all fail",
        ),
        pytest.param(
            ["a; Breaks: b (<< 2)", "b 1"],
            ["a", "b"],
            {},
            "a 1.0 and b 1 cannot be together (a Breaks: b (<< 2))\n"
            "  a 1.0 is asked for by the recipe\n  b 1 is asked for by the recipe",
            id="packages that exclude each other",
        ),
        pytest.param(
            ["a; Provides: mta; Conflicts: mta", "b; Provides: mta; Conflicts: mta"],
            ["a", "b"],
            {},
            "a 1.0 and b 1.0 cannot be together (a Conflicts: mta)",
            id="two of a kind",
        ),
        pytest.param(
            ["a 1", "a 2"],
            ["a"],
            {"a": "3"},
            "a is pinned to 3, which the archive does not have; available: 2, 1",
            id="a pin that is not there",
        ),
        pytest.param(
            ["a"],
            ["a"],
            {"b": "3"},
            "b is pinned to 3, which the archive does not have; no package has that name",
            id="a pin of nothing",
        ),
        pytest.param(
            ["a; Depends: b (>= 2)", "b 1", "b 2"],
            ["a"],
            {"b": "1"},
            "b (>= 2) is needed by a 1.0 (Depends), available: 2, 1, but the recipe pins b (= 1)",
            id="a pin that does not do",
        ),
        pytest.param(
            ["p; Provides: v", "q; Provides: v"],
            ["v"],
            {},
            "v is provided by several packages: p, q",
            id="a virtual name requested",
        ),
        pytest.param(
            ["a; Depends: b (= 1), c", "c; Depends: b (= 2)", "b 1", "b 2"],
            ["a"],
            {},
            "b (= 1) is needed by a 1.0 (Depends), available: 2, 1, but c 1.0 needs b (= 2)",
            id="conditions that cannot both hold",
        ),
    ],
)
def test_message(lines: list[str], names: list[str], pins: dict[str, str], message: str) -> None:
    with pytest.raises(ResolutionError) as caught:
        run(lines, *names, pins=pins)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_who_wanted_it() -> None:
    index = TextIndex("a 2; Depends: b (>= 1) | c", "b 1", "base-files")
    wants = [Want(name="base-files", wanted_by="every image", requested=False), Want(name="a")]
    choices = resolve(wants, index, architecture="amd64", pins={})
    assert [(one.candidate.name, one.requested, one.wanted_by) for one in choices] == [
        ("a", True, "recipe"),
        ("b", False, "a (2) Depends: b (>= 1) | c"),
        ("base-files", False, "every image"),
    ]


def test_wanted_twice_is_requested() -> None:
    wants = [Want(name="a", wanted_by="every image", requested=False), Want(name="a")]
    (choice,) = resolve(wants, TextIndex("a"), architecture="amd64", pins={})
    assert (choice.requested, choice.wanted_by) == (True, "recipe")


def test_absent_extra_names_who_wants_it() -> None:
    wants = [Want(name="base-files", wanted_by="every image", requested=False)]
    with pytest.raises(ResolutionError, match="base-files was not found, asked for by every image"):
        resolve(wants, TextIndex("a"), architecture="amd64", pins={})


def test_pinned_version_is_chosen() -> None:
    assert shown(run(["a 1", "a 2"], "a", pins={"a": "1"})) == ["a 1*"]


@pytest.mark.parametrize("field", ["Depends", "Pre-Depends", "Conflicts", "Breaks", "Provides"])
def test_malformed_relation_is_the_archives_fault(field: str) -> None:
    index = Unprovided("b")
    index._candidates.append(_candidate(f"a; {field}: b (~ 1)"))
    with pytest.raises(BuildError, match=f"a 1.0 has a {field} field that cannot be read"):
        resolve([Want(name="a"), Want(name="b")], index, architecture="amd64", pins={})


@pytest.mark.parametrize(
    ("text", "version", "accepted"),
    [
        ("a", "1", True),
        ("a (= 1.0)", "1.0-0", True),
        ("a (>> 1:0)", "2", False),
        ("a (<= 1)", "1~rc1", True),
        ("a (<< 1)", "1", False),
        ("a (< 1)", "1", True),
        ("a (> 1)", "1", True),
        ("a:any (>=1)", "1", True),
    ],
)
def test_relation(text: str, version: str, *, accepted: bool) -> None:
    ((relation,),) = parse_alternatives(text)
    assert relation.accepts(version) is accepted


def test_relation_is_written_as_it_was_read() -> None:
    text = "a (>= 1) | b:any, c"
    assert ", ".join(" | ".join(map(str, clause)) for clause in parse_alternatives(text)) == text
    assert parse_alternatives(" a [amd64] ,\n b,") == ((Relation("a"),), (Relation("b"),))


NAMES = st.sampled_from("abcdef")
CLAUSES = st.lists(st.lists(NAMES, min_size=1, max_size=2).map(" | ".join), max_size=3).map(", ".join)
ARCHIVES = st.dictionaries(
    NAMES, st.tuples(CLAUSES, st.one_of(st.just(""), NAMES), st.one_of(st.just(""), NAMES)), max_size=6
)


@given(ARCHIVES, st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_answer_is_closed_free_of_conflicts_and_stable(
    archive: dict[str, tuple[str, str, str]], names: list[str]
) -> None:
    lines = [
        f"{name}; Depends: {depends}; Conflicts: {conflicts}; Provides: {provides}"
        for name, (depends, conflicts, provides) in archive.items()
    ]
    try:
        choices = run(lines, *names)
    except RootletError as error:
        assert isinstance(error, ResolutionError)  # noqa: PT017 (the other kinds are failures too)
        return
    chosen = {one.candidate.name: one.candidate for one in choices}
    offered = set(chosen) | {one.provides for one in chosen.values()}
    for one in chosen.values():
        for clause in parse_alternatives(one.depends):
            assert any(relation.name in offered for relation in clause)
        for other in chosen.values():
            if other.name != one.name:
                assert one.conflicts not in {other.name, other.provides} - {""}
    assert run(lines[::-1], *names[::-1]) and shown(run(lines, *names)) == shown(choices)  # noqa: PT018 (one property)
