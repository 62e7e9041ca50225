"""Chains of reasons from what the recipe says to one path, and what a path that was asked for comes to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan.chain import MAX_STEPS, Chains, Explanation, explain, origin
from builder.plan.contents import Contents, Place, make_contents, nearest, planned_contents
from builder.plan.model import Entry
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind
from tests.support.images import folder, layer_of, plain, plan_of, symlink

LIB = "/usr/lib/libx.so.1.2"


def of(entry: Entry, package: str, kind: ReasonKind, subject: str = "") -> Entry:
    return replace(entry, package=package, reason=Reason(kind, subject))


IMAGE = (
    of(folder("/etc"), "base", ReasonKind.PAYLOAD, "app"),
    of(plain("/etc/passwd", b"root"), "", ReasonKind.ACCOUNTS),
    of(symlink("/lib", "usr/lib"), "base", ReasonKind.SYSTEM, "/lib"),
    of(plain("/opt/tool", b"t"), "", ReasonKind.INSTALL, "tools"),
    of(plain("/usr/bin/app", b"app"), "app", ReasonKind.ENTRYPOINT, "entrypoint"),
    of(plain("/usr/bin/sh", b"sh"), "dash", ReasonKind.SHEBANG, "/usr/bin/app"),
    of(folder("/usr/lib"), "libx1", ReasonKind.PARENT, LIB),
    of(symlink("/usr/lib/libx.so.1", "libx.so.1.2"), "libx1", ReasonKind.LINK, LIB),
    of(plain(LIB, b"libx"), "libx1", ReasonKind.NEEDED, "/usr/bin/app"),
    of(plain("/usr/lib/liby.so.1", b"y"), "liby1", ReasonKind.NEEDED, LIB),
    of(plain("/usr/lib/plug.so", b"p"), "plug", ReasonKind.RULE, LIB),
    of(plain("/usr/lib/taken.so", b"p"), "plug", ReasonKind.RULE, "libx1"),
    of(plain("/usr/share/doc/gcc/copyright", b"c"), "gcc", ReasonKind.COPYRIGHT, "libx1"),
    of(plain("/usr/share/kept", b"k"), "data", ReasonKind.KEEP, "/usr/share/k*"),
    of(plain("/var/lib/dpkg/status.d/gcc", b"g"), "", ReasonKind.METADATA, "gcc"),
    of(plain("/var/lib/dpkg/status.d/gone", b"g"), "", ReasonKind.METADATA, "gone"),
    of(symlink("/var/lock", "/nowhere"), "", ReasonKind.SYSTEM, "/var/lock"),
)
ENTRY = "the recipe's entrypoint"
APP = "/usr/bin/app"
CHAINS = [
    pytest.param(APP, ENTRY, [APP], id="the entry point is a chain of one"),
    pytest.param("/usr/bin/sh", ENTRY, [APP, "/usr/bin/sh"], id="an interpreter comes from its script"),
    pytest.param(LIB, ENTRY, [APP, LIB], id="a library from its program"),
    pytest.param(
        "/usr/lib/liby.so.1", ENTRY, [APP, LIB, "/usr/lib/liby.so.1"], id="a library's library through it"
    ),
    pytest.param(
        "/usr/lib/libx.so.1", ENTRY, [APP, LIB, "/usr/lib/libx.so.1"], id="a link from what it leads to"
    ),
    pytest.param("/usr/lib", ENTRY, [APP, LIB, "/usr/lib"], id="a folder from what is in it"),
    pytest.param("/usr/lib/plug.so", ENTRY, [APP, LIB, "/usr/lib/plug.so"], id="a rule from a file"),
    pytest.param("/usr/lib/taken.so", ENTRY, [APP, LIB, "/usr/lib/taken.so"], id="a rule from a package"),
    pytest.param(
        "/var/lib/dpkg/status.d/gcc",
        ENTRY,
        [APP, LIB, "/usr/share/doc/gcc/copyright", "/var/lib/dpkg/status.d/gcc"],
        id="a record from the package, which is there for a copyright alone",
    ),
    pytest.param(
        "/var/lib/dpkg/status.d/gone",
        "rootlet: no more is written down about gone",
        ["/var/lib/dpkg/status.d/gone"],
        id="a lost end",
    ),
    pytest.param(
        "/usr/share/kept", 'the recipe\'s [runtime] keep = ["/usr/share/k*"]', ["/usr/share/kept"], id="kept"
    ),
    pytest.param("/etc", 'the recipe\'s packages = ["app"]', ["/etc"], id="a payload"),
    pytest.param("/opt/tool", "the recipe's [[install]] of tools", ["/opt/tool"], id="installed"),
    pytest.param("/etc/passwd", "rootlet: what every image has", ["/etc/passwd"], id="made by rootlet"),
]


def image(*entries: Entry) -> Contents:
    return planned_contents(plan_of(layer_of(*(entries or IMAGE))), subject="demo")


def explained(path: str) -> tuple[Explanation, ...]:
    contents = image()
    return explain(contents, Chains(contents.places), path)


@pytest.mark.parametrize(("path", "first", "paths"), CHAINS)
def test_chains(path: str, first: str, paths: list[str]) -> None:
    found = Chains(image().places).of(path)
    assert [place.path for place in found] == paths
    assert origin(found) == first


def test_every_kind_of_reason_has_an_origin_in_words() -> None:
    for kind in ReasonKind:
        place = Place(path="/x", kind=Kind.FILE, reason=Reason(kind, "thing"))
        assert origin((place,)).startswith(("the recipe's ", "rootlet: "))
    assert origin(()) == origin((Place(path="/x", kind=Kind.FILE),)) == ""


def contents_of(places: Iterable[Place]) -> Contents:
    return make_contents("x", places, image().inventory, layers=(), recorded=True)


PATHS = [f"/{letter}" for letter in "abcdef"]


@given(
    st.dictionaries(
        st.sampled_from(PATHS),
        st.tuples(
            st.sampled_from(ReasonKind), st.sampled_from([*PATHS, "p", "q", ""]), st.sampled_from("pq")
        ),
    )
)
def test_no_record_makes_a_chain_without_end(record: dict[str, tuple[ReasonKind, str, str]]) -> None:
    places = {
        path: Place(path=path, kind=Kind.FILE, package=package, reason=Reason(kind, subject))
        for path, (kind, subject, package) in record.items()
    }
    chains = Chains(contents_of(places.values()).places)
    for path in places:
        found = [place.path for place in chains.of(path)]
        assert found[-1] == path
        assert len(found) == len(set(found))


def test_a_package_is_spoken_for_by_the_file_with_the_shortest_chain() -> None:
    places, chains = image().places, Chains(image().places)
    assert chains.spokesman("libx1") == places[LIB]
    assert chains.spokesman("gcc") == places["/usr/share/doc/gcc/copyright"]
    assert chains.spokesman("nothing") is None


def test_a_hostile_record_costs_little_and_is_cut() -> None:
    count = 20_000
    places = [
        Place(path=f"/{n}", kind=Kind.FILE, package="p", reason=Reason(ReasonKind.NEEDED, f"/{n + 1}"))
        for n in range(count)
    ]
    more = [
        Place(path=f"/m{n}", kind=Kind.FILE, package=f"m{n}", reason=Reason(ReasonKind.METADATA, f"m{n + 1}"))
        for n in range(count)
    ]
    chains = Chains(contents_of([*places, *more]).places)
    begin = time.process_time()
    assert {len(chains.of(f"/{n}")) for n in range(0, count, 100)} == {MAX_STEPS, 100}
    assert len(chains.of("/m0")) == MAX_STEPS
    assert chains.spokesman("p") == places[-1]
    assert time.process_time() - begin < 2


def names(places: Iterable[Place]) -> list[str]:
    return [place.path for place in places]


def test_a_link_is_explained_and_then_followed() -> None:
    link, target = explained("/lib/libx.so.1")
    assert (link.place.path, names(link.links)) == ("/usr/lib/libx.so.1", ["/lib"])
    assert (target.place.path, names(target.links)) == (LIB, ["/usr/lib/libx.so.1"])


def test_a_link_to_nowhere_is_explained_alone() -> None:
    assert [one.place.path for one in explained("/var/lock")] == ["/var/lock"]


@pytest.mark.parametrize("path", ["/usr//bin/./app", "/usr/bin/app/", "/lib/../bin/app"])
def test_a_path_is_found_however_it_is_written(path: str) -> None:
    assert names(one.place for one in explained(path)) == [APP]


@pytest.mark.parametrize("path", ["/nothing", "/usr/bin/app/x", "/usr", "/"])
def test_what_has_no_entry_is_not_explained(path: str) -> None:
    assert explained(path) == ()


def test_patterns_packages_and_folders() -> None:
    contents = image()
    assert names(contents.glob("/usr/lib/lib*.so.1")) == ["/usr/lib/libx.so.1", "/usr/lib/liby.so.1"]
    assert names(contents.of_package("libx1")) == ["/usr/lib/libx.so.1", LIB]
    assert names(contents.below("/etc")) == ["/etc/passwd"]
    assert len(list(contents.below("/"))) == len(IMAGE)


@pytest.mark.parametrize(
    ("asked", "found"),
    [("/bin/sh", ("/usr/bin/sh",)), ("/lib/libz.so.1", ("/usr/lib/liby.so.1",)), ("/zzz", ()), ("/", ())],
)
def test_the_nearest_paths(asked: str, found: tuple[str, ...]) -> None:
    assert nearest(asked, image().places)[:1] == found


def test_a_plan_has_its_packages_in_the_inventory() -> None:
    assert str(image().inventory.distribution) == "debian-13"
    bare = planned_contents(replace(plan_of(layer_of()), distribution=""), subject="x")
    assert bare.inventory.distribution is None
