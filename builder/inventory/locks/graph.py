"""Which packages of a lock file only development needs, where it says who needs whom."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def reachable(roots: Iterable[Name], edges: Mapping[Name, Iterable[Name]]) -> set[Name]:
    """Give ``roots`` and everything that they need, directly or not."""
    seen = set(roots)
    waiting = list(seen)
    while waiting:
        for other in edges.get(waiting.pop(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen
