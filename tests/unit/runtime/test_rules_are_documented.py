"""docs/rules.md speaks of every rule by its name."""

from __future__ import annotations

from pathlib import Path

from builder.runtime.rulebook import shipped_rules

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/rules.md"


def test_every_rule_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [rule.name for rule in shipped_rules() if f"`{rule.name}`" not in text] == []
