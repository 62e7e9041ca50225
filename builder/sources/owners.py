"""Which package of a machine owns a path: an index of its package database, made once for each state of it.

    <cache>/owners/<state>.index     "path NUL package" a line, sorted | packages (JSON) | footer

A machine has hundreds of thousands of files and a build asks for a few of them, so the lines are searched
where they lie.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from builder.files import atomic_write
from builder.inventory.apk import apk_installed
from builder.inventory.content import FilePart
from builder.inventory.dpkg import StatusEntry, parse_diversions, parse_md5sums, parse_status
from builder.inventory.found import Found, unpacked
from builder.inventory.found import Package as FoundPackage
from builder.inventory.model import Component, Distribution
from builder.inventory.osrelease import distribution_of
from builder.inventory.purl import component_purl
from builder.inventory.rpm.database import rpm_database
from builder.sources.folder import FolderSysroot
from builder.sysroot import Content, Kind, Package, Sysroot

FOLDER = "owners"
"""The folder of the cache that these indexes are kept in."""

_DPKG = "/var/lib/dpkg"
_STATUS = f"{_DPKG}/status"
_STATUS_D = f"{_DPKG}/status.d"
_INFO = f"{_DPKG}/info"
_DIVERSIONS = f"{_DPKG}/diversions"
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_RPM = tuple(
    f"{folder}/{name}"
    for folder in ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
    for name in ("rpmdb.sqlite", "Packages.db", "Packages")
)
_DATABASE = (_STATUS, _STATUS_D, _INFO, _DIVERSIONS, *_APK, *_RPM)
_OF_A_MACHINE = ("status:", "conffiles:", "config-version:", "triggers-pending:", "triggers-awaited:")
"""Fields of a status file that a package does not carry itself (dpkg(1))."""
_FOOTER = struct.Struct(">Q32s16s")
_MAGIC = b"rootlet-owners-2"
_LARGEST = 256 << 20


class Owners:
    """Answers which package owns a path. ``packages``: every installed one; their ``nodes`` are left out."""

    def __init__(self, lines: bytes | mmap.mmap, end: int, packages: Mapping[str, Package]) -> None:
        self._lines = lines
        self._end = end
        self.packages = packages

    def owner(self, path: str) -> str:
        """The package of a file or link at ``path``, as the tree has it; "" when no package has it."""
        found = self._find(path)
        if not found and path.startswith(
            "/usr/"
        ):  # the packages of a machine may be older than its merged /usr
            found = self._find(path[len("/usr") :])
        return found

    def _find(self, path: str) -> str:
        wanted = path.encode("utf-8", "surrogateescape")
        low, high = 0, self._end
        while low < high:
            middle = (low + high) // 2
            start = self._lines.rfind(b"\n", low, middle) + 1 or low
            end = self._lines.find(b"\n", middle, self._end)
            line_path, _, package = self._lines[start:end].partition(b"\0")
            if line_path == wanted:
                return package.decode()
            low, high = (end + 1, high) if line_path < wanted else (low, start)
        return ""


NOBODY = Owners(b"", 0, {})
"""Of a tree without a package database."""


def owners_of(tree: FolderSysroot, cache: Path) -> Owners:
    """The owners of the paths in ``tree``; what decides them is looked at through ``tree``.

    A database that cannot be read has no owners. OSError when the cache cannot be written.
    """
    state = [tree.state(path) for path in _DATABASE]
    if all(size < 0 for _, size, _, _ in state):
        return NOBODY
    key = hashlib.sha256(repr((_MAGIC, state)).encode()).hexdigest()[:32]
    path = cache / FOLDER / f"{key}.index"
    known = _open(path, tree)
    if known is None:
        _write(path, FolderSysroot(Path(tree.folder or "/")))
        known = _open(path, tree)
    return known or NOBODY


def _open(path: Path, tree: FolderSysroot) -> Owners | None:
    try:
        with path.open("rb") as stream:
            lines = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: an empty file
        return None
    start = len(lines) - _FOOTER.size
    if start < 0:
        return None
    end, digest, magic = _FOOTER.unpack(lines[start:])
    body = lines[end:start]
    if magic != _MAGIC or hashlib.sha256(body).digest() != digest:
        return None
    packages = {row["name"]: _package(row, tree) for row in json.loads(body)}
    return Owners(lines, end, packages)


def _package(row: Mapping[str, Any], tree: Sysroot) -> Package:
    return Package(
        name=row["name"],
        version=row["version"],
        architecture=row["architecture"],
        source_name=row["source"][0],
        source_version=row["source"][1],
        control=row["control"],
        md5sums=_Sums(row["sums"], tree),
        conffiles=(),
        purl=row["purl"],
        nodes=(),
        scripts={},
        newest=0,  # a machine's times say when something was installed
    )


class _Sums(Mapping[str, str]):
    """The MD5 sums of a package, read when somebody asks."""

    def __init__(self, path: str, tree: Sysroot) -> None:
        self._path = path
        self._tree = tree
        self._read: dict[str, str] | None = None

    def _sums(self) -> dict[str, str]:
        if self._read is None:
            lines = _text(self._tree, self._path).splitlines() if self._path else []
            pairs = (line.split(maxsplit=1) for line in lines)
            self._read = {f"/{pair[1]}": pair[0] for pair in pairs if len(pair) == 2}  # noqa: PLR2004 (sum, path)
        return self._read

    def __getitem__(self, path: str) -> str:
        return self._sums()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sums())

    def __len__(self) -> int:
        return len(self._sums())


def _write(path: Path, tree: Sysroot) -> None:
    owners: dict[str, str] = {}
    packages: dict[str, Mapping[str, Any]] = {}
    diverted = parse_diversions(_text(tree, _DIVERSIONS))
    for entry, control, stem in _installed(tree):
        packages.setdefault(entry.name, _row(entry, control, stem, tree))
        for listed in _listed(tree, stem):
            to, by = diverted.get(listed, ("", ""))
            owners[to if to and by != entry.name else listed] = entry.name
    for row, files in _others(tree):
        packages.setdefault(row["name"], row)
        owners |= dict.fromkeys(files, row["name"])
    lines = sorted(f"{path}\0{name}".encode("utf-8", "surrogateescape") for path, name in owners.items())
    body = json.dumps(list(packages.values()), separators=(",", ":")).encode()
    with atomic_write(path, durable=False) as stream:
        for line in lines:
            stream.write(line + b"\n")
        end = stream.tell()
        stream.write(body)
        stream.write(_FOOTER.pack(end, hashlib.sha256(body).digest(), _MAGIC))


def _installed(tree: Sysroot) -> Iterator[tuple[StatusEntry, str, str]]:
    """Every installed package with its control paragraph and where its lists are, less their suffix."""
    for path in (_STATUS, *(f"{_STATUS_D}/{name}" for name in tree.children(_STATUS_D))):
        if path.endswith((".list", ".md5sums")):
            continue
        for paragraph in _text(tree, path).split("\n\n"):
            for entry in parse_status(paragraph, path=path).entries:
                stem = path if path != _STATUS else _stem(tree, entry)
                yield entry, _control(paragraph), stem


def _stem(tree: Sysroot, entry: StatusEntry) -> str:
    both = (f"{_INFO}/{entry.name}", f"{_INFO}/{entry.name}:{entry.architecture}")
    return next((stem for stem in both if tree.lookup(f"{stem}.list").node is not None), both[0])


def _control(paragraph: str) -> str:
    kept: list[str] = []
    inside = True
    for line in paragraph.strip("\n").split("\n"):
        if not line.startswith((" ", "\t")):
            inside = not line.lower().startswith(_OF_A_MACHINE)
        if inside:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _row(entry: StatusEntry, control: str, stem: str, tree: Sysroot) -> Mapping[str, Any]:
    sums = f"{stem}.md5sums"
    return {
        "name": entry.name,
        "version": entry.version,
        "architecture": entry.architecture,
        "source": [entry.source.name, entry.source.version],
        "control": control,
        "sums": sums if tree.lookup(sums).node is not None else "",
        "purl": "",
    }


def _others(tree: Sysroot) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    """The packages of apk and rpm with their files. What is damaged has no packages."""
    distribution = distribution_of(_text(tree, "/etc/os-release") or _text(tree, "/usr/lib/os-release"), None)
    for path in (*_APK, *_RPM):
        node = tree.lookup(path).node
        if node is None or node.content is None or not node.content.size:
            continue
        found = _found(node.content, path)
        for package, files in zip(found.packages, found.owned, strict=False):
            yield _other_row(package, distribution), unpacked(files)


def _found(content: Content, path: str) -> Found:
    try:
        with content.store.open("rb") as stream:
            part = FilePart(stream.fileno(), content.size)
            return apk_installed(part, path) if path in _APK else rpm_database(part, path)
    except OSError:
        return Found()


def _other_row(package: FoundPackage, distribution: Distribution | None) -> Mapping[str, Any]:
    component = Component(
        kind=package.kind,
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        source_name=package.source_name,
        source_version=package.source_version,
        purl="",
        evidence=(),
        files=0,
    )
    return {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "source": [package.source_name, package.source_version],
        "control": "",
        "sums": "",
        "purl": component_purl(component, distribution),
    }


def _listed(tree: Sysroot, stem: str) -> Iterator[str]:
    text = _text(tree, f"{stem}.list")
    if text:
        return (line for line in text.split("\n") if line.startswith("/") and line != "/.")
    return parse_md5sums(_text(tree, f"{stem}.md5sums"))


def _text(tree: Sysroot, path: str) -> str:
    node = tree.lookup(path).node
    if node is None or node.kind is not Kind.FILE or node.content is None or node.content.size > _LARGEST:
        return ""
    try:
        return node.content.store.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""
