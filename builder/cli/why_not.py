"""``rootlet why-not``: why a path is not in the image, and the line of the recipe that would add it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import archive_options, progress_options, recipe_options
from builder.cli.subject import is_recipe, open_subject, plan_subject, planned_subject, subject_arguments

if TYPE_CHECKING:
    from builder.pipeline import Planned
    from builder.plan.absence import Origins


@click.command("why-not")
@subject_arguments
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a platform.")
@recipe_options
@archive_options
@progress_options
def command(subject: str, paths: tuple[str, ...], *, as_json: bool, quiet: bool, **options: Any) -> None:
    """Say why each PATH is not in the image, and which line of the recipe would add it.

    The first argument is a recipe (NAME.toml; planned, not built): then the packages it comes to are
    searched. Or an image as rootlet scan takes it: then only its own records are. For a recipe, PATH may be
    a pattern (** crosses folders).
    """
    if not paths:
        raise click.UsageError("name a PATH")
    whole = tuple(path if path.startswith("/") else f"/{path}" for path in paths)
    if is_recipe(subject):
        for planned in plan_subject(subject, options, quiet=quiet):
            _show_recipe(planned, whole, as_json=as_json)
    else:
        _show_image(subject, whole, options, as_json=as_json)


def _show_recipe(planned: Planned, paths: tuple[str, ...], *, as_json: bool) -> None:
    from builder.plan.absence import Origins, left_out, why_absent  # noqa: PLC0415 (imports of one command)
    from builder.report.why_not import render_pattern, render_why_not, why_not_json  # noqa: PLC0415 (as above)

    contents = planned_subject(planned)
    origins = Origins(
        contents=contents, recipe=planned.recipe, locked=planned.locked, sysroot=planned.sysroot
    )
    patterns = {path: left_out(origins, path) for path in paths if _is_pattern(origins, path)}
    single = [why_absent(origins, path) for path in paths if not patterns.get(path)]
    if as_json:
        every = [*single, *(one for found in patterns.values() for one in found)]
        click.echo(why_not_json(contents.subject, every), nl=False)
        return
    texts = [render_pattern(contents.subject, path, found) for path, found in patterns.items() if found]
    texts += [render_why_not(contents.subject, single)] if single else []
    click.echo("\n".join(texts), nl=False)


def _is_pattern(origins: Origins, path: str) -> bool:
    from builder.plan.contents import is_glob  # noqa: PLC0415 (imports of one command)

    return is_glob(path) and origins.sysroot.lookup_exact(path) is None


def _show_image(subject: str, paths: tuple[str, ...], options: dict[str, Any], *, as_json: bool) -> None:
    from builder.plan.absence import why_not_in_image  # noqa: PLC0415 (imports of one command)
    from builder.report.why_not import render_why_not, why_not_json  # noqa: PLC0415 (as above)

    contents = open_subject(subject, options, wanted=frozenset(paths))
    absences = [why_not_in_image(contents, path, contents.listed.get(path, "")) for path in paths]
    if as_json:
        click.echo(why_not_json(contents.subject, absences), nl=False)
    else:
        click.echo(render_why_not(contents.subject, absences), nl=False)
