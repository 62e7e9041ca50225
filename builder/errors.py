"""Every error a user can meet, and the exit code that goes with it.

    RootletError
    ├ RecipeError      2  the recipe is wrong; every problem at once
    ├ ResolutionError  3  package or library not found, wrong architecture, path conflict
    ├ BuildError       4  a command or a tool failed, or an archive is damaged
    ├ PolicyError      5  the scan ran and the verdict is no (rootlet diff --exit-code: the two differ)
    ├ SmokeError       6  a smoke test failed
    ├ LockError        7  the lock is stale
    ├ ScanError        8  could not scan: never a pass
    └ MachineError     9  what the machine or its network lacks

Exit code 0 is success, 1 a bug in rootlet, 130 an interruption. Messages start with what happened;
``hint`` says how to mend it.
"""

from __future__ import annotations

from dataclasses import dataclass


class RootletError(Exception):
    """An expected failure: a message for a person and, where there is one, the way out."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a recipe. ``line`` counts from 1; None where a key is missing altogether."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class RecipeError(RootletError):
    """The recipe cannot be used; ``problems`` holds everything found wrong, in file order."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...], *, hint: str | None = None) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"The recipe has {count}:\n{lines}", hint=hint)
        self.problems = problems


class ResolutionError(RootletError):
    """A package, a library or a path that the image needs cannot be had, or two claim one path."""

    exit_code = 3


class BuildError(RootletError):
    """A tool failed, or bytes that were fetched or stored are damaged or hostile."""

    exit_code = 4


class PolicyError(RootletError):
    """The image was scanned and the gate said no."""

    exit_code = 5


class SmokeError(RootletError):
    """A smoke test failed inside the image."""

    exit_code = 6


class LockError(RootletError):
    """What was locked and what would be built differ."""

    exit_code = 7


class ScanError(RootletError):
    """The image could not be judged. Never a pass."""

    exit_code = 8


class MachineError(RootletError):
    """The machine, its network or its disk lacks something; the hint is the line that mends it."""

    exit_code = 9
