"""Which findings are a second sight of what a system database knows already (G2, P1, P2, X2).

Where the database lists files, ownership tells. This is for the rest: records without file lists, notes that
name a source package, bills of materials that name what is installed in another version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from builder.inventory.found import Package
from builder.inventory.model import ComponentKind
from builder.inventory.system import SystemPackage

_PREFIXES = {
    ComponentKind.PYTHON: ("python3-", "python-", "py3-"),
    ComponentKind.NPM: ("node-",),
    ComponentKind.RUBY: ("ruby-",),
    ComponentKind.JAVA: ("lib",),
    ComponentKind.PHP: ("php-",),
}
"""How distributions name the packages of languages."""
_UPSTREAM = re.compile(r"(?:[0-9]+:)?(.*?)(?:-[^-]*)?(?:-r[0-9]+)?")
_SEPARATORS = re.compile(r"[-_.]+")
_OWN_FOLDERS = (
    "/usr/lib/",
    "/usr/share/",
    "/usr/bin/",
    "/usr/sbin/",
    "/lib/",
    "/bin/",
    "/sbin/",
    "/lib64/",
    "/usr/lib64/",
)
"""Where distributions put files; /usr/local, /opt and an application's folder are other people's."""


class Doubles:
    """What the system databases of one tree know."""

    def __init__(self, installed: Iterable[SystemPackage]) -> None:
        self._names: set[tuple[ComponentKind, str]] = set()
        self._sources: set[tuple[str, str]] = set()
        self._listless: dict[str, set[str]] = {}
        for one in installed:
            package = one.package
            self._names.add((package.kind, package.name))
            self._sources.add((package.source_name, package.source_version))
            if not any(packed for _, packed in one.lists):
                for name in (package.name, package.source_name):
                    self._listless.setdefault(name.lower(), set()).add(_upstream(package.version))

    def has(self, package: Package, path: str) -> bool:
        """Whether ``package``, found at ``path``, is one that a database knows."""
        if package.origin:
            return (package.name, package.version) in self._sources or self._is_listless(package, path)
        if package.claimed:
            return (package.kind, package.name) in self._names
        return self._is_listless(package, path)

    def _is_listless(self, package: Package, path: str) -> bool:
        """Whether a record without file lists, of that name and version, may own it (as grype reasons)."""
        if not self._listless or not package.version or not path.startswith(_OWN_FOLDERS):
            return False
        name = _SEPARATORS.sub("-", package.name.rpartition(":")[2].rpartition("/")[2].lower())
        prefixes = _PREFIXES.get(package.kind, ())
        candidates = [name, *(prefix + name for prefix in prefixes)]
        if package.program:
            candidates += [one for one in self._listless if one.startswith(name)]
        version = _upstream(package.version)
        return any(
            known.startswith(version) or version.startswith(known)
            for candidate in candidates
            for known in self._listless.get(candidate, ())
        )


def _upstream(version: str) -> str:
    match = _UPSTREAM.fullmatch(version)
    return (match[1] if match else version).partition("+")[0].partition("~")[0]
