"""How stages are run, as the command line and the environment say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.oci import Platform
from builder.recipe.source_model import StageSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """``isolation``: BUILDAH_ISOLATION or "". ``epoch``: SOURCE_DATE_EPOCH in seconds, or None.

    ``fresh``: nothing that was kept is used. ``shell``: open a shell in a stage that fails. ``secrets`` are
    those of the command line, by id; ``environment`` is where values of secrets are looked for.
    """

    isolation: str = ""
    native: Platform | None = None
    """The machine's platform; None: whatever is asked for runs here."""
    epoch: int | None = None
    fresh: bool = False
    shell: bool = False
    secrets: Mapping[str, StageSecret] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that commands with a network get besides."""


USUAL = StageOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecipe:
    """Which recipe the stages are of: ``path`` names their caches; ``written`` is never copied into them."""

    path: Path = Path()
    written: tuple[Path, ...] = ()


NO_RECIPE = StageRecipe()
