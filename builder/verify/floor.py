"""The processes of one test, as process 1 of the sandbox sees them: their outputs, their ends, their time.

Process 1 has the image as its root and no privileges. When it ends, the kernel kills whatever is left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from builder.verify.task import Job, Program

_HEAD, _TAIL, _READ = 1 << 20, 1 << 16, 1 << 16
_DRAIN_SECONDS = 1.0
_NOT_STARTED = 127


class Output:
    """What a program writes to one stream: the beginning and the end of it, within bounds."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_open = True
        self._head = bytearray()
        self._tail = bytearray()
        self._lost = False

    def read(self) -> None:
        """Take what is there."""
        if not self.is_open:
            return
        try:
            chunk = os.read(self.descriptor, _READ)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            return
        room = _HEAD - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * _TAIL:
            self._lost = True
            del self._tail[:-_TAIL]

    def close(self) -> None:
        """Read no more."""
        if self.is_open:
            self.is_open = False
            os.close(self.descriptor)

    def text(self) -> str:
        """Give what was kept."""
        gap = b"\n[...]\n" if self._lost else b""
        return bytes(self._head + gap + self._tail).decode(errors="replace")


class Child:
    """A process with its outputs. ``status`` is None as long as it runs."""

    def __init__(self, argv: Sequence[str], pid: int, outputs: tuple[Output, Output]) -> None:
        self.argv = list(argv)
        self.pid = pid
        self.stdout, self.stderr = outputs
        self.status: int | None = None
        self.error = ""

    def program(self) -> Program:
        """Give what became of it up to now."""
        return Program(
            argv=self.argv,
            status=self.status,
            error=self.error,
            stdout=self.stdout.text(),
            stderr=self.stderr.text(),
        )


class Floor:
    """All processes of one test, and the time they have."""

    def __init__(self, job: Job) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + job["within"]
        self._job = job
        self._children: dict[int, Child] = {}
        self._wake, wake = os.pipe()
        for descriptor in (self._wake, wake):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def age(self) -> float:
        """Give the seconds since the test began."""
        return time.monotonic() - self.started

    def start(self, argv: Sequence[str], *, stdin: str) -> Child:
        """Start a program of the image."""
        failed, tell = os.pipe()
        given = _readable(stdin)

        def become() -> NoReturn:
            os.dup2(given, 0)
            try:
                _execute(argv, self._job)
            except OSError as error:
                os.write(tell, _why(argv[0], self._job["room"]["workdir"], error).encode())
            os._exit(_NOT_STARTED)

        child = self.fork(argv, become)
        os.close(tell)
        os.close(given)
        with open(failed, "rb") as stream:  # noqa: PTH123 (a descriptor; ends when the program has started)
            child.error = stream.read().decode(errors="replace")
        return child

    def fork(self, argv: Sequence[str], become: Callable[[], NoReturn]) -> Child:
        """Start a process that runs ``become`` with pipes for its outputs."""
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                os.setsid()
                os.dup2(out_end, 1)
                os.dup2(err_end, 2)
                become()
            finally:
                os._exit(_NOT_STARTED)
        os.close(out_end)
        os.close(err_end)
        child = Child(argv, pid, (Output(out), Output(err)))
        self._children[pid] = child
        return child

    def until(self, done: Callable[[], bool], deadline: float) -> bool:
        """Keep the outputs flowing until ``done`` or ``deadline``; say whether it is done."""
        while True:
            self._reap()
            if done():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._flow(left)

    def _flow(self, seconds: float) -> None:
        outputs = [one for child in self._children.values() for one in (child.stdout, child.stderr)]
        waiting = {one.descriptor: one for one in outputs if one.is_open}
        poll = select.poll()
        for descriptor in (self._wake, *waiting):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(seconds * 1000):
            if descriptor in waiting:
                waiting[descriptor].read()
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, _READ)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child = self._children.get(ended[0])
                if child is not None:
                    child.status = os.waitstatus_to_exitcode(ended[1])

    def drain(self, child: Child) -> None:
        """Take the rest of what an ended program wrote; what it left running may still hold its outputs."""
        deadline = min(self.deadline, time.monotonic() + _DRAIN_SECONDS)
        self.until(lambda: not (child.stdout.is_open or child.stderr.is_open), deadline)

    def forget(self, child: Child) -> None:
        """Kill a program and drop what it wrote."""
        if child.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        for output in (child.stdout, child.stderr):
            output.close()
        del self._children[child.pid]

    def finish(self) -> None:
        """Kill everything and take the last of what was written."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        outputs = [one for child in self._children.values() for one in (child.stdout, child.stderr)]
        self.until(lambda: not any(one.is_open for one in outputs), time.monotonic() + _DRAIN_SECONDS)


def _readable(text: str) -> int:
    if not text:
        return os.open("/dev/null", os.O_RDONLY)
    descriptor = os.memfd_create("stdin")
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _execute(argv: Sequence[str], job: Job) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):  # Python changed them
        signal.signal(number, signal.SIG_DFL)
    os.chdir(job["room"]["workdir"])
    os.execvpe(argv[0], list(argv), job["room"]["env"])  # noqa: S606 (the image's own program)


def _why(program: str, workdir: str, error: OSError) -> str:
    if error.filename == workdir:
        return f"the folder {workdir} cannot be entered: {error.strerror}"
    if isinstance(error, FileNotFoundError) and program == "/bin/sh":
        return "the image has no shell (/bin/sh); write the command as an array"
    if isinstance(error, FileNotFoundError) and (interpreter := _script_of(program)):
        return f"{program} is a script for {interpreter}, which the image does not have"
    if isinstance(error, FileNotFoundError) and os.path.lexists(program):
        return f"{program} is there, but not the program interpreter that it names, or what it links to"
    return f"{program}: {error.strerror}"


def _script_of(program: str) -> str:
    """The interpreter that a script names; "" for anything else."""
    try:
        with Path(program).open("rb") as stream:
            words = stream.read(256).split(b"\n", 1)[0]
    except OSError:
        return ""
    return words[2:].decode(errors="replace").strip() if words.startswith(b"#!") else ""
