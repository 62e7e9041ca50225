"""docs/rules.md speaks of every rule by its name, and every rule has a proof among the integration tests."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from builder.runtime.rulebook import shipped_rules
from tests.support.rule_lab import Proof

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENT = REPOSITORY / "docs/rules.md"
BY_AN_ERROR = {"shell-of-the-start"}
"""There is no image without it: test_rules_tools.py holds the error."""


def proven() -> Iterator[str]:
    """Names of the rules that proofs of the integration tests are about, in tables or by themselves."""
    for path in sorted((REPOSITORY / "tests/integration").glob("test_rules_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Proof":
                rules = (word.value for word in node.keywords if word.arg == "rule")
                yield from (
                    str(rule.value) for rule in rules if isinstance(rule, ast.Constant) and rule.value
                )
        module = importlib.import_module(f"tests.integration.{path.stem}")
        for value in vars(module).values():
            proofs = value if isinstance(value, (list, tuple)) else (value,)
            yield from (proof.rule for proof in proofs if isinstance(proof, Proof) and proof.rule)


def test_every_rule_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [rule.name for rule in shipped_rules() if f"`{rule.name}`" not in text] == []


def test_every_rule_is_proven_by_a_program_that_breaks_without_it() -> None:
    assert {rule.name for rule in shipped_rules()} == set(proven()) | BY_AN_ERROR
