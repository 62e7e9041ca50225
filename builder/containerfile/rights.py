"""Owners, modes and times: what is usual for everything first, then each exception by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from builder.containerfile.origins import Taken
from builder.containerfile.quote import shell_word
from builder.containerfile.script import Command, comment
from builder.plan.model import Entry
from builder.sysroot import Kind

_FOLDER, _MADE = 0o755, 0o644
_SPECIAL = 0o7000
"""Bits that chown(2) takes away from a file."""


def known_modes(taken: Iterable[Taken], unknown: frozenset[str]) -> dict[str, int]:
    """The modes that files have when they were copied, by path in the image; -1 for those of ``unknown``."""
    return {one.entry.path: _known(one, unknown) for one in taken}


def _known(one: Taken, unknown: frozenset[str]) -> int:
    if one.entry.path in unknown or not one.origin.modes:
        return -1
    return one.entry.mode if is_local(one) else one.node.mode


def is_local(one: Taken) -> bool:
    """Whether the file is from the build context: nobody promises its bytes, nor its mode."""
    return one.node.content is not None and not one.node.content.sha256


def rights_commands(
    entries: Sequence[Entry], modes: Mapping[str, int], usual: Iterable[Command]
) -> Iterator[Command]:
    """Give everything below the current folder to root, then set what differs for ``entries``.

    ``modes`` are those that files were copied with, ``usual`` what gives local files theirs.
    """
    yield Command(
        start="chown -hR 0:0 .", comments=comment("Everything is root's, and folders are 0755; but:")
    )
    yield Command(start="find . -type d -exec chmod 0755 {} +")
    yield from usual
    yield from _owners(entries)
    yield from _modes(entries, modes)


def time_commands(created: int) -> Iterator[Command]:
    """Give everything the image's time, as rootlet build does."""
    words = "The newest file of the packages decides the time of everything: the image is reproducible."
    yield Command(start=f"find . -exec touch -hd @{created} {{}} +", comments=comment(words))


def _owners(entries: Iterable[Entry]) -> Iterator[Command]:
    groups: dict[tuple[int, int], list[str]] = {}
    for entry in entries:
        if (entry.uid, entry.gid) != (0, 0) and not entry.hardlink:
            groups.setdefault((entry.uid, entry.gid), []).append(_place(entry))
    for (uid, gid), paths in sorted(groups.items()):
        yield Command(start=f"chown -h {uid}:{gid}", words=tuple(map(shell_word, paths)))


def _modes(entries: Iterable[Entry], modes: Mapping[str, int]) -> Iterator[Command]:
    groups: dict[int, list[str]] = {}
    for entry in entries:
        if entry.kind is not Kind.SYMLINK and not entry.hardlink and _needs_mode(entry, modes):
            groups.setdefault(entry.mode, []).append(_place(entry))
    for mode, paths in sorted(groups.items()):
        yield Command(start=f"chmod {mode:04o}", words=tuple(map(shell_word, paths)))


def _needs_mode(entry: Entry, modes: Mapping[str, int]) -> bool:
    if entry.kind is Kind.DIRECTORY:
        return entry.mode != _FOLDER
    return entry.mode != modes.get(entry.path, _MADE) or bool(entry.mode & _SPECIAL)


def _place(entry: Entry) -> str:
    return entry.path[1:] or "."
