"""Options of commands that may run build stages, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import machine
from builder.cli.options import stack

if TYPE_CHECKING:
    from builder.recipe.source_model import StageSecret
    from builder.sources.stage.options import StageOptions

stage_options = stack(
    [
        click.option("--no-cache", is_flag=True, help="Run every command of build stages again."),
        click.option(
            "--debug-shell", is_flag=True, help="Open a shell in a build stage whose command fails."
        ),
        click.option(
            "secrets",
            "--secret",
            multiple=True,
            metavar="ID=WHERE",
            help="Value of a stage's secret: ID=env:NAME or ID=file:PATH.",
        ),
    ]
)


def read_stage_options(options: Mapping[str, Any]) -> StageOptions:
    """Check the words of ``stage_options`` and add what the environment says. UsageError for a wrong one."""
    from builder.sources.stage.options import StageOptions  # noqa: PLC0415 (only for commands that build)

    environment = machine.environment()
    proxies = machine.proxies()
    return StageOptions(
        isolation=environment.get("BUILDAH_ISOLATION", ""),
        native=machine.native_platform(),
        epoch=machine.source_date_epoch(),
        fresh=bool(options.get("no_cache")),
        shell=bool(options.get("debug_shell")) and machine.has_terminal(),
        secrets={one.id: one for one in map(_secret, options.get("secrets", ()))},
        environment=environment,
        proxies={**proxies, **{name.upper(): value for name, value in proxies.items()}},
    )


def _secret(text: str) -> StageSecret:
    from builder.recipe.source_model import StageSecret  # noqa: PLC0415 (as above)
    from builder.recipe.stage_keys import SECRET  # noqa: PLC0415 (as above)

    match = SECRET.fullmatch(text)
    if match is None or not (match["env"] or match["file"]):
        raise click.UsageError(f"--secret {text!r}: expected ID=env:NAME or ID=file:PATH")
    file = Path(match["file"]).absolute() if match["file"] else None
    return StageSecret(id=match["id"], env=match["env"] or "", file=file)
