"""Absolute paths that a program names in its constant bytes: hints of what it may open, never proof."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.elf.object import ElfError
from builder.elf.reader import DamagedError, Headers, Readable, Segment, read_headers

_MAX_PATHS = 4096
_MAX_LENGTH = 255
_MAX_BYTES = 1 << 28
"""Bytes of one file that are looked at; the biggest real libraries have half of that."""
_CHUNK = 1 << 20
_PF_X = 1
_FEWEST = 2
"""Names of a path that is worth a hint: every program knows /etc and /usr."""
_LETTERS = rb"A-Za-z0-9_.+@=,~-"
# It starts with a fixed letter so that the search can skip ahead. What comes after a path tells whether it is
# whole: printf(3) replaces what follows a "%".
_PATH = re.compile(
    rb"/(?:usr|lib(?:32|64|x32)?|etc|opt|var|srv|run)(?:/+[" + _LETTERS + rb"]+)+/?(?=(%?))",
)
_INSIDE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+@,~/-")
"""Letters before a slash that show it is the middle of a path; "=" and ":" stand before paths in lists."""


def named_paths(data: Readable, *, name: str) -> frozenset[str]:
    """Give the paths below /usr, /lib, /etc, /opt, /var, /srv and /run that an ELF file's constants name.

    Only segments that a process cannot write to are read. A path that goes on with a ``%`` of printf(3) is
    cut to the folder before. ``name`` is what an error calls the file. At most some thousand paths are given,
    of at most 255 bytes. Raises ElfError for damaged headers, never anything else for any bytes.
    """
    try:
        segments = _constants(read_headers(data))
    except DamagedError as error:
        raise ElfError(name, str(error)) from None
    found: dict[str, None] = {}
    left = _MAX_BYTES
    for _, start, _, size, _, _ in segments:
        for path in _in_segment(data, start, min(size, left)):
            found[path] = None
            if len(found) >= _MAX_PATHS:
                return frozenset(found)
        left -= min(size, left)
    return frozenset(found)


def contained(data: Readable, texts: frozenset[str]) -> frozenset[str]:
    """Give those of ``texts`` that stand anywhere in ``data``.

    Languages that link everything in have no NULs between their constants: only a known text can be found.
    """
    wanted = {text.encode("utf-8", "surrogateescape"): text for text in texts}
    longest = max(map(len, wanted), default=0)
    found: set[str] = set()
    for at in range(0, min(len(data), _MAX_BYTES), _CHUNK):
        piece = data[at : at + _CHUNK + longest]
        found |= {text for raw, text in wanted.items() if text not in found and raw in piece}
        if len(found) == len(wanted):
            break
    return frozenset(found)


def _constants(headers: Headers) -> list[Segment]:
    # Linkers put constants into a segment of their own; older ones beside the code.
    fixed = headers.loaded(writable=False)
    return [segment for segment in fixed if not segment[4] & _PF_X] or fixed


def _in_segment(data: Readable, start: int, size: int) -> Iterator[str]:
    for at in range(start, start + size, _CHUNK):
        # A path may begin in one piece and end in the next: a piece has a little of both its neighbours.
        before = min(1, at - start)
        piece = data[at - before : min(at + _CHUNK + _MAX_LENGTH + 1, start + size)]
        for match in _PATH.finditer(piece, before):
            here = match.start()
            if here >= _CHUNK + before:
                break
            path = _path(match[0], cut=bool(match[1]))
            if path and not (here and piece[here - 1] in _INSIDE):
                yield path


def _path(raw: bytes, *, cut: bool) -> str:
    if cut:
        raw = raw.rpartition(b"/")[0]
    names = [name for name in raw.split(b"/") if name]
    path = "/" + b"/".join(names).decode("ascii")
    if len(names) < _FEWEST or len(path) > _MAX_LENGTH or b".." in names or b"." in names:
        return ""
    return path
