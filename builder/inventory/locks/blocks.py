"""The lines of lock files in TOML that a program wrote: tables ``[[package]]`` of plain keys.

Not a TOML parser: those take quadratic time for some texts, and a lock file is long. Here every line is
looked at once, and what is not of that form is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.inventory.document import lines_of

_KEY = re.compile(r"""\s*["']?([\w.-]+)["']?\s*=\s*(.*)""", re.DOTALL)
_TABLE = re.compile(r"""\s*\[([\w."'-]+)\]\s*(?:#.*)?""")
_LIST = re.compile(r"\s*\[\[([\w.-]+)\]\]\s*(?:#.*)?")
_STRING = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)\'""")
_MAX_LINE = 1 << 20


@dataclass(slots=True)
class Block:
    """One package: keys as "version" or "source.url" (of ``[package.source]``), values as written."""

    values: dict[str, str] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Give a string, "" without it or for another value."""
        match = _STRING.match(self.values.get(key, ""))
        return (match[1] or match[2] or "") if match else ""

    def texts(self, key: str) -> list[str]:
        """Give the strings of an array, or of anything."""
        return [one or two for one, two in _STRING.findall(self.values.get(key, ""))]


def blocks(text: str, name: str) -> Iterator[Block]:
    """Give each ``[[name]]``."""
    block: Block | None = None
    prefix = ""
    lines = lines_of(text)
    for line in lines:
        start = _LIST.fullmatch(line)
        if start is not None and start[1] == name:
            if block is not None:
                yield block
            block, prefix = Block(), ""
        elif line.lstrip().startswith("["):
            table = start or _TABLE.fullmatch(line)
            inside = table is not None and table[1].startswith(f"{name}.")
            if not inside and block is not None:
                yield block
                block = None
            prefix = f"{table[1][len(name) + 1 :]}." if table is not None and inside else ""
        elif block is not None and (match := _KEY.fullmatch(line[:_MAX_LINE])) is not None:
            block.values.setdefault(prefix + match[1], _value(match[2], lines))
    if block is not None:
        yield block


def _value(text: str, lines: Iterator[str]) -> str:
    """Give a value; an array of several lines whole."""
    if not text.startswith("[") or text.rstrip().endswith("]"):
        return text
    pieces = [text]
    for line in lines:
        pieces.append(line)
        if line.strip() in {"]", "],"} or line.startswith("]"):
            break
    return "\n".join(pieces)
