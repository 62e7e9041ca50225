"""``rootlet database``: vulnerability data of this machine."""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli import machine
from builder.cli.options import database_option, folders, progress_display, progress_options
from builder.errors import ScanError
from builder.scan.model import DatabaseMeta

OSV_BUCKET = "https://osv-vulnerabilities.storage.googleapis.com"
"""OSV's public export: https://google.github.io/osv.dev/data/."""


@click.group("database")
@database_option
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Cache folder [ROOTLET_CACHE]."
)
@click.pass_context
def command(context: click.Context, database: Path | None, cache: Path | None) -> None:
    """Vulnerability data: where it comes from, how old it is, and how to renew it."""
    context.obj = folders(cache, database)[1]


@command.command("update")
@click.argument("ecosystems", nargs=-1)
@click.option(
    "--from",
    "base_url",
    default=OSV_BUCKET,
    envvar="ROOTLET_OSV",
    show_default=True,
    help="A URL or folder in the layout of OSV's export: <Ecosystem>/all.zip.",
)
@progress_options
@click.pass_obj
def update_command(
    folder: Path,
    ecosystems: tuple[str, ...],
    base_url: str,
    progress: str,
    progress_fd: int | None,
    *,
    quiet: bool,
) -> None:
    """Fetch what changed since the last update; nothing is lost when that fails."""
    from builder.scan.database import ECOSYSTEMS, update  # noqa: PLC0415 (sqlite only where it is used)
    from builder.transport import Transport  # noqa: PLC0415 (as above, for the network)

    display = progress_display(progress, progress_fd, quiet=quiet)
    try:
        with Transport(progress=display, proxies=machine.proxies()) as transport:
            metas = update(
                folder,
                base_url=base_url,
                transport=transport,
                clock=machine.now,
                progress=display,
                ecosystems=_known(ecosystems, ECOSYSTEMS),
            )
    finally:
        display.close()
    _print(metas, quiet=quiet)


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@progress_options
@click.pass_obj
def import_command(folder: Path, path: Path, progress: str, progress_fd: int | None, *, quiet: bool) -> None:
    """Take an all.zip, or a folder with <Ecosystem>/all.zip, from a place without a network."""
    from builder.scan.database import import_folder  # noqa: PLC0415 (sqlite only where it is used)

    display = progress_display(progress, progress_fd, quiet=quiet)
    try:
        metas = import_folder(folder, path, clock=machine.now, progress=display)
    finally:
        display.close()
    _print(metas, quiet=quiet)


@command.command("status")
@click.pass_obj
def status_command(folder: Path) -> None:
    """Show what there is; exit code 8 when there is nothing."""
    from builder.scan.database import status  # noqa: PLC0415 (sqlite only where it is used)

    metas = status(folder)
    if not metas:
        raise ScanError(f"There is no vulnerability data in {folder}", hint="rootlet database update")
    _print(metas, quiet=False)


def _known(wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for name in wanted:
        if name not in known:
            raise click.UsageError(f"{name!r} is not an ecosystem that rootlet matches ({', '.join(known)})")
    return wanted or known


def _print(metas: tuple[DatabaseMeta, ...], *, quiet: bool) -> None:
    if quiet:
        return
    for meta in metas:
        covered = "" if meta.coverage is None else f", partial: {len(meta.coverage)} source packages"
        refused = f", {meta.refused} records refused" if meta.refused else ""
        click.echo(
            f"{meta.ecosystem}: {meta.records:,} records as of {meta.date:%Y-%m-%d %H:%M} UTC, "
            f"releases {', '.join(meta.releases)}{covered}{refused}\n  from {meta.source}"
        )
