"""What the machine says: environment, folders, platform, terminal. The only reader of os.environ."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import click

from builder.engine.command import MachineRunner
from builder.errors import MachineError
from builder.oci import Platform
from builder.progress import Bar, JsonLines, Plain, Progress, Silent

_NETWORK = re.compile(
    r"(?i:https?_proxy|no_proxy|all_proxy)|SSL_CERT_FILE|SSL_CERT_DIR|GIT_SSL_CAINFO|PIP_[A-Z_]+"
    r"|HOME|XDG_CONFIG_HOME|XDG_CONFIG_DIRS|NETRC"
)
_ARCHITECTURES = {
    "x86_64": Platform("linux", "amd64"),
    "amd64": Platform("linux", "amd64"),
    "aarch64": Platform("linux", "arm64"),
    "arm64": Platform("linux", "arm64"),
    "armv7l": Platform("linux", "arm", "v7"),
    "armv8l": Platform("linux", "arm", "v7"),
    "i686": Platform("linux", "386"),
    "i386": Platform("linux", "386"),
    "ppc64le": Platform("linux", "ppc64le"),
    "s390x": Platform("linux", "s390x"),
    "riscv64": Platform("linux", "riscv64"),
}


def environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ


def native_platform() -> Platform:
    """The platform of this machine, as images for it are called; linux/amd64 where it is not known."""
    return _ARCHITECTURES.get(os.uname().machine.lower(), Platform("linux", "amd64"))


def cache_folder() -> Path:
    """``ROOTLET_CACHE``, else rootlet's folder in the user's cache."""
    if os.environ.get("ROOTLET_CACHE"):
        return Path(os.environ["ROOTLET_CACHE"]).absolute()
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "rootlet"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else _home() / ".cache") / "rootlet"


def database_folder(cache: Path) -> Path:
    """``ROOTLET_DATABASE``, else a folder of the cache."""
    given = os.environ.get("ROOTLET_DATABASE")
    return Path(given).absolute() if given else cache / "database"


def source_date_epoch() -> int | None:
    """``SOURCE_DATE_EPOCH`` in seconds. UsageError when it is no number (reproducible-builds.org)."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isdecimal() and int(text) < 1 << 33):
        raise click.UsageError(f"SOURCE_DATE_EPOCH is {text!r}; expected seconds since 1970")
    return int(text) if text else None


def proxies() -> dict[str, str]:
    """``http_proxy``, ``https_proxy``, ``no_proxy`` and their capital forms, by lower-case name."""
    names = ("http_proxy", "https_proxy", "no_proxy")
    found = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in names}
    return {name: value for name, value in found.items() if value}


def auth_files() -> tuple[Path, ...]:
    """Files with credentials for registries, in the order in which they count (containers-auth.json(5)).

    ``REGISTRY_AUTH_FILE`` alone where it is set.
    """
    if given := os.environ.get("REGISTRY_AUTH_FILE"):
        return (Path(given).absolute(),)
    folders = [os.environ.get("XDG_RUNTIME_DIR", ""), os.environ.get("XDG_CONFIG_HOME", "")]
    found = [Path(folder) / "containers" / "auth.json" for folder in folders if folder.startswith("/")]
    docker = os.environ.get("DOCKER_CONFIG", "")
    try:
        home = Path.home()
    except RuntimeError:
        return (*found, *([Path(docker) / "config.json"] if docker else []))
    found.append(home / ".config" / "containers" / "auth.json")
    found.append((Path(docker) if docker else home / ".docker") / "config.json")
    return tuple(dict.fromkeys(found))


def network_settings() -> dict[str, str]:
    """Variables that say where things of the network are: proxies, certificates, and what pip is told."""
    return {name: value for name, value in os.environ.items() if _NETWORK.fullmatch(name) and value}


def runner() -> MachineRunner:
    """Runs programs of this machine."""
    return MachineRunner(os.environ)


def colour(stream: TextIO | None = None) -> bool:
    """Whether ``stream`` (standard error) is a terminal that wants colours (no-color.org)."""
    return (
        (stream or sys.stderr).isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def user() -> tuple[int, str]:
    """Number and name of whoever runs this; "" where the number has no account."""
    import pwd  # noqa: PLC0415 (rarely asked)

    uid = os.geteuid()
    try:
        return uid, pwd.getpwuid(uid).pw_name
    except KeyError:
        return uid, ""


def has_terminal() -> bool:
    """Whether a person can type and read here."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def make_progress(kind: str, *, descriptor: int | None) -> Progress:
    """``auto``, ``bar``, ``plain``, ``json`` or ``none``; JSON lines where there is a ``descriptor``."""
    if kind == "json" or descriptor is not None:
        return JsonLines(_stream(descriptor))
    if kind == "none":
        return Silent()
    if kind == "bar" or (kind == "auto" and sys.stderr.isatty() and "CI" not in os.environ):
        return Bar(sys.stderr, columns=_columns())
    return Plain(sys.stderr)


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def columns() -> int | None:
    """Columns of the terminal that standard output is; None when it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise MachineError(
            "There is no home folder to keep the cache in: HOME is not set and the user has no account",
            hint="name a folder with --cache or ROOTLET_CACHE",
        ) from error


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        return 80


def _stream(descriptor: int | None) -> TextIO:
    if descriptor is None:
        return sys.stderr
    try:
        return os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
    except (OSError, ValueError, OverflowError) as error:
        raise click.UsageError(f"--progress-fd {descriptor} is not an open descriptor") from error
