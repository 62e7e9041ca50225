"""Go's order of module versions (https://go.dev/ref/mod#versions) and of its own releases ("go1.21rc2").

Pseudo-versions are pre-releases; "+incompatible" is build metadata and says nothing.
"""

from __future__ import annotations

import re

from builder.versions import semver

_TOOLCHAIN = re.compile(
    r"(?:go)?(?P<release>[0-9]+\.[0-9]+(?:\.[0-9]+)?)(?:(?P<kind>rc|beta|alpha)(?P<number>[0-9]+))?"
)


def is_version(text: str) -> bool:
    """Whether it is a version; "(devel)" is none."""
    return semver.is_version(_plain(text))


def version_key(text: str) -> semver.Key:
    """Make the key."""
    return semver.version_key(_plain(text))


def _plain(text: str) -> str:
    """Turn "go1.21rc2 X:boringcrypto" into "1.21-rc.2", and leave modules' versions as they are."""
    word = text.partition(" ")[0]
    match = _TOOLCHAIN.fullmatch(word)
    if match is None:
        return word
    return f"{match['release']}-{match['kind']}.{match['number']}" if match["kind"] else match["release"]
