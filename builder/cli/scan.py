"""``rootlet scan``: judge an image, an archive, a root folder; recipes and Dockerfiles unbuilt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from builder.cli import machine
from builder.cli.lint import enforce_lint, is_source, lint_source, render_lint
from builder.cli.options import folders, insecure_option
from builder.cli.reach import reach
from builder.cli.values import AGE, SEVERITY
from builder.oci import Platform
from builder.recipe.model import ScanPolicy, Severity, Unscannable

FORMATS = ("table", "json", "sarif", "junit", "gitlab", "markdown", "html", "openvex")
_BLOCK = 512
"""Pieces of a report that are written at a time."""


@click.command("scan")
@click.argument("reference")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to a file."
)
@click.option(
    "--fail-on", type=SEVERITY, default="high", show_default=True, help="Least severity that fails."
)
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave out remarks on a recipe or Dockerfile.")
@click.option("--only-fixed", is_flag=True, help="Count only findings that an update mends.")
@click.option(
    "--unscannable",
    type=click.Choice(["fail", "warn"]),
    default="fail",
    show_default=True,
    help="What a part that cannot be judged does.",
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Judge by [scan] and [policy] of this recipe instead of the options.",
)
@click.option(
    "--vex",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="OpenVEX document: what it says is not affected does not count.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An earlier report (--format json): only what is not in it counts.",
)
@click.option("--max-database-age", type=AGE, default="7d", show_default=True, help="7d, 12h or any.")
@click.option("--platform", help="OS/ARCH, where the reference holds several.")
@insecure_option
@click.option(
    "--database",
    "databases",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of vulnerability data [ROOTLET_DATABASE]; several are asked together.",
)
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Cache folder [ROOTLET_CACHE]."
)
def command(  # noqa: PLR0913 (one parameter for each option)
    reference: str,
    form: str,
    output: Path | None,
    fail_on: Severity | None,
    *,
    ignore: tuple[str, ...],
    only_fixed: bool,
    unscannable: str,
    recipe_file: Path | None,
    vex: tuple[Path, ...],
    baseline: Path | None,
    max_database_age: int | None,
    platform: str | None,
    insecure_registries: tuple[str, ...],
    databases: tuple[Path, ...],
    cache: Path | None,
) -> None:
    r"""Judge REFERENCE: an image wherever it is, or a root folder.

    \b
    registry.example.com/app:1    an image of a registry, by its whole name
    oci:FOLDER[:TAG]              an OCI layout; also oci-archive:FILE, docker-archive:FILE
    storage:NAME                  an image of the local container storage
    dir:FOLDER                    a root folder, or an application's: then its lock files count

    A recipe (NAME.toml) or a Dockerfile is judged as it is written, without building anything.

    Exit code 0: nothing at or above the limit is known. 5: something is. 8: it could not be judged.
    """
    from builder.cli.formats import Look, rendered  # noqa: PLC0415 (imports of one command)
    from builder.cli.terms import make_terms  # noqa: PLC0415
    from builder.scan.gate import enforce, judge  # noqa: PLC0415
    from builder.scan.store import Database  # noqa: PLC0415
    from builder.scan.subject import Question, hardening_of, scan_reference  # noqa: PLC0415

    if is_source(reference):
        remarks = lint_source(reference, frozenset(ignore))
        _write((render_lint(remarks, form, colour=output is None and machine.colour()),), output)
        enforce_lint(remarks, fail_on)
        return
    policy = ScanPolicy(
        fail_on=fail_on,
        only_fixed=only_fixed,
        unscannable=Unscannable(unscannable),
        max_database_age=max_database_age,
        vex=vex,
    )
    terms = make_terms(policy, recipe_file, baseline)
    now = dt.datetime.fromtimestamp(int(machine.now()), tz=dt.UTC)
    question = Question(subject=reference, now=now, hardening=hardening_of(terms.image))
    wanted = _platform(platform)
    images = {"cache": cache, "insecure_registries": insecure_registries}
    places = [folders(cache, database)[1] for database in databases or (None,)]
    with Database.open(*places) as data:
        report = scan_reference(reference, data, question, platform=wanted, reach=reach(images))
    verdict = judge(report, terms)
    look = Look(now=now, colour=output is None and machine.colour(), recipe=recipe_file)
    _write(rendered(form, report, verdict, look), output)
    enforce(report, verdict)


def _write(pieces: Iterable[str], output: Path | None) -> None:
    """Write a report as it is made: one of a large image has some ten thousand findings."""
    from builder.files import atomic_write  # noqa: PLC0415 (imports of one command)

    if output is None:
        for block in _blocks(pieces):
            click.echo(block, nl=False)
        return
    with atomic_write(output) as stream:
        for block in _blocks(pieces):
            stream.write(block.encode(errors="backslashreplace"))


def _blocks(pieces: Iterable[str]) -> Iterator[str]:
    block: list[str] = []
    for piece in pieces:
        block.append(piece)
        if len(block) >= _BLOCK:
            yield "".join(block)
            block.clear()
    yield "".join(block)


def _platform(text: str | None) -> Platform | None:
    try:
        return Platform.parse(text) if text else None
    except ValueError as error:
        raise click.UsageError(f"--platform: {error}") from error
