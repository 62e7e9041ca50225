"""Options that several commands share, and what they come to."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from builder.cli import machine
from builder.oci import Platform
from builder.progress import Progress

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FRESH_SECONDS = 3600.0
_ADDRESS = re.compile(r"https?://[^/\s]|file:///[^\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOptions:
    """How archives are reached: ``mirror`` "" for the machine's own."""

    mirror: str
    security_mirror: str
    refresh: bool
    offline: bool
    max_age: float
    insecure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOptions:
    """What is laid over a recipe."""

    settings: tuple[tuple[str, str], ...]
    profiles: tuple[str, ...]
    platforms: tuple[Platform, ...]


def stack(options: Iterable[Callable[[_Command], _Command]]) -> Callable[[_Command], _Command]:
    """Several click options as one decorator, shown in this order."""
    ordered = list(options)

    def decorate(command: _Command) -> _Command:
        for option in reversed(ordered):
            command = option(command)
        return command

    return decorate


recipe_options = stack(
    [
        click.option(
            "settings", "--set", multiple=True, metavar="NAME=VALUE", help="Set a variable of [vars]."
        ),
        click.option(
            "profiles", "--profile", multiple=True, metavar="NAME", help="Lay [profile.NAME] over the recipe."
        ),
        click.option(
            "platforms",
            "--platform",
            multiple=True,
            metavar="OS/ARCH",
            help="Build for these platforms only.",
        ),
    ]
)

insecure_option = click.option(
    "insecure_registries",
    "--insecure-registry",
    multiple=True,
    metavar="HOST[:PORT]",
    help="A registry without TLS; this machine's own need not be named.",
)

archive_options = stack(
    [
        click.option(
            "--mirror",
            default="",
            envvar="ROOTLET_MIRROR",
            metavar="URL",
            help="Package mirror, instead of the machine's own.",
        ),
        click.option(
            "--security-mirror",
            default="",
            envvar="ROOTLET_SECURITY_MIRROR",
            metavar="URL",
            help="Mirror of security updates.",
        ),
        insecure_option,
        click.option(
            "--refresh", is_flag=True, help="Ask mirrors and registries even if what they said is fresh."
        ),
        click.option("--offline", is_flag=True, help="Use only what is in the cache."),
        click.option(
            "--cache", type=click.Path(path_type=Path, file_okay=False), help="Cache folder [ROOTLET_CACHE]."
        ),
    ]
)

progress_options = stack(
    [
        click.option(
            "--progress",
            type=click.Choice(["auto", "bar", "plain", "json", "none"]),
            default="auto",
            show_default=True,
            help="How progress is shown on standard error.",
        ),
        click.option("--progress-fd", type=int, metavar="FD", help="Write JSON progress to this descriptor."),
        click.option("-q", "--quiet", is_flag=True, help="Show errors only."),
    ]
)

database_option = click.option(
    "--database",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of vulnerability data [ROOTLET_DATABASE].",
)


def recipe_request(
    settings: tuple[str, ...], profiles: tuple[str, ...], platforms: tuple[str, ...]
) -> RecipeOptions:
    """Check the words of ``recipe_options``. UsageError names the wrong one."""
    pairs = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {setting!r}: expected NAME=VALUE")
        pairs.append((name, value))
    try:
        wanted = tuple(Platform.parse(text) for text in platforms)
    except ValueError as error:
        raise click.UsageError(f"--platform: {error}") from error
    return RecipeOptions(settings=tuple(pairs), profiles=profiles, platforms=wanted)


def progress_display(progress: str, progress_fd: int | None, *, quiet: bool) -> Progress:
    """The display that the options ask for."""
    return machine.make_progress("none" if quiet and progress != "json" else progress, descriptor=progress_fd)


def folders(cache: Path | None, database: Path | None) -> tuple[Path, Path]:
    """Cache and database folders, absolute."""
    where = cache.absolute() if cache else machine.cache_folder()
    return where, database.absolute() if database else machine.database_folder(where)


def today() -> dt.date:
    """The day, in UTC: waivers end everywhere at the same moment."""
    return dt.datetime.fromtimestamp(machine.now(), tz=dt.UTC).date()


def read_archive_options(options: Mapping[str, Any]) -> ArchiveOptions:
    """Check the words of ``archive_options``. UsageError when they contradict each other."""
    if options["refresh"] and options["offline"]:
        raise click.UsageError("--refresh asks the mirror and --offline forbids it")
    for option in ("mirror", "security_mirror"):
        if options[option] and not _ADDRESS.match(options[option]):
            name = option.replace("_", "-")
            raise click.UsageError(
                f"--{name} {options[option]!r}: expected an http://, https:// or file:/// address"
            )
    return ArchiveOptions(
        mirror=options["mirror"],
        security_mirror=options["security_mirror"],
        refresh=options["refresh"],
        offline=options["offline"],
        max_age=_FRESH_SECONDS,
        insecure=options["insecure_registries"],
    )
