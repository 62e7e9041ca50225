"""The log of a stage: shown line by line, written whole, kept only when the stage fails."""

from __future__ import annotations

import shlex
from collections import deque
from pathlib import Path
from typing import Self, TextIO

from builder.errors import BuildError
from builder.sources.stage.bench import Bench

_SHOWN_LINES = 20
_MOST_KEPT = 20
"""Logs of failures; older ones are removed."""


class StageLog:
    """Takes lines. Secrets were blotted out before they come here."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._bench = bench
        self.path = bench.folder / "logs" / f"{name}.log"
        self._tail: deque[str] = deque(maxlen=_SHOWN_LINES)
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.path.open("w", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()
        if kind is None:
            self.path.unlink(missing_ok=True)
        else:
            self._remove_old()

    def line(self, text: str) -> None:
        """Take a line of output."""
        self._tail.append(text)
        self._write(text)
        self._bench.progress.line(text)

    def command(self, words: str | tuple[str, ...]) -> str:
        """Say which command comes now; how it is written."""
        text = words if isinstance(words, str) else shlex.join(words)
        self._tail.clear()
        self._write(f"$ {text}")
        return text

    def explained(self, what: str, error: BuildError) -> BuildError:
        """``error`` of a command with the end of what it wrote and the place of the whole log."""
        lines = "".join(f"\n  | {line}" for line in self._tail)
        status = error.message.split("\n", 1)[0].rpartition(" failed with ")[2]
        reason = error.message if status == error.message.split("\n", 1)[0] else f"it ended with {status}"
        hint = f"the whole log: {self.path}; --debug-shell opens a shell in the stage"
        return BuildError(f"{what}: {reason}{lines}", hint=hint)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _remove_old(self) -> None:
        logs = sorted(self.path.parent.glob("*.log"), key=_age, reverse=True)
        for old in logs[_MOST_KEPT:]:
            old.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
