from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipe_cases import VALID, WRONG, read, report

NAMED = 'schema = 1\nname = "named"\n'


@pytest.mark.parametrize("case", WRONG)
def test_every_problem_is_reported_at_once(case: str, tmp_path: Path) -> None:
    assert report(tmp_path, WRONG[case].text) == WRONG[case].problems


@pytest.mark.parametrize("case", VALID)
def test_a_right_recipe_is_read(case: str, tmp_path: Path) -> None:
    document = read(tmp_path, {"recipe.toml": VALID[case], "fragments/named.toml": NAMED})
    assert document.recipe(document.platforms[0]).name == document.name
