"""Every version order by its name."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MODULES = {
    "dpkg": "builder.dpkg.version",
    "rpm": "builder.versions.rpm",
    "apk": "builder.versions.apk",
    "pep440": "builder.versions.pep440",
    "semver": "builder.versions.semver",
    "go": "builder.versions.go",
    "maven": "builder.versions.maven",
    "rubygems": "builder.versions.rubygems",
    "nuget": "builder.versions.nuget",
    "packagist": "builder.versions.packagist",
}
NAMES = tuple(_MODULES)


@dataclass(frozen=True, slots=True)
class Scheme:
    """One order. ``key`` raises ValueError for a text that ``valid`` refuses; keys of one scheme compare."""

    name: str
    valid: Callable[[str], bool]
    key: Callable[[str], Any]


@functools.cache
def scheme(name: str) -> Scheme:
    """Give the order of that name; its module is read when it is first asked for. KeyError for another."""
    module = importlib.import_module(_MODULES[name])
    return Scheme(name, module.is_version, module.version_key)
