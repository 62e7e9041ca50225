"""``rootlet cache``: what rootlet keeps between builds."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import click

from builder.cli import machine
from builder.cli.options import folders
from builder.progress import human_size

_ROOMS = (
    *("releases", "indexes", "locks", "packages", "images", "layers", "trees", "wheels"),
    *("downloads", "elf", "receipts", "staging"),
)
"""Folders of the cache that any build makes again. The vulnerability database is not among them."""
_STAGES = "stages"


@click.group("cache")
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Cache folder [ROOTLET_CACHE]."
)
@click.pass_context
def command(context: click.Context, cache: Path | None) -> None:
    """Packages, indexes and receipts; all of it is fetched or made again when it is missing."""
    context.obj = folders(cache, None)[0]


@command.command("status")
@click.pass_obj
def status_command(cache: Path) -> None:
    """Show what there is and how big it is."""
    click.echo(str(cache))
    for room in (*_ROOMS, _STAGES):
        sizes = list(_sizes(cache / room))
        click.echo(f"  {room:<10} {human_size(sum(sizes)):>10}  {len(sizes):>6} files")


@command.command("clean")
@click.pass_obj
def clean_command(cache: Path) -> None:
    """Remove it, but for the vulnerability database."""
    freed = 0
    for room in _ROOMS:
        freed += sum(_sizes(cache / room))
        shutil.rmtree(cache / room, ignore_errors=True)
    freed += sum(_sizes(cache / _STAGES))
    if (cache / _STAGES).is_dir():
        from builder.sources.stage.upkeep import remove_everything  # noqa: PLC0415 (only where there is any)

        remove_everything(cache, machine.runner())
    click.echo(f"freed {human_size(freed)} in {cache}")


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a build that runs beside us took it away
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                yield status.st_size
