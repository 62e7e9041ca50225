"""Programs of the machine: a ``Command`` is a value, a ``Runner`` runs it. Only this imports subprocess."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

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
    memory: int = 0
    """Bytes that what is run in a room may use, 0 for any (builder/engine/session.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a command left: its status and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


Sink: TypeAlias = Callable[[str], None]
"""Takes each line of output as it comes, without its end."""


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
    *("TRIVY_CACHE_DIR", "TRIVY_DB_REPOSITORY", "TRIVY_JAVA_DB_REPOSITORY", "TRIVY_SKIP_DB_UPDATE"),
    *("TRIVY_SKIP_JAVA_DB_UPDATE", "TRIVY_OFFLINE_SCAN", "GRYPE_DB_CACHE_DIR", "GRYPE_DB_AUTO_UPDATE"),
    "GRYPE_DB_UPDATE_URL",
)


class MachineRunner:
    """Runs on this machine, with an allow-listed environment and a session of its own.

    On a time limit or an interruption the program itself gets TERM first and its group KILL after a grace
    period: tools that clean up after themselves get the chance to.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {name: environment[name] for name in _ALLOWED if name in environment}
        self._environment["LC_ALL"] = "C.UTF-8"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that programs get."""
        return self._environment

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
        return judge(command, Finished(status=process.returncode, stdout=stdout, stderr=stderr))

    def converse(self, command: Command) -> Peer:
        """Start a program that is talked to while it runs. MachineError when it cannot start."""
        errors = os.memfd_create("errors")
        try:
            return Peer(self._start(command, subprocess.PIPE, errors), errors)
        except BaseException:
            os.close(errors)
            raise

    def attach(self, command: Command) -> int:
        """Run a program on this terminal, for a person; its status. MachineError when it cannot start."""
        with self._start(command, None, None, new_session=False) as process:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:  # it goes to the program too, which is the one that is meant
                    continue

    def _start(
        self, command: Command, pipe: int | None, errors: int | None, *, new_session: bool = True
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command.argv,
                stdin=pipe,
                stdout=pipe,
                stderr=errors,
                env={**self._environment, **dict(command.environment)},
                start_new_session=new_session,
            )
        except OSError as error:
            raise MachineError(
                f"{command.argv[0]} could not be started: {error.strerror}",
                hint=f"install {command.argv[0]}",
            ) from error


class Peer:
    """A program in a session of its own that reads what is sent and answers; it ends when nobody sends."""

    def __init__(self, process: subprocess.Popen[bytes], errors: int) -> None:
        self._process = process
        self._errors = errors

    def send(self, payload: bytes) -> None:
        """Give it ``payload``. OSError or ValueError when it does not listen any more."""
        stream = self._process.stdin
        if stream is not None:
            stream.write(payload)
            stream.flush()

    def receive(self, size: int) -> bytes:
        """Wait for exactly ``size`` bytes; fewer when it ended."""
        stream = self._process.stdout
        return b"" if stream is None else stream.read(size)

    def hang_up(self) -> None:
        """Send nothing any more: it stops what it does, cleans up and ends. Any thread may call this."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def end(self, grace: float) -> int:
        """Hang up, wait ``grace`` seconds, kill what is left of its session; its status."""
        self.hang_up()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            status = self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        return status

    def errors(self) -> str:
        """Return the end of what it wrote to standard error."""
        size = os.fstat(self._errors).st_size
        tail = os.pread(self._errors, _TAIL, max(0, size - _TAIL))
        return tail.decode(errors="replace").strip()

    def close(self) -> None:
        """Let go of what it wrote. It has ended before."""
        os.close(self._errors)


def judge(command: Command, finished: Finished) -> Finished:
    """Return ``finished`` when its status is a success, else raise BuildError with the end of its errors."""
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
