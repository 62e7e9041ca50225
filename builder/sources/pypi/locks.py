"""Lock files: pylock.toml (PEP 751), uv.lock and poetry.lock, read into exact versions and their files.

Nothing is resolved: which of a lock's packages an image gets follows from markers, extras and groups.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.markers import InvalidMarker, Marker
from packaging.pylock import Pylock, PylockSelectError, PylockValidationError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.errors import ResolutionError
from builder.recipe.source_model import PythonSource
from builder.sources.pypi.asked import read_pyproject, read_toml
from builder.sources.pypi.index import Link
from builder.sources.pypi.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A package at the version that a lock gives. ``links`` are its files, none where only sums are known.

    ``sums``: file name → SHA-256, for locks that do not say where files are. ``source`` says in words what a
    package is that has no files (a folder, a repository).
    """

    name: str
    version: str
    links: tuple[Link, ...] = ()
    sums: tuple[tuple[str, str], ...] = ()
    requested: bool = False
    source: str = ""


def read_lock(path: Path, source: PythonSource, target: Target) -> tuple[Pinned, ...]:
    """The packages that ``target`` gets of a lock. ResolutionError for a file that is no sound lock."""
    try:
        if path.name == "uv.lock":
            return tuple(_UvLock(read_toml(path), path, source, target).pinned())
        if path.name == "poetry.lock":
            return tuple(_poetry(read_toml(path), path, source, target))
        return tuple(_pylock(read_toml(path), path, source, target))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ResolutionError(f"{path} is no sound lock: {error!r}", hint="lock the project again") from error


def _pylock(
    document: Mapping[str, Any], path: Path, source: PythonSource, target: Target
) -> Iterator[Pinned]:
    try:
        lock = Pylock.from_dict(document)
        environment: Any = dict(target.environment())
        found = list(
            lock.select(
                environment=environment,
                tags=sorted(target.ranks(), key=lambda tag: target.ranks()[tag]),
                extras=source.extras,
                dependency_groups=source.groups or None,
            )
        )
    except (PylockValidationError, PylockSelectError, InvalidMarker) as error:
        raise ResolutionError(
            f"{path}: {error}", hint="lock the project again, for the image's Python"
        ) from error
    for package, _ in found:
        yield Pinned(
            name=package.name,
            version=str(package.version) if package.version else "",
            links=tuple(_pylock_links(package, path)),
            source=_other_pylock(package),
        )


def _pylock_links(package: Any, path: Path) -> Iterator[Link]:
    for wheel in (*(package.wheels or ()), *((package.archive,) if package.archive is not None else ())):
        url = _locked_url(wheel.url, wheel.path, path)
        filename = getattr(wheel, "filename", "") or unquote(urlsplit(url).path.rpartition("/")[2])
        yield Link(filename=filename, url=url, sha256=wheel.hashes.get("sha256", ""))


def _other_pylock(package: Any) -> str:
    if package.vcs is not None:
        return "a repository"
    if package.directory is not None:
        return "a folder"
    return "only a source archive" if package.sdist is not None and not package.wheels else ""


def _locked_url(url: str | None, path: str | None, lock: Path) -> str:
    if url:
        return url
    return (lock.parent / (path or "")).resolve().as_uri()


# ---- uv ----------------------------------------------------------------------------------------------


class _UvLock:
    """One walk from the projects of a lock along its edges."""

    def __init__(self, document: Mapping[str, Any], path: Path, source: PythonSource, target: Target) -> None:
        self._path = path
        self._source = source
        self._target = target
        self._by_name: dict[str, list[Mapping[str, Any]]] = {}
        for package in document["package"]:
            self._by_name.setdefault(package["name"], []).append(package)
        self._roots = [package for package in document["package"] if _is_project(package, document)]
        if not self._roots:
            raise ResolutionError(f"{path} names no project of its own", hint="run uv lock in the project")
        self._pending: deque[tuple[Mapping[str, Any], str]] = deque()
        self._taken: dict[str, Mapping[str, Any]] = {}

    def pinned(self) -> Iterator[Pinned]:
        """Everything that the projects need."""
        direct = {edge["name"] for root in self._roots for edge in root.get("dependencies", ())}
        for root in self._roots:
            self._begin(root)
        seen: set[tuple[str, str, str]] = set()
        while self._pending:
            package, extra = self._pending.popleft()
            mark = (package["name"], package.get("version", ""), extra)
            if mark not in seen:
                seen.add(mark)
                self._take(package)
                optional = package.get("optional-dependencies", {})
                self._follow(optional.get(extra, ()) if extra else package.get("dependencies", ()))
        for name, package in sorted(self._taken.items()):
            yield _uv_pinned(package, self._path, requested=name in direct)

    def _begin(self, root: Mapping[str, Any]) -> None:
        self._pending += ((root, extra) for extra in ("", *_known_extras(self._source, root)))
        for group in self._source.groups:
            wanted = root.get("dev-dependencies", {}).get(group)
            if wanted is None:
                raise ResolutionError(
                    f"{self._path} has no group {group}", hint="correct the source's groups"
                )
            self._follow(wanted)

    def _take(self, package: Mapping[str, Any]) -> None:
        if package in self._roots:
            return
        if self._taken.setdefault(package["name"], package) is not package:
            raise ResolutionError(f"{self._path} gives {package['name']} two versions")

    def _follow(self, edges: Iterable[Mapping[str, Any]]) -> None:
        for edge in edges:
            marker = edge.get("marker")
            if marker and not self._target.holds(Marker(marker), self._source.extras):
                continue
            package = next((one for one in self._by_name[edge["name"]] if self._fits(one, edge)), None)
            if package is not None:
                self._pending += ((package, extra) for extra in ("", *edge.get("extra", ())))

    def _fits(self, package: Mapping[str, Any], edge: Mapping[str, Any]) -> bool:
        markers = package.get("resolution-markers")
        is_version = edge.get("version", package.get("version")) == package.get("version")
        return is_version and (not markers or any(self._target.holds(Marker(one)) for one in markers))


def _is_project(package: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    where = package.get("source", {})
    members = document.get("manifest", {}).get("members", ())
    own = any(where.get(kind) == "." for kind in ("virtual", "editable", "directory"))
    return own or package["name"] in members


def _known_extras(source: PythonSource, root: Mapping[str, Any]) -> Iterator[str]:
    for extra in source.extras:
        if extra not in root.get("optional-dependencies", {}):
            raise ResolutionError(
                f"the lock has no extra {extra} of {root['name']}",
                hint="correct the key extras of the source",
            )
        yield extra


def _uv_pinned(package: Mapping[str, Any], path: Path, *, requested: bool) -> Pinned:
    where = package.get("source", {})
    base = where.get("registry", "")
    wheels = package.get("wheels", ())
    links = []
    for wheel in wheels:
        place = wheel.get("url") or wheel.get("path") or wheel.get("filename", "")
        url = place if "://" in place else _uv_place(base, place, path)
        links.append(
            Link(
                filename=urlsplit(url).path.rpartition("/")[2], url=url, sha256=_sha256(wheel.get("hash", ""))
            )
        )
    kinds = {"git": "a repository", "editable": "a folder", "directory": "a folder", "virtual": "a folder"}
    other = next((words for kind, words in kinds.items() if kind in where), "")
    return Pinned(
        name=canonicalize_name(package["name"]),
        version=package.get("version", ""),
        links=tuple(links),
        requested=requested,
        source=other or ("" if links else "only a source archive"),
    )


def _uv_place(base: str, place: str, lock: Path) -> str:
    if "://" in base:
        return urljoin(base.rstrip("/") + "/", place)
    return (lock.parent / base / place).resolve().as_uri()


# ---- poetry ------------------------------------------------------------------------------------------


def _poetry(
    document: Mapping[str, Any], path: Path, source: PythonSource, target: Target
) -> Iterator[Pinned]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for package in document["package"]:
        by_name.setdefault(canonicalize_name(package["name"]), []).append(package)
    wants = _poetry_roots(path, source)
    direct = {canonicalize_name(one.name) for one in wants}
    pending: deque[tuple[str, str]] = deque()
    for one in wants:
        if target.holds(one.marker, source.extras):
            pending += [(canonicalize_name(one.name), extra) for extra in ("", *one.extras)]
    seen: set[tuple[str, str]] = set()
    taken: dict[str, Mapping[str, Any]] = {}
    while pending:
        name, extra = pending.popleft()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        package = _poetry_version(by_name.get(name, []), name, source, target)
        taken[name] = package
        for requirement in _poetry_needs(package, extra):
            if target.holds(requirement.marker, (extra,) if extra else ()):
                pending += [(canonicalize_name(requirement.name), one) for one in ("", *requirement.extras)]
    for name, package in sorted(taken.items()):
        sums = tuple((file["file"], _sha256(file["hash"])) for file in package.get("files", ()))
        has_wheel = any(file.endswith(".whl") for file, _ in sums)
        kind = _POETRY_KINDS.get(package.get("source", {}).get("type", ""), "")
        yield Pinned(
            name=name,
            version=package["version"],
            sums=sums,
            requested=name in direct,
            source=kind or ("" if has_wheel else "only a source archive"),
        )


_POETRY_KINDS = {
    "git": "a repository",
    "directory": "a folder",
    "url": "an address of its own",
    "file": "a file",
}


def _poetry_roots(path: Path, source: PythonSource) -> tuple[Requirement, ...]:
    pyproject = source.pyproject or path.with_name("pyproject.toml")
    document = read_toml(pyproject)
    poetry = document.get("tool", {}).get("poetry", {})
    found: list[Requirement] = []
    if "project" in document:
        found += (one.requirement for one in read_pyproject(pyproject, source.extras, ()).requirements)
    groups = poetry.get("group", {})
    tables = [poetry.get("dependencies", {}), *(groups[group]["dependencies"] for group in source.groups)]
    optional = {name for extra in source.extras for name in poetry.get("extras", {}).get(extra, ())}
    for table in tables:
        for name, value in table.items():
            is_left_out = isinstance(value, dict) and value.get("optional") and name not in optional
            if name != "python" and not is_left_out:
                found += _poetry_requirements(name, value)
    return tuple(found)


def _poetry_needs(package: Mapping[str, Any], extra: str) -> Iterator[Requirement]:
    wanted = package.get("extras", {}).get(extra, ()) if extra else ()
    named = {canonicalize_name(re.split(r"[\s\[(<>=!~;]", text, maxsplit=1)[0]) for text in wanted}
    for name, value in package.get("dependencies", {}).items():
        values = value if isinstance(value, list) else [value]
        for one in values:
            is_optional = isinstance(one, dict) and one.get("optional", False)
            if (canonicalize_name(name) in named) if extra else not is_optional:
                yield from _poetry_requirements(name, one)


def _poetry_requirements(name: str, value: Any) -> Iterator[Requirement]:
    for one in value if isinstance(value, list) else [value]:
        extras = ",".join(one.get("extras", ())) if isinstance(one, dict) else ""
        markers = one.get("markers", "") if isinstance(one, dict) else ""
        try:
            yield Requirement(f"{name}[{extras}]" + (f" ; {markers}" if markers else ""))
        except InvalidRequirement as error:
            raise ValueError(f"{name}: {error}") from error


def _poetry_version(
    candidates: Iterable[Mapping[str, Any]], name: str, source: PythonSource, target: Target
) -> Mapping[str, Any]:
    for package in candidates:
        markers = package.get("markers", "")
        texts = markers.values() if isinstance(markers, dict) else [markers]
        if any(not text or target.holds(Marker(text), source.extras) for text in texts):
            return package
    raise ResolutionError(
        f"{source.lock} has no version of {name} for Python {target.python}", hint="lock the project again"
    )


def _sha256(text: str) -> str:
    return text.removeprefix("sha256:") if text.startswith("sha256:") else ""
