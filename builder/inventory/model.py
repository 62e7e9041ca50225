"""What is installed in a tree of files: the inventory that the scanner, the SBOM and the report share.

It knows packages, their sources and who owns which program; it does not know whether anything is vulnerable.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ComponentKind(enum.Enum):
    """The package format a component was found in. The value is the type of its purl."""

    DEB = "deb"
    APK = "apk"
    RPM = "rpm"
    PYTHON = "pypi"
    NPM = "npm"
    GO = "golang"
    RUST = "cargo"
    JAVA = "maven"
    RUBY = "gem"
    PHP = "composer"
    DOTNET = "nuget"
    GENERIC = "generic"
    """A program known by a text inside it, or something that only an embedded SBOM names."""

    @property
    def is_system(self) -> bool:
        """Whether it is a distribution's own format: then ``Distribution`` says whose data counts."""
        return self in _SYSTEM


_SYSTEM = frozenset({ComponentKind.DEB, ComponentKind.APK, ComponentKind.RPM})


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
    """One installed package: of the distribution, of a language, or a program that says what it is.

    ``name`` is spelled as its ecosystem's vulnerability data does: a binary package, "@scope/name" (npm), a
    module's path or "stdlib" (Go), "group:artifact" (Maven), "vendor/name" (Composer), else the name as
    published. ``version`` and ``source_version`` are whole (epoch, revision; Go's without its "v"); "" where
    nobody says, as for a Go program's own module that was built in a work tree: such a version is never
    matched. ``source_name`` and ``source_version`` are the source package (dpkg, rpm) or origin (apk);
    elsewhere they repeat ``name`` and ``version``. ``modularity`` is rpm's label of a module stream
    ("nodejs:18:…"). ``purl`` follows the package-url specification.

    ``evidence`` holds the paths that it was read from, ``layer`` the lowest layer that holds one of them
    (None outside of images). ``files`` counts the regular files of the tree that its file lists name.
    ``development`` marks what a lock file wants for development only. ``claimed`` says that nothing but an
    embedded SBOM names it. ``owner`` is the distribution's package that its evidence belongs to, "" for none.
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
    modularity: str = ""
    layer: int | None = None
    development: bool = False
    claimed: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything found in one tree; equal trees give equal inventories, in whatever order they are read.

    ``components`` is sorted by kind (as declared), name, version, architecture. ``unowned_elf`` holds the
    paths of ELF files that no package's file list names and that do not say themselves what they are.
    ``files`` counts regular files (hard links each), ``elf_files`` those of them that are ELF. Each of
    ``notes`` says what could not be read or trusted: a package may hide there, so the scanner takes every
    note as a reason why it could not judge all of the tree.
    """

    distribution: Distribution | None
    components: tuple[Component, ...]
    unowned_elf: tuple[str, ...]
    elf_files: int
    files: int
    notes: tuple[str, ...]
