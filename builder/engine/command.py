"""Programs of the machine: a ``Command`` is a value, a ``Runner`` runs it. Only this imports subprocess."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from builder.errors import BuildError, MachineError

_TAIL = 4096
_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An argument vector without a shell. ``environment`` is added to the allow-listed variables."""

    argv: tuple[str, ...]
    description: str = field(default="", compare=False)
    environment: tuple[tuple[str, str], ...] = ()
    stdin: bytes = b""
    timeout: float = 600.0
    """Seconds."""
    success: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a command left: its status and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


class Runner(Protocol):
    """Runs commands; tests give their own."""

    def find(self, program: str) -> str | None:
        """Absolute path of ``program`` on this machine, or None."""

    def run(self, command: Command) -> Finished:
        """Run to the end. BuildError when the status is not a success, MachineError when it cannot start."""


_ALLOWED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
)


class MachineRunner:
    """Runs on this machine, with an allow-listed environment and a session of its own.

    On a time limit or an interruption the program itself gets TERM first and its group KILL after a grace
    period: tools that clean up after themselves get the chance to.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {name: environment[name] for name in _ALLOWED if name in environment}
        self._environment["LC_ALL"] = "C.UTF-8"

    def find(self, program: str) -> str | None:
        """Look along PATH."""
        return shutil.which(program, path=self._environment.get("PATH"))

    def run(self, command: Command) -> Finished:
        """Run, keep both outputs."""
        try:
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._environment, **dict(command.environment)},
                start_new_session=True,
            )
        except OSError as error:
            raise MachineError(
                f"{command.argv[0]} could not be started: {error.strerror}",
                hint=f"install {command.argv[0]}",
            ) from error
        with process:
            try:
                stdout, stderr = process.communicate(command.stdin, timeout=command.timeout)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise BuildError(
                    f"{_words(command)} did not finish within {command.timeout:.0f} s and was stopped"
                ) from error
            except BaseException:
                _end(process)
                raise
        return _judge(command, Finished(status=process.returncode, stdout=stdout, stderr=stderr))


def _judge(command: Command, finished: Finished) -> Finished:
    if finished.status in command.success:
        return finished
    how = f"status {finished.status}" if finished.status >= 0 else f"signal {-finished.status}"
    tail = finished.stderr[-_TAIL:].decode(errors="replace").strip()
    raise BuildError(f"{_words(command)} failed with {how}" + (f":\n{tail}" if tail else ""))


def _words(command: Command) -> str:
    return command.description or " ".join(command.argv[:3])


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    finally:  # a second Ctrl-C ends the grace period, not the duty to leave nothing running
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
