"""From options to what a build needs of the machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cli import machine
from builder.cli.options import ArchiveOptions, RecipeOptions, folders
from builder.cli.stages import read_stage_options
from builder.engine.command import Command, Runner
from builder.errors import RootletError
from builder.progress import Progress
from builder.recipe.load import Document, Request, read_recipe
from builder.registry.options import RegistryOptions
from builder.resources import shipped

if TYPE_CHECKING:
    from builder.sources.stage.options import StageOptions
    from builder.transport import Transport
    from builder.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """Folders and archives as the options give them."""

    archive: ArchiveOptions
    cache: Path | None
    database: Path | None


def make_workshop(
    options: MachineOptions, progress: Progress, *, stages: StageOptions | None = None
) -> Workshop:
    """Everything a build is given; nothing is opened or fetched yet."""
    from builder.sources.debian.apt_sources import Mirrors, machine_mirrors  # noqa: PLC0415 (as above)
    from builder.sources.debian.archive import Effects, Freshness  # noqa: PLC0415 (as above)
    from builder.workshop import Workshop  # noqa: PLC0415 (only for commands that build)

    def transport() -> Transport:
        from builder.transport import Transport  # noqa: PLC0415 (only when the network is needed)

        return Transport(progress=progress, proxies=machine.proxies())

    archive = options.archive
    cache, database = folders(options.cache, options.database)
    mirrors = machine_mirrors()
    if archive.mirror:
        security = archive.security_mirror
        mirrors = Mirrors(
            main=archive.mirror.rstrip("/"),
            security=security.rstrip("/"),
            keyrings=(),
            keys=(),
            check_valid_until=True,
            origin="--mirror",
        )
    elif archive.security_mirror and mirrors is not None:
        mirrors = replace(mirrors, security=archive.security_mirror.rstrip("/"))
    return Workshop(
        cache=cache,
        database=database,
        mirrors=mirrors,
        freshness=Freshness(max_age=archive.max_age, offline=archive.offline, refresh=archive.refresh),
        effects=Effects(
            transport=transport,
            runner=machine.runner(),
            clock=machine.now,
            progress=progress,
            settings=machine.network_settings(),
        ),
        native=machine.native_platform(),
        epoch=machine.source_date_epoch(),
        stages=stages or read_stage_options({}),
        registries=registry_options(archive.insecure),
    )


def registry_options(insecure: Iterable[str]) -> RegistryOptions:
    """How this machine reaches registries; those of ``insecure`` have no TLS."""
    return RegistryOptions(auth_files=machine.auth_files(), insecure=frozenset(insecure))


def load_recipe(path: Path, options: RecipeOptions) -> Document:
    """Read a recipe as the command line asks for it."""
    request = Request(
        folder=Path.cwd(),
        machine=machine.native_platform(),
        platforms=options.platforms,
        profiles=options.profiles,
        settings=options.settings,
        given=given_variables(path),
    )
    return read_recipe(path, request, fragments=shipped("recipes") / "fragments")


def given_variables(path: Path) -> Mapping[str, str]:
    """``{date}`` (UTC) and, where the recipe speaks of it, ``{git.sha}`` of the recipe's folder."""
    day = dt.datetime.fromtimestamp(machine.now(), tz=dt.UTC)
    given = {"date": f"{day:%Y%m%d}"}
    given |= _git_variables(path.absolute().parent, machine.runner())
    return given


def uses_given(paths: Iterable[Path], *words: str) -> bool:
    """Whether one of the recipe's files speaks of one of ``words``; a file that cannot be read does not."""
    return any(word.encode() in text for text in map(_bytes, paths) for word in words)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _git_variables(folder: Path, runner: Runner) -> dict[str, str]:
    git = runner.find("git")
    if git is None:
        return {}
    command = Command(argv=(git, "-C", str(folder), "rev-parse", "HEAD"), timeout=20)
    try:
        sha = runner.run(command).stdout.decode().strip()
    except RootletError:
        return {}  # no repository: the variable is unknown, and the recipe's reader says so
    return {"git.sha": sha}
