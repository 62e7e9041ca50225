"""What a server asks for: the header WWW-Authenticate (RFC 9110 §11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rf'{_WORD}\s*=\s*(?:"(?:[^"\\]|\\.)*"|{_WORD})'
_CHALLENGE = re.compile(rf"({_WORD})(?:\s+({_PARAMETER}(?:\s*,\s*{_PARAMETER})*))?(?:\s*,\s*|\s*$)")
_PAIR = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_MOST = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to log in. ``scheme`` is "bearer" or "basic"; what is absent is ""."""

    scheme: str
    realm: str = ""
    service: str = ""
    error: str = ""


def read_challenge(header: str) -> Challenge | None:
    """The way to log in that is taken: Bearer before Basic; None when the server offers neither."""
    found = {match[1].lower(): _parameters(match[2] or "") for match in _CHALLENGE.finditer(header[:_MOST])}
    for scheme in ("bearer", "basic"):
        if scheme in found:
            words = found[scheme]
            return Challenge(
                scheme=scheme,
                realm=words.get("realm", ""),
                service=words.get("service", ""),
                error=words.get("error", ""),
            )
    return None


def _parameters(text: str) -> dict[str, str]:
    return {
        match[1].lower(): re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        for match in _PAIR.finditer(text)
    }
