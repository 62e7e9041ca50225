"""RubyGems' order (Gem::Version): words are pre-releases and below numbers, "-" means ".pre."."""

from __future__ import annotations

import functools
import itertools
import re

from builder.versions.digits import ZERO, Number, number

_FORM = re.compile(r"\s*(?:[0-9]+(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?\s*", re.ASCII)
_SEGMENT = re.compile(r"[0-9]+|[a-z]+", re.IGNORECASE)

Segment = tuple[int, Number, str]
_ZERO: Segment = (1, ZERO, "")


def is_version(text: str) -> bool:
    """Whether Gem::Version would take it."""
    return _FORM.fullmatch(text) is not None


@functools.lru_cache(maxsize=65536)
def version_key(text: str) -> GemVersion:
    """Make the key; zeros at the end, and before the first word, say nothing."""
    if not is_version(text):
        raise ValueError(f"{text[:40]!r} is no version of RubyGems")
    found = [_segment(part) for part in _SEGMENT.findall(text.strip().replace("-", ".pre."))]
    words = next((at for at, segment in enumerate(found) if segment[0] == 0), len(found))
    return GemVersion((*_bare(found[:words]), *_bare(found[words:])))


@functools.total_ordering
class GemVersion:
    """A version that sorts as Gem::Version does: behind its last segment there are zeros without end."""

    __slots__ = ("segments",)

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        self.segments = segments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GemVersion) and self.segments == other.segments

    def __lt__(self, other: GemVersion) -> bool:
        pairs = itertools.zip_longest(self.segments, other.segments, fillvalue=_ZERO)
        return next((one < theirs for one, theirs in pairs if one != theirs), False)

    def __hash__(self) -> int:
        return hash(self.segments)


def _segment(part: str) -> Segment:
    return (1, number(part), "") if part.isdecimal() else (0, ZERO, part)


def _bare(segments: list[Segment]) -> list[Segment]:
    end = len(segments)
    while end and segments[end - 1] == _ZERO:
        end -= 1
    return segments[:end]
