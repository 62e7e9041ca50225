"""One streaming pass over any tree of files that gives its inventory.

Rules D1 to D4 and X1 (builder/scan/__init__.py). Whatever the tree holds, the pass ends with an inventory:
what is damaged or too large is said in its notes. Memory: one word for each path, and the package
database itself within fixed limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builder.errors import ScanError
from builder.inventory.dpkg import (
    Status,
    StatusEntry,
    parse_diversions,
    parse_list,
    parse_md5sums,
    parse_status,
)
from builder.inventory.files import TreeFile
from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.inventory.osrelease import contradiction, distribution_of
from builder.inventory.purl import deb_purl
from builder.sysroot import Kind

MAX_PATHS = 5_000_000
MAX_DATABASE_FILE = 64 << 20
MAX_DATABASE = 512 << 20
"""Limits: paths of one tree, bytes of one file and of all files of the package database."""

_DPKG = "/var/lib/dpkg/"
_STATUS = "/var/lib/dpkg/status"
_STATUS_D = "/var/lib/dpkg/status.d/"
_INFO = "/var/lib/dpkg/info/"
_DIVERSIONS = "/var/lib/dpkg/diversions"
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_DEBIAN_VERSION = "/etc/debian_version"
_FIXED = frozenset({_STATUS, _DIVERSIONS, _DEBIAN_VERSION, *_OS_RELEASE})
_LISTS = (".list", ".md5sums")
_ELF = b"\x7fELF"
_MAX_NOTES = 100


def take_inventory(files: Iterable[TreeFile]) -> Inventory:
    """Read every path once and say what is installed.

    A later entry of a path replaces an earlier one. ScanError when the tree has more than ``MAX_PATHS``
    paths; every lesser defect is a note.
    """
    return _inventory(_read(files))


def take_owned_inventory(files: Iterable[TreeFile]) -> tuple[Inventory, dict[str, str]]:
    """Do the same, and give the package that owns each regular file that any file list names."""
    owners: dict[str, str] = {}
    inventory = _inventory(_read(files), owners)
    return inventory, owners


def _read(files: Iterable[TreeFile]) -> _Tree:
    tree = _Tree()
    for file in files:
        tree.add(file)
    return tree


@dataclass(slots=True)
class _Tree:
    """What is kept of a tree while it streams by: regular files (ELF or not), top links, the database."""

    regular: dict[str, bool] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    kept_bytes: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, file: TreeFile) -> None:
        path = file.path
        if file.kind is Kind.FILE:
            try:
                self.regular[path] = self._is_elf(file, path)
            except OSError as error:
                self.notes.append(f"{path} could not be read: {error.strerror or error}")
                return
            if len(self.regular) > MAX_PATHS:
                raise ScanError(f"the tree could not be scanned: it has more than {MAX_PATHS} files")
            return
        self.regular.pop(path, None)
        self.kept.pop(path, None)
        if file.kind is Kind.SYMLINK and path.count("/") == 1:
            self.links[path] = file.target
        else:
            self.links.pop(path, None)

    def _is_elf(self, file: TreeFile, path: str) -> bool:
        if not _is_database(path):
            return not 0 <= file.size < len(_ELF) and file.read(len(_ELF)) == _ELF
        if file.size > MAX_DATABASE_FILE or self.kept_bytes + file.size > MAX_DATABASE:
            self.notes.append(
                f"{path} was not read: it is larger than any package database ({file.size} bytes)"
            )
            return file.read(len(_ELF)) == _ELF
        payload = file.read(MAX_DATABASE_FILE)
        self.kept_bytes += len(payload)
        self.kept[path] = payload.decode(errors="surrogateescape")
        return payload.startswith(_ELF)


def _is_database(path: str) -> bool:
    if not path.startswith(_DPKG):
        return path in _FIXED
    if path.startswith(_INFO):
        return path.endswith(_LISTS)
    return path.startswith(_STATUS_D) or path in _FIXED


def is_file_list(path: str) -> bool:
    """Whether ``path`` is where dpkg's database lists the files of a package."""
    return path.startswith((_INFO, _STATUS_D)) and path.endswith(_LISTS)


@dataclass(frozen=True, slots=True)
class _Installed:
    """A status entry, where it was read, and the regular files it owns."""

    entry: StatusEntry
    evidence: tuple[str, ...]
    owned: frozenset[str]


def _inventory(tree: _Tree, owners: dict[str, str] | None = None) -> Inventory:
    # Fills ``owners``: several packages may list one path; then the last one has it.
    os_release = next((tree.kept[path] for path in _OS_RELEASE if path in tree.kept), None)
    debian_version = tree.kept.get(_DEBIAN_VERSION)
    distribution = distribution_of(os_release, debian_version)
    statuses = {path: parse_status(tree.kept[path], path=path) for path in _status_files(tree)}
    installed = _merged(_installed(tree, statuses))
    owned = frozenset().union(*(one.owned for one in installed))
    if owners is not None:
        for one in installed:
            owners.update(dict.fromkeys(one.owned, one.entry.name))
    elf = [path for path, is_elf in tree.regular.items() if is_elf]
    return Inventory(
        distribution=distribution,
        components=tuple(sorted((_component(one, distribution) for one in installed), key=_order)),
        unowned_elf=tuple(sorted(path for path in elf if path not in owned)),
        elf_files=len(elf),
        files=len(tree.regular),
        notes=_notes(tree, statuses, contradiction(distribution, debian_version)),
    )


def _status_files(tree: _Tree) -> list[str]:
    inside = (path for path in tree.kept if path.startswith(_STATUS_D) and not path.endswith(_LISTS))
    return sorted({*inside, *({_STATUS} & tree.kept.keys())})


def _installed(tree: _Tree, statuses: dict[str, Status]) -> Iterator[_Installed]:
    names = _Names(tree)
    for path, status in statuses.items():
        for entry in status.entries:
            lists = _file_lists(tree, path, entry)
            owned = frozenset(owned for listed in lists for owned in names.owned(listed, entry.name))
            yield _Installed(entry, (path, *lists), owned)


def _file_lists(tree: _Tree, status: str, entry: StatusEntry) -> tuple[str, ...]:
    if status == _STATUS:
        stems = [f"{_INFO}{entry.name}:{entry.architecture}", f"{_INFO}{entry.name}"]
    else:
        stems = [status]
    return tuple(stem + suffix for stem in stems for suffix in _LISTS if stem + suffix in tree.kept)


class _Names:
    """Turns paths as packaged ("/lib/x") into the tree's own ("/usr/lib/x"): merged /usr, diversions."""

    def __init__(self, tree: _Tree) -> None:
        self._tree = tree
        self._prefixes: dict[str, str] = {}
        self._diverted = parse_diversions(tree.kept.get(_DIVERSIONS, ""))

    def owned(self, listed: str, package: str) -> Iterator[str]:
        """Give the regular files of the tree that the list at ``listed`` gives to ``package``."""
        text = self._tree.kept[listed]
        regular = self._tree.regular
        for path in parse_list(text) if listed.endswith(".list") else parse_md5sums(text):
            there = self._real(path, package)
            if there in regular:
                yield there

    def _real(self, path: str, package: str) -> str:
        if path in self._diverted and self._diverted[path][1] != package:
            path = self._diverted[path][0]
        at = path.find("/", 1)
        if at < 0:
            return path
        top = path[:at]
        prefix = self._prefixes.get(top)
        if prefix is None:
            prefix = self._prefixes[top] = self._follow(top)
        return prefix + path[at:]

    def _follow(self, top: str) -> str:
        for _ in range(8):
            target = self._tree.links.get(top)
            if target is None:
                break
            parts = [part for part in target.split("/") if part not in {"", "."}]
            if ".." in parts:
                break
            top = "/" + "/".join(parts)
        return top


def _merged(installed: Iterable[_Installed]) -> list[_Installed]:
    # status and status.d may both name a package: it is one component with two places of evidence.
    found: dict[StatusEntry, _Installed] = {}
    for one in installed:
        seen = found.get(one.entry)
        if seen is not None:
            evidence = tuple(dict.fromkeys((*seen.evidence, *one.evidence)))
            found[one.entry] = _Installed(one.entry, evidence, seen.owned | one.owned)
        else:
            found[one.entry] = one
    return list(found.values())


def _component(installed: _Installed, distribution: Distribution | None) -> Component:
    entry = installed.entry
    return Component(
        kind=ComponentKind.DEB,
        name=entry.name,
        version=entry.version,
        architecture=entry.architecture,
        source_name=entry.source.name,
        source_version=entry.source.version,
        purl=deb_purl(entry, distribution),
        evidence=installed.evidence,
        files=len(installed.owned),
    )


def _order(component: Component) -> tuple[str, str, str, str]:
    return (component.name, component.version, component.architecture, component.source_version)


def _notes(tree: _Tree, statuses: dict[str, Status], contradicting: str | None) -> tuple[str, ...]:
    notes = sorted([*tree.notes, *(note for status in statuses.values() for note in status.notes)])
    if contradicting is not None:
        notes.insert(0, contradicting)
    if len(notes) > _MAX_NOTES:
        notes[_MAX_NOTES:] = [f"and {len(notes) - _MAX_NOTES} more of the same kinds"]
    return tuple(notes)
