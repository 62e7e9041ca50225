"""``rootlet build``: recipes to scanned, named images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import machine
from builder.cli.options import (
    ArchiveOptions,
    RecipeOptions,
    archive_options,
    database_option,
    folders,
    progress_display,
    progress_options,
    read_archive_options,
    recipe_options,
    recipe_request,
)
from builder.cli.stages import read_stage_options, stage_options
from builder.cli.values import AGE, AS_WRITTEN
from builder.errors import Problem, RecipeError, RootletError
from builder.files import Stamp, stamp
from builder.progress import Progress
from builder.receipt import (
    Receipt,
    code_stamp,
    output_stamps,
    receipt_path,
    unchanged,
    write_receipt,
)
from builder.report.build import BuildSummary, render_markdown, render_text, summary_to_plain

if TYPE_CHECKING:
    from builder.approval import Show
    from builder.pipeline import Built
    from builder.recipe.model import Recipe
    from builder.scan.model import ScanReport, Verdict


@click.command("build")
@click.argument("recipes", nargs=-1, required=True, type=click.Path(path_type=Path))
@recipe_options
@click.option(
    "outputs",
    "--to",
    multiple=True,
    metavar="WHERE",
    help="oci:FOLDER, docker-archive:FILE, storage or registry, instead of the recipe's own outputs.",
)
@click.option("--push", is_flag=True, help="Push to the registry of the image's name, besides the outputs.")
@click.option("--force", is_flag=True, help="Build even if nothing has changed.")
@database_option
@click.option(
    "--max-database-age", type=AGE, default=AS_WRITTEN, help="7d, 12h or any, instead of the recipe's."
)
@click.option(
    "--unscannable",
    type=click.Choice(["fail", "warn"]),
    help="What cannot be judged, instead of the recipe's word.",
)
@stage_options
@click.option("--no-test", is_flag=True, help="Name the image without running the recipe's tests.")
@archive_options
@click.option(
    "--summary", type=click.Path(path_type=Path, dir_okay=False), help="Append a Markdown summary (CI jobs)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@progress_options
def command(**options: Any) -> None:
    """Build, test, scan and name the images of RECIPES.

    Prints one reference with its digest a line; everything else goes to standard error. The exit code is
    0 when every image was approved; otherwise that of the first failure, after the other recipes were tried.
    """
    wanted = _wanted(options)
    if len(wanted.recipes) > 1:
        _refuse_equal_outputs(wanted)
    display = progress_display(options["progress"], options["progress_fd"], quiet=wanted.quiet)
    failures: list[RootletError] = []
    summaries: list[BuildSummary] = []
    refused: list[str] = []  # reports, kept until the display is closed
    try:
        for recipe in wanted.recipes:
            try:
                summaries.append(_build(recipe, wanted, display, refused))
            except RootletError as error:
                failures.append(error)
                if len(wanted.recipes) > 1:
                    display.note(f"{recipe}: {error.message}")
    finally:
        display.close()
        for report in refused:
            click.echo(report, err=True)
        for summary in summaries:
            _print(summary, wanted)
    if failures:
        raise failures[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The command line."""

    recipes: tuple[Path, ...]
    laid_over: RecipeOptions
    outputs: tuple[str, ...]
    push: bool
    force: bool
    archive: ArchiveOptions
    cache: Path | None
    database: Path | None
    max_database_age: int | None
    unscannable: str | None
    no_test: bool
    no_cache: bool
    debug_shell: bool
    secrets: tuple[str, ...]
    summary: Path | None
    as_json: bool
    quiet: bool

    def request(self, recipe: Path) -> tuple[str, ...]:
        """Every word that decides the result, for the receipt."""
        where = folders(self.cache, self.database)
        limits = (self.max_database_age, self.unscannable, self.no_test, self.push, self.secrets)
        parts = (self.laid_over, self.outputs, self.archive, where, limits)
        return (str(recipe.absolute()), str(Path.cwd()), str(machine.source_date_epoch()), repr(parts))


def _wanted(options: dict[str, Any]) -> _Wanted:
    return _Wanted(
        recipes=options["recipes"],
        laid_over=recipe_request(options["settings"], options["profiles"], options["platforms"]),
        outputs=options["outputs"],
        push=options["push"],
        force=options["force"],
        archive=read_archive_options(options),
        cache=options["cache"],
        database=options["database"],
        max_database_age=options["max_database_age"],
        unscannable=options["unscannable"],
        no_test=options["no_test"],
        no_cache=options["no_cache"],
        debug_shell=options["debug_shell"],
        secrets=options["secrets"],
        summary=options["summary"],
        as_json=options["as_json"],
        quiet=options["quiet"],
    )


def _refuse_equal_outputs(wanted: _Wanted) -> None:
    """Of two images with one name in one place only the later would be left: UsageError."""
    from builder.cli.workshop import load_recipe  # noqa: PLC0415 (as in _build_anew)

    taken: dict[tuple[str, ...], Path] = {}
    for path in wanted.recipes:
        try:
            document = load_recipe(path, wanted.laid_over)
            recipe = _laid_over(document.recipe(document.platforms[0]), wanted)
        except RootletError:
            continue  # said when its turn to be built comes
        for place in _places(recipe):
            other = taken.setdefault(place, path)
            if other is not path:
                raise click.UsageError(f"{other} and {path} would both be written to {':'.join(place)}")


def _places(recipe: Recipe) -> Iterator[tuple[str, ...]]:
    for output in recipe.outputs:
        kind, path = output.kind.value, str(output.path or recipe.name)
        if kind == "docker-archive":
            yield kind, path
        else:
            yield from ((kind, path, tag) for tag in recipe.tags)


def _build(path: Path, wanted: _Wanted, display: Progress, refused: list[str]) -> BuildSummary:
    started = machine.now()
    cache, _ = folders(wanted.cache, wanted.database)
    receipt = receipt_path(cache, wanted.request(path))
    if not (wanted.force or wanted.no_cache or wanted.archive.refresh):
        known = unchanged(receipt, now=started)
        if known is not None:
            return replace(known, seconds=machine.now() - started)
    show = _show(refused, quiet=wanted.quiet)
    built, inputs = _build_anew(path, wanted, display, show)
    if inputs:
        _keep_receipt(receipt, built, inputs)
    return built.summary


def _build_anew(
    path: Path, wanted: _Wanted, display: Progress, show: Show
) -> tuple[Built, tuple[Stamp, ...]]:
    """The finished build and the stamps of its inputs; no stamps where the calendar has a say in them."""
    from builder.beginning import inputs_of  # noqa: PLC0415 (as above)
    from builder.cli.workshop import MachineOptions, load_recipe, make_workshop, uses_given  # noqa: PLC0415 (the whole house: a build that has nothing to do never gets here)
    from builder.pipeline import build_image  # noqa: PLC0415 (as above)

    document = load_recipe(path, wanted.laid_over)
    recipes = tuple(_laid_over(document.recipe(platform), wanted) for platform in document.platforms)
    options = MachineOptions(archive=wanted.archive, cache=wanted.cache, database=wanted.database)
    stages = read_stage_options(
        {"no_cache": wanted.no_cache, "debug_shell": wanted.debug_shell, "secrets": wanted.secrets}
    )
    workshop = make_workshop(options, display, stages=stages)
    calendar = uses_given(document.inputs, "{date}", "{git.")
    # Before the build: what an author saves meanwhile is not in the image.
    inputs = () if calendar else tuple(stamp(one) for one in inputs_of(recipes, workshop))
    return build_image(recipes, workshop, show=show, tests=not wanted.no_test), inputs


def _laid_over(recipe: Recipe, wanted: _Wanted) -> Recipe:
    from builder.oci import ImageReference  # noqa: PLC0415 (as in _build_anew)
    from builder.recipe.model import Unscannable  # noqa: PLC0415 (as in _build_anew)
    from builder.recipe.outputs import parse_output  # noqa: PLC0415 (as in _build_anew)

    if not recipe.tags:
        problem = Problem(file=str(recipe.path), line=None, key="tags", message="expected a tag, found none")
        raise RecipeError((problem,), hint="without a tag the image would have no name")
    scan = recipe.scan
    if wanted.max_database_age != AS_WRITTEN:
        scan = replace(scan, max_database_age=wanted.max_database_age)
    if wanted.unscannable:
        scan = replace(scan, unscannable=Unscannable(wanted.unscannable))
    try:
        outputs = (
            tuple(parse_output(text, Path.cwd()) for text in wanted.outputs)
            if wanted.outputs
            else recipe.outputs
        )
        if wanted.push:
            outputs = tuple(dict.fromkeys((*outputs, parse_output("registry", Path.cwd()))))
        if parse_output("registry", Path.cwd()) in outputs and not ImageReference.parse(recipe.name).registry:
            raise click.UsageError(f"{recipe.name} names no registry to push to, as registry.example.com/x")
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from error
    return replace(recipe, scan=scan, outputs=outputs)


def _show(refused: list[str], *, quiet: bool) -> Show:
    def show(report: ScanReport, verdict: Verdict) -> None:
        from builder.report.scan import render_table  # noqa: PLC0415 (only when there is something to show)

        if not verdict.passed and not quiet:
            refused.append(render_table(report, verdict, colour=machine.colour()))

    return show


def _keep_receipt(path: Path, built: Built, inputs: tuple[Stamp, ...]) -> None:
    digests = [*(blob.digest for image in built.images for blob in image.blobs), built.summary.digest]
    outputs = output_stamps(built.recipes[0].outputs, digests)
    if outputs is None:
        return
    receipt = Receipt(
        code=code_stamp(),
        inputs=(*inputs, *built.looked_at),
        outputs=(*outputs, *map(stamp, built.papers)),
        valid_until=built.valid_until,
        summary=built.summary,
    )
    write_receipt(path, receipt)


def _print(summary: BuildSummary, wanted: _Wanted) -> None:
    if wanted.summary:
        wanted.summary.absolute().parent.mkdir(parents=True, exist_ok=True)
        with wanted.summary.open(
            "a", encoding="utf-8", errors="backslashreplace"
        ) as stream:  # CI systems share one file between steps
            stream.write(render_markdown(summary))
    if not wanted.quiet:
        click.echo(render_text(summary, colour=machine.colour()), err=True, nl=False)
    if wanted.as_json:
        click.echo(json.dumps(summary_to_plain(summary)))
        return
    for reference in summary.references:
        click.echo(f"{reference}@{summary.digest}")
