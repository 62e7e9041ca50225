"""Makes the tables of docs/recipe.md anew: ``python -m tests.support.recipe_reference``."""

from __future__ import annotations

from pathlib import Path

from builder.recipe.schema import refresh

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "recipe.md"


def main() -> None:
    REFERENCE.write_text(refresh(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
