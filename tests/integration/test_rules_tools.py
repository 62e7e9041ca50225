"""The proof of rules that tools need: shell scripts that the image starts, Graphviz, programs of programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builder.errors import ResolutionError
from builder.runtime.rulebook import shipped_rules
from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_TMP = "/tmp"  # noqa: S108 (inside the image)

_MAXIMA = Proof(
    rule="commands-of-the-start",
    packages=("maxima",),
    entrypoint=("/usr/bin/maxima",),
    env={"HOME": _TMP},
    argv=("/usr/bin/maxima", "--very-quiet", "--batch-string=display2d:false$ integrate(x^2,x);"),
    expect=r"(?s)\A(?!.*not found).*x\^3/3",
    without="sed: not found",
)

PROOFS = (
    _MAXIMA,
    Proof(
        rule="files-of-the-start",
        packages=("fop", "openjdk-21-jre-headless"),
        entrypoint=("/usr/bin/fop",),
        argv=("/usr/bin/fop", "-version"),
        expect="FOP Version",
        without="java-wrappers",
    ),
    Proof(
        rule="java-fonts",
        packages=("plantuml", "openjdk-21-jre-headless"),
        entrypoint=("/usr/bin/plantuml",),
        argv=("/usr/bin/plantuml", "-tsvg", "-pipe"),
        stdin="@startuml\nA -> B\n@enduml\n",
        expect="<svg",
        without="sun.font",
    ),
    Proof(
        rule="lua-commands",
        packages=("lua-check", "coreutils"),
        argv=("/usr/bin/luacheck", "--version"),
        expect="Luacheck: ",
        without="uname -s: No such file or directory",
    ),
    Proof(
        rule="sdl12-compat",
        packages=("povray",),
        files={"/a.pov": "camera { location <0,0,-3> look_at 0 } sphere { 0, 1 pigment { rgb 1 } }\n"},
        argv=("/usr/bin/povray", "+I/a.pov", "+O-", "+W8", "+H8", "-D", "+FN"),
        expect=r"(?s)PNG.*IHDR",
        without="Failed loading SDL2 library",
    ),
    Proof(
        rule="graphviz-plugins",
        packages=("graphviz",),
        argv=("/usr/bin/dot", "-Tsvg"),
        stdin="digraph { a -> b }",
        expect="<svg",
        without='Format: "svg" not recognized',
    ),
    Proof(
        rule="babl-extensions",
        packages=("gegl",),
        argv=("/usr/bin/gegl", "--list-all"),
        env={"HOME": "/"},
        expect=r"\A(?![\s\S]*seems broken)gegl:absolute",
        without="the babl installation seems broken",
    ),
    Proof(
        rule="camera-drivers",
        packages=("gphoto2",),
        argv=("/usr/bin/gphoto2", "--list-cameras"),
        env={"HOME": "/"},
        expect=r"cameras: \d{4}",
        without="cameras: 0",
    ),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=[proof.rule for proof in PROOFS])
def test_program_breaks_without_the_rule(proof: Proof, lab: Lab) -> None:
    lab.check(proof)


def test_shell_of_the_start_is_found_without_being_named(lab: Lab) -> None:
    of_scripts = {"shell-of-the-start", "commands-of-the-start"}
    rules = tuple(rule for rule in shipped_rules() if rule.name not in of_scripts)
    with pytest.raises(ResolutionError, match="/bin/sh, the interpreter of /usr/bin/maxima"):
        lab.plan(_MAXIMA.recipe, rules)


def test_env_of_the_start_is_found_without_being_named(lab: Lab) -> None:
    proof = Proof(
        rule="env-of-the-start",
        packages=("lua-check",),
        entrypoint=("/usr/bin/luacheck",),
        argv=("/usr/bin/luacheck", "--version"),
        expect="Luacheck: ",
    )
    status, output = lab.run(proof)
    assert (status, proof.expect in output) == (0, True), output
    rules = tuple(rule for rule in shipped_rules() if rule.name not in {proof.rule, "lua-commands"})
    with pytest.raises(ResolutionError, match="/usr/bin/env, the interpreter of /usr/bin/luacheck"):
        lab.plan(proof.recipe, rules)


def test_libraries_that_a_package_recommends_for_its_modules(lab: Lab) -> None:
    script = "zmodload zsh/pcre zsh/curses zsh/db/gdbm; pcre_compile 'a+'; pcre_match xaab && print $MATCH"
    proof = Proof(rule="", packages=("zsh",), argv=("/usr/bin/zsh", "-c", script), expect="")
    assert lab.run(proof) == (0, "aa\n")


def test_part_of_another_source(lab: Lab) -> None:
    argv = ("/usr/bin/pandoc", "-f", "markdown", "-t", "html")
    proof = Proof(rule="", packages=("pandoc",), argv=argv, stdin="*hi*", expect="")
    assert lab.run(proof) == (0, "<p><em>hi</em></p>\n")


def test_program_that_a_module_of_a_named_package_runs(lab: Lab) -> None:
    proof = Proof(rule="", packages=("yq",), argv=("/usr/bin/yq", "-r", ".a"), stdin="a: 7\n", expect="^7")
    status, output = lab.run(proof)
    assert (status, output) == (0, "7\n")


def test_plugins_of_a_sibling_that_lack_what_nobody_depends_on_are_only_reported(lab: Lab) -> None:
    proof = Proof(rule="", packages=("subversion",), argv=("/usr/bin/svn", "--version"), expect="ra_serf")
    assert any("libsvn_auth_kwallet" in warning for warning in lab.plan(proof.recipe).warnings)
    status, output = lab.run(proof)
    assert status == 0
    assert "ra_serf" in output
