"""dpkg's database as it lies in an image: status paragraphs and file lists. Pure; nothing here fails.

What is damaged is named in ``notes``: an entry that cannot be read is a package that cannot be judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.dpkg.control import SourcePackage, source_of
from builder.dpkg.version import is_version

MAX_VERSION = 256
"""Letters of a version; Debian's longest has fewer than 80."""
MAX_ENTRIES = 100_000
"""Packages of one status file; Debian has some 70,000 in all."""
_MAX_DIVERSIONS = 4 << 20
"""Letters that are read; a file that was diverted by what follows is nobody's."""
MAX_NOTES = 1000
"""Damaged entries of one status file that are named."""

_PARAGRAPH = re.compile(r"\n(?:[ \t\r]*\n)+")
_FIELD = re.compile(
    r"^(Package|Status|Version|Architecture|Source|Maintainer)[ \t]*:(.*)$", re.MULTILINE | re.IGNORECASE
)
_BAD_LINE = re.compile(r"^(?![ \t#]|[!-9;-~]+[ \t]*:).+$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,199}")
_SOURCE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9.+_-]{{0,199}}(?: {{0,9}}\([^()]{{1,{MAX_VERSION}}}\))?")
_ARCHITECTURE = re.compile(r"[a-z0-9-]{0,40}")
_PATH = re.compile(r"^/.+$", re.MULTILINE)
_SUM = re.compile(r"^\\?[0-9a-fA-F]{32} [ *](?:\./|/)?(.+)$", re.MULTILINE)
_GONE = frozenset({"deinstall", "purge", "not-installed", "config-files"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEntry:
    """One installed package of a status file."""

    name: str
    version: str
    architecture: str
    source: SourcePackage
    maintainer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a status file holds: installed packages, and a sentence for each damaged entry."""

    entries: tuple[StatusEntry, ...]
    notes: tuple[str, ...]


def parse_status(text: str, *, path: str) -> Status:
    """Read ``/var/lib/dpkg/status`` or a file of ``status.d`` (rules D1, D3; deb-control(5)).

    Entries whose Status says that nothing is unpacked any more are left out; no Status line means
    installed; half-installed counts as installed.
    """
    entries: list[StatusEntry] = []
    notes: list[str] = []
    for number, paragraph in enumerate(_paragraphs(text), 1):
        if len(entries) >= MAX_ENTRIES or len(notes) >= MAX_NOTES:
            notes.append(f"{path}: what follows entry {number - 1} was not read")
            break
        fields: dict[str, str] = {}
        for key, value in _FIELD.findall(paragraph):
            fields.setdefault(key.capitalize(), value.strip())
        if not _GONE.isdisjoint(fields.get("Status", "").lower().split()):
            continue
        problem = _problem(fields)
        if problem is None:
            entries.append(_entry(fields))
            problem = "a line of it is no field" if _BAD_LINE.search(paragraph) else None
        if problem is not None:
            notes.append(f"{path}: entry {number} ({_shown(fields)}) is damaged: {problem}")
    return Status(entries=tuple(entries), notes=tuple(notes))


def parse_list(text: str) -> Iterator[str]:
    """Absolute paths of an ``info/*.list`` file (folders are among them)."""
    return (match[0] for match in _PATH.finditer(text))


def parse_md5sums(text: str) -> Iterator[str]:
    """Absolute paths of an ``md5sums`` file."""
    return (f"/{match[1]}" for match in _SUM.finditer(text))


def parse_diversions(text: str) -> dict[str, tuple[str, str]]:
    """``/var/lib/dpkg/diversions``: path → (where other packages' file went, diverting package)."""
    lines = text[:_MAX_DIVERSIONS].split("\n")
    return {lines[at]: (lines[at + 1], lines[at + 2]) for at in range(0, len(lines) - 2, 3)}


def _problem(fields: dict[str, str]) -> str | None:
    if not _NAME.fullmatch(fields.get("Package", "")):
        return "it names no package"
    version = fields.get("Version", "")
    if len(version) > MAX_VERSION or not is_version(version):
        return f"{version[:40]!r} is not a version"
    if not _ARCHITECTURE.fullmatch(fields.get("Architecture", "")):
        return f"{fields['Architecture'][:40]!r} is not an architecture"
    source = source_of(fields)
    if not _SOURCE.fullmatch(fields.get("Source") or "x") or not is_version(source.version):
        return f"{fields.get('Source', '')[:80]!r} is not a source package"
    return None


def _entry(fields: dict[str, str]) -> StatusEntry:
    return StatusEntry(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields.get("Architecture", ""),
        source=source_of(fields),
        maintainer=fields.get("Maintainer", "")[:200],
    )


def _paragraphs(text: str) -> Iterator[str]:
    # Not all at once: a hostile file is nothing but paragraphs.
    start = 0
    for gap in _PARAGRAPH.finditer(text):
        if text[start : gap.start()].strip():
            yield text[start : gap.start()]
        start = gap.end()
    if text[start:].strip():
        yield text[start:]


def _shown(fields: dict[str, str]) -> str:
    name = fields.get("Package", "")
    return name if _NAME.fullmatch(name) else "without a name"
