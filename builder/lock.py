"""The lock: exactly which packages a recipe's sources come to, and who asked for each."""

from __future__ import annotations

from dataclasses import dataclass

from builder.oci import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One binary package of an archive. It knows nothing of the package's files yet.

    ``url`` is where it is fetched, ``size`` in bytes, ``sha256`` of the .deb in hex. ``requested`` is True
    for packages that the recipe names (their payload is installed whole); ``wanted_by`` says who asked:
    "recipe", or "PACKAGE (VERSION) Depends: …".
    """

    source: str
    name: str
    version: str
    architecture: str
    url: str
    size: int
    sha256: str
    source_name: str
    source_version: str
    requested: bool
    wanted_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Every package for one platform, sorted by name."""

    platform: Platform
    packages: tuple[LockedPackage, ...]
