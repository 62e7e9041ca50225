"""``rootlet scan`` of what is not built yet: Dockerfiles and recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from builder.cli.options import recipe_request, today
from builder.cli.subject import is_recipe
from builder.errors import PolicyError, ScanError
from builder.lint.dockerfile import MAX_TEXT, is_dockerfile
from builder.lint.model import LintReport
from builder.recipe.model import Severity


def is_source(reference: str) -> bool:
    """Whether the words name a recipe or a Dockerfile, and not an image."""
    path = Path(reference)
    return is_recipe(reference) or (path.is_file() and is_dockerfile(path.name))


def lint_source(reference: str, ignore: frozenset[str]) -> LintReport:
    """Judge a recipe or a Dockerfile by all rules but ``ignore``.

    RecipeError where the recipe is wrong, BuildError for no Dockerfile, UsageError for an unknown rule.
    """
    report = _recipe(reference) if is_recipe(reference) else _dockerfile(reference)
    _check_rules(ignore)
    return replace(report, remarks=tuple(one for one in report.remarks if one.rule.id not in ignore))


def _check_rules(names: frozenset[str]) -> None:
    if not names:
        return
    from builder.lint import recipe, run  # noqa: PLC0415 (imports of one option)

    known = {rule.id for rule in (*run.RULES, *recipe.RULES)}
    unknown = sorted(names - known)
    if unknown:
        raise click.UsageError(
            f"--ignore: there is no rule {unknown[0]}; there are {', '.join(sorted(known))}"
        )


def render_lint(report: LintReport, form: str, *, colour: bool) -> str:
    """The report in the form that was asked for."""
    from builder.report.lint import render_lint_json, render_lint_table  # noqa: PLC0415 (as above)

    if form == "sarif":
        from builder.report.sarif import lint_sarif  # noqa: PLC0415 (one format's)

        return lint_sarif(report)
    if form not in {"table", "json"}:
        raise click.UsageError(
            f"--format {form} is for images; of recipes and Dockerfiles there are table, json, sarif"
        )
    return render_lint_json(report) if form == "json" else render_lint_table(report, colour=colour)


def enforce_lint(report: LintReport, fail_on: Severity | None) -> None:
    """PolicyError when something at or above the limit was found."""
    over = [one for one in report.remarks if fail_on is not None and one.rule.severity >= fail_on]
    if over and fail_on is not None:
        noun = "remark is" if len(over) == 1 else "remarks are"
        raise PolicyError(
            f'{report.file}: {len(over)} {noun} at or above fail_on = "{fail_on.name.lower()}": '
            f"{', '.join(dict.fromkeys(one.rule.id for one in over))}",
            hint="mend them, or say why not in a line above: # rootlet ignore=RULE (in a Dockerfile)",
        )


def _dockerfile(reference: str) -> LintReport:
    from builder.lint.run import lint_dockerfile  # noqa: PLC0415 (imports of one command)

    path = Path(reference)
    try:
        with path.open("rb") as stream:
            text = stream.read(4 * MAX_TEXT + 1).decode(errors="replace")
    except OSError as error:
        raise ScanError(f"{reference} could not be read: {error.strerror}") from error
    names = (".dockerignore", ".containerignore", f"{path.name}.dockerignore")
    has_ignore_file = any((path.parent / name).is_file() for name in names)
    return lint_dockerfile(text, reference, has_ignore_file=has_ignore_file)


def _recipe(reference: str) -> LintReport:
    from builder.cli.workshop import load_recipe  # noqa: PLC0415 (imports of one command)
    from builder.lint.recipe import lint_recipe  # noqa: PLC0415 (as above)

    document = load_recipe(Path(reference), recipe_request((), (), ()))
    return lint_recipe(document.tree(document.platforms[0]), reference, today=today())
