"""What the machine lends to a build. Made by the command line; the pipeline and its tests read it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

from builder.engine.command import Runner
from builder.oci import Platform
from builder.progress import Progress
from builder.registry.options import NO_OPTIONS, RegistryOptions
from builder.sources.debian.apt_sources import Mirrors
from builder.sources.debian.archive import Effects, Freshness
from builder.sources.stage.options import USUAL, StageOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the machine lends to a build: folders, mirrors, network, programs, clock and display."""

    cache: Path
    database: Path
    mirrors: Mirrors | None
    freshness: Freshness
    effects: Effects
    native: Platform
    epoch: int | None
    """SOURCE_DATE_EPOCH in seconds, or None."""
    stages: StageOptions = USUAL
    registries: RegistryOptions = NO_OPTIONS

    @property
    def progress(self) -> Progress:
        """The display."""
        return self.effects.progress

    @property
    def runner(self) -> Runner:
        """Runs programs of the machine."""
        return self.effects.runner

    def reaching(self, insecure: frozenset[str]) -> RegistryOptions:
        """How registries are reached, with those of a recipe that have no TLS."""
        return replace(self.registries, insecure=self.registries.insecure | insecure)

    def now(self) -> dt.datetime:
        """The time, in UTC."""
        return dt.datetime.fromtimestamp(int(self.effects.clock()), tz=dt.UTC)
