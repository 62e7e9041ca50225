"""What an image adds to its base: entries that the base lacks, or has with other content, mode or owner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from builder.errors import ResolutionError
from builder.plan.model import Entry
from builder.reason import Reason, ReasonKind
from builder.sysroot import Content, Kind, Node, Sysroot

_OF_ROOTLET = frozenset({ReasonKind.SYSTEM, ReasonKind.PARENT})
"""Reasons of what rootlet makes where nobody else does: the base's own is as good."""
_SAID = frozenset({ReasonKind.RECIPE, ReasonKind.INSTALL, ReasonKind.CONFIGURED})
"""Reasons for which a folder that is there already gets another mode or owner."""


def made_over(base: Sysroot, entries: Iterable[Entry], *, named: frozenset[str]) -> list[Entry]:
    """Of the files that packages' programs would make, those that the base lacks.

    Where the recipe names the package (``named``), they are made anew.
    """
    return [one for one in entries if one.package in named or base.get(one.path) is None]


def added_to(base: Sysroot, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries that a layer over ``base`` needs.

    ResolutionError where the base has a folder and the image another thing, or a link where a folder is
    wanted.
    """
    found: dict[str, Entry] = {}
    for path, entry in entries.items():
        node = base.get(path)
        _check_parents(base, entries, entry)
        whole = _whole(entry, entries)
        if node is not None and _is_there(node, whole):
            continue
        if node is not None and node.kind is not entry.kind and Kind.DIRECTORY in (node.kind, entry.kind):
            raise ResolutionError(
                f"{path} ({entry.reason}) is a {entry.kind.value}, and a {node.kind.value} in the base",
                hint="install it elsewhere, or use another base",
            )
        found[path] = entry
    return {path: _rooted(entry, entries, found) for path, entry in found.items()}


def _is_there(node: Node, entry: Entry) -> bool:
    if entry.reason.kind in _OF_ROOTLET and not entry.package:
        return True
    if node.kind is not entry.kind:
        return False
    if node.kind is Kind.DIRECTORY and entry.reason.kind not in _SAID:
        return True
    if node.kind is Kind.SYMLINK:
        return node.target == entry.target
    same = (node.mode, node.uid, node.gid, node.xattrs) == (entry.mode, entry.uid, entry.gid, entry.xattrs)
    return same and (node.kind is Kind.DIRECTORY or _same_bytes(node.content, entry.content))


def _same_bytes(one: Content | None, other: Content | bytes | None) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(other, bytes):
        return one.size == len(other) and one.sha256 == hashlib.sha256(other).hexdigest()
    if one.size != other.size:
        return False
    return one.sha256 == (other.sha256 or _sha256(other))


def _sha256(content: Content) -> str:
    with content.store.open("rb") as stream:
        stream.seek(content.offset)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _whole(entry: Entry, entries: Mapping[str, Entry]) -> Entry:
    """A second name with the bytes of the first."""
    if not entry.hardlink:
        return entry
    return replace(entry, content=entries[entry.hardlink].content, hardlink="")


def _rooted(entry: Entry, entries: Mapping[str, Entry], found: Mapping[str, Entry]) -> Entry:
    """A hard link can only lead to a file of its own layer."""
    return entry if not entry.hardlink or entry.hardlink in found else _whole(entry, entries)


def _check_parents(base: Sysroot, entries: Mapping[str, Entry], entry: Entry) -> None:
    parent = entry.path.rpartition("/")[0]
    while parent:
        node = base.get(parent)
        own = entries.get(parent)
        if (
            node is not None
            and node.kind is not Kind.DIRECTORY
            and (own is None or own.kind is Kind.DIRECTORY)
        ):
            raise ResolutionError(
                f"{entry.path} ({entry.reason}) lies below {parent}, a {node.kind.value} in the base",
                hint="use the folder that the link leads to",
            )
        parent = parent.rpartition("/")[0]


def folders_of(base: Sysroot, paths: Iterable[str]) -> Iterator[Entry]:
    """The base's folders above ``paths``, as they are there.

    An engine that unpacks a layer by itself makes folders that the layer does not have with modes of its own,
    and those hide the modes below.
    """
    seen: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in seen:
            seen.add(parent)
            node = base.get(parent)
            if node is not None and node.kind is Kind.DIRECTORY:
                yield Entry(
                    path=parent,
                    kind=Kind.DIRECTORY,
                    mode=node.mode,
                    uid=node.uid,
                    gid=node.gid,
                    xattrs=node.xattrs,
                    reason=Reason(ReasonKind.PARENT, path),
                )
            parent = parent.rpartition("/")[0]


def files_beside(base: Sysroot, paths: Iterable[str]) -> int:
    """Regular files of the base that are still seen when ``paths`` are laid over it."""
    covered = set(paths)
    return sum(1 for node in base if node.kind is Kind.FILE and node.path not in covered)
