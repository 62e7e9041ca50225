"""``rootlet database``: vulnerability data of this machine."""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli import machine
from builder.cli.options import database_option, folders, progress_display, progress_options
from builder.errors import ScanError
from builder.progress import Progress, human_size
from builder.scan.model import DatabaseMeta

OSV_BUCKET = "https://osv-vulnerabilities.storage.googleapis.com"
"""OSV's public export: https://google.github.io/osv.dev/data/."""
_DAY, _HOUR = 86400, 3600

ecosystem_option = click.option(
    "-e",
    "--ecosystem",
    "ecosystems",
    multiple=True,
    metavar="NAME",
    help="Only this one: an ecosystem as OSV spells it, KEV or EPSS; may be repeated.",
)


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
@click.argument("names", nargs=-1, metavar="[ECOSYSTEM]...")
@ecosystem_option
@click.option("--all", "everything", is_flag=True, help="Every ecosystem that rootlet matches.")
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
def update_command(  # noqa: PLR0913 (one parameter for each option)
    folder: Path,
    names: tuple[str, ...],
    ecosystems: tuple[str, ...],
    base_url: str,
    progress: str,
    progress_fd: int | None,
    *,
    everything: bool,
    quiet: bool,
) -> None:
    """Fetch what changed since the last update; nothing is lost when that fails.

    Without a name it is what there is already; the first time Debian and the languages' ecosystems.
    """
    from builder.scan.database import Machine, default_feeds, import_path, update  # noqa: PLC0415 (sqlite)
    from builder.scan.ecosystems import ECOSYSTEMS  # noqa: PLC0415 (as above)
    from builder.transport import Transport  # noqa: PLC0415 (as above, for the network)

    wanted = _known((*names, *ecosystems)) or (tuple(ECOSYSTEMS) if everything else ())
    display = progress_display(progress, progress_fd, quiet=quiet)
    here = Machine(folder=folder, clock=machine.now, progress=display)
    try:
        if "://" not in base_url:
            metas = import_path(here, Path(base_url), wanted)
        else:
            official = base_url == OSV_BUCKET
            feeds = default_feeds(folder, base_url, wanted, official=official)
            with Transport(progress=display, proxies=machine.proxies()) as transport:
                metas = update(here, feeds, transport)
    finally:
        display.close()
    _print(metas, quiet=quiet)


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@ecosystem_option
@progress_options
@click.pass_obj
def import_command(
    folder: Path,
    path: Path,
    ecosystems: tuple[str, ...],
    progress: str,
    progress_fd: int | None,
    *,
    quiet: bool,
) -> None:
    """Take data from a place without a network.

    PATH is what `export` wrote, an all.zip of OSV, a folder with <Ecosystem>/all.zip, or a list of exploits
    (KEV's JSON, EPSS' CSV).
    """
    from builder.scan.carry import is_bundle, read_bundle  # noqa: PLC0415 (sqlite only where it is used)
    from builder.scan.database import Machine, import_path  # noqa: PLC0415 (as above)

    wanted = _known(ecosystems)
    display = progress_display(progress, progress_fd, quiet=quiet)
    try:
        if is_bundle(path):
            metas = read_bundle(path, folder, wanted)
        else:
            metas = import_path(Machine(folder=folder, clock=machine.now, progress=display), path, wanted)
    finally:
        display.close()
    _print(metas, quiet=quiet)


@command.command("export")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@ecosystem_option
@progress_options
@click.pass_obj
def export_command(
    folder: Path,
    path: Path,
    ecosystems: tuple[str, ...],
    progress: str,
    progress_fd: int | None,
    *,
    quiet: bool,
) -> None:
    """Write the data into one file (.tar.gz) that `import` takes on a machine without a network."""
    from builder.scan.carry import write_bundle  # noqa: PLC0415 (sqlite only where it is used)

    display: Progress = progress_display(progress, progress_fd, quiet=quiet)
    try:
        display.step(f"write {path}")
        metas = write_bundle(folder, path, _known(ecosystems))
    finally:
        display.close()
    _print(metas, quiet=quiet)


@command.command("status")
@click.pass_obj
def status_command(folder: Path) -> None:
    """Show what there is; exit code 8 when there is nothing."""
    from builder.scan.store import status  # noqa: PLC0415 (sqlite only where it is used)

    metas = status(folder)
    if not metas:
        raise ScanError(f"There is no vulnerability data in {folder}", hint="rootlet database update")
    _print(metas, quiet=False)
    click.echo(f"{human_size(sum(meta.size for meta in metas))} in {folder}")


def _known(wanted: tuple[str, ...]) -> tuple[str, ...]:
    from builder.scan.ecosystems import ECOSYSTEMS  # noqa: PLC0415 (version orders, where they are used)

    known = {name.lower(): name for name in (*ECOSYSTEMS, "KEV", "EPSS")}
    for name in wanted:
        if name.lower() not in known:
            names = ", ".join(known.values())
            raise click.UsageError(f"{name!r} is not an ecosystem that rootlet matches ({names})")
    return tuple(dict.fromkeys(known[name.lower()] for name in wanted))


def _print(metas: tuple[DatabaseMeta, ...], *, quiet: bool) -> None:
    if quiet:
        return
    for meta in metas:
        click.echo(f"{meta.ecosystem}: {', '.join(_words(meta))}\n  from {meta.source}")


def _words(meta: DatabaseMeta) -> list[str]:
    seconds = max(0, int(machine.now() - meta.date.timestamp()))
    age = f"{seconds // _DAY} days old" if seconds >= 2 * _DAY else f"{seconds // _HOUR} hours old"
    words = [
        f"{meta.records:,} records as of {meta.date:%Y-%m-%d %H:%M} UTC",
        age,
        human_size(meta.size),
    ]
    releases = [release for release in meta.releases if release]
    if releases:
        words.append(f"releases {' '.join(releases)}")
    if meta.coverage is not None:
        words.append(f"partial: {len(meta.coverage)} source packages")
    if meta.refused:
        words.append(f"{meta.refused} records refused")
    return words
