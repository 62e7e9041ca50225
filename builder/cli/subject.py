"""What ``why`` and ``why-not`` are asked about: recipes (planned, not built), images, root folders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import machine
from builder.cli.options import (
    folders,
    progress_display,
    read_archive_options,
    recipe_request,
    stack,
)
from builder.cli.reach import reach
from builder.errors import ResolutionError, ScanError

if TYPE_CHECKING:
    from builder.oci import Platform
    from builder.pipeline import Planned
    from builder.plan.contents import Contents
    from builder.recipe.load import Document
    from builder.report.why import Findings
    from builder.scan.model import Finding
    from builder.stored.read import StoredImage
    from builder.workshop import Workshop

subject_arguments = stack(
    [
        click.argument("subject", metavar="RECIPE|IMAGE"),
        click.argument("paths", nargs=-1, metavar="PATH..."),
    ]
)


def is_recipe(subject: str) -> bool:
    """Whether the words name a recipe: a file, there or not, that ends in ``.toml``."""
    return subject.endswith(".toml") and not Path(subject).is_dir()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRecipe:
    """A recipe that was planned for one platform, what it was read from, and what the machine lends to it."""

    planned: Planned
    document: Document
    workshop: Workshop


def plan_one(subject: str, options: Mapping[str, Any], *, quiet: bool) -> PlannedRecipe:
    """The plan of a recipe for one platform. UsageError when it has several and none was chosen."""
    return _plan(subject, options, quiet=quiet, most=1)[0]


def plan_subject(subject: str, options: Mapping[str, Any], *, quiet: bool) -> list[Planned]:
    """The plans of a recipe, one a platform. Raises what planning raises."""
    return [one.planned for one in _plan(subject, options, quiet=quiet)]


def _plan(
    subject: str, options: Mapping[str, Any], *, quiet: bool, most: int | None = None
) -> list[PlannedRecipe]:
    from builder.cli.workshop import MachineOptions, load_recipe, make_workshop  # noqa: PLC0415 (recipes only)
    from builder.pipeline import plan_recipe  # noqa: PLC0415 (as above)

    request = recipe_request(options["settings"], options["profiles"], options["platforms"])
    archive = read_archive_options(options)
    display = progress_display(options["progress"], options["progress_fd"], quiet=quiet)
    try:
        document = load_recipe(Path(subject), request)
        if most is not None and len(document.platforms) > most:
            names = ", ".join(map(str, document.platforms))
            raise click.UsageError(f"{subject} is for several platforms: choose one with --platform: {names}")
        workshop = make_workshop(
            MachineOptions(archive=archive, cache=options["cache"], database=None), display
        )
        return [
            PlannedRecipe(
                planned=plan_recipe(document.recipe(platform), workshop), document=document, workshop=workshop
            )
            for platform in document.platforms
        ]
    finally:
        display.close()


def planned_subject(planned: Planned) -> Contents:
    """What the image of a recipe would hold."""
    from builder.plan.contents import planned_contents  # noqa: PLC0415 (imports of one command)

    subject = f"{planned.recipe.name} ({planned.plan.platform})"
    ground = planned.base.tree if planned.base is not None else None
    return planned_contents(planned.plan, subject=subject, ground=ground)


def open_subject(
    subject: str, options: Mapping[str, Any], *, wanted: frozenset[str] = frozenset()
) -> Contents:
    """What an image or a root folder holds. ResolutionError when nothing is there, BuildError for damage.

    ``wanted``: paths that the file lists of its packages are searched for.
    """
    from builder.image.contents import folder_contents, image_contents  # noqa: PLC0415 (images only)

    opened = open_image_or_folder(subject, options)
    if isinstance(opened, Path):
        return folder_contents(opened, subject=subject, wanted=wanted)
    return image_contents(opened, subject=subject, wanted=wanted)


def open_image_or_folder(subject: str, options: Mapping[str, Any]) -> StoredImage | Path:
    """An image, its layers not read yet, or the path of a root folder. Raises as :func:`open_subject`."""
    from builder.scan.subject import open_reference  # noqa: PLC0415 (images only)

    platforms = recipe_request((), (), options["platforms"]).platforms
    if len(platforms) > 1:
        raise click.UsageError("--platform: an image is looked at for one platform at a time")
    for option, name in (("settings", "--set"), ("profiles", "--profile")):
        if options[option]:
            raise click.UsageError(f"{name} belongs to a recipe, and {subject} is none (NAME.toml)")
    platform: Platform | None = platforms[0] if platforms else None
    try:
        return open_reference(subject, platform=platform, purpose="looked at", reach=reach(options))
    except ScanError as error:
        raise ResolutionError(error.message, hint=error.hint) from error


def look_up(contents: Contents, options: Mapping[str, Any]) -> Findings:
    """What the vulnerability data of this machine says of the packages; its absence is no error here."""
    from builder.report.why import Findings  # noqa: PLC0415 (imports of one command)
    from builder.scan.match import scan_inventory  # noqa: PLC0415 (as above)
    from builder.scan.store import Database  # noqa: PLC0415 (as above)

    now = dt.datetime.fromtimestamp(int(machine.now()), tz=dt.UTC)
    folder = folders(options["cache"], options["database"])[1]
    try:
        with Database.open(folder) as data:
            report = scan_inventory(contents.inventory, data, subject=contents.subject, now=now)
    except ScanError as error:
        return Findings(by_package=None, note=f"not looked up: {error.message} ({error.hint})")
    if not report.databases:
        name = contents.inventory.distribution or "an unknown distribution"
        return Findings(by_package=None, note=f"not looked up: there is no vulnerability data for {name}")
    by_package: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_package.setdefault(finding.package, []).append(finding)
    words = (
        f"{one.ecosystem} of {one.date:%Y-%m-%d}{', a partial cut' if one.partial else ''}"
        for one in report.databases
    )
    return Findings(by_package=by_package, note=f"data: {'; '.join(words)}")


def each_contents(
    subject: str, options: Mapping[str, Any], *, quiet: bool, show: Callable[[Contents], None]
) -> None:
    """Call ``show`` for the image, or for each platform of the recipe."""
    if not is_recipe(subject):
        show(open_subject(subject, options))
        return
    for planned in plan_subject(subject, options, quiet=quiet):
        show(planned_subject(planned))
