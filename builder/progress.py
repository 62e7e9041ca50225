"""Progress: what long work says while it runs. Work reports to a ``Progress`` it is given, never prints."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Hashable
from typing import Generic, Protocol, TextIO, TypeVar

_REDRAW_SECONDS = 0.1
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
"""Control sequences of terminals (ECMA-48), colours among them."""


class Progress(Protocol):
    """Receives events of one build. Thread-safe: workers report from several threads."""

    def step(self, text: str) -> None:
        """Say that a new stage of work starts, in a few words: "resolve libraries"."""

    def advance(self, done: int, total: int, *, unit: str = "B") -> None:
        """Say how far the present step is; ``total`` 0 when it is not known."""

    def line(self, text: str) -> None:
        """Show a line that a running program wrote."""

    def note(self, text: str) -> None:
        """Say something that a user must read (a warning); it stays on the screen."""

    def close(self) -> None:
        """End the display; nothing may be reported afterwards."""


class Silent:
    """Reports nothing: for --quiet and tests."""

    def step(self, text: str) -> None:
        """Ignore."""

    def advance(self, done: int, total: int, *, unit: str = "B") -> None:
        """Ignore."""

    def line(self, text: str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""

    def close(self) -> None:
        """Ignore."""


class Plain:
    """One line a step, for logs and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        """Print the step."""
        self._print(f"· {text}")

    def advance(self, done: int, total: int, *, unit: str = "B") -> None:
        """Ignore: a log is not a display."""

    def line(self, text: str) -> None:
        """Print the line, set off from rootlet's own."""
        self._print(f"  | {printable(text)}")

    def note(self, text: str) -> None:
        """Print the warning."""
        self._print(f"! {text}")

    def close(self) -> None:
        """Nothing is open."""

    def _print(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class Bar:
    """One line on a terminal, redrawn at most ten times a second and wiped at the end."""

    def __init__(self, stream: TextIO, *, columns: int) -> None:
        self._stream = stream
        self._columns = max(columns, 40)
        self._lock = threading.Lock()
        self._text = ""
        self._drawn = 0.0

    def step(self, text: str) -> None:
        """Draw the step."""
        with self._lock:
            self._text = text
            self._draw(text)

    def advance(self, done: int, total: int, *, unit: str = "B") -> None:
        """Redraw the bar of the present step."""
        with self._lock:
            now = time.monotonic()
            if now - self._drawn < _REDRAW_SECONDS:
                return
            self._drawn = now
            self._draw(f"{self._text}  {_share(done, total, unit)}")

    def line(self, text: str) -> None:
        """Draw the line behind the step."""
        with self._lock:
            now = time.monotonic()
            if text.strip() and now - self._drawn >= _REDRAW_SECONDS:
                self._drawn = now
                self._draw(f"{self._text}  {printable(text).strip()}")

    def note(self, text: str) -> None:
        """Print the warning above the bar."""
        with self._lock:
            self._stream.write(f"\r\x1b[K! {text}\n")
            self._draw(self._text)

    def close(self) -> None:
        """Wipe the line."""
        with self._lock:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text[: self._columns - 1]}")
        self._stream.flush()


class JsonLines:
    """One JSON object a line, for programs: ``{"event": "step", "text": …}``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        """Write a step event."""
        self._write({"event": "step", "text": text})

    def advance(self, done: int, total: int, *, unit: str = "B") -> None:
        """Write an advance event."""
        self._write({"event": "advance", "done": done, "total": total, "unit": unit})

    def line(self, text: str) -> None:
        """Write a line event."""
        self._write({"event": "line", "text": text})

    def note(self, text: str) -> None:
        """Write a note event."""
        self._write({"event": "note", "text": text})

    def close(self) -> None:
        """Write the end event."""
        self._write({"event": "end"})

    def _write(self, event: dict[str, object]) -> None:
        with self._lock:
            self._stream.write(json.dumps(event) + "\n")
            self._stream.flush()


def printable(text: str) -> str:
    """``text`` without what would move the cursor, change colours or ring the bell."""
    plain = _ESCAPES.sub("", text.expandtabs())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in plain)


def human_size(size: int) -> str:
    """Bytes as a person reads them: ``7.2 MB`` (powers of 1000, as registries count)."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < (1000 if unit == "B" else 999.95) or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def _share(done: int, total: int, unit: str) -> str:
    if unit == "B":
        return human_size(done) if not total else f"{human_size(done)} of {human_size(total)}"
    return f"{done} {unit}" if not total else f"{done} of {total} {unit}"


_K = TypeVar("_K", bound=Hashable)


class Meter(Generic[_K]):
    """Sums up what several threads have done; each piece of work has a key."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._lock = threading.Lock()
        self._done: dict[_K, int] = {}
        self._sum = 0

    def report(self, key: _K, done: int) -> None:
        """One of them has come so far."""
        with self._lock:
            self._sum += done - self._done.get(key, 0)
            self._done[key] = done
            self._progress.advance(self._sum, self._total)
