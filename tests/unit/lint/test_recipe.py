"""Recipes judged as they are written."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from builder.lint.recipe import RULES, lint_recipe
from builder.recipe.model import Severity
from builder.resources import shipped
from tests.support.recipe_cases import AMD64, read

HEAD = 'schema = 1\nname = "x"\nsuite = "trixie"\nuser = "app"\n[[test]]\nrun = ["/x"]\n'
EXPECTED = {"busybox": {"root"}}
"""A shell to look around with may be root."""

TODAY = dt.date(2026, 11, 27)

SPOKEN = [
    ("root", 2, HEAD.replace('user = "app"\n', "")),
    ("root", 4, HEAD.replace('"app"', '"root"')),
    ("recipe-without-tests", 0, 'schema = 1\nname = "x"\nsuite = "trixie"\nuser = "app"\n'),
    ("suite-not-named", 4, 'schema = 1\nname = "x"\nuser = "app"\npackages = ["a1"]\n'),
    ("suite-not-named", 3, HEAD.replace("trixie", "stable")),
    ("base-end-of-life", 3, HEAD.replace("trixie", "buster")),
    ("build-packages-in-image", 3, HEAD.replace('suite = "trixie"', 'packages = ["gcc", "redis"]')),
    ("package-manager-in-image", 3, HEAD.replace('suite = "trixie"', 'packages = ["apt"]')),
    ("gate-open", 8, HEAD + '[scan]\nfail_on = "none"\n'),
    ("gate-open", 8, HEAD + '[scan]\nunscannable = "warn"\n'),
    ("gate-open", 8, HEAD + '[scan]\nmax_database_age = "any"\n'),
    ("waiver-without-end", 8, HEAD + '[scan]\nignore = [{ id = "CVE-2024-1", reason = "r" }]\n'),
    (
        "waiver-expired",
        8,
        HEAD + '[scan]\nignore = [{ id = "CVE-2024-1", reason = "r", expires = 2026-01-01 }]\n',
    ),
    ("missing-tolerated", 8, HEAD + '[runtime]\nmissing = "warn"\n'),
    ("keep-everything", 8, HEAD + '[runtime]\nkeep = ["/usr/**"]\n'),
    ("world-writable", 9, HEAD + '[[file]]\npath = "/x"\nmode = "0666"\n'),
    ("setuid", 9, HEAD + '[[file]]\npath = "/x"\nmode = "4755"\n'),
    ("secret-in-setting", 8, HEAD + '[config]\nenv = { DB_PASSWORD = "hunter2" }\n'),
    ("secret-in-setting", 9, HEAD + '[[file]]\npath = "/k"\ncontent = "-----BEGIN PRIVATE KEY-----"\n'),
    ("secret-in-setting", 8, HEAD + '[[install]]\ncontext = ".env"\nto = "/x"\n'),
]


@pytest.mark.parametrize(
    ("rule", "line", "text"), SPOKEN, ids=[f"{one[0]} {at}" for at, one in enumerate(SPOKEN)]
)
def test_a_rule_speaks(tmp_path: Path, rule: str, line: int, text: str) -> None:
    (tmp_path / ".env").write_text("A=b")
    tree = read(tmp_path, text).tree(AMD64)
    found = [(one.rule.id, one.line) for one in lint_recipe(tree, "recipe.toml", today=TODAY).remarks]
    assert rule in dict(found)
    if line:
        assert (rule, line) in found


def test_nothing_is_said_of_a_good_recipe(tmp_path: Path) -> None:
    assert lint_recipe(read(tmp_path, HEAD).tree(AMD64), "recipe.toml", today=TODAY).remarks == ()


def test_every_rule_of_recipes_speaks_somewhere() -> None:
    assert {rule.id for rule in RULES} - {"stage-with-network"} <= {one[0] for one in SPOKEN}


@pytest.mark.parametrize("path", sorted(shipped("recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_good_examples(tmp_path: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in ("fragments", "testing"):
        (tmp_path / name).symlink_to(shipped("recipes") / name)
    tree = read(tmp_path, text).tree(AMD64)
    remarks = lint_recipe(tree, path.name, today=TODAY).remarks
    said = {one.rule.id for one in remarks if one.rule.severity >= Severity.MEDIUM}
    assert said == EXPECTED.get(path.stem, set())
