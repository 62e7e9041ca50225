"""Records of packages in an image on a base, where the base's own database keeps what it knows.

A package that the base lacks gets its record in status.d, as everywhere. One that the base has keeps its
place: in status.d, or in dpkg's own status file and lists, where a program that asks dpkg finds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from builder.plan.model import Entry
from builder.plan.records import made_record, record_entries, shipped_sums
from builder.sysroot import Kind, Package, Sysroot, read_content

_STATUS = "/var/lib/dpkg/status"
_INFO = "/var/lib/dpkg/info"
_PACKAGE = re.compile(r"^Package:[ \t]*(\S+)", re.MULTILINE)
_ARCHITECTURE = re.compile(r"^Architecture:[ \t]*(\S+)", re.MULTILINE)
_INSTALLED = "Status: install ok installed\n"


def records_over(
    base: Sysroot, owned: Mapping[str, list[Entry]], packages: Mapping[str, Package]
) -> Iterator[Entry]:
    """Records for the packages that own added entries, by name."""
    status = _text(base, _STATUS)
    paragraphs = status.strip("\n").split("\n\n") if status else []
    places = {_name(paragraph): number for number, paragraph in enumerate(paragraphs)}
    for name in sorted(owned):
        package, entries = packages[name], owned[name]
        if package.purl:
            yield from record_entries(package, entries)
        elif name in places and name in base.packages:
            if base.packages[name].version != package.version:
                paragraphs[places[name]] = _installed(package)
            yield from _lists(base, package, entries)
        else:
            yield from _in_folder(base, package, entries)
    if paragraphs and (text := "\n\n".join(paragraphs) + "\n\n").strip() != status.strip():
        yield made_record(_STATUS, text, "dpkg")


def _name(paragraph: str) -> str:
    match = _PACKAGE.search(paragraph)
    return match[1] if match else ""


def _installed(package: Package) -> str:
    """The package's paragraph as dpkg writes it."""
    first, _, rest = package.control.strip("\n").partition("\n")
    return f"{first}\n{_INSTALLED}{rest}"


def _lists(base: Sysroot, package: Package, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The package's files in dpkg's lists: those of the base that are still there, and the added ones."""
    stems = (f"{_INFO}/{package.name}", f"{_INFO}/{package.name}:{package.architecture}")
    stem = next((one for one in stems if base.lookup(f"{one}.list").node is not None), stems[0])
    added = list(entries)
    listed = _text(base, f"{stem}.list")
    known = set(listed.split("\n"))
    new = [entry.path for entry in added if entry.path not in known and entry.path[4:] not in known]
    if new:
        yield made_record(f"{stem}.list", _joined(listed, sorted(new)), package.name)
    yield from _merged_sums(base, f"{stem}.md5sums", package, added)


def _in_folder(base: Sysroot, package: Package, entries: Iterable[Entry]) -> Iterator[Entry]:
    added = list(entries)
    control, sums = record_entries(package, added)
    yield control
    if _text(base, sums.path):
        yield from _merged_sums(base, sums.path, package, added)
    else:
        yield sums


def _merged_sums(base: Sysroot, path: str, package: Package, added: list[Entry]) -> Iterator[Entry]:
    own = shipped_sums(package, added)
    before = {line[34:]: line for line in _text(base, path).split("\n") if line}
    usr = "usr/"
    others = {name: line for name, line in before.items() if name not in own and f"{usr}{name}" not in own}
    lines = others | {name: f"{digest}  {name}" for name, digest in own.items()}
    text = "".join(f"{lines[name]}\n" for name in sorted(lines))
    if sorted(before.values()) != sorted(lines.values()):
        yield made_record(path, text, package.name)


def _joined(text: str, lines: list[str]) -> str:
    head = text if not text or text.endswith("\n") else f"{text}\n"
    return head + "".join(f"{line}\n" for line in lines)


def _text(base: Sysroot, path: str) -> str:
    node = base.lookup(path).node
    if node is None or node.kind is not Kind.FILE or node.content is None:
        return ""
    return read_content(node.content).decode("utf-8", "surrogateescape")
