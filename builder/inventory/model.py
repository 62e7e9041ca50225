"""What is installed in a tree of files: the inventory that the scanner, the SBOM and the report share.

It knows packages, their sources and who owns which program; it does not know whether anything is vulnerable.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ComponentKind(enum.Enum):
    """The package format a component was found in. The value is the type of its purl."""

    DEB = "deb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What os-release(5) says: ``id`` ("debian"), ``version`` (VERSION_ID, "13"; "" when it gives none)."""

    id: str
    version: str
    pretty_name: str

    def __str__(self) -> str:
        return f"{self.id}-{self.version}" if self.version else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One installed binary package.

    ``version`` and ``source_version`` are whole (epoch, revision). ``purl`` follows the package-url
    specification, type "deb". ``evidence`` holds the paths that it was read from. ``files`` counts the
    regular files of the tree that its file lists name.
    """

    kind: ComponentKind
    name: str
    version: str
    architecture: str
    source_name: str
    source_version: str
    purl: str
    evidence: tuple[str, ...]
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything found in one tree; equal trees give equal inventories, in whatever order they are read.

    ``components`` is sorted by name, version, architecture. ``unowned_elf`` holds the paths of ELF files that
    no package's file list names. ``files`` counts regular files (hard links each), ``elf_files`` those of
    them that are ELF. Each of ``notes`` says what could not be read or trusted: a package may hide there,
    so the scanner takes every note as a reason why it could not judge all of the tree.
    """

    distribution: Distribution | None
    components: tuple[Component, ...]
    unowned_elf: tuple[str, ...]
    elf_files: int
    files: int
    notes: tuple[str, ...]
