"""Everything that is compared of one image: planned, built, in whatever form, or an unpacked root folder.

One pass over the layers gives inventory, reasons and, for each path, what a container would see of it; file
contents are hashed as they pass, so memory grows with the number of paths only.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.errors import BuildError
from builder.image.contents import folder_contents, image_contents
from builder.inventory.files import RootFile, TreeFile
from builder.oci import ImageConfig, Platform
from builder.plan.contents import Contents, planned_contents
from builder.plan.model import Entry, ImagePlan
from builder.stored.read import ImageFile, Payload, StoredImage
from builder.sysroot import Content, Kind, Node, Sysroot

_LINK_MODE = 0o777
"""No system gives a link permissions of its own, and tools write what they like there."""
_PIECE = 1 << 20
_XATTRS = ("security.capability", "user.")
"""Attributes of a folder's files that belong to an image; the rest (labels, overlay's) is this machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a container sees of a path. ``digest`` is the SHA-256 (hex) of a regular file's bytes, else "".

    ``mtime`` in seconds, None where nobody says (a folder that no layer names). Names that share one file
    have equal facts each: a hard link is compared by its content.
    """

    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    digest: str = ""
    target: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    mtime: int | None = None


_IMPLIED = FileFacts(kind=Kind.DIRECTORY, mode=0o755)
"""A folder above what a layer names: engines make it so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One side of a comparison. ``config`` and ``platform`` are None for a root folder, which has none.

    ``planned``: nobody has read its files yet, so that of its packages only those of archives are known;
    ``below`` are the packages of its base, by name, with their versions.
    """

    contents: Contents
    files: Mapping[str, FileFacts]
    config: ImageConfig | None
    platform: Platform | None
    planned: bool = False
    below: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """How it was named."""
        return self.contents.subject


def image_snapshot(image: StoredImage, *, subject: str) -> Snapshot:
    """Read an image, proving every layer. BuildError when it is damaged."""
    watch = _Watch()
    contents = image_contents(image, subject=subject, passing=watch.follow)
    return Snapshot(
        contents=contents,
        files=_whole(watch.found),
        config=image.config.config,
        platform=image.config.platform,
    )


def folder_snapshot(folder: Path, *, subject: str) -> Snapshot:
    """Read a root folder of this machine. BuildError for what may not be read."""
    watch = _Watch()
    contents = folder_contents(folder, subject=subject, passing=watch.follow)
    watch.found["/"] = _root_facts(folder.stat(), {})
    return Snapshot(contents=contents, files=_whole(watch.found), config=None, platform=None)


def planned_snapshot(plan: ImagePlan, *, subject: str, ground: Sysroot | None = None) -> Snapshot:
    """What the image of ``plan`` would be, over the files of its base (``ground``).

    Packages' files are not read: their checksums are known.
    """
    found: dict[str, FileFacts] = {node.path: _ground_facts(node) for node in ground or ()}
    for entry in (entry for layer in plan.layers for entry in layer.entries):
        # Names of one file share everything: what the plan says of the second one is not written.
        found[entry.path] = found[entry.hardlink] if entry.hardlink else _planned_facts(entry, plan.created)
    return Snapshot(
        contents=planned_contents(plan, subject=subject, ground=ground),
        files=_whole(found),
        config=plan.config,
        platform=plan.platform,
        planned=True,
        below={name: one.version for name, one in (ground.packages if ground is not None else {}).items()},
    )


@dataclass(slots=True)
class _Watch:
    """Notes the facts of every path that passes, after everybody else had a look at its bytes."""

    found: dict[str, FileFacts] = field(default_factory=dict)

    def follow(self, files: Iterable[TreeFile]) -> Iterator[TreeFile]:
        for file in files:
            if isinstance(file, ImageFile):
                payload = _HashedPayload(file.payload) if file.payload is not None else None
                yield replace(file, payload=payload)
                self.found[file.path] = _stored_facts(file, payload)
            elif isinstance(file, RootFile):
                yield file
                self.found[file.path] = _folder_facts(file)
            else:
                raise TypeError(f"{type(file).__name__} is no file of an image or a folder")


class _HashedPayload(Payload):
    """Hashes the bytes that somebody else may want too: they pass once."""

    __slots__ = ("_digest", "_inner", "_rest", "_size")

    def __init__(self, inner: Payload) -> None:
        self._inner = inner
        self._rest: Iterator[bytes] | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def peek(self, limit: int) -> bytes:
        """Give the first bytes and leave them."""
        return self._inner.peek(limit)

    def take(self) -> Iterator[bytes]:
        """Give the bytes and drop them; whoever asks again gets them where there is another way."""
        if self._rest is not None:
            return self._inner.take()
        self._rest = self._hashed()
        return self._rest

    def finish(self) -> tuple[int, str]:
        """Size and SHA-256 of all the bytes, of which others may have taken some."""
        for _ in self._rest if self._rest is not None else self.take():
            pass
        return self._size, self._digest.hexdigest()

    def _hashed(self) -> Iterator[bytes]:
        for chunk in self._inner.take():
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk


def _stored_facts(file: ImageFile, payload: _HashedPayload | None) -> FileFacts:
    size, digest = 0, ""
    if file.kind is Kind.FILE:
        size, digest = payload.finish() if payload is not None else _hashed(())
        if size != file.size:
            raise BuildError(f"{file.path!a} has {size} bytes in the image, not {file.size} as it says")
    return FileFacts(
        kind=file.kind,
        mode=_LINK_MODE if file.kind is Kind.SYMLINK else file.mode & 0o7777,
        uid=file.uid,
        gid=file.gid,
        size=size,
        digest=digest,
        target=file.target,
        xattrs=file.xattrs,
        mtime=file.mtime,
    )


def _folder_facts(file: RootFile) -> FileFacts:
    try:
        if file.problem is not None:
            raise file.problem
        status = os.lstat(file.place)
        names = os.listxattr(file.place, follow_symlinks=False)
        xattrs = {
            name: os.getxattr(file.place, name, follow_symlinks=False)
            for name in sorted(names)
            if name.startswith(_XATTRS)
        }
        facts = _root_facts(status, xattrs)
        if file.kind is not Kind.FILE:
            return replace(facts, target=file.target)
        size, digest = _hashed(file.chunks())
    except OSError as error:
        raise BuildError(
            f"{file.place} cannot be compared: {error.strerror or error}",
            hint="compare as a user who may read all of the folder",
        ) from error
    return replace(facts, size=size, digest=digest)


def _root_facts(status: os.stat_result, xattrs: Mapping[str, bytes]) -> FileFacts:
    kind = {stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}.get(stat.S_IFMT(status.st_mode))
    return FileFacts(
        kind=kind or Kind.FILE,
        mode=_LINK_MODE if kind is Kind.SYMLINK else stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        xattrs=tuple(xattrs.items()),
        mtime=int(status.st_mtime),
    )


def _planned_facts(entry: Entry, created: int) -> FileFacts:
    return FileFacts(
        kind=entry.kind,
        mode=_LINK_MODE if entry.kind is Kind.SYMLINK else entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        digest=_planned_digest(entry),
        target=entry.target,
        xattrs=tuple(sorted(entry.xattrs)),
        mtime=created,
    )


def _ground_facts(node: Node) -> FileFacts:
    content = node.content
    return FileFacts(
        kind=node.kind,
        mode=_LINK_MODE if node.kind is Kind.SYMLINK else node.mode,
        uid=node.uid,
        gid=node.gid,
        size=content.size if content is not None else 0,
        digest=content.sha256 if content is not None else "",
        target=node.target,
        xattrs=tuple(sorted(node.xattrs)),
        mtime=node.mtime or None,  # a folder that no layer of the base names has none
    )


def _planned_digest(entry: Entry) -> str:
    content = entry.content
    if isinstance(content, Content):
        return content.sha256 or _hashed(_stored_pieces(content))[1]
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _stored_pieces(content: Content) -> Iterator[bytes]:
    left = content.size
    with content.store.open("rb") as stream:
        stream.seek(content.offset)
        while left and (piece := stream.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece


def _hashed(chunks: Iterable[bytes]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _whole(found: dict[str, FileFacts]) -> dict[str, FileFacts]:
    """With the folders above what is there, sorted by path."""
    for path in list(found):
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = _IMPLIED
            parent = parent.rpartition("/")[0]
    found.setdefault("/", _IMPLIED)
    return dict(sorted(found.items()))
