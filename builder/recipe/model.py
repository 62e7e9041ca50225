"""A recipe for one platform, validated and with every default filled in.

It knows no package, file or digest that exists: names here are what the author wrote. See docs/recipe.md.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from pathlib import Path

from builder.oci import ImageAddress, ImageConfig, Platform
from builder.recipe.source_model import DebianSource, ImageSource, Source, StageSource

FEATURES = ("certificates", "charsets", "fonts", "locales", "mime", "nss", "terminfo", "timezones")
"""Words of ``[runtime] features``: each switches rules of builder/runtime/rules on."""


class Severity(enum.IntEnum):
    """How bad a finding is. ``UNKNOWN`` means that nobody has said."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class Missing(enum.Enum):
    """What to do about a library that nothing provides."""

    ERROR = "error"
    WARN = "warn"


class Dlopen(enum.IntEnum):
    """Least priority of the libraries to take of those that binaries say they load (.note.dlopen)."""

    NONE = 0
    REQUIRED = 1
    RECOMMENDED = 2
    SUGGESTED = 3


class Scanner(enum.Enum):
    """Who finds the vulnerabilities; the verdict is always ours."""

    BUILTIN = "builtin"
    TRIVY = "trivy"
    GRYPE = "grype"


class Unscannable(enum.Enum):
    """What to do when part of the image cannot be judged."""

    FAIL = "fail"
    WARN = "warn"


class Compression(enum.Enum):
    """How layers are compressed in the image."""

    GZIP = "gzip"
    ZSTD = "zstd"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """User and group of a file as written: names or numbers."""

    user: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One ``[[install]]``: files of a source (``source`` and ``path``) or of a local folder (``context``).

    ``to`` is absolute in the image; a trailing slash in the recipe means "into this folder" (``into``).
    ``mode`` None keeps the bits of the source, normalised for local files (0644, 0755).
    """

    source: str = ""
    path: str = ""
    context: Path | None = None
    to: str
    into: bool = False
    mode: int | None = None
    owner: Owner = Owner()
    ignore: tuple[str, ...] = ()


class FileType(enum.Enum):
    """What a ``[[file]]`` makes."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """One ``[[file]]``, made by the recipe itself. ``mode`` None: 0644 for files, 0755 for folders."""

    path: str
    type: FileType = FileType.FILE
    content: str = ""
    target: str = ""
    mode: int | None = None
    owner: Owner = Owner()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """``[users.NAME]``. ``gid`` None: a group of the user's name with the number of ``uid``."""

    name: str
    uid: int
    gid: int | None = None
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    comment: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """``[groups.NAME]``."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """``[runtime]``: what runs needs besides what is named. ``keep`` and ``drop`` are globs."""

    features: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    dlopen: Dlopen = Dlopen.RECOMMENDED
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    missing: Missing = Missing.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """``[scan] ignore``: a finding waived until a day. ``package`` "" means any package.

    ``justification`` is OpenVEX's word for why the image is not affected, "" where it may be.
    """

    id: str
    reason: str
    expires: dt.date | None = None
    package: str = ""
    justification: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPolicy:
    """``[scan]``. ``fail_on`` None: findings never fail. ``max_database_age`` in seconds; None: any age.

    ``limits``: how many findings of a severity are allowed. ``vex``: OpenVEX documents.
    """

    fail_on: Severity | None = Severity.HIGH
    only_fixed: bool = False
    scanner: Scanner = Scanner.BUILTIN
    unscannable: Unscannable = Unscannable.FAIL
    max_database_age: int | None = 7 * 86400
    ignore: tuple[Ignore, ...] = ()
    limits: tuple[tuple[Severity, int], ...] = ()
    vex: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePolicy:
    """``[policy]``. ``max_size`` in bytes. Of the truth values False forbids, True allows, None tells."""

    max_size: int | None = None
    shell: bool | None = None
    package_manager: bool | None = None
    root: bool | None = None
    setuid: bool | None = None
    world_writable: bool | None = None
    secrets: bool | None = None
    hardening: tuple[str, ...] = ()
    trusted_bases: tuple[str, ...] = ()
    pinned: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProbe:
    """``[test.http]``: a GET over the loopback. ``body`` and ``expect_headers`` are regular expressions."""

    port: int
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    tls: bool = False
    status: int = 200
    body: str = ""
    expect_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpProbe:
    """``[test.tcp]``: a connection over the loopback. ``expect`` is a regular expression, "" for any."""

    port: int
    send: str = ""
    expect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraFile:
    """One ``[[test.files]]``: ``content``, or the bytes of the machine's file ``context``."""

    path: str
    content: str = ""
    context: Path | None = None
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTest:
    """One ``[[test]]``. ``place`` is where it stands, as "redis.toml:12"; ``within`` in seconds.

    ``run`` () means the image's entrypoint and cmd. With ``service`` the program is started, asked by
    ``http``, ``tcp`` and ``exec`` (those that are there, in this order) and stopped; else it must end.
    ``stdout`` and ``stderr`` are regular expressions, "" for anything. ``user`` and ``workdir`` "" mean
    the image's own.
    """

    name: str
    place: str = ""
    run: tuple[str, ...] = ()
    service: bool = False
    http: HttpProbe | None = None
    tcp: TcpProbe | None = None
    exec: tuple[str, ...] = ()
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    within: float = 10.0
    files: tuple[ExtraFile, ...] = ()
    writable: tuple[str, ...] = ()


class OutputKind(enum.Enum):
    """Where an approved image goes."""

    OCI_LAYOUT = "oci"
    DOCKER_ARCHIVE = "docker-archive"
    STORAGE = "storage"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One ``[output] to``: ``oci:FOLDER``, ``docker-archive:FILE``, ``storage`` or ``registry``."""

    kind: OutputKind
    path: Path | None = None


class BillKind(enum.Enum):
    """A form of bill of materials."""

    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the author wants, for one platform."""

    path: Path
    """The recipe file; relative paths in it start at its folder and are already joined."""
    name: str
    tags: tuple[str, ...] = ("latest",)
    platform: Platform
    annotations: tuple[tuple[str, str], ...] = ()
    base: ImageAddress | None = None
    """The image to start from; None for scratch."""
    sources: tuple[Source, ...]
    installs: tuple[Install, ...] = ()
    files: tuple[RecipeFile, ...] = ()
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    runtime: Runtime = Runtime()
    config: ImageConfig = field(default_factory=ImageConfig)
    tests: tuple[SmokeTest, ...] = ()
    scan: ScanPolicy = ScanPolicy()
    policy: ImagePolicy = ImagePolicy()
    compression: Compression = Compression.GZIP
    outputs: tuple[Output, ...] = ()
    bills: tuple[BillKind, ...] = ()
    report: Path | None = None
    """The HTML page to write."""
    beside: Path = field(default=Path("image"), compare=False)
    """Files that go with the image start with this; it follows from the outputs and the folder."""
    insecure: frozenset[str] = frozenset()
    """Registries that are spoken to without TLS."""
    inputs: tuple[Path, ...] = ()
    """Every file the recipe was read from (itself, fragments): they decide whether it changed."""

    @property
    def written(self) -> tuple[Path, ...]:
        """Files and folders that the build makes."""
        return tuple(output.path for output in self.outputs if output.path is not None)

    @property
    def archives(self) -> tuple[DebianSource, ...]:
        """The sources that are archives of packages: what they name is installed whole."""
        return tuple(source for source in self.sources if isinstance(source, DebianSource))

    @property
    def named_images(self) -> tuple[str, ...]:
        """References of the images that it is made from, as they are written."""
        addresses = [self.base] if self.base is not None else []
        addresses += [one.ref for one in self.sources if isinstance(one, ImageSource)]
        addresses += [
            one.image for one in self.sources if isinstance(one, StageSource) and one.image is not None
        ]
        return tuple(dict.fromkeys(str(one) for one in addresses))

    @property
    def named_packages(self) -> tuple[str, ...]:
        """Packages that the recipe names, in the order of its sources."""
        return tuple(name for source in self.archives for name in source.packages)
