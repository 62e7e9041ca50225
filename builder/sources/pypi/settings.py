"""Where Python's packages come from: the recipe's index, else pip's settings on this machine.

pip's files in pip's order (global, user, PIP_CONFIG_FILE), then its variables, else its own default; of them
only what says where packages are: index-url, extra-index-url, no-index, find-links. What says which
(constraints, pre, …) belongs into the recipe.
"""

from __future__ import annotations

import configparser
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.recipe.source_model import PythonSource

_SECTIONS = ("global", "download", "install")
_KEYS = ("index-url", "extra-index-url", "no-index", "find-links")
_YES = frozenset({"1", "true", "yes", "on", "y", "t"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """``indexes``: simple repositories (PEP 503), asked together; ``links``: pages or folders of files."""

    indexes: tuple[str, ...]
    links: tuple[str, ...] = ()


def places_of(source: PythonSource, settings: Mapping[str, str]) -> Places:
    """Where the wheels of ``source`` are looked for. ``settings`` are variables of the environment."""
    own = (source.links,) if source.links else ()
    if source.index:
        return Places(indexes=(source.index, *source.extra_indexes), links=own)
    said: dict[str, str] = {}
    for path in config_files(settings):
        said |= _read(path)
    for key in _KEYS:
        value = settings.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            said[key] = value
    first = said.get("index-url") or usual_index()
    indexes = (*((first,) if first else ()), *said.get("extra-index-url", "").split())
    if said.get("no-index", "").lower() in _YES:
        indexes = ()
    links = (*own, *said.get("find-links", "").split())
    return Places(
        indexes=tuple(dict.fromkeys((*(one.rstrip("/") for one in indexes), *source.extra_indexes))),
        links=tuple(dict.fromkeys(links)),
    )


def usual_index() -> str:
    """The index that this machine's pip asks when nobody names one; "" where there is no pip."""
    try:
        known = importlib.import_module("pip._internal.models.index")
    except ImportError:
        return ""
    return str(getattr(getattr(known, "PyPI", None), "simple_url", ""))


def config_files(settings: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of settings that pip would read, later ones over earlier ones (pip's documentation)."""
    given = settings.get("PIP_CONFIG_FILE", "")
    if given == "/dev/null":
        return ()
    return tuple(dict.fromkeys((*_files(settings), *((Path(given),) if given else ()))))


def _files(settings: Mapping[str, str]) -> Iterator[Path]:
    folders = settings.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (Path(folder) / "pip/pip.conf" for folder in reversed(folders.split(":")) if folder)
    yield Path("/etc/pip.conf")
    home = settings.get("HOME", "")
    if home.startswith("/"):
        yield Path(home) / ".pip/pip.conf"
        yield Path(settings.get("XDG_CONFIG_HOME") or f"{home}/.config") / "pip/pip.conf"


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return {}  # as if it were not there; pip would say more
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return {key: found[key] for key in _KEYS if key in found}
