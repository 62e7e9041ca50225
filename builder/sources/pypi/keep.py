"""Wheels and their metadata on this machine, by checksum: fetched once, checked before use.

<cache>/wheels/<SHA-256>.whl         a wheel as it was fetched
<cache>/wheels/<SHA-256>.metadata    its METADATA, where only that was needed so far
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from packaging.utils import canonicalize_name

from builder.download import Download, shown
from builder.errors import BuildError, MachineError, ResolutionError
from builder.files import file_sha256, write_bytes
from builder.sources.fetched import not_offline
from builder.sources.pypi.index import Index, Link, project_of
from builder.sources.supply import Supply
from builder.sources.zipped import ZipEntry, ZipReader
from builder.sysroot import Kind
from builder.transport import NotFoundError

FOLDER = "wheels"
"""The folder of the cache."""

MOST_BYTES = 8 << 30
_LARGEST_METADATA = 16 << 20
_JOBS = 4
_HINT = "the wheel is damaged or hostile: use another version, or another index"


class WheelShelf:
    """The wheels of this machine. BuildError when other bytes come than were promised."""

    def __init__(self, index: Index, supplies: Supply) -> None:
        self._index = index
        self._supplies = supplies
        self._folder = supplies.cache / FOLDER
        self._direct: dict[str, Link] = {}

    def path(self, link: Link) -> Path:
        """Where the wheel of ``link`` is kept; its checksum is known."""
        return self._folder / f"{link.sha256}.whl"

    def fetch_all(self, links: Iterable[Link]) -> None:
        """Fetch what is not here, several at once; the checksums of all are known."""
        missing = [link for link in links if not self._is_kept(link)]
        remote = []
        for link in missing:
            local = _local(link.url)
            if local is None:
                remote.append(link)
            else:
                self._copy(link, local)
        if not remote:
            return
        not_offline(", ".join(link.filename for link in remote[:5]), self._supplies)
        self._supplies.effects.progress.step(
            f"fetch {len(remote)} wheels" if len(remote) > 1 else "fetch 1 wheel"
        )
        with self._supplies.effects.transport() as door:
            door.fetch_all((self._download(link) for link in remote), jobs=_JOBS)

    def _is_kept(self, link: Link) -> bool:
        path = self.path(link)
        if not path.is_file():
            return False
        with contextlib.suppress(OSError):
            os.utime(path)  # shows the sweeper that it is wanted
        return True

    def _download(self, link: Link) -> Download:
        return Download(
            url=self._index.address(link), destination=self.path(link), sha256=link.sha256, limit=MOST_BYTES
        )

    def _copy(self, link: Link, local: Path) -> None:
        try:
            payload = local.read_bytes()
        except OSError as error:
            raise ResolutionError(f"{local} cannot be read: {error.strerror}") from error
        found = hashlib.sha256(payload).hexdigest()
        if found != link.sha256:
            raise BuildError(f"{local} has the SHA-256 {found}; {link.sha256} was promised", hint=_HINT)
        write_bytes(self.path(link), payload, durable=False)

    def with_sum(self, link: Link) -> Link:
        """``link`` with its checksum: the file itself says it where nobody else does."""
        if link.sha256:
            return link
        local = _local(link.url)
        if local is not None:
            try:
                return replace(link, sha256=file_sha256(local))
            except OSError as error:
                raise ResolutionError(f"{local} cannot be read: {error.strerror}") from error
        not_offline(shown(link.url), self._supplies)
        part = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            with self._supplies.effects.transport() as door:
                door.fetch(Download(url=self._index.address(link), destination=part, limit=MOST_BYTES))
            found = replace(link, sha256=file_sha256(part))
            part.replace(self.path(found))
        except OSError as error:
            raise MachineError(
                f"{part} could not be written: {error.strerror}", hint="free some space"
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return found

    def direct(self, url: str, name: str) -> Link:
        """The wheel at an address that a requirement gives; a fragment may say its checksum."""
        if url not in self._direct:
            place, fragment = urldefrag(url)
            filename = unquote(urlsplit(place).path.rpartition("/")[2])
            if (
                place.startswith("git+")
                or not filename.endswith(".whl")
                or project_of(filename) != canonicalize_name(name)
            ):
                raise ResolutionError(
                    f"{name} @ {shown(url)} is no wheel of {name}",
                    hint="only wheels are taken: build one in a stage, and name its folder with links",
                )
            sums = (
                part.removeprefix("sha256=") for part in fragment.split("&") if part.startswith("sha256=")
            )
            self._direct[url] = self.with_sum(Link(filename=filename, url=place, sha256=next(sums, "")))
        return self._direct[url]

    def metadata(self, link: Link) -> bytes:
        """The METADATA of a wheel."""
        kept = self._folder / f"{link.sha256}.metadata"
        if link.sha256 and kept.is_file():
            return kept.read_bytes()
        if link.metadata and not self._is_there(link):
            body = self._beside(link)
            if body is not None:
                if link.sha256:
                    write_bytes(kept, body, durable=False)
                return body
        whole = self.with_sum(link)
        self.fetch_all((whole,))
        with self.path(whole).open("rb") as stream:
            return metadata_of(
                ZipReader(stream, name=link.filename, limit=MOST_BYTES, hint=_HINT), link.filename
            )

    def _is_there(self, link: Link) -> bool:
        return bool(link.sha256) and self.path(link).is_file()

    def _beside(self, link: Link) -> bytes | None:
        if _local(link.url) is not None:
            return None
        not_offline(f"the metadata of {link.filename}", self._supplies)
        with self._supplies.effects.transport() as door:
            try:
                body = door.get(f"{self._index.address(link)}.metadata", limit=_LARGEST_METADATA).body
            except NotFoundError:
                return None
        found = hashlib.sha256(body).hexdigest()
        if link.metadata not in {"yes", found}:
            raise BuildError(
                f"the metadata of {link.filename} has the SHA-256 {found}; {link.metadata} was promised"
            )
        return body


def metadata_of(reader: ZipReader, filename: str) -> bytes:
    """The METADATA in a wheel. BuildError when there is none."""
    entry = dist_info_file(list(reader), "METADATA", filename)
    if entry is None:
        raise BuildError(f"{filename} has no METADATA", hint=_HINT)
    return reader.bytes_of(entry, _LARGEST_METADATA)


def dist_info_file(entries: Iterable[ZipEntry], name: str, filename: str) -> ZipEntry | None:
    """The file ``name`` of the wheel's own ``.dist-info`` folder."""
    project = canonicalize_name(filename.partition("-")[0])
    for entry in entries:
        folder, _, last = entry.path[1:].partition("/")
        stem = canonicalize_name(folder.removesuffix(".dist-info").rpartition("-")[0])
        if last == name and folder.endswith(".dist-info") and stem == project and entry.kind is Kind.FILE:
            return entry
    return None


def _local(url: str) -> Path | None:
    return Path(unquote(urlsplit(url).path)) if url.startswith("file://") else None
