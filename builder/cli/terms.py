"""What ``rootlet scan`` holds something against: its options, or a recipe's [scan] and [policy]."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from builder.cli.options import recipe_request, today
from builder.errors import ScanError
from builder.recipe.model import ImagePolicy, ScanPolicy
from builder.scan.gate import Terms
from builder.scan.vex import read_vex

_MAX_BASELINE = 256 << 20


def make_terms(options: ScanPolicy, recipe: Path | None, baseline: Path | None) -> Terms:
    """The terms. RecipeError where the recipe is wrong, ScanError for a document that cannot be read."""
    scan, image = options, ImagePolicy()
    if recipe is not None:
        from builder.cli.workshop import load_recipe  # noqa: PLC0415 (recipes only)

        document = load_recipe(recipe, recipe_request((), (), ()))
        made = document.recipe(document.platforms[0])
        scan, image = replace(made.scan, vex=(*made.scan.vex, *options.vex)), made.policy
    return Terms(
        scan=scan,
        today=today(),
        image=image,
        statements=read_vex(scan.vex),
        known=_known(baseline) if baseline is not None else frozenset(),
    )


def _known(path: Path) -> frozenset[tuple[str, str]]:
    """The findings of an earlier report, each an id with its package."""
    try:
        with path.open("rb") as stream:
            document = json.loads(stream.read(_MAX_BASELINE))
        return frozenset((str(one["id"]), str(one["package"])) for one in document["findings"])
    except OSError as error:
        raise ScanError(f"{path} could not be read: {error.strerror}") from error
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ScanError(
            f"{path} is no report of rootlet scan: it has no list of findings",
            hint="write one with: rootlet scan … --format json -o report.json",
        ) from error
