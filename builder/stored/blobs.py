"""Where the blobs of an image lie: in a layout folder, or inside a tar archive that is never unpacked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.errors import BuildError
from builder.oci import Descriptor, Digest
from builder.stored.blob import blob_path, disk_errors, link_or_copy, new_blob
from builder.stored.fields import MAX_JSON
from builder.stored.untar import FILE, LINK, SYMLINK, Member, TarReader

_PIECE = 1 << 18
_MAX_MEMBERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """``size`` bytes at ``offset`` of a file of this machine."""

    path: Path
    offset: int
    size: int


class BlobSource(Protocol):
    """Gives sections by digest and by name."""

    def blob(self, digest: Digest) -> Section:
        """Say where a blob lies; BuildError when it is not there."""

    def named(self, name: str) -> Section:
        """Say where a file of the archive or layout lies; BuildError when it is not there."""

    def has(self, name: str) -> bool:
        """Say whether there is a file of that name."""


@dataclass(frozen=True, slots=True)
class FolderBlobs:
    """An OCI layout folder."""

    folder: Path

    def blob(self, digest: Digest) -> Section:
        """Look below ``blobs``."""
        return _whole(blob_path(self.folder / "blobs", digest))

    def place(self, descriptor: Descriptor) -> Section:
        """Say where a blob lies or would lie: nobody looks whether it is there."""
        return Section(
            path=blob_path(self.folder / "blobs", descriptor.digest), offset=0, size=descriptor.size
        )

    def named(self, name: str) -> Section:
        """Look in the folder itself."""
        return _whole(self.folder / name)

    def has(self, name: str) -> bool:
        """Look in the folder itself."""
        return (self.folder / name).is_file()


@dataclass(frozen=True, slots=True)
class ArchiveBlobs:
    """A tar archive and where its files lie in it."""

    path: Path
    sections: Mapping[str, Section]

    def blob(self, digest: Digest) -> Section:
        """Look below ``blobs``."""
        return self.named(f"blobs/{digest.algorithm}/{digest.encoded}")

    def named(self, name: str) -> Section:
        """Look the name up."""
        section = self.sections.get(_plain(name))
        if section is None:
            raise BuildError(f"{self.path} lacks {name[:200]!a}, which it speaks of")
        return section

    def has(self, name: str) -> bool:
        """Look the name up."""
        return name in self.sections


def open_blobs(path: Path) -> BlobSource:
    """Open a layout folder or an archive. BuildError when ``path`` is neither."""
    if path.is_dir():
        return FolderBlobs(path)
    if path.exists() and not path.is_file():
        raise BuildError(f"{path} cannot be read as an image: it is a device or a pipe")
    try:
        return ArchiveBlobs(path, _index_archive(path))
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from error


def pieces(section: Section) -> Iterator[bytes]:
    """Read a section in pieces. BuildError when the file does not give them."""
    try:
        with section.path.open("rb", buffering=0) as stream:
            number, done = stream.fileno(), 0
            while done < section.size:
                piece = os.pread(number, min(_PIECE, section.size - done), section.offset + done)
                if not piece:
                    raise BuildError(f"{section.path} ends too early")
                done += len(piece)
                yield piece
    except OSError as error:
        raise BuildError(f"{section.path} cannot be read: {error.strerror}") from error


def place_section(section: Section, target: Path, digest: Digest) -> None:
    """Put bytes that lie in a file of this machine into ``target``: a link to a whole file, else a copy.

    Nothing is proven here: whoever reads the blob does that. BuildError when the bytes are not there,
    MachineError when the disk refuses.
    """
    place = blob_path(target, digest)
    try:
        size = section.path.stat().st_size
    except OSError as error:
        raise BuildError(f"The blob {digest} is missing: {error.strerror} ({section.path})") from error
    if size < section.offset + section.size:
        raise BuildError(f"The blob {digest} is cut short ({section.path})")
    with disk_errors(target):
        place.parent.mkdir(parents=True, exist_ok=True)
        if section.offset == 0 and size == section.size:
            if not (place.exists() and place.samefile(section.path)):
                link_or_copy(section.path, place)
            return
        with new_blob(target) as writer:
            for piece in pieces(section):
                writer.write(piece)
            if writer.digest != digest:
                raise BuildError(f"The blob {digest} is damaged ({section.path})")
            writer.commit("")


def read_json_blob(source: BlobSource, descriptor: Descriptor) -> bytes:
    """Read a manifest, index or configuration; BuildError when it is too large or not the one described."""
    section = source.blob(descriptor.digest)
    where = f"The blob {descriptor.digest}"
    if section.size != descriptor.size:
        raise BuildError(f"{where} has {section.size} bytes, not {descriptor.size} ({section.path})")
    payload = read_section(section, where)
    if hashlib.new(descriptor.digest.algorithm, payload).hexdigest() != descriptor.digest.encoded:
        raise BuildError(f"{where} is damaged: its bytes have another digest ({section.path})")
    return payload


def read_section(section: Section, where: str) -> bytes:
    """Read a small section whole; BuildError when it is above 8 MiB."""
    if section.size > MAX_JSON:
        raise BuildError(f"{where} has {section.size} bytes; at most {MAX_JSON} are read")
    return b"".join(pieces(section))


def _whole(path: Path) -> Section:
    try:
        if not path.is_file():
            raise BuildError(f"{path} is missing")
        return Section(path=path, offset=0, size=path.stat().st_size)
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from error


_COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"BZh")


def _index_archive(path: Path) -> Mapping[str, Section]:
    sections: dict[str, Section] = {}
    links: dict[str, str] = {}
    with path.open("rb", buffering=0) as stream:
        total = os.fstat(stream.fileno()).st_size
        if os.pread(stream.fileno(), 6, 0).startswith(_COMPRESSED):
            raise BuildError(f"{path} is compressed", hint="unpack it first, with gunzip, xz -d or zstd -d")
        reader = TarReader(
            iter(lambda: stream.read(4096), b""),
            str(path),
            seek=lambda count: _forward(stream.fileno(), count),
        )
        for member in reader:
            name = _plain(member.name)
            if name in sections or name in links or len(sections) + len(links) > _MAX_MEMBERS:
                raise BuildError(f"{path} holds {name[:200]!a} twice, or too many files")
            if member.kind == FILE:
                sections[name] = Section(path=path, offset=reader.position, size=member.size)
                if reader.position + member.size > total:
                    raise BuildError(f"{path} ends too early, inside {name[:200]!a}")
            elif member.kind in {LINK, SYMLINK}:
                links[name] = _link_target(name, member)
    # docker save links a layer that it holds already.
    return sections | {name: sections[target] for name, target in links.items() if target in sections}


def _forward(number: int, count: int) -> None:
    os.lseek(number, count, os.SEEK_CUR)


def _link_target(name: str, member: Member) -> str:
    if member.kind == LINK:
        return _plain(member.link)
    return os.path.normpath(f"{name.rpartition('/')[0]}/{member.link}").lstrip("/")


def _plain(name: str) -> str:
    return name.removeprefix("./").strip("/")
