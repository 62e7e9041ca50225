"""``rootlet plan``: what would be in an image, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from builder.cli import machine
from builder.cli.options import (
    archive_options,
    progress_display,
    progress_options,
    read_archive_options,
    recipe_options,
    recipe_request,
)


@click.command("plan")
@click.argument("recipe", type=click.Path(path_type=Path))
@recipe_options
@archive_options
@click.option(
    "parts",
    "--by",
    multiple=True,
    type=click.Choice(["package", "reason", "size", "path", "scripts"]),
    help="Show one part: sizes by package or reason, largest files, every path, maintainer scripts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@progress_options
def command(recipe: Path, parts: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> None:
    """Show the packages, files, sizes and reasons of RECIPE's image. Nothing is written or scanned."""
    from builder.cli.workshop import MachineOptions, load_recipe, make_workshop  # noqa: PLC0415 (imports of one command)
    from builder.pipeline import plan_recipe  # noqa: PLC0415 (as above)
    from builder.plan.codec import plan_to_json  # noqa: PLC0415 (as above)
    from builder.report.plan import By, render_plan  # noqa: PLC0415 (as above)

    request = recipe_request(options["settings"], options["profiles"], options["platforms"])
    archive = read_archive_options(options)
    display = progress_display(options["progress"], options["progress_fd"], quiet=quiet)
    try:
        document = load_recipe(recipe, request)
        workshop = make_workshop(
            MachineOptions(archive=archive, cache=options["cache"], database=None), display
        )
        plans = [plan_recipe(document.recipe(platform), workshop).plan for platform in document.platforms]
    finally:
        display.close()
    for plan in plans:
        if as_json:
            click.echo(plan_to_json(plan), nl=False)
        else:
            shown = tuple(map(By, parts)) or tuple(By)
            click.echo(render_plan(plan, parts=shown, width=machine.columns()), nl=False)
