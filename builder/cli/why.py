"""``rootlet why``: the chain of reasons from what the recipe says to a file of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import archive_options, database_option, progress_options, recipe_options
from builder.cli.subject import each_contents, look_up, subject_arguments
from builder.errors import ResolutionError

if TYPE_CHECKING:
    from builder.plan.contents import Contents
    from builder.report.why import Asked

_FEW = 8
"""Paths of a pattern that are explained in full."""


@click.command("why")
@subject_arguments
@click.option("--package", "packages", multiple=True, metavar="NAME", help="All files of this package.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a platform.")
@recipe_options
@database_option
@archive_options
@progress_options
def command(
    subject: str,
    paths: tuple[str, ...],
    packages: tuple[str, ...],
    *,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Say why each PATH is in the image: the chain of reasons, its package, layer and findings.

    The first argument is a recipe (NAME.toml; planned, not built), or an image as rootlet scan takes it.
    PATH is a file, a folder, a link (which is followed), or a pattern (** crosses folders). Exit code 3: one
    of them is not in the image; rootlet why-not says more.
    """
    if not paths and not packages:
        raise click.UsageError("name a PATH, or a package with --package")
    missing: list[ResolutionError] = []

    def show(contents: Contents) -> None:
        asked = _paths(contents, paths, missing) + _packages(contents, packages, missing, as_json=as_json)
        _print(contents, asked, packages, options, as_json=as_json)

    each_contents(subject, options, quiet=quiet, show=show)
    if missing:
        raise missing[0]


def _paths(contents: Contents, paths: tuple[str, ...], missing: list[ResolutionError]) -> list[Asked]:
    from builder.plan.chain import Chains, explain  # noqa: PLC0415 (imports of one command)
    from builder.plan.contents import is_glob  # noqa: PLC0415 (as above)
    from builder.report.why import Asked  # noqa: PLC0415 (as above)

    asked, chains = [], Chains(contents.places)
    for path in paths:
        whole = path if path.startswith("/") else f"/{path}"
        found = explain(contents, chains, whole)
        if not found and is_glob(whole):
            paths_found = (place.path for place in contents.glob(whole))
            found = tuple(one for each in paths_found for one in explain(contents, chains, each)[:1])
        if not found:
            missing.append(_not_there(contents, whole))
        asked.append(Asked(path=path, found=found))
    return asked


def _packages(
    contents: Contents, packages: tuple[str, ...], missing: list[ResolutionError], *, as_json: bool
) -> list[Asked]:
    from builder.plan.chain import Chains, explain  # noqa: PLC0415 (imports of one command)
    from builder.report.why import Asked  # noqa: PLC0415 (as above)

    asked, chains = [], Chains(contents.places)
    for name in packages:
        if contents.component(name) is None:
            missing.append(_no_package(contents, name))
        elif as_json:
            files = (file.path for file in contents.of_package(name))
            found = tuple(one for file in files for one in explain(contents, chains, file)[:1])
            asked.append(Asked(path=name, found=found))
    return asked


def _print(
    contents: Contents,
    asked: list[Asked],
    packages: tuple[str, ...],
    options: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from builder.report.why import render_package, render_short, render_why, why_json, why_to_plain  # noqa: PLC0415 (imports of one command)

    findings = look_up(contents, options)
    if as_json:
        click.echo(why_json(why_to_plain(contents, asked, findings)), nl=False)
        return
    texts = [render_short(contents, one, findings) for one in asked if len(one.found) > _FEW]
    few = [one for one in asked if 0 < len(one.found) <= _FEW]
    texts += [render_why(contents, few, findings)] if few else []
    components = filter(None, map(contents.component, packages))
    texts += [render_package(contents, package, findings) for package in components]
    if texts:
        click.echo(f"{contents.subject}\n\n" + "\n".join(texts), nl=False)


def _not_there(contents: Contents, path: str) -> ResolutionError:
    from builder.plan.contents import nearest  # noqa: PLC0415 (only for an error)

    close = nearest(path, contents.places)
    words = f" (nearest: {', '.join(close)})" if close else ""
    return ResolutionError(
        f"{path} is not in {contents.subject}{words}",
        hint="rootlet why-not, with the same words, says why it is not",
    )


def _no_package(contents: Contents, name: str) -> ResolutionError:
    import difflib  # noqa: PLC0415 (only for an error)

    names = sorted({one.name for one in contents.inventory.components})
    close = difflib.get_close_matches(name, names, n=3)
    words = f" (nearest: {', '.join(close)})" if close else ""
    return ResolutionError(
        f"No file of the package {name} is in {contents.subject}{words}",
        hint=f"it has {', '.join(names[:12])}{', …' if len(names) > 12 else ''}" if names else None,  # noqa: PLR2004 (a line's worth)
    )
