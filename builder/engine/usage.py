"""Memory of the programs in a room, as the kernel counts it (proc(5)).

Read by the room's process too, which must start fast: nothing but the standard library's core.
"""

# ruff: noqa: PTH115, PTH123, PTH208 (as builder/engine/room.py)

from __future__ import annotations

import os


def uses_more_than(limit: int, *, pids: tuple[int, ...]) -> bool:
    """Whether all programs but those of ``pids`` (the room's own, buildah) have more for themselves."""
    own = {_program(str(pid)) for pid in pids}
    others = [pid for pid in os.listdir("/proc") if pid.isdecimal() and _program(pid) not in own]
    if sum(_field(pid, "status", b"RssAnon:") for pid in others) <= limit:
        return False
    # After a fork two processes seem to have what they share: look closer.
    return sum(_field(pid, "smaps_rollup", b"Pss_Anon:") for pid in others) > limit


def _program(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _field(pid: str, name: str, field: bytes) -> int:
    """Bytes of a process by a field that counts kB; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(field)), 0)
