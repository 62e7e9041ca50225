"""``rootlet dockerfile``: an image as one multi-stage Dockerfile, for builders that rootlet is not."""

from __future__ import annotations

import difflib
import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import archive_options, progress_options, recipe_options
from builder.cli.subject import plan_one
from builder.errors import BuildError, LockError, MachineError, ResolutionError
from builder.oci import ImageReference
from builder.recipe.source_model import DEFAULT_SUITE

if TYPE_CHECKING:
    from builder.cli.subject import PlannedRecipe


@click.command("dockerfile")
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write nothing: end with 7, and say how, when this file is not what would be written.",
)
@click.option(
    "--unpack-image",
    metavar="NAME@sha256:…",
    envvar="ROOTLET_UNPACK_IMAGE",
    help="The image whose tools unpack the packages, instead of Debian's own of the suite.",
)
@recipe_options
@archive_options
@progress_options
def command(
    recipe: str,
    *,
    output: Path | None,
    check: Path | None,
    unpack_image: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Write RECIPE's image as a Dockerfile: the same files and configuration as rootlet build makes.

    The recipe is planned and not built. --check keeps the unpacking image that the file names.
    """
    if output and check:
        raise click.UsageError("--output writes a file and --check does not: choose one")
    given = _reference(unpack_image) if unpack_image else None
    committed = _read(check) if check else ""
    planned = plan_one(recipe, options, quiet=quiet)
    pinned = given or _pinned(committed) or _resolved(planned)
    text = _text(planned, pinned)
    if check:
        _compare(check, committed, text)
    elif output:
        from builder.files import write_bytes  # noqa: PLC0415 (imports of one command)

        write_bytes(output, text.encode())
    else:
        click.echo(text, nl=False)


def _text(found: PlannedRecipe, pinned: ImageReference) -> str:
    from builder.containerfile.write import Subject, containerfile  # noqa: PLC0415 (imports of one command)
    from builder.recipe.tree import problem_at  # noqa: PLC0415 (as above)
    from builder.resources import shipped  # noqa: PLC0415 (as above)

    planned = found.planned
    subject = Subject(
        recipe=planned.recipe,
        plan=planned.plan,
        lock=planned.locked,
        packages=planned.packages,
        unpack=pinned,
        at=functools.partial(problem_at, found.document.tree(planned.recipe.platform)),
        base=planned.base.tree if planned.base is not None else None,
        trees=planned.trees,
        pin=functools.partial(_pin, found=found),
    )
    return containerfile(subject, templates=shipped("templates"))


def _reference(text: str) -> ImageReference:
    try:
        reference = ImageReference.parse(text)
    except ValueError as error:
        raise click.UsageError(f"--unpack-image: {error}") from error
    if reference.digest is None:
        raise click.UsageError(
            f"--unpack-image {text}: a digest is missing; write {text}@sha256:…, as skopeo inspect shows it"
        )
    return reference


def _pinned(text: str) -> ImageReference | None:
    """The unpacking image of a Dockerfile that rootlet wrote; None when there is none."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["FROM"] and words[2:] == ["AS", "packages"]:
            try:
                reference = ImageReference.parse(words[1])
            except ValueError:
                return None
            return reference if reference.digest is not None else None
    return None


def _resolved(found: PlannedRecipe) -> ImageReference:
    """Debian's own image of the suite, as its registry has it today."""
    archives = found.planned.recipe.archives
    name = f"docker.io/library/debian:{archives[0].suite if archives else DEFAULT_SUITE}-slim"
    try:
        return _pin(ImageReference.parse(name), found)
    except (ResolutionError, MachineError, BuildError) as error:
        raise type(error)(
            f"The image that unpacks the packages cannot be pinned: {error.message}",
            hint=f"name it: --unpack-image {name}@sha256:…",
        ) from error


def _pin(reference: ImageReference, found: PlannedRecipe) -> ImageReference:
    """A reference with its digest; its registry is asked where it has none."""
    if reference.digest is not None:
        return reference
    from builder.sources.image import image_door  # noqa: PLC0415 (imports of one command)
    from builder.stored.pull import find_image  # noqa: PLC0415 (as above)

    workshop, recipe = found.workshop, found.planned.recipe
    options = workshop.reaching(recipe.insecure)
    door = image_door(workshop.cache, workshop.freshness, workshop.effects, options)
    return replace(reference, digest=find_image(reference, recipe.platform, door).top)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError as error:
        raise LockError(
            f"{path} is not there, so nothing was checked", hint=f"write it with -o {path}"
        ) from error


def _compare(path: Path, committed: str, text: str) -> None:
    if committed == text:
        return
    lines = difflib.unified_diff(
        committed.splitlines(), text.splitlines(), str(path), f"{path} (as it would be written)", lineterm=""
    )
    click.echo("\n".join(lines), err=True)
    raise LockError(
        f"{path} is stale: the recipe or its packages have changed", hint=f"write it anew with -o {path}"
    )
