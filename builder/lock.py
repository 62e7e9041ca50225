"""The lock: exactly which packages a recipe's sources come to, and who asked for each."""

from __future__ import annotations

from dataclasses import dataclass

from builder.oci import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One binary package of an archive. It knows nothing of the package's files yet.

    ``url`` is where it is fetched, ``size`` in bytes, ``sha256`` of the .deb in hex. ``requested`` is True
    for packages that the recipe names (their payload is installed whole), ``alone`` for those taken for
    single files, without what they depend on; ``wanted_by`` says who asked: "recipe",
    "PACKAGE (VERSION) Depends: …", or the words of an :class:`Extra`.
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
    alone: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Extra:
    """A package that is wanted for single files of it: alone, without what it depends on.

    ``optional``: an archive that does not have it is no error.
    """

    name: str
    wanted_by: str
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Every package for one platform, sorted by name."""

    platform: Platform
    packages: tuple[LockedPackage, ...]
