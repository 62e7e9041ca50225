"""How registries are reached, as the machine, the command line and the recipe say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """Files with credentials, in their order, and hosts that are spoken to without TLS."""

    auth_files: tuple[Path, ...] = ()
    insecure: frozenset[str] = frozenset()


NO_OPTIONS = RegistryOptions()
"""No credentials, TLS everywhere but on this machine."""
