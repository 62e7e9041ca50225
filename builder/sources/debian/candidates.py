"""What an archive offers: versions of packages, and who provides a name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version of a package that an archive offers. Relations are text as the archive writes it.

    ``url``, ``size`` (bytes) and ``sha256`` (hex) are those of the .deb.
    """

    name: str
    version: str
    architecture: str
    source_name: str = ""
    source_version: str = ""
    pre_depends: str = ""
    depends: str = ""
    conflicts: str = ""
    breaks: str = ""
    provides: str = ""
    multi_arch: str = ""
    priority: str = ""
    url: str = ""
    size: int = 0
    sha256: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A package that provides a name; ``version`` is that of the name, "" where none is given."""

    candidate: Candidate
    version: str


class Index(Protocol):
    """What the resolver asks of an archive."""

    def named(self, name: str) -> tuple[Candidate, ...]:
        """Every version of a package, the highest first."""

    def providers(self, name: str) -> tuple[Provider, ...]:
        """Every package version that provides ``name``, by package name, the highest version first."""

    def names(self) -> Iterable[str]:
        """Every package's name, for messages."""
