"""Java archives: the Maven coordinates of a jar, of jars inside it, and of what was shaded into it.

``META-INF/maven/*/*/pom.properties`` is the best word; without one that fits the file's name, the manifest
and the name itself tell. Depth, number and sizes of nested archives are bounded; what is beyond is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.inventory.content import Readable
from builder.inventory.found import Found, Package, found
from builder.inventory.java.coordinates import (
    Coordinates,
    from_manifest,
    from_name,
    parse_manifest,
    parse_properties,
)
from builder.inventory.java.pom import own_coordinates
from builder.inventory.model import ComponentKind
from builder.inventory.zipped import DamagedZipError, Entry, entries, read_entry, stored_entry

SUFFIXES = (".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".lpkg", ".kar")
_MAX_DEPTH = 4
_MAX_NESTED = 1 << 30
"""Bytes of all archives inside one file."""
_MAX_UNPACKED = 96 << 20
"""Bytes of archives inside each other that are unpacked at one time."""
_MAX_TEXT = 1 << 20
_MAX_NOTES = 10
_PROPERTIES = re.compile(r"(?:.*/)?META-INF/maven/[^/]+/[^/]+/pom\.properties")
_POM = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.xml")
_MANIFEST = "META-INF/MANIFEST.MF"


def java_archive(content: Readable, path: str) -> Found:
    """Read an archive and what is inside it."""
    visit = _Visit()
    visit.archive(content, path.rpartition("/")[2], 0)
    return found((_package(one) for one in visit.found), visit.notes[:_MAX_NOTES])


def _package(one: Coordinates) -> Package:
    name = f"{one.group}:{one.artifact}" if one.group else one.artifact
    return Package(kind=ComponentKind.JAVA, name=name, version=one.version)


@dataclass(slots=True)
class _Visit:
    """What was found so far, and what may still be unpacked."""

    found: list[Coordinates] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: int = _MAX_NESTED
    held: int = 0

    def archive(self, content: Readable, name: str, depth: int) -> None:
        """Read one archive called ``name``."""
        inside = _Inside()
        try:
            for entry in entries(content):
                self._entry(content, entry, inside, depth)
        except DamagedZipError as error:
            self.notes.append(f"{name[:200]}: {error}" if depth else str(error))
        self.found.extend(inside.coordinates(name))

    def _entry(self, content: Readable, entry: Entry, inside: _Inside, depth: int) -> None:
        lower = entry.name.lower()
        try:
            if lower.endswith(SUFFIXES) and entry.size:
                self._nested(content, entry, depth)
            elif entry.name == _MANIFEST:
                inside.manifest = parse_manifest(read_entry(content, entry, _MAX_TEXT))
            elif _PROPERTIES.fullmatch(entry.name):
                inside.take(parse_properties(read_entry(content, entry, _MAX_TEXT)))
            elif _POM.fullmatch(entry.name):
                inside.poms.append(own_coordinates(read_entry(content, entry, _MAX_TEXT)))
        except DamagedZipError as error:
            self.notes.append(str(error))

    def _nested(self, content: Readable, entry: Entry, depth: int) -> None:
        if depth + 1 >= _MAX_DEPTH:
            self.notes.append(f"{entry.name[:200]!a} lies too deep in it to be read")
            return
        name = entry.name.rpartition("/")[2]
        self.left -= entry.size
        if self.left < 0:
            raise DamagedZipError(f"{entry.name[:200]!a} in it was not read: there is too much in it")
        nested = stored_entry(content, entry)
        if nested is not None:
            self.archive(nested, name, depth + 1)
            return
        unpacked = read_entry(content, entry, min(entry.size, _MAX_UNPACKED - self.held))
        self.held += len(unpacked)
        self.archive(unpacked, name, depth + 1)
        self.held -= len(unpacked)


@dataclass(slots=True)
class _Inside:
    """What one archive says of itself, without the archives in it."""

    manifest: dict[str, str] = field(default_factory=dict)
    properties: list[Coordinates] = field(default_factory=list)
    poms: list[Coordinates | None] = field(default_factory=list)

    def take(self, one: Coordinates | None) -> None:
        """Keep the coordinates of a pom.properties."""
        if one is not None:
            self.properties.append(one)

    def coordinates(self, name: str) -> Iterator[Coordinates]:
        """Give the archive's own coordinates and those of what was shaded into it."""
        named = from_name(name)
        listed = {(one.group, one.artifact) for one in self.properties}
        poms = (one for one in self.poms if one is not None and (one.group, one.artifact) not in listed)
        known = [*self.properties, *poms]
        yield from known
        stem = name.rpartition(".")[0]
        if any(_is_same(one, named, stem) for one in known) or (len(known) == 1 and not named.version):
            return
        own = from_manifest(self.manifest, named)
        if own is not None and not (known and len(known) == 1 and own.version == known[0].version):
            yield own


def _is_same(one: Coordinates, named: Coordinates, stem: str) -> bool:
    """Whether coordinates found in an archive are its own: its name (``stem``: with version) starts so."""
    return one.artifact == named.artifact or f"{stem}-".startswith(f"{one.artifact}-")
