"""Where files come from, as the author wrote it: one value for each type of ``[sources.NAME]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.oci import ImageAddress

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCopy:
    """One ``copy`` of a stage: a file or folder of this machine (``context``), or ``path`` of a ``source``.

    ``dest`` is absolute in the stage; ``into``: it is the folder that gets the file.
    """

    dest: str
    into: bool = False
    context: Path | None = None
    source: str = ""
    path: str = ""
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSecret:
    """A secret of a stage. Without ``env`` and ``file`` the command line says where its value is."""

    id: str
    env: str = ""
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSource:
    """``type = "stage"``: commands that are run. ``start`` is its key ``from``: a source, scratch, an image.

    ``run`` has a string for each command of the shell, a tuple for each program with arguments. ``memory`` in
    bytes, 0 for no limit; ``cpus`` 0 for all; ``seconds`` for each command. ``folder`` is the recipe's.
    """

    name: str
    start: str
    image: ImageAddress | None = None
    """Where the stage starts, when that is an image and no source."""
    folder: Path
    packages: tuple[str, ...] = ()
    copy: tuple[StageCopy, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    run: tuple[str | tuple[str, ...], ...] = ()
    workdir: str = "/"
    user: str = ""
    network: bool = False
    secrets: tuple[StageSecret, ...] = ()
    cache: tuple[str, ...] = ()
    memory: int = 0
    cpus: int = 0
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSource:
    """``type = "archive"``: a tar or zip archive at ``url``, or at ``path`` of this machine.

    ``sha256`` (hex) is of the file; "" only for a ``path``. ``strip`` leading folders are taken off, then
    ``root`` (absolute in what is left) is the root of the tree.
    """

    name: str
    url: str = ""
    path: Path | None = None
    sha256: str = ""
    strip: int = 0
    root: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """``type = "image"``: what a container of the image ``ref`` would see."""

    name: str
    ref: ImageAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource:
    """``type = "git"``: a repository at ``url``, or at ``path`` of this machine, at one ``commit``.

    ``commit`` is a whole hash. ``ref`` is a tag or branch that the commit is checked against, or "".
    """

    name: str
    url: str = ""
    path: Path | None = None
    commit: str
    ref: str = ""
    submodules: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSource:
    """``type = "python"``: wheels for what ``requirements``, a ``lock`` or a ``pyproject`` asks for.

    ``python`` ("3.13") and ``libc`` ("glibc-2.41", "musl-1.2") are "" where the recipe's packages say it.
    ``index`` "" means pip's own settings. ``links`` is a folder or page of wheels. ``site`` is where packages
    go, "" for Debian's own folder; ``interpreter`` starts their programs, "" for Debian's.
    """

    name: str
    requirements: Path | None = None
    lock: Path | None = None
    pyproject: Path | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    python: str = ""
    libc: str = ""
    hashes: bool = True
    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    links: str = ""
    site: str = ""
    interpreter: str = ""
    bytecode: bool = False


Source = DebianSource | HostSource | StageSource | ArchiveSource | ImageSource | GitSource | PythonSource
"""Any source. All but :class:`DebianSource` give one tree (builder/sources/supply.py)."""
