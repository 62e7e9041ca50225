"""``rootlet schema``: the JSON schema of recipes, for completion in editors."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON schema of recipes (draft 2020-12)."""
    from builder.recipe.schema import schema  # noqa: PLC0415 (built only when asked for)

    click.echo(json.dumps(schema(), indent=2))
