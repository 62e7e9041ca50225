"""pnpm-lock.yaml by its lines: the file is written by a program, with two blanks for each step inwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.inventory.document import lines_of
from builder.inventory.locks.graph import reachable

_LINE = re.compile(r"""( *)(?:'([^']*)'|"([^"]*)"|([^\s#'"][^:]*(?::[^\s:][^:]*)*)):(?: +(.*))?""")
_NEW = re.compile(r"/?((?:@[^/@]+/)?[^/@]+)@([0-9][^(]*)")
_OLD = re.compile(r"/((?:@[^/@]+/)?[^/@]+)/([0-9][^_(]*)")
_PLAIN = frozenset({"dependencies", "optionalDependencies"})
_GROUPS = _PLAIN | {"devDependencies"}


@dataclass(slots=True)
class _Lock:
    packages: dict[str, bool] = field(default_factory=dict)
    """Key of a package → whether the file itself marks it as for development."""
    edges: dict[str, list[str]] = field(default_factory=dict)
    roots: dict[bool, list[str]] = field(default_factory=lambda: {False: [], True: []})
    """What the project needs, at run time and for development."""


def pnpm_packages(text: str) -> Iterator[tuple[str, str, bool]]:
    """Give name, version and "for development only" of each package."""
    lock = _parse(text)
    needed = reachable(lock.roots[False], lock.edges)
    grouped = reachable(lock.roots[True], lock.edges)
    plain = {_bare(key) for key in needed}
    only = {_bare(key) for key in grouped} - plain
    for key, marked in lock.packages.items():
        match = _NEW.fullmatch(_bare(key)) or _OLD.match(key)
        if match is not None:
            yield match[1], match[2], marked or _bare(key) in only


def _bare(key: str) -> str:
    """Give a key without the peers behind it: "a@1.0.0(b@2.0.0)" is "a@1.0.0"."""
    return key.partition("(")[0]


def _parse(text: str) -> _Lock:
    lock = _Lock()
    path: list[str] = []
    for line in lines_of(text):
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            continue
        depth = len(match[1]) // 2
        key = match[2] or match[3] or match[4] or ""
        del path[depth:]
        if len(path) == depth and depth <= 6:  # noqa: PLR2004 (the deepest that is read)
            path.append(key)
            _take(lock, path, (match[5] or "").strip("'\" "))
    return lock


def _take(lock: _Lock, path: list[str], value: str) -> None:
    match path:
        case ["packages", key]:
            lock.packages.setdefault(key, False)
        case ["packages", key, "dev"]:
            lock.packages[key] = value == "true"
        case ["snapshots", key, group, name] if group in _PLAIN:
            lock.edges.setdefault(key, []).append(_target(name, value))
        case ["importers", _, group, name, "version"] if group in _GROUPS:
            lock.roots[group == "devDependencies"].append(_target(name, value))


def _target(name: str, version: str) -> str:
    # An alias has its real name in the version.
    return version if "@" in version.partition("(")[0][1:] else f"{name}@{version}"
