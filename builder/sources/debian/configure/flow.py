"""How control leaves a part of a script, and what is found out about the script."""

from __future__ import annotations

from dataclasses import dataclass, field

from builder.sources.debian.configure.conditions import Verdict


class Exit(Exception):  # noqa: N818 (control flow, not an error)
    """The script ends."""


class Return(Exception):  # noqa: N818 (as above)
    """A function ends."""

    def __init__(self, status: Verdict) -> None:
        super().__init__()
        self.status = status


class Leave(Exception):  # noqa: N818 (as above)
    """``break`` or ``continue`` of ``levels`` loops."""

    def __init__(self, levels: int, *, again: bool) -> None:
        super().__init__()
        self.levels = levels
        self.again = again


@dataclass(slots=True)
class Findings:
    """What is said about one script."""

    recognised: dict[str, None] = field(default_factory=dict)
    not_made: dict[str, None] = field(default_factory=dict)
    unrecognised: dict[int, str] = field(default_factory=dict)
