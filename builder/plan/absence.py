"""Why a path is not in an image, and the line of the recipe that would add it. Pure.

Only what is at hand is searched: the packages that the recipe comes to, or the records that an image carries.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from builder.lock import Lock, LockedPackage
from builder.plan.contents import Contents, nearest
from builder.recipe.model import Recipe
from builder.runtime.payload import is_payload
from builder.sysroot import Kind, Node, Package, Sysroot, glob_pattern

_EXCERPT = 100
_MAKERS = ("postinst", "preinst", "config")
"""Maintainer scripts that may make files; the others take them away."""
_NAMED_FOLDER = 4
"""Names of a documentation folder with the empty one before its first slash: /usr/share/doc."""


class Cause(enum.Enum):
    """Why a path is not there. The value is the word in JSON."""

    PRESENT = "present"
    """It is there after all."""
    HIDDEN = "hidden"
    """It is there, but as the recipe's own and not as a package ships it."""
    DROPPED = "dropped"
    DOCUMENTATION = "documentation"
    DEPENDENCY = "dependency"
    UNREACHED = "unreached"
    """A named package ships it, and no rule took it."""
    REPLACED = "replaced"
    """A package ships it, and another one's file or link has its place."""
    IGNORED = "ignored"
    SCRIPT = "script"
    """A maintainer script speaks of it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """One path that is not in an image.

    ``words`` say why, in one sentence; ``add`` is TOML for the recipe that would change it, "" where none
    would; ``near`` are paths that may have been meant; ``package`` is who ships it, "" for nobody.
    """

    path: str
    cause: Cause
    words: str
    add: str = ""
    near: tuple[str, ...] = ()
    package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """A plan's contents and what they were chosen from: recipe, lock, the tree of all its packages."""

    contents: Contents
    recipe: Recipe
    locked: Lock
    sysroot: Sysroot

    @property
    def packages(self) -> Mapping[str, LockedPackage]:
        """The locked packages by name."""
        return {package.name: package for package in self.locked.packages}

    @property
    def searched(self) -> str:
        """What a search of these origins can find, in words."""
        named = sum(package.requested for package in self.locked.packages)
        return (
            f"searched: the files of the {len(self.locked.packages)} packages that the recipe comes to "
            f"({named} named, the others for these and for rules), not the rest of the archive"
        )


def why_absent(origins: Origins, path: str) -> Absence:
    """Why ``path`` (absolute) is not in the image of a recipe."""
    place = origins.contents.find(path)
    if place is not None:
        return _present(origins, path, place.path)
    node = origins.sysroot.lookup_exact(path)
    if node is not None and (node.package or node.kind is Kind.DIRECTORY):
        return _left_out(origins, node)
    return (
        _ignored(origins, path)
        or _replaced(origins, path)
        or _scripted(origins, path)
        or Absence(
            path=path,
            cause=Cause.UNKNOWN,
            words=f"no package of the recipe ships it; {origins.searched}",
            add='packages = ["…"]  # the package that ships it; apt-file search finds its name',
            near=nearest(path, (node.path for node in origins.sysroot if node.kind is not Kind.DIRECTORY)),
        )
    )


def left_out(origins: Origins, pattern: str) -> tuple[Absence, ...]:
    """Every path of the recipe's packages that ``pattern`` matches and that is not in the image, sorted."""
    matches = glob_pattern(pattern).fullmatch
    nodes = (node for node in origins.sysroot if node.package and matches(node.path))
    absent = (node for node in nodes if node.path not in origins.contents.places)
    return tuple(_left_out(origins, node) for node in sorted(absent, key=lambda node: node.path))


def _present(origins: Origins, path: str, there: str) -> Absence:
    place = origins.contents.places[there]
    hidden = "" if place.package or place.kind is Kind.DIRECTORY else next(_shippers(origins, there), "")
    if hidden:
        return Absence(
            path=path,
            cause=Cause.HIDDEN,
            words=f"it is in the image, but not the file of {hidden}: what is there is {place.reason}",
            package=hidden,
        )
    words = "it is in the image; rootlet why says what for"
    through = f" (as {there})" if there != path else ""
    return Absence(path=path, cause=Cause.PRESENT, words=words + through, package=place.package)


def _left_out(origins: Origins, node: Node) -> Absence:
    keep = _keep(node)
    locked = origins.packages.get(node.package)
    pattern = _matching(origins.recipe.runtime.drop, node.path)
    kept = _matching(origins.recipe.runtime.keep, node.path)
    whole = locked is not None and _is_whole(origins, locked)
    cause, words, add = (
        Cause.UNREACHED,
        f"{node.package or 'no package'} ships it, and no rule needs it",
        keep,
    )
    if pattern and (kept or (whole and is_payload(node.path))):
        cause, add = Cause.DROPPED, ""
        words = f'[runtime] drop = ["{pattern}"] takes it out (of {node.package}); narrow that pattern'
    elif whole and not is_payload(node.path):
        cause = Cause.DOCUMENTATION
        folder = "/".join(node.path.split("/")[:_NAMED_FOLDER])
        words = (
            f"{node.package} ships it below {folder}, which is for people to read and left out of payloads"
        )
    elif locked is not None and not whole:
        cause = Cause.DEPENDENCY
        words = (
            f"it is of {node.package}, which the recipe does not name "
            f"(wanted by {locked.wanted_by}), and nothing in the image needs it"
        )
        add = f'{keep}\n# or the whole package:\npackages = ["{node.package}"]'
    return Absence(path=node.path, cause=cause, words=words, add=add, package=node.package)


def _keep(node: Node) -> str:
    escaped = re.sub(r"([*?\[])", r"[\1]", node.path)
    pattern = f"{escaped}/**" if node.kind is Kind.DIRECTORY else escaped
    return f"[runtime]\nkeep = [{quoted(pattern)}]"


def quoted(text: str) -> str:
    """A basic string of TOML; names that are no text cannot be written in it."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def _is_whole(origins: Origins, package: LockedPackage) -> bool:
    """Whether the payload of ``package`` is in the image: it is named, or of the source of a named one."""
    if package.requested:
        return True
    source = (package.source_name, package.source_version)
    named = {(one.source_name, one.source_version) for one in origins.locked.packages if one.requested}
    return source in named and not package.alone


def _matching(patterns: Iterable[str], path: str) -> str:
    return next((pattern for pattern in patterns if glob_pattern(pattern).fullmatch(path)), "")


def _shippers(origins: Origins, path: str) -> Iterator[str]:
    """Packages that ship ``path``, as it is or as it was before /usr was merged."""
    spellings = {path, path.removeprefix("/usr")}
    for package in origins.sysroot.packages.values():
        if any(node.path in spellings and node.kind is not Kind.DIRECTORY for node in package.nodes):
            yield package.name


def _ignored(origins: Origins, path: str) -> Absence | None:
    for install in origins.recipe.installs:
        top = f"{install.to.rstrip('/')}/"
        relative = path.removeprefix(top)
        if relative == path:
            continue
        for pattern in install.ignore:
            if any(glob_pattern(one).fullmatch(relative) for one in (pattern, f"**/{pattern}")):
                words = f'ignore = ["{pattern}"] of the [[install]] to {install.to} leaves it out'
                return Absence(path=path, cause=Cause.IGNORED, words=words)
    return None


def _replaced(origins: Origins, path: str) -> Absence | None:
    shipper = next(_shippers(origins, path), "")
    if not shipper:
        return None
    words = f"{shipper} ships it, but a link, a diversion or another package has taken its place"
    return Absence(path=path, cause=Cause.REPLACED, words=words, package=shipper)


def _scripted(origins: Origins, path: str) -> Absence | None:
    word = re.compile(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])")
    for package in origins.sysroot.packages.values():
        for name, line in _lines(package):
            if word.search(line):
                return Absence(
                    path=path,
                    cause=Cause.SCRIPT,
                    words=f"no package ships it; the {name} of {package.name} speaks of it, and maintainer "
                    f"scripts are read but never run: {line.strip()[:_EXCERPT]}",
                    add=f'[[file]]\npath = {quoted(path)}\ncontent = "…"',
                    package=package.name,
                )
    return None


def _lines(package: Package) -> Iterator[tuple[str, str]]:
    for name in _MAKERS:
        for line in package.scripts.get(name, "").split("\n"):
            if not line.lstrip().startswith("#"):
                yield name, line


def why_not_in_image(contents: Contents, path: str, listed_by: str) -> Absence:
    """The same of a finished image: only its own records can be asked.

    ``listed_by``: the package whose file list names ``path``, "" for none.
    """
    place = contents.find(path)
    if place is not None:
        words = "it is in the image; rootlet why says what for"
        return Absence(path=path, cause=Cause.PRESENT, words=words, package=place.package)
    near = nearest(path, contents.places)
    if listed_by:
        words = f"the file list of {listed_by} names it, but the file is not there: it was taken out"
        return Absence(path=path, cause=Cause.DROPPED, words=words, package=listed_by, near=near)
    count = len(contents.inventory.components)
    words = (
        f"no layer has it and no file list of its {count} packages names it; "
        "ask its recipe for more: rootlet why-not NAME.toml PATH"
    )
    return Absence(path=path, cause=Cause.UNKNOWN, words=words, near=near)
