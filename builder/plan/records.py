"""What the image says of its packages: dpkg's status.d, md5sums and copyright (scanning.md, writer side).

Packages of another system than dpkg, which a source may bring, have a bill of materials each instead.

Every scanner reads these records, so they name exactly the packages that give the image a file, and
list exactly the files that were shipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from builder.plan.model import Entry, PlannedPackage
from builder.reason import Reason, ReasonKind
from builder.sysroot import Content, Kind, Node, Package, Sysroot, read_content

STATUS_FOLDER = "/var/lib/dpkg/status.d"
BILL_FOLDER = "/usr/share/sbom"


def planned_packages(entries: Iterable[Entry], packages: Mapping[str, Package]) -> tuple[PlannedPackage, ...]:
    """The packages behind ``entries`` with their shares of the image, by name."""
    files: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for entry in entries:
        if entry.package and entry.kind is not Kind.DIRECTORY:
            files[entry.package] = files.get(entry.package, 0) + 1
            sizes[entry.package] = sizes.get(entry.package, 0) + entry.size
    return tuple(_planned(packages[name], files[name], sizes[name]) for name in sorted(files))


def _planned(package: Package, files: int, size: int) -> PlannedPackage:
    return PlannedPackage(
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        source_name=package.source_name,
        source_version=package.source_version,
        files=files,
        size=size,
        installed_size=sum(node.content.size for node in package.nodes if node.content and not node.hardlink),
    )


def copyright_nodes(package: str, sysroot: Sysroot) -> tuple[Node, ...]:
    """The package's copyright file with the links that lead to it; empty when it ships none."""
    found = sysroot.lookup(f"/usr/share/doc/{package}/copyright")
    return (*found.links, found.node) if found.node is not None else ()


def record_entries(package: Package, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """``status.d/NAME`` and ``status.d/NAME.md5sums`` for the package's ``entries`` in the image.

    ``sbom/NAME.cdx.json`` for a package of another system.
    """
    if package.purl:
        return (_bill(package, entries),)
    listing = "".join(f"{digest}  {path}\n" for path, digest in shipped_sums(package, entries).items())
    path = f"{STATUS_FOLDER}/{package.name}"
    return (
        made_record(path, package.control.rstrip("\n") + "\n", package.name),
        made_record(f"{path}.md5sums", listing, package.name),
    )


def _bill(package: Package, entries: Iterable[Entry]) -> Entry:
    """A bill of materials (CycloneDX 1.6) of one package and the files that are in the image."""
    paths = sorted(entry.path for entry in entries if entry.kind is not Kind.DIRECTORY)
    component = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "evidence": {"occurrences": [{"location": path} for path in paths]},
    }
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [component]}
    return made_record(f"{BILL_FOLDER}/{package.name}.cdx.json", json.dumps(document) + "\n", package.name)


def shipped_sums(package: Package, entries: Iterable[Entry]) -> dict[str, str]:
    """MD5 sums of the package's files among ``entries``, by path without the first slash, sorted."""
    shipped = {
        entry.path: entry
        for entry in entries
        if entry.kind is Kind.FILE and entry.reason.kind not in (ReasonKind.FEATURE, ReasonKind.CONFIGURED)
    }
    return dict(sorted((path[1:], _md5(entry, shipped, package)) for path, entry in shipped.items()))


def made_record(path: str, text: str, package: str) -> Entry:
    """A file that says something of ``package``."""
    content = text.encode("utf-8", "surrogateescape")
    reason = Reason(ReasonKind.METADATA, package)
    return Entry(path=path, kind=Kind.FILE, mode=0o644, content=content, reason=reason)


def _md5(entry: Entry, shipped: Mapping[str, Entry], package: Package) -> str:
    packaged = (entry.path, entry.path.removeprefix("/usr"))  # before /usr was merged
    listed = next((package.md5sums[path] for path in packaged if path in package.md5sums), None)
    moved = entry.reason.kind in (ReasonKind.INSTALL, ReasonKind.ENTRYPOINT)  # perhaps from another path
    if listed is not None and not moved:
        return listed
    content = shipped[
        entry.hardlink or entry.path
    ].content  # configuration files are not listed by the package
    payload = read_content(content) if isinstance(content, Content) else content or b""
    return hashlib.md5(payload, usedforsecurity=False).hexdigest()
