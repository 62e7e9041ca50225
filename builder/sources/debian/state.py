"""What is known of an archive between runs: its verified release files, as one small JSON file.

The rest of rootlet is told only a key and a time (:class:`builder.sources.debian.archive.ArchiveState`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.files import read_checked, write_checked

FORMAT = 1
"""Raised when the file changes; files of another format count as absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPlace:
    """A Packages file that a release file promises: ``base`` of its file names, where it is, what it is.

    ``forms``: address below ``folder``, size in bytes and SHA-256 of each form it can be fetched in, best
    first. ``size`` and ``sha256`` are those of the uncompressed text.
    """

    base: str
    folder: str
    by_hash: bool
    size: int
    sha256: str
    forms: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteState:
    """One release file. ``sha256`` is that of its signed text; times in seconds since the epoch."""

    url: str
    sha256: str
    date: float
    valid_until: float | None
    stable: bool
    etag: str
    last_modified: str
    indexes: tuple[IndexPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All release files of an archive, main first, and when the mirrors were last asked for them."""

    fetched: float
    suites: tuple[SuiteState, ...]

    @property
    def valid_until(self) -> float | None:
        """The earliest expiry; None when nothing expires."""
        return min(
            (suite.valid_until for suite in self.suites if suite.valid_until is not None), default=None
        )

    def key(self, request: str) -> str:
        """Digest over the release files and the options they were asked for with."""
        parts = [request, *(f"{suite.url} {suite.sha256}" for suite in self.suites)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_state(path: Path) -> State | None:
    """Read a state; None when there is none that can be used."""
    document = read_object(path)
    return _state(document) if document is not None and document.get("format") == FORMAT else None


def write_state(path: Path, state: State) -> None:
    """Write a state, whole or not at all."""
    suites = [
        {
            "url": suite.url,
            "sha256": suite.sha256,
            "date": suite.date,
            "valid_until": suite.valid_until,
            "stable": suite.stable,
            "etag": suite.etag,
            "last_modified": suite.last_modified,
            "indexes": [
                [place.base, place.folder, place.by_hash, place.size, place.sha256, place.forms]
                for place in suite.indexes
            ],
        }
        for suite in state.suites
    ]
    write_object(path, {"format": FORMAT, "fetched": state.fetched, "suites": suites})


def read_object(path: Path) -> Mapping[str, Any] | None:
    """Read a JSON object that :func:`write_object` wrote; None when it is absent or damaged."""
    body = read_checked(path)
    if body is None:
        return None
    document: Mapping[str, Any] = json.loads(body)
    return document


def write_object(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum."""
    write_checked(path, json.dumps(document, separators=(",", ":")).encode())


def _state(document: Mapping[str, Any]) -> State:
    return State(fetched=document["fetched"], suites=tuple(_suite(one) for one in document["suites"]))


def _suite(entry: Mapping[str, Any]) -> SuiteState:
    indexes = tuple(
        IndexPlace(
            base=base,
            folder=folder,
            by_hash=by_hash,
            size=size,
            sha256=sha256,
            forms=tuple((path, form_size, digest) for path, form_size, digest in forms),
        )
        for base, folder, by_hash, size, sha256, forms in entry["indexes"]
    )
    return SuiteState(**{**entry, "indexes": indexes})
