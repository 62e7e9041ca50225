"""``rootlet diff``: what differs between two images, recipes or root folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import archive_options, database_option, progress_options, recipe_options
from builder.cli.subject import is_recipe, look_up, open_image_or_folder, plan_one

if TYPE_CHECKING:
    from builder.compare.snapshot import Snapshot

DIFFERENT = 5
"""Exit code of ``--exit-code`` for images that differ: the comparison ran, and the answer is no."""


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--times", is_flag=True, help="Compare modification times of files too.")
@click.option("--exit-code", is_flag=True, help="End with 5 when the two differ, 0 when they are identical.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@recipe_options
@database_option
@archive_options
@progress_options
def command(
    before: str,
    after: str,
    *,
    times: bool,
    exit_code: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Compare A and B: files, configuration, packages, sizes and, where there is data, findings.

    Each is an image as rootlet scan takes it, a root folder, or a recipe (NAME.toml), which is planned and
    not built. Files are compared by type, mode, owner, content, link target and extended attributes.
    """
    from builder.compare.difference import difference  # noqa: PLC0415 (imports of one command)
    from builder.report.diff import diff_json, findings_change, render_diff  # noqa: PLC0415 (as above)

    one = _snapshot(before, options, quiet=quiet)
    other = _snapshot(after, options, quiet=quiet)
    found = difference(one, other, times=times)
    findings = findings_change(look_up(one.contents, options), look_up(other.contents, options))
    click.echo(diff_json(found, findings) if as_json else render_diff(found, findings), nl=False)
    return DIFFERENT if exit_code and not found.identical else 0


def _snapshot(subject: str, options: dict[str, Any], *, quiet: bool) -> Snapshot:
    from builder.compare import snapshot  # noqa: PLC0415 (imports of one command)

    if is_recipe(subject):
        planned = plan_one(subject, options, quiet=quiet).planned
        ground = planned.base.tree if planned.base is not None else None
        named = f"{subject} ({planned.plan.platform})"
        return snapshot.planned_snapshot(planned.plan, subject=named, ground=ground)
    opened = open_image_or_folder(subject, _of_image(options))
    if isinstance(opened, Path):
        return snapshot.folder_snapshot(opened, subject=subject)
    return snapshot.image_snapshot(opened, subject=subject)


def _of_image(options: dict[str, Any]) -> dict[str, Any]:
    # --set and --profile are for the recipe on the other side.
    return options | {"settings": (), "profiles": ()}
