from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.recipe.model import Missing, Recipe
from tests.support.recipe_cases import AMD64, ARM64, HEAD, Ask, read, report

FRAGMENT = (
    'packages = ["base1", "both1"]\nenv = { A = "fragment", B = "fragment" }\n'
    '[runtime]\nmissing = "warn"\nkeep = ["/a"]\n[profile.debug]\npackages = ["gdb"]\n'
)


def recipe(folder: Path, files: str | Mapping[str, str], ask: Ask | None = None) -> Recipe:
    return read(folder, files, ask).recipe(AMD64)


def packages(made: Recipe) -> tuple[str, ...]:
    return made.archives[0].packages


def test_arrays_append_tables_merge_and_scalars_replace(tmp_path: Path) -> None:
    text = (
        'schema = 1\nname = "x"\nextends = ["base"]\npackages = ["own1", "both1"]\nenv = { B = "recipe" }\n'
        '[runtime]\nmissing = "error"\nkeep = ["/b"]\n'
    )
    made = recipe(tmp_path, {"recipe.toml": text, "fragments/base.toml": FRAGMENT})
    assert packages(made) == ("base1", "both1", "own1")
    assert made.config.env == (("A", "fragment"), ("B", "recipe"))
    assert (made.runtime.missing, made.runtime.keep) == (Missing.ERROR, ("/a", "/b"))
    assert made.inputs == (tmp_path / "recipe.toml", tmp_path / "fragments" / "base.toml")


REPLACING = {
    "an array": ('"packages!" = ["own1"]\n', "packages"),
    "an array in the long form": ('[sources.os]\n"packages!" = ["own1"]\n', "packages"),
    "a whole table": ('"sources!" = { os = { packages = ["own1"] } }\n', "packages"),
    "a table on the way": ('["sources!".os]\npackages = ["own1"]\n', "packages"),
}


@pytest.mark.parametrize("case", REPLACING)
def test_an_exclamation_mark_replaces(case: str, tmp_path: Path) -> None:
    text, _ = REPLACING[case]
    files = {"recipe.toml": HEAD + 'extends = ["base"]\n' + text, "fragments/base.toml": FRAGMENT}
    assert packages(recipe(tmp_path, files)) == ("own1",)


def test_profiles_are_laid_in_the_order_given_from_every_layer(tmp_path: Path) -> None:
    text = (
        HEAD + 'extends = ["base"]\nuser = "a"\n[profile.debug]\npackages = ["strace"]\nuser = "root"\n'
        '[profile.odd]\n"packages!" = ["odd1"]\nuser = "odd"\n'
    )
    files = {"recipe.toml": text, "fragments/base.toml": FRAGMENT}
    plain = recipe(tmp_path, files)
    debug = recipe(tmp_path, files, Ask(profiles=("debug",)))
    both = recipe(tmp_path, files, Ask(profiles=("odd", "debug")))
    assert (packages(plain), plain.config.user) == (("base1", "both1"), "a")
    assert (packages(debug), debug.config.user) == (("base1", "both1", "gdb", "strace"), "root")
    assert (packages(both), both.config.user) == (("odd1", "gdb", "strace"), "root")


def test_paths_start_at_the_file_that_says_them(tmp_path: Path) -> None:
    files = {
        "recipe.toml": HEAD + 'extends = ["parts/a.toml"]\n',
        "parts/a.toml": 'extends = ["deep/b.toml"]\n[[install]]\ncontext = "files"\nto = "/a"\n',
        "parts/deep/b.toml": '[sources.os]\nkeyring = "../k.asc"\n',
    }
    made = recipe(tmp_path, files)
    assert made.installs[0].context == tmp_path / "parts" / "files"
    assert made.archives[0].keyring == tmp_path / "parts" / "deep" / ".." / "k.asc"


def test_a_file_that_is_reached_twice_counts_once(tmp_path: Path) -> None:
    files = {
        "recipe.toml": HEAD + 'extends = ["a", "b"]\nentrypoint = ["recipe"]\n',
        "fragments/a.toml": 'extends = ["c"]\nentrypoint = ["a"]\n',
        "fragments/b.toml": 'extends = ["c", "./a.toml"]\nentrypoint = ["b"]\n',
        "fragments/c.toml": 'entrypoint = ["c"]\n',
    }
    assert recipe(tmp_path, files).config.entrypoint == ("c", "a", "b", "recipe")


CIRCLE = "recipe.toml → b.toml → c.toml → recipe.toml"
EXTENDS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "a circle is reported with its files": (
        {"recipe.toml": HEAD + 'extends = ["./b.toml"]\n', "b.toml": 'extends = ["c.toml"]\n',
         "c.toml": 'extends = [\n"recipe.toml"]\n'},
        ("c.toml:2: extends[0]: recipe.toml: the files extend each other in a circle: " + CIRCLE,),
    ),
    "a file extends itself": (
        {"recipe.toml": HEAD + 'extends = ["recipe.toml"]\n'},
        ("3: extends[0]: recipe.toml: the files extend each other in a circle: recipe.toml → recipe.toml",),
    ),
    "a fragment that nobody ships is named": (
        {"recipe.toml": HEAD + 'extends = ["pyton", "zzz"]\n', "fragments/python.toml": ""},
        ('3: extends[0]: there is no fragment "pyton"; did you mean "python"?',
         '3: extends[1]: there is no fragment "zzz"; there are python'),
    ),
    "without fragments a path is asked for": (
        {"recipe.toml": HEAD + 'extends = ["zzz"]\n'},
        ('3: extends[0]: there is no fragment "zzz"; write a path with a slash for a file of your own',),
    ),
    "a file that is not there is named": (
        {"recipe.toml": HEAD + 'extends = ["x/y.toml", "fragments/"]\n', "fragments/a.toml": ""},
        ("3: extends[0]: x/y.toml: cannot be read: No such file or directory",
         "3: extends[1]: fragments: a folder; a recipe is a TOML file"),
    ),
    "a name that no file can have": (
        {"recipe.toml": HEAD + 'extends = ["\\u0000/"]\n'},
        ("3: extends[0]: \\x00: cannot be read: it is no file name",),
    ),
    "problems of all files come together, the recipe's first": (
        {"recipe.toml": HEAD + 'extends = ["a"]\nusr = "x"\n', "fragments/a.toml": "extends = 3\nusr = 1\n"},
        ('4: usr: there is no such key; did you mean "user"?',
         "fragments/a.toml:1: extends: expected an array, found 3",
         'fragments/a.toml:2: usr: there is no such key; did you mean "user"?'),
    ),
    "a fragment of another schema": (
        {"recipe.toml": HEAD + 'extends = ["a"]\n', "fragments/a.toml": "schema = 3\nusr = 1\n"},
        ("fragments/a.toml:1: schema: expected 1, found 3; this rootlet reads schema 1 only",),
    ),
    "what is wrong only together names the place in its file": (
        {"recipe.toml": HEAD + 'extends = ["a"]\n[[file]]\npath = "/a"\n',
         "fragments/a.toml": '\n\n[[file]]\npath = "/a"\n'},
        ('5: file[0].path: "/a" is made twice, first by file[0].path of fragments/a.toml',),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EXTENDS)
def test_extending_goes_wrong(case: str, tmp_path: Path) -> None:
    files, problems = EXTENDS[case]
    assert report(tmp_path, files) == problems


def test_only_so_many_files_extend_each_other(tmp_path: Path) -> None:
    files = {f"f{number}.toml": f'extends = ["f{number + 1}.toml"]\n' for number in range(70)}
    files["recipe.toml"] = HEAD + 'extends = ["f0.toml"]\n'
    assert report(tmp_path, files) == ("f62.toml:1: extends[0]: more than 64 files extend each other",)


def test_a_profile_that_is_not_there_is_reported(tmp_path: Path) -> None:
    text = HEAD + "[profile.debug]\n"
    assert report(tmp_path, text, Ask(profiles=("debgu",))) == (
        'there is no profile "debgu"; did you mean "debug"?',
    )
    assert report(tmp_path, HEAD, Ask(profiles=("debug",))) == (
        'there is no profile "debug"; the recipe has none',
    )


CONDITIONAL = (
    HEAD + 'packages = ["a1"]\n[image]\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    '[sources.tools]\nwhen = { arch = "arm64" }\npackages = ["t1"]\n'
    '[[file]]\nwhen = { arch = ["amd64", "riscv64"] }\npath = "/amd64"\n'
    '[[file]]\nwhen = { arch = "arm64", os = "linux" }\npath = "/arm64"\n'
    '[config.env]\nwhen = { arch = "arm64" }\nA = "b"\n'
)


def test_conditions_are_judged_for_each_platform(tmp_path: Path) -> None:
    document = read(tmp_path, CONDITIONAL)
    amd64, arm64 = document.recipe(AMD64), document.recipe(ARM64)
    assert [source.name for source in amd64.sources] == ["os"]
    assert [source.name for source in arm64.sources] == ["os", "tools"]
    assert [file.path for file in (*amd64.files, *arm64.files)] == ["/amd64", "/arm64"]
    assert (amd64.config.env, arm64.config.env) == ((), (("A", "b"),))


def test_a_table_whose_condition_fails_replaces_nothing(tmp_path: Path) -> None:
    files = {
        "recipe.toml": HEAD
        + 'extends = ["base"]\n[sources.os]\nwhen = { arch = "arm64" }\n"packages!" = []\n',
        "fragments/base.toml": FRAGMENT,
    }
    assert packages(read(tmp_path, files).recipe(AMD64)) == ("base1", "both1")
    assert packages(read(tmp_path, files).recipe(ARM64)) == ()


def test_a_profile_can_have_a_condition(tmp_path: Path) -> None:
    text = HEAD + '[profile.p]\nwhen = { arch = "arm64" }\nuser = "1"\n'
    document = read(tmp_path, text, Ask(profiles=("p",)))
    assert (document.recipe(AMD64).config.user, document.recipe(ARM64).config.user) == ("", "1")


def test_a_problem_of_several_platforms_is_reported_once(tmp_path: Path) -> None:
    text = CONDITIONAL + '[[install]]\nfrom = "tools"\npath = "/a"\n[[install]]\nfrom = "oss"\npath = "/a"\n'
    assert report(tmp_path, text) == (
        '19: install[0].from: there is no source "tools"; there are os',
        '22: install[1].from: there is no source "oss"; did you mean "os"?',
    )


def test_another_platform_is_judged_when_it_is_asked_for(tmp_path: Path) -> None:
    document = read(tmp_path, HEAD + '[[file]]\nwhen = { arch = "arm64" }\npath = "a"\n')
    with pytest.raises(RecipeError, match='expected an absolute path, found "a"'):
        document.recipe(ARM64)


def test_a_name_cannot_come_from_a_conditional_variable(tmp_path: Path) -> None:
    text = (
        'schema = 1\n[image]\nname = "{n}"\nplatforms = ["linux/amd64", "linux/arm64"]\n[vars]\nn = "a"\n'
        '[profile.p.vars]\nwhen = { arch = "arm64" }\nn = "b"\n'
    )
    assert report(tmp_path, text, Ask(profiles=("p",))) == (
        '2: image.name: differs between platforms: "a", "b"',
    )


VARIABLES: Mapping[str, tuple[str, str]] = {
    "a variable of the recipe": ("{version}", "1.4"),
    "several, and text between": ("a {version}-{series} b", "a 1.4-1 b"),
    "a variable made of others": ("{title}", "shop 1.4 on monday"),
    "what rootlet knows": ("{git.sha}", "c0ffee"),
    "the recipe's own before what rootlet knows": ("{date}", "monday"),
    "doubled braces are the text": ("${{version}} {{nobody}}", "${version} {nobody}"),
    "other braces are themselves": (
        '{ "a": {"b": {}} } {} {1} {a b} }}',
        '{ "a": {"b": {}} } {} {1} {a b} }}',
    ),
    "what was put in is not read again": ("{braces}", "{version}"),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_variables_are_put_in(case: str, tmp_path: Path) -> None:
    text, made = VARIABLES[case]
    written = (
        HEAD + f"entrypoint = ['''{text}''']\n"
        '[vars]\nversion = "1.4"\nseries = "1"\ntitle = "shop {version} on {date}"\ndate = "monday"\n'
        'braces = "{{version}}"\n'
    )
    ask = Ask(given=(("git.sha", "c0ffee"), ("date", "2026-11-22")))
    assert recipe(tmp_path, written, ask).config.entrypoint == (made,)


def test_a_setting_wins_and_is_taken_as_it_is(tmp_path: Path) -> None:
    text = HEAD + 'entrypoint = ["{b}"]\n[vars]\na = "1"\nb = "{a}!"\n'
    assert recipe(tmp_path, text, Ask(settings=(("a", "{b}"),))).config.entrypoint == ("{b}!",)


def test_layers_and_profiles_change_variables_of_those_below(tmp_path: Path) -> None:
    files = {
        "recipe.toml": HEAD + 'extends = ["f"]\n[vars]\nv = "recipe"\n[profile.p.vars]\nv = "profile"\n',
        "fragments/f.toml": 'entrypoint = ["{v}"]\n[vars]\nv = "fragment"\n',
    }
    assert recipe(tmp_path, files).config.entrypoint == ("recipe",)
    assert recipe(tmp_path, files, Ask(profiles=("p",))).config.entrypoint == ("profile",)


def test_a_setting_for_no_variable_is_reported(tmp_path: Path) -> None:
    text = HEAD + '[vars]\nversion = "1"\n'
    assert report(tmp_path, text, Ask(settings=(("vresion", "2"),), given=(("date", "x"),))) == (
        '--set vresion: there is no variable "vresion"; did you mean "version"?',
    )
    assert report(tmp_path, HEAD, Ask(settings=(("date", "2"),), given=(("date", "x"),))) == (
        '--set date: there is no variable "date"; add it to [vars]',
    )


def test_a_circle_of_variables_is_reported_once(tmp_path: Path) -> None:
    text = HEAD + 'entrypoint = ["{a}"]\ncmd = ["{c}"]\n[vars]\na = "{b}"\nb = "{a}"\nc = "{a}"\n'
    assert report(tmp_path, text) == ("7: vars.b: the variables refer to each other in a circle: a → b → a",)
