"""Ranges of versions: as texts that are kept, and what they say of a version (OSV schema, "Evaluation").

"<2"                      everything below 2, which is what nearly all say
"*"                       everything
'[[["introduced","1"],…]…]'   JSON of the events, as written
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from builder.scan.model import Advisory, Ranges
from builder.versions.schemes import Scheme, scheme

_LOWEST = "0"
_INTRODUCED = ("introduced", _LOWEST)
_ALWAYS: Ranges = ((_INTRODUCED,),)
_UNLIMITED = "*"
_TURNS = {"fixed": 0, "introduced": 1, "last_affected": 2}
_dumps = json.JSONEncoder(separators=(",", ":")).encode


def below(fixed: str) -> str:
    """The packed range of everything below a fix."""
    return f"<{fixed}"


def always() -> str:
    """The packed range of every version."""
    return "*"


def pack(ranges: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Any ranges as text; their events are pairs of kind and version."""
    return _dumps(ranges)


def unpack(text: str) -> Ranges:
    """Read what :func:`pack` and its neighbours wrote. ValueError, TypeError for another text."""
    if text.startswith("<"):
        return ((_INTRODUCED, ("fixed", text[1:])),)
    if text == "*":
        return _ALWAYS
    return tuple(tuple((kind, at) for kind, at in events) for events in json.loads(text)) if text else ()


@functools.lru_cache(maxsize=65536)
def key(order: str, version: str) -> Any:
    """The sort key of a version; ValueError for a text that has no place in that order."""
    return scheme(order).key(version)


def affects(advisory: Advisory, version: str, order: Scheme) -> bool:
    """Whether ``version`` is one that the advisory speaks of.

    ValueError when that cannot be told: a version that decides has no place in the order.
    """
    if version in advisory.versions:
        return True
    if any(_inside(events, version, order.name) for events in advisory.ranges):
        return True
    return not advisory.ranges and _listed(advisory.versions, version, order.name)


def fixed_in(advisory: Advisory, version: str, order: Scheme) -> str:
    """Give the lowest version above ``version`` that mends it, "" when none is known."""
    here = key(order.name, version)
    later = [
        fixed
        for events in advisory.ranges
        for kind, fixed in events
        if kind == "fixed" and key(order.name, fixed) > here
    ]
    return min(later, key=lambda fixed: key(order.name, fixed), default="")


def _listed(versions: Sequence[str], version: str, order: str) -> bool:
    # 1.0 and 1.0.0 are one version in many orders; a list may hold what is no version at all.
    here = key(order, version)
    for one in versions:
        try:
            if key(order, one) == here:
                return True
        except ValueError:
            continue
    return False


def _inside(events: Sequence[tuple[str, str]], version: str, order: str) -> bool:
    here = key(order, version)
    match events:
        case (("introduced", "0"), ("fixed", at)):  # nearly all of them
            return bool(here < key(order, at))
    limits = [at for kind, at in events if kind == "limit"]
    if limits and not any(at == _UNLIMITED or here < key(order, at) for at in limits):
        return False
    inside = False
    for kind, at in sorted((one for one in events if one[0] != "limit"), key=lambda one: _place(one, order)):
        if kind == "introduced":
            inside = inside or at == _LOWEST or here >= key(order, at)
        elif here > key(order, at) or (kind == "fixed" and here == key(order, at)):
            inside = False
    return inside


def _place(event: tuple[str, str], order: str) -> tuple[bool, Any, int]:
    # "introduced 0" is below every version, "0~rc1" included; at one version a fix comes before a new hole,
    # and that before it is last seen.
    kind, at = event
    if event == _INTRODUCED:
        return False, None, 0  # never compared with another key
    return True, key(order, at), _TURNS[kind]
