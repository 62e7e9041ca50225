"""Output of commands on its way to people: secrets blotted out, then cut into lines."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterable

BLOT = b"***"
_SHORTEST = 4
"""Letters: what is shorter would blot out half of every log."""
_LONGEST_LINE = 1 << 16
_ENDS = re.compile(rb"\r\n|\n|\r")


def spellings(secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    """Texts that give a secret away: itself, its lines, base64, percent-encoding; longest first."""
    found: set[bytes] = set()
    for secret in secrets:
        for text in (secret, secret.strip(), *secret.splitlines()):
            if len(text.strip()) >= _SHORTEST:
                found |= {text, text.strip(), urllib.parse.quote_from_bytes(text).encode()}
                found |= {base64.b64encode(text), base64.urlsafe_b64encode(text)}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


class Redactor:
    """Blots secrets out of a stream of bytes, wherever its pieces are cut."""

    def __init__(self, texts: tuple[bytes, ...]) -> None:
        self._pattern = re.compile(b"|".join(map(re.escape, texts))) if texts else None
        self._longest = max(map(len, texts), default=0)
        self._kept = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what may be shown by now: the end is kept back as long as it could begin a secret."""
        if self._pattern is None:
            return piece
        text = self._kept + piece
        shown: list[bytes] = []
        start = 0
        for match in self._pattern.finditer(text):
            # A longer spelling may begin at the same place and end in the next piece.
            if match.start() + self._longest > len(text):
                break
            shown += (text[start : match.start()], BLOT)
            start = match.end()
        safe = max(start, len(text) - self._longest + 1)
        shown.append(text[start:safe])
        self._kept = text[safe:]
        return b"".join(shown)

    def flush(self) -> bytes:
        """Return the rest."""
        if self._pattern is None:
            return b""
        rest, self._kept = self._pattern.sub(BLOT, self._kept), b""
        return rest


class Lines:
    """Cuts a stream into lines as terminals do: a carriage return alone ends one too."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, piece: bytes) -> list[str]:
        """Lines that are complete by now; one that has no end is cut."""
        *whole, self._kept = _ENDS.split(self._kept + piece)
        if len(self._kept) > _LONGEST_LINE:
            whole.append(self._kept)
            self._kept = b""
        return [line.decode(errors="replace") for line in whole]

    def flush(self) -> list[str]:
        """Return the last line, where it has no end."""
        rest, self._kept = self._kept, b""
        return [rest.decode(errors="replace")] if rest else []
