from __future__ import annotations

import datetime as dt
import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from builder.recipe.outline import PROFILE, TABLES
from builder.recipe.schema import key_tables, refresh, schema
from tests.support.recipe_cases import VALID, WRONG
from tests.support.recipe_reference import REFERENCE

JUDGE = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())
SHIPPED = sorted((REFERENCE.parents[1] / "recipes").glob("*.toml"))
NOT_TOML = frozenset(
    case for case, wrong in WRONG.items() if any("not TOML" in one for one in wrong.problems)
)


def as_json(value: object) -> object:
    """As editors hand TOML to a schema: days are strings."""
    if isinstance(value, dict):
        return {name: as_json(child) for name, child in value.items()}
    if isinstance(value, list):
        return [as_json(child) for child in value]
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else value


def test_the_schema_is_a_schema_and_json() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()


@pytest.mark.parametrize("case", VALID)
def test_a_right_recipe_passes(case: str) -> None:
    document = as_json(tomllib.loads(VALID[case]))
    assert [error.message for error in JUDGE.iter_errors(document)] == []


@pytest.mark.parametrize(
    "case", [case for case, wrong in WRONG.items() if wrong.structural and case not in NOT_TOML]
)
def test_a_misshapen_recipe_is_refused(case: str) -> None:
    assert not JUDGE.is_valid(as_json(tomllib.loads(WRONG[case].text)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_passes(path: Path) -> None:
    document = as_json(tomllib.loads(path.read_text(encoding="utf-8")))
    assert [error.message for error in JUDGE.iter_errors(document)] == []


def test_the_reference_is_up_to_date() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert refresh(text) == text, "run: python -m tests.support.recipe_reference"


def test_the_reference_has_every_table() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    missing = [
        table.title
        for table in TABLES
        if table is not PROFILE and f"<!-- keys: {table.title} -->" not in text
    ]
    assert missing == []


def test_every_key_says_what_it_means() -> None:
    assert [key.name for table in TABLES for key in table.keys if not key.about] == []
    assert all(len(table) > 50 for table in key_tables().values())


def test_the_examples_of_the_reference_are_right() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    examples = [block.partition("```")[0] for block in text.split("```toml\n")[1:]]
    wrong = []
    for example in examples:
        document = tomllib.loads(example)
        whole = (
            {"schema": 1, "name": "x", **document} if "name" not in document.get("image", {}) else document
        )
        wrong += [error.message for error in JUDGE.iter_errors(as_json({"schema": 1, **whole}))]
    assert (len(examples) > 10, wrong) == (True, [])
