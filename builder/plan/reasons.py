"""The record of reasons that every image carries: why each of its paths is there, for ``rootlet why``.

``/usr/share/rootlet/reasons.json`` is one JSON object: ``format`` (1) and ``reasons``, a list. Each of it has

    kind      the name of a :class:`builder.reason.ReasonKind` in small letters
    subject   the path, package, key or feature at the other end ("" left out)
    detail    more about it ("" left out)
    package   the owner of the paths ("" left out)
    files     folder → names in it: the paths that are there for this reason

Sorted and without white space, so that equal plans give equal bytes. Names that are not UTF-8 carry surrogate
escapes. The record itself is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builder.errors import BuildError, ResolutionError
from builder.plan.model import Entry
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind

RECORD = "/usr/share/rootlet/reasons.json"
"""Where the record is in an image."""
RECORD_REASON = Reason(ReasonKind.SYSTEM, "record of reasons")
MAX_RECORD = 32 << 20
"""Bytes of the largest record that is read: some 300,000 paths."""

_FORMAT = 1
_TEXTS = ("subject", "detail", "package")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Why one path is in an image, and the package that owns it ("" for nobody)."""

    reason: Reason
    package: str


def add_record(entries: dict[str, Entry]) -> None:
    """Put the record of all ``entries`` beside them. ResolutionError when something else is at its path.

    The folders of :data:`RECORD` must be there already.
    """
    present = entries.get(RECORD)
    if present is not None and present.reason != RECORD_REASON:
        raise ResolutionError(
            f"{RECORD} ({present.reason}) is where rootlet writes down why each file is in the image",
            hint="give the file another path",
        )
    entries[RECORD] = record_entry(entries.values())


def record_entry(entries: Iterable[Entry]) -> Entry:
    """The record of ``entries`` as an entry that no package owns."""
    content = reasons_to_json(entries)
    return Entry(path=RECORD, kind=Kind.FILE, mode=0o644, content=content, reason=RECORD_REASON)


def reasons_to_json(entries: Iterable[Entry]) -> bytes:
    """The bytes of the record; equal for equal entries in whatever order."""
    groups: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for entry in entries:
        if entry.path != RECORD:
            reason = entry.reason
            key = (reason.kind.name.lower(), reason.subject, reason.detail, entry.package)
            folder, _, name = entry.path.rpartition("/")
            groups.setdefault(key, {}).setdefault(folder or "/", []).append(name)
    document = {"format": _FORMAT, "reasons": [_group(key, groups[key]) for key in sorted(groups)]}
    return (json.dumps(document, separators=(",", ":")) + "\n").encode()


def _group(key: tuple[str, ...], files: Mapping[str, list[str]]) -> dict[str, Any]:
    texts = {name: text for name, text in zip(("kind", *_TEXTS), key, strict=True) if text}
    return texts | {"files": {folder: sorted(files[folder]) for folder in sorted(files)}}


def reasons_from_json(payload: bytes, where: str) -> dict[str, Provenance]:
    """Read a record: path → provenance, the record's own path included.

    ``where`` names it in errors. BuildError for anything that :func:`reasons_to_json` would not have written.
    """
    if len(payload) > MAX_RECORD:
        raise _damaged(where, f"it has more than {MAX_RECORD} bytes")
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, f"it is not JSON ({str(error)[:100]})") from error
    if not isinstance(document, dict) or not isinstance(document.get("reasons"), list):
        raise _damaged(where, "it holds no list of reasons")
    if document.get("format") != _FORMAT:
        raise BuildError(
            f"{where} has the format {str(document.get('format'))[:20]!r}; this rootlet reads {_FORMAT}",
            hint="ask the rootlet that built the image, or a newer one",
        )
    found: dict[str, Provenance] = {}
    for group in document["reasons"]:
        provenance = _provenance(group, where)
        for path in _paths(group.get("files"), where):
            if found.setdefault(path, provenance) is not provenance:
                raise _damaged(where, f"it names {path[:200]!a} twice")
    found[RECORD] = Provenance(RECORD_REASON, "")
    return found


def _provenance(group: object, where: str) -> Provenance:
    if not isinstance(group, dict):
        raise _damaged(where, "a reason is not an object")
    kind, subject, detail, package = (_text(group.get(name, ""), where) for name in ("kind", *_TEXTS))
    known = ReasonKind.__members__.get(kind.upper())
    if known is None or kind != kind.lower():
        raise BuildError(
            f"{where} speaks of the reason {kind[:60]!a}, which this rootlet does not know",
            hint="ask the rootlet that built the image, or a newer one",
        )
    return Provenance(Reason(known, subject, detail), package)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _damaged(where, "a reason has something else than text where text belongs")
    return value


def _paths(files: object, where: str) -> Iterator[str]:
    if not isinstance(files, dict):
        raise _damaged(where, "a reason has no files")
    for folder, names in files.items():
        if not folder.startswith("/") or not isinstance(names, list):
            raise _damaged(where, f"{folder[:200]!a} is no folder with names")
        for name in names:
            if not isinstance(name, str) or not name or "/" in name:
                raise _damaged(where, f"{str(name)[:200]!a} is no name of a file")
            yield f"{folder.rstrip('/')}/{name}"


def _damaged(where: str, what: str) -> BuildError:
    return BuildError(f"{where} is no record of reasons: {what}", hint="build the image again")
