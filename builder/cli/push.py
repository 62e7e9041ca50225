"""``rootlet push``: an image that was built before goes to a registry, judged again on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from builder.cli.options import archive_options, database_option, progress_display, progress_options
from builder.cli.values import AGE, SEVERITY
from builder.oci import ImageAddress, ImagePlace, ImageReference
from builder.recipe.model import ImagePolicy, Recipe, ScanPolicy, Unscannable


@click.command("push")
@click.argument("image", metavar="IMAGE")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Judge by this recipe's [scan] and [policy], with its waivers.",
)
@click.option("--fail-on", type=SEVERITY, help="Least severity that fails [high].")
@click.option("--only-fixed", is_flag=True, default=None, help="Count only findings that an update mends.")
@click.option(
    "--unscannable",
    type=click.Choice(["fail", "warn"]),
    help="What cannot be judged does [fail].",
)
@click.option(
    "bills",
    "--sbom",
    type=click.Choice(["cyclonedx", "spdx"]),
    multiple=True,
    help="Attach a bill of materials (OCI referrer).",
)
@click.option("--max-database-age", type=AGE, default="7d", show_default=True, help="7d, 12h or any.")
@database_option
@archive_options
@progress_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Push IMAGE, an OCI layout (oci:FOLDER[:TAG]) or archive, to a registry as each NAME.

    It is read, scanned and held against the policy first, as every image that gets a name. Prints each name
    with the digest, which is the layout's own.
    """
    from builder.cli.options import read_archive_options  # noqa: PLC0415 (as above)
    from builder.cli.workshop import MachineOptions, make_workshop  # noqa: PLC0415 (imports of one command)
    from builder.recipe.model import BillKind  # noqa: PLC0415 (as above)
    from builder.standing import Push, push_standing  # noqa: PLC0415 (as above)

    path, name = _image(options["image"])
    references = tuple(_reference(text) for text in options["names"])
    display = progress_display(options["progress"], options["progress_fd"], quiet=options["quiet"])
    machine = MachineOptions(
        archive=read_archive_options(options), cache=options["cache"], database=options["database"]
    )
    try:
        workshop = make_workshop(machine, display)
        bills = tuple(BillKind(text) for text in options["bills"])
        recipe = _recipe(options["recipe"])
        push = Push(
            references=references,
            policy=_policy(context, options, recipe.scan if recipe is not None else ScanPolicy()),
            image=recipe.policy if recipe is not None else ImagePolicy(),
            vex=recipe.scan.vex if recipe is not None else (),
            bills=bills,
        )
        descriptor = push_standing(path, name, push, workshop)
    finally:
        display.close()
    for reference in references:
        click.echo(f"{reference.name}:{reference.tag or 'latest'}@{descriptor.digest}")


def _image(text: str) -> tuple[Path, str]:
    if Path(text).exists():
        return Path(text).absolute(), ""
    try:
        address = ImageAddress.parse(text, Path.cwd())
    except ValueError as error:
        raise click.UsageError(f"IMAGE: {error}") from error
    if address.place not in (ImagePlace.LAYOUT, ImagePlace.OCI_ARCHIVE) or address.path is None:
        raise click.UsageError(f"{text} is no layout: expected oci:FOLDER[:TAG] or oci-archive:FILE[:TAG]")
    if not address.path.exists():
        raise click.UsageError(f"{address.path} does not exist, so there is nothing to push")
    return address.path, address.name


def _reference(text: str) -> ImageReference:
    try:
        reference = ImageReference.parse(text.removeprefix("docker://"))
    except ValueError as error:
        raise click.UsageError(f"NAME: {error}") from error
    if reference.digest is not None:
        raise click.UsageError(f"NAME: {text} names a digest; an image is pushed under a tag")
    if not reference.registry:
        raise click.UsageError(f"NAME: {text} names no registry, as registry.example.com/{text}")
    return reference


def _recipe(path: Path | None) -> Recipe | None:
    if path is None:
        return None
    from builder.cli.options import recipe_request  # noqa: PLC0415 (only with a recipe)
    from builder.cli.workshop import load_recipe  # noqa: PLC0415 (as above)

    document = load_recipe(path, recipe_request((), (), ()))
    return document.recipe(document.platforms[0])


def _policy(context: click.Context, options: dict[str, Any], policy: ScanPolicy) -> ScanPolicy:
    """``policy`` with what the command line says laid over it."""
    given = click.core.ParameterSource.COMMANDLINE
    said = {
        key: options[key]
        for key in ("fail_on", "only_fixed", "unscannable", "max_database_age")
        if context.get_parameter_source(key) is given
    }
    if "unscannable" in said:
        said["unscannable"] = Unscannable(said["unscannable"])
    return replace(policy, **said)
