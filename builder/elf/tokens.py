"""Search paths as objects write them: dynamic string tokens and lists of folders (ld.so(8), "$ORIGIN")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# A token ends where no letter of an identifier follows: "$ORIGINAL" is no token. Unknown ones stay.
_TOKEN = re.compile(r"\$(?:(ORIGIN|PLATFORM|LIB)(?![A-Za-z0-9_])|\{(ORIGIN|PLATFORM|LIB)\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the tokens stand for in one object: ``origin`` is the folder it was found in, unresolved."""

    origin: str
    lib: str
    platform: str

    def expand(self, text: str) -> str:
        """``text`` with every token replaced (glibc: elf/dl-load.c, _dl_dst_substitute)."""
        if "$" not in text:
            return text
        values = {"ORIGIN": self.origin, "LIB": self.lib, "PLATFORM": self.platform}
        return _TOKEN.sub(lambda match: values[match[1] or match[2]], text)


def folder_of(path: str) -> str:
    """Give the folder of an absolute ``path``, as text: links and ".." stay."""
    return path.rpartition("/")[0] or "/"


@dataclass(frozen=True, slots=True)
class Folders:
    """A search path taken apart: the folders that are known, and what depends on the working directory."""

    known: tuple[str, ...]
    unknown: tuple[str, ...]


def folders_of(parts: Iterable[str]) -> Folders:
    """Sort the expanded elements of a search path; an empty one means the working directory, "."."""
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for part in parts:
        if part.startswith("/"):
            known[part.rstrip("/") or "/"] = None
        else:
            unknown[part or "."] = None
    return Folders(tuple(known), tuple(unknown))


def musl_expand(text: str, origin: str) -> str | None:
    """Expand a search path as musl does (fixup_rpath): None when it holds a token other than $ORIGIN."""
    rest = text.replace("${ORIGIN}", "").replace("$ORIGIN", "")
    if "$" in rest:
        return None
    return text.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
