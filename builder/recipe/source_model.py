"""Where files come from, as the author wrote it: one value for each type of ``[sources.NAME]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_SUITE = "trixie"
"""Debian's current stable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSource:
    """``[sources.NAME] type = "debian"``. ``mirror`` "" means the machine's own apt sources.

    ``pin`` maps a binary package to an exact version. ``snapshot`` is ``YYYYMMDDTHHMMSSZ`` or "".
    ``keyring`` None means the Debian archive keys that rootlet carries.
    """

    name: str
    suite: str = DEFAULT_SUITE
    components: tuple[str, ...] = ("main",)
    packages: tuple[str, ...] = ()
    mirror: str = ""
    security_mirror: str = ""
    security: bool = True
    snapshot: str = ""
    keyring: Path | None = None
    pin: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSource:
    """``type = "host"``: files of this machine, or of the unpacked root file system at ``root``."""

    name: str
    root: Path = Path("/")


Source = DebianSource | HostSource
"""Any source. All but :class:`DebianSource` give one tree (builder/sources/supply.py)."""
