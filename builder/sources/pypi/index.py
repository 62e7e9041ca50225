"""Simple repositories (PEP 503, PEP 691) and folders or pages of links: which files there are of a project.

A page is kept, and asked for again when it is older than the recipe's packages may be.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from builder.download import shown
from builder.errors import BuildError
from builder.files import read_checked, write_checked
from builder.sources.fetched import not_offline
from builder.sources.pypi.settings import Places
from builder.sources.supply import Supply
from builder.transport import NotFoundError

_LARGEST = 128 << 20
_ACCEPT = {
    "Accept": "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2,"
    " text/html;q=0.1"
}
_FRAGMENT = re.compile(r"sha256=([0-9a-f]{64})")
_SUM = re.compile(r"[0-9a-f]{64}")
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A file of a project. ``metadata``: SHA-256 of the METADATA beside it (PEP 658), "yes", or "" for none.

    ``yanked`` is the reason why it was taken back, "" for not at all. ``sha256`` "" where nobody says.
    """

    filename: str
    url: str
    sha256: str = ""
    requires_python: str = ""
    yanked: str = ""
    metadata: str = ""

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel."""
        return self.filename.endswith(".whl")


class Index:
    """Looks projects up at all places; each is asked once."""

    def __init__(self, places: Places, supplies: Supply) -> None:
        self._places = places
        self._supplies = supplies
        self._found: dict[str, tuple[Link, ...]] = {}
        self._listed: tuple[Link, ...] | None = None
        self.oldest = float("inf")
        """When the oldest page that was used had been fetched, in seconds since the epoch."""

    def files(self, name: str) -> tuple[Link, ...]:
        """The files of the project ``name`` (normalised). MachineError when no place can be asked."""
        if name not in self._found:
            found = [link for link in self._links() if project_of(link.filename) == name]
            for index in self._places.indexes:
                page = f"{index}/{name}/"
                found += (link for link in self._page(page) if project_of(link.filename) == name)
            self._found[name] = tuple(found)
        return self._found[name]

    def address(self, link: Link) -> str:
        """Where ``link`` is fetched: with the user and password of the index of the same server."""
        server = urlsplit(link.url).netloc
        for index in (*self._places.indexes, *self._places.links):
            user, at, host = urlsplit(index).netloc.rpartition("@")
            if at and host == server:
                return urlunsplit(urlsplit(link.url)._replace(netloc=f"{user}@{host}"))
        return link.url

    def _links(self) -> tuple[Link, ...]:
        if self._listed is None:
            self._listed = tuple(link for place in self._places.links for link in self._listing(place))
        return self._listed

    def _listing(self, place: str) -> Iterable[Link]:
        folder = _folder(place)
        if folder is None:
            return self._page(place)
        try:
            names = sorted(path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz")))
        except OSError:
            return ()  # as pip: a folder that is not there has nothing
        return (Link(filename=path.name, url=path.resolve().as_uri()) for path in names)

    def _page(self, url: str) -> tuple[Link, ...]:
        effects, freshness = self._supplies.effects, self._supplies.freshness
        memory = self._supplies.cache / "indexes" / f"python-{_name(url)}.json"
        known = _recall(memory)
        now = effects.clock()
        if known is not None and (
            freshness.offline or (not freshness.refresh and 0 <= now - known[0] < freshness.max_age)
        ):
            self.oldest = min(self.oldest, known[0])
            return known[1]
        not_offline(shown(url), self._supplies)
        links = self._fetch(url)
        self.oldest = min(self.oldest, now)
        write_checked(memory, json.dumps([_FORMAT, now, [asdict(link) for link in links]]).encode())
        return links

    def _fetch(self, url: str) -> tuple[Link, ...]:
        local = _folder(url)
        if local is not None:  # an index on this machine: its pages are files
            try:
                return parse_page((local / "index.html").read_bytes(), url, url)
            except OSError:
                return ()
        with self._supplies.effects.transport() as door:
            try:
                body = door.get(url, limit=_LARGEST, headers=_ACCEPT).body
            except NotFoundError:
                return ()
        return parse_page(body, without_user(url), url)


def parse_page(body: bytes, url: str, what: str) -> tuple[Link, ...]:
    """The links of a page, JSON or HTML. BuildError when it is neither."""
    if body.lstrip()[:1] == b"{":
        try:
            return tuple(_json_links(json.loads(body), url))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BuildError(f"{shown(what)} is no sound page of an index: {error!r}") from error
    reader = _Page(url)
    reader.feed(body.decode(errors="replace"))
    return tuple(reader.links)


def _json_links(page: Mapping[str, Any], url: str) -> Iterator[Link]:
    for file in page["files"]:
        metadata = file.get("core-metadata", file.get("dist-info-metadata", False))
        yanked = file.get("yanked", False)
        yield Link(
            filename=str(file["filename"]),
            url=urljoin(url, str(file["url"])),
            sha256=_sum(file.get("hashes", {}).get("sha256", "")),
            requires_python=str(file.get("requires-python") or ""),
            yanked=(yanked if isinstance(yanked, str) and yanked else "no reason given") if yanked else "",
            metadata=_metadata(metadata.get("sha256", "yes") if isinstance(metadata, dict) else metadata),
        )


class _Page(HTMLParser):
    """The anchors of an HTML page."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.links: list[Link] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a link."""
        values = {name: value or "" for name, value in attrs}
        if tag == "base" and values.get("href"):
            self._base = urljoin(self._base, values["href"])
        if tag != "a" or not values.get("href"):
            return
        try:
            url, fragment = urldefrag(urljoin(self._base, values["href"]))
            filename = unquote(urlsplit(url).path.rpartition("/")[2])
        except ValueError:  # no address
            return
        found = _FRAGMENT.search(fragment)
        metadata = values.get("data-core-metadata", values.get("data-dist-info-metadata", ""))
        self.links.append(
            Link(
                filename=filename,
                url=url,
                sha256=found[1] if found else "",
                requires_python=values.get("data-requires-python", ""),
                yanked=(values["data-yanked"] or "no reason given") if "data-yanked" in values else "",
                metadata=_metadata(metadata.removeprefix("sha256=")),
            )
        )


def project_of(filename: str) -> str:
    """The normalised name of the project that a wheel or source archive is of; "" for neither."""
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[0]
        return parse_sdist_filename(filename)[0]
    except (InvalidWheelFilename, InvalidSdistFilename):
        stem = re.split(r"-[0-9]", filename, maxsplit=1)[0]
        return canonicalize_name(stem) if filename.endswith((".zip", ".tar.bz2")) else ""


def _metadata(value: object) -> str:
    if value is True or value in {"true", "yes"}:
        return "yes"
    return _sum(value)


def _sum(value: object) -> str:
    return value if isinstance(value, str) and _SUM.fullmatch(value) else ""


def _folder(place: str) -> Path | None:
    """The folder of this machine that ``place`` is, if it is one."""
    if place.startswith("file://"):
        return Path(unquote(urlsplit(place).path))
    return None if "://" in place else Path(place)


def _recall(memory: Path) -> tuple[float, tuple[Link, ...]] | None:
    body = read_checked(memory)
    if body is None:
        return None
    try:
        form, fetched, rows = json.loads(body)
        return (fetched, tuple(Link(**row) for row in rows)) if form == _FORMAT else None
    except (ValueError, TypeError):
        return None


def without_user(url: str) -> str:
    """``url`` without a user and password: what is kept has none."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:32]
