"""What switches a rule on, and what it adds to a small image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.elf.facts import ElfFacts
from builder.oci import ImageConfig, Platform
from builder.recipe.model import Recipe, Runtime
from builder.recipe.source_model import DebianSource
from builder.runtime.closure import Closure
from builder.runtime.resolve import resolve
from builder.runtime.rulebook import read_rules, watched_symbols, watched_texts
from builder.sources.debian.tree import merged_tree
from builder.sources.local import LocalFiles
from tests.support.mkelf import Spec, mkelf
from tests.support.packages import Dir, File, Link, make_package

LIB = "/usr/lib/x86_64-linux-gnu"
_RULE = '[[rule]]\nname = "r"\nabout = "programs of this test open these files"\n'


@dataclass(frozen=True)
class Case:
    """An image of ``app`` (named); ``dep`` is beside it. ``expect``: path → words of its reason."""

    id: str
    rules: str
    app: Mapping[str, Dir | File | Link]
    dep: Mapping[str, Dir | File | Link]
    expect: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    config: ImageConfig = field(default_factory=ImageConfig)
    runtime: Runtime = field(default_factory=Runtime)
    taken: tuple[str, ...] = ()
    made: tuple[str, ...] = ()


def library(soname: str, *needed: str) -> File:
    return File(content=mkelf(Spec(soname=soname, needed=needed)))


APP = {
    "/usr/bin/app": File(content=b"#!/usr/bin/lang3.7\n", mode=0o755),
    f"{LIB}/liba.so.1": library("liba.so.1"),
}
DEP = {
    "/usr/bin/lang3.7": File(content=b"binary", mode=0o755),
    "/usr/lib/lang3.7/std/os.x": File(content=b"x"),
    "/usr/lib/lang3.7/test/os.x": File(content=b"x"),
    "/usr/lib/lang3.8/std/os.x": File(content=b"x"),
    f"{LIB}/plugins-1/p.so": library("p.so", "libq.so.1"),
    f"{LIB}/plugins-2/p.so": library("p.so"),
    f"{LIB}/libq.so.1": library("libq.so.1"),
    "/etc/lang.conf": File(content=b"x"),
}

CASES = (
    Case(
        "a library of the image brings what stands beside it, closed over",
        rules=_RULE + "when.library = 'liba\\.so\\.(?P<v>.*)'\nadd = [\"{folder}/plugins-{v}/*\"]",
        app=APP,
        dep=DEP,
        expect={
            f"{LIB}/plugins-1/p.so": f"needed at run time by {LIB}/liba.so.1 (r)",
            f"{LIB}/libq.so.1": f"DT_NEEDED of {LIB}/plugins-1/p.so (default folder {LIB})",
        },
        absent=(f"{LIB}/plugins-2/p.so",),
    ),
    Case(
        "an interpreter brings its library, less what is left",
        rules=_RULE
        + "when.interpreter = '/usr/bin/lang(?P<v>[0-9.]+)'\nadd = [\"/usr/lib/lang{v}/**\"]\n"
        + 'leave = ["/usr/lib/lang*/test/**"]',
        app=APP,
        dep=DEP,
        expect={"/usr/lib/lang3.7/std/os.x": "needed at run time by /usr/bin/lang3.7 (r)"},
        absent=("/usr/lib/lang3.7/test/os.x", "/usr/lib/lang3.8/std/os.x"),
    ),
    Case(
        "a folder found in the path of a file is taken whole; a group that took no part adds nothing",
        rules=_RULE
        + "when.path = '(?P<home>/.+/lang3\\.7)/std/os.x|(?P<other>/none)'\n"
        + 'add = ["{home}/**", "{other}/**"]\n'
        + _RULE.replace('"r"', '"s"')
        + 'when.path = "/usr/bin/app"\nadd = ["/usr/lib/lang3.7/std/*"]',
        app=APP,
        dep=DEP,
        expect={"/usr/lib/lang3.7/test/os.x": "needed at run time by /usr/lib/lang3.7/std/os.x (r)"},
        absent=("/usr/lib/lang3.8/std/os.x", "/etc/lang.conf"),
    ),
    Case(
        "a path of the image switches a rule on, and what that adds switches on another",
        rules=_RULE
        + 'when.path = "/usr/bin/app"\nadd = ["/etc/lang.conf"]\n'
        + _RULE.replace('"r"', '"s"')
        + 'when.path = "/etc/lang.conf"\nadd = ["/usr/lib/lang3.8/**"]',
        app=APP,
        dep=DEP,
        expect={
            "/etc/lang.conf": "needed at run time by /usr/bin/app (r)",
            "/usr/lib/lang3.8/std/os.x": "needed at run time by /etc/lang.conf (s)",
        },
    ),
    Case(
        "a rule waits for its condition on the image, whichever holds first",
        rules=_RULE
        + 'when.library = \'liba.*\'\nwhen.present = "/etc/lang.conf"\nadd = ["{folder}/plugins-2/*"]\n'
        + _RULE.replace('"r"', '"s"')
        + 'when.path = "/usr/bin/app"\nadd = ["/etc/lang.conf"]',
        app=APP,
        dep=DEP,
        expect={f"{LIB}/plugins-2/p.so": f"needed at run time by {LIB}/liba.so.1 (r)"},
    ),
    Case(
        "a condition that never holds adds nothing",
        rules=_RULE + 'when.library = \'liba.*\'\nwhen.present = "/no"\nadd = ["{folder}/plugins-2/*"]',
        app=APP,
        dep=DEP,
        absent=(f"{LIB}/plugins-2/p.so",),
    ),
    Case(
        "a variable of the image switches a rule on",
        rules=_RULE + 'when.env = "MODE=(?:full|all)"\nadd = ["/etc/lang.conf"]',
        app=APP,
        dep=DEP,
        config=ImageConfig(env=(("MODE", "full"),)),
        expect={"/etc/lang.conf": "needed at run time by MODE=full (r)"},
    ),
    Case(
        "another value of it does not",
        rules=_RULE + 'when.env = "MODE=(?:full|all)"\nadd = ["/etc/lang.conf"]',
        app=APP,
        dep=DEP,
        config=ImageConfig(env=(("MODE", "fuller"),)),
        absent=("/etc/lang.conf",),
    ),
    Case(
        "a variable of the image gives its named groups",
        rules=_RULE + "when.env = 'MODE=(?P<v>[0-9.]+)'\nadd = [\"/usr/lib/lang{v}/**\"]",
        app=APP,
        dep=DEP,
        config=ImageConfig(env=(("MODE", "3.8"),)),
        expect={"/usr/lib/lang3.8/std/os.x": "needed at run time by MODE=3.8 (r)"},
        absent=("/usr/lib/lang3.7/std/os.x",),
    ),
    Case(
        "each line of a file that names something switches a rule on, and other lines and files do not",
        rules=_RULE
        + "when.path = '/etc/.*[.]conf'\nwhen.text = '^load (?P<v>[0-9.]+)$'\n"
        + 'add = ["/usr/lib/lang{v}/**"]',
        app={
            **APP,
            "/etc/app.conf": File(content=b"load 3.6\n#load 3.7\nload 3.8\nload 3.7 later\n\xff"),
            "/etc/app.txt": File(content=b"load 3.7"),
        },
        dep=DEP,
        expect={"/usr/lib/lang3.8/std/os.x": "needed at run time by /etc/app.conf (r)"},
        absent=("/usr/lib/lang3.7/std/os.x",),
    ),
    Case(
        "a file that is too long for a configuration is not searched",
        rules=_RULE + "when.path = '/etc/app.conf'\nwhen.text = 'a'\nadd = [\"/etc/lang.conf\"]",
        app={**APP, "/etc/app.conf": File(content=b"a" * ((1 << 20) + 1))},
        dep=DEP,
        absent=("/etc/lang.conf",),
    ),
    Case(
        "a text in the bytes of a program switches a rule on, wherever it stands",
        rules=_RULE + 'when.holds = ["/etc/lang.conf"]\nadd = ["/etc/lang.conf"]',
        app={"/usr/bin/static": File(content=mkelf(Spec(flags_1=0x08000000, rodata=b"a/etc/lang.confb")))},
        dep=DEP,
        expect={"/etc/lang.conf": "needed at run time by /usr/bin/static (r)"},
    ),
    Case(
        "the same text in a library does not",
        rules=_RULE + 'when.holds = ["/etc/lang.conf"]\nadd = ["/etc/lang.conf"]',
        app={f"{LIB}/liba.so.1": File(content=mkelf(Spec(soname="liba.so.1", rodata=b"a/etc/lang.confb")))},
        dep=DEP,
        absent=("/etc/lang.conf",),
    ),
    Case(
        "the recipe's word switches a rule on",
        rules=_RULE + 'feature = "fonts"\nadd = ["/etc/lang.conf"]\ntake = ["fonts"]\nmake = ["index"]',
        app=APP,
        dep=DEP,
        runtime=Runtime(features=("fonts",)),
        expect={"/etc/lang.conf": "feature fonts (r)"},
        taken=("fonts",),
        made=("index",),
    ),
    Case(
        "a feature that nobody asks for does not",
        rules=_RULE + 'feature = "fonts"\nadd = ["/etc/lang.conf"]\ntake = ["fonts"]',
        app=APP,
        dep=DEP,
        absent=("/etc/lang.conf",),
    ),
    Case(
        "a package that gives the image a file switches a rule on",
        rules=_RULE + 'when.package = "app"\nadd = ["{libdir}/plugins-2/*"]',
        app=APP,
        dep=DEP,
        expect={f"{LIB}/plugins-2/p.so": "needed at run time by app (r)"},
    ),
    Case(
        "a package that gives nothing does not",
        rules=_RULE + 'when.package = "none"\nadd = ["{libdir}/plugins-2/*"]',
        app=APP,
        dep=DEP,
        absent=(f"{LIB}/plugins-2/p.so",),
    ),
    Case(
        "a script that the image starts switches a rule on for each word in it, and what that adds in turn",
        rules=_RULE
        + "when.script = '/bin/sh|sh'\nwhen.text = '^(?P<c>\\w+)'\n"
        + 'add = ["/usr/bin/{c}"]\ntake = ["dash"]',
        app={
            "/usr/bin/app": File(content=b"#!/usr/bin/env sh\nlang3 x\n", mode=0o755),
            "/usr/bin/sh": File(content=b"binary", mode=0o755),
            "/usr/bin/env": File(content=b"binary", mode=0o755),
        },
        dep={
            "/usr/bin/lang3": File(content=b"#!/bin/sh\nmore\n", mode=0o755),
            "/usr/bin/more": File(content=b"x", mode=0o755),
        },
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
        expect={
            "/usr/bin/lang3": "needed at run time by /usr/bin/app (r)",
            "/usr/bin/more": "needed at run time by /usr/bin/lang3 (r)",
        },
        taken=("dash",),
    ),
    Case(
        "scripts of the package of such a script count too, as they call each other by variables",
        rules=_RULE + "when.script = '/usr/bin/sh'\nwhen.text = '^(?P<c>\\w+)'\nadd = [\"/usr/bin/{c}\"]",
        app={
            "/usr/bin/app": File(content=b"#!/usr/bin/sh\n$other\n", mode=0o755),
            "/usr/bin/other": File(content=b"#!/usr/bin/sh\nmore\n", mode=0o755),
            "/usr/bin/sh": File(content=b"binary", mode=0o755),
        },
        dep={"/usr/bin/more": File(content=b"x", mode=0o755)},
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
        expect={"/usr/bin/more": "needed at run time by /usr/bin/other (r)"},
    ),
    Case(
        "a script beside the program that the image starts does not",
        rules=_RULE
        + "when.script = '/bin/sh'\nwhen.text = '^(?P<c>\\w+)'\nadd = [\"/usr/bin/{c}\"]\ntake = [\"dash\"]",
        app={
            "/usr/bin/app": File(content=mkelf(Spec()), mode=0o755),
            "/usr/bin/other": File(content=b"#!/bin/sh\nmore\n", mode=0o755),
        },
        dep={"/usr/bin/more": File(content=b"x", mode=0o755)},
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
        absent=("/usr/bin/more",),
    ),
    Case(
        "an interpreter that a rule has yet to take is not refused",
        rules=_RULE + 'when.script = \'/bin/sh\'\nadd = ["/usr/bin/sh"]\ntake = ["dash"]',
        app={"/usr/bin/app": File(content=b"#!/bin/sh\n", mode=0o755)},
        dep=DEP,
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
        taken=("dash",),
    ),
    Case(
        "what the recipe drops is not added",
        rules=_RULE + 'when.path = "/usr/bin/app"\nadd = ["/etc/lang.conf"]',
        app=APP,
        dep=DEP,
        runtime=Runtime(drop=("/etc/lang.*",)),
        absent=("/etc/lang.conf",),
    ),
)


def closure_of(
    case: Case, tmp_path: Path, order: Iterable[str] | None = None, *, rules: str | None = None
) -> Closure:
    app = {path: case.app[path] for path in (order or case.app)}
    packages = (
        make_package(tmp_path, "app", app),
        make_package(tmp_path, "dep", case.dep),
    )
    read = read_rules(case.rules if rules is None else rules, "test.toml")
    recipe = Recipe(
        path=Path("r.toml"),
        name="r",
        platform=Platform(os="linux", architecture="amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
        config=case.config,
        runtime=case.runtime,
    )
    facts = ElfFacts(None, watched=watched_symbols(read), texts=watched_texts(read))
    return resolve(recipe, merged_tree(packages), LocalFiles(made={}), facts, read)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_rules(case: Case, tmp_path: Path) -> None:
    closure = closure_of(case, tmp_path)
    found = {path: str(item.reason) for path, item in closure.needed.items()}
    assert {path: found.get(path) for path in case.expect} == dict(case.expect)
    assert [path for path in case.absent if path in found] == []
    assert (tuple(closure.taken), tuple(closure.made)) == (case.taken, case.made)


def test_programs_among_the_modules_of_a_rule_are_not_missed(tmp_path: Path) -> None:
    case = Case(
        "modules",
        rules=_RULE + 'when.path = "/usr/bin/app"\nadd = ["/usr/lib/modules/**"]',
        app={**APP, "/usr/bin/tool": File(content=b"#!/usr/bin/gone\n", mode=0o755)},
        dep={**DEP, "/usr/lib/modules/bin/tool": File(content=b"#!/usr/bin/gone\n", mode=0o755)},
    )
    closure = closure_of(case, tmp_path)
    assert "/usr/lib/modules/bin/tool" in closure.needed
    assert closure.warnings == ("/usr/bin/tool is a script for /usr/bin/gone, which the image does not have",)


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(list(APP)), swap=st.booleans())
def test_the_order_of_files_and_rules_does_not_matter(
    order: list[str], swap: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = CASES[3]
    one, other = (f"[[rule]]{part}" for part in case.rules.split("[[rule]]")[1:])
    rules = other + "\n" + one if swap else case.rules
    closure = closure_of(case, tmp_path_factory.mktemp("p"), order, rules=rules)
    assert set(closure.needed) == set(closure_of(case, tmp_path_factory.mktemp("p")).needed)
