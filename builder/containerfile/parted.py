"""A plan's entries by how a Dockerfile makes them: copied, linked, printed, joined, or unpacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.containerfile import made
from builder.containerfile.bundles import Bundle, bundles
from builder.containerfile.origins import Origin, Taken, match
from builder.containerfile.quote import writable
from builder.plan.model import Entry
from builder.sysroot import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """Every entry in one of five ways, or a folder. ``named`` are all but those of the archive."""

    taken: tuple[Taken, ...]
    links: tuple[Entry, ...]
    texts: tuple[Entry, ...]
    bundles: Mapping[str, Bundle]
    archived: tuple[Entry, ...]
    folders: frozenset[str]
    named: tuple[Entry, ...]

    def origins(self) -> frozenset[str]:
        """The folders that something is copied from."""
        bundled = (one.origin for one in self.bundles.values())
        return frozenset(origin.folder for origin in (*(one.origin for one in self.taken), *bundled))


def part(entries: Sequence[Entry], origins: Sequence[Origin]) -> Parted:
    """Part ``entries``; ``origins`` are the folders that have bytes and links to copy."""
    sayable = [entry for entry in entries if writable(entry.path + entry.target + entry.hardlink)]
    taken, rest = match(sayable, origins)
    links = tuple(entry for entry in rest if entry.kind is Kind.SYMLINK or entry.hardlink)
    texts = tuple(entry for entry in rest if made.is_text(entry))
    joined = bundles((entry for entry in rest if not made.is_text(entry)), origins)
    done = {entry.path for entry in (*links, *texts)} | {one.entry.path for one in taken} | joined.keys()
    folders = {entry.path for entry in entries if entry.kind is Kind.DIRECTORY}
    archived = [entry for entry in entries if entry.path not in done and _goes_in_archive(entry)]
    embedded = {entry.path for entry in archived}
    return Parted(
        taken=tuple(taken),
        links=links,
        texts=texts,
        bundles=joined,
        archived=tuple(archived),
        folders=frozenset(folders),
        named=tuple(entry for entry in entries if entry.path not in embedded),
    )


def _goes_in_archive(entry: Entry) -> bool:
    return entry.kind is not Kind.DIRECTORY or not writable(entry.path)
