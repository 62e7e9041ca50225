"""The process in the namespaces of a build stage: makes the room, runs commands in it, leaves nothing behind.

Started by builder.engine.session with an isolated Python, as root or inside ``buildah unshare``. The first
process enters new namespaces and forks process 1 of the room. That one reads commands from standard input,
one at a time. When standard input ends (the build is done, was interrupted or killed) it kills everything in
the room, runs the command that cleans up, and ends; mounts end with the room.
"""

# os and not pathlib, subprocess or tempfile, which take longer to import than all of this to run:
# ruff: noqa: PTH102, PTH103, PTH123, PTH211

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

from builder.engine import kernel
from builder.engine.frames import (
    COMMAND,
    ENDED,
    ERRORS,
    INPUT,
    OUTPUT,
    READY,
    SETUP,
    TROUBLE,
    frame,
    read_frame,
)
from builder.engine.usage import uses_more_than

GRACE_SECONDS = 5.0
"""How long a command that is stopped may take to clean up after itself."""
_CLEAN_SECONDS = 60.0
_CHUNK = 1 << 16
_LOOK_SECONDS = 0.05
"""How often memory is looked at."""
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_NODES = ("null", "zero", "full", "random", "urandom", "tty", "fuse")
_DEVICE_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def main() -> None:
    """Read what room is wanted, make it, serve."""
    kind, payload = read_frame(_read)
    if kind != SETUP:
        return
    setup: dict[str, Any] = json.loads(payload)
    _ignore_signals()  # the end of standard input is the one sign to stop
    try:
        first, alive = _enter(setup)
    except OSError as error:
        _say(TROUBLE, _trouble(error))
        return
    if first == 0:
        _as_first(setup, alive)
    for number in (0, 1):
        os.close(number)
    _leave_after(first)


def attended() -> None:
    """Make the room of the first argument (JSON) and run its command on this terminal, for a person."""
    setup: dict[str, Any] = json.loads(sys.argv[2])
    _ignore_signals()  # they are meant for the command
    first, _ = _enter(setup)
    if first == 0:
        kernel.die_with_parent()
        _make(setup)
        argv = setup["attended"]
        reset = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
        _leave_after(os.posix_spawn(argv[0], argv, setup["environment"], setsigdef=reset))
    _leave_after(first)


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _enter(setup: dict[str, Any]) -> tuple[int, int]:
    """Enter new namespaces and fork process 1: 0 in it, and a pipe that ends with its parent."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    kernel.unshare(flags if setup["network"] else flags | kernel.CLONE_NEWNET)
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    alive, keep = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(keep)
    return first, alive


def _leave_after(pid: int) -> NoReturn:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)


def _as_first(setup: dict[str, Any], alive: int) -> NoReturn:
    status = 1
    try:
        kernel.die_with_parent()
        poll = select.poll()
        poll.register(alive, select.POLLIN)
        if not poll.poll(0):  # the parent may have ended before it could take this process along
            _make(setup)
            _say(READY, {"interfaces": _interfaces()})
            _serve()
        status = 0
    except OSError as error:
        _say(TROUBLE, _trouble(error))
    finally:
        with contextlib.suppress(BaseException):
            _Child.end_everything()
            if setup["cleanup"]:
                _Child(setup["cleanup"], setup["environment"]).finish(b"", _CLEAN_SECONDS, quiet=True)
        os._exit(status)


def _make(setup: dict[str, Any]) -> None:
    """Own processes, devices, name and (without network) the loopback alone."""
    with contextlib.suppress(
        OSError
    ):  # refused inside containers that hide parts of /proc: it stays as it is
        kernel.mount("proc", "/proc", "proc", _QUIET)
    _mount_devices()
    socket.sethostname("rootlet")
    if not setup["network"]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    if setup["processors"]:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setup["processors"]])
    _place_files(setup["folder"], setup["files"])


def _place_files(folder: str, files: dict[str, str]) -> None:
    """Lay files (base64) into memory that is mounted at ``folder`` and that only this room sees."""
    if not files:
        return
    kernel.mount("tmpfs", folder, "tmpfs", _QUIET, "mode=755")
    for name, text in files.items():
        descriptor = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with open(descriptor, "wb") as stream:
            stream.write(base64.b64decode(text))


def _mount_devices() -> None:
    """A /dev with the harmless devices alone: buildah shows the machine's own to the commands of a stage."""
    found = [(name, os.open(f"/dev/{name}", os.O_PATH)) for name in _NODES if os.path.lexists(f"/dev/{name}")]
    os.umask(0)
    kernel.mount("tmpfs", "/dev", "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=755,size=1m")
    for name, descriptor in found:
        target = f"/dev/{name}"
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)  # noqa: PTH120 (as above)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o666))
        kernel.mount(f"/proc/self/fd/{descriptor}", target, flags=kernel.MS_BIND)
        os.close(descriptor)
    for target, name in _DEVICE_LINKS:
        os.symlink(target, f"/dev/{name}")
    for folder in ("shm", "mqueue", "pts"):
        os.mkdir(f"/dev/{folder}", 0o1777 if folder == "shm" else 0o755)
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", _QUIET, "mode=1777,size=512m")  # noqa: S108 (the room's own)
    kernel.mount("mqueue", "/dev/mqueue", "mqueue", _QUIET)
    options = "newinstance,ptmxmode=0666,mode=0620"
    kernel.mount("devpts", "/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
    os.umask(0o022)


def _interfaces() -> list[str]:
    """Network interfaces that processes of this room have, as the kernel says."""
    with open("/proc/self/net/dev", encoding="ascii") as stream:
        return sorted(line.partition(":")[0].strip() for line in stream.readlines()[2:])


def _serve() -> None:
    """Run commands until standard input ends."""
    while True:
        kind, payload = read_frame(_read)
        given, stdin = read_frame(_read) if kind == COMMAND else (b"", b"")
        if given != INPUT:
            return
        command = json.loads(payload)
        try:
            child = _Child(command["argv"], command["environment"])
        except OSError as error:
            ended = {"status": 127, "late": False, "hungry": False, "trouble": _trouble(error)["what"]}
            _say(ENDED, ended)
            continue
        child.memory = command["memory"]
        late = child.finish(stdin, command["timeout"])
        if child.cut:
            return
        _say(ENDED, {"status": child.status, "late": late, "hungry": child.hungry, "trouble": ""})


class _Child:
    """A command that runs. Process 1 inherits orphans, so it waits for every process and notes its own."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        theirs_in, self._in = os.pipe()
        self._out, theirs_out = os.pipe()
        self._err, theirs_err = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs_in, 0),
            (os.POSIX_SPAWN_DUP2, theirs_out, 1),
            (os.POSIX_SPAWN_DUP2, theirs_err, 2),
        ]
        try:
            self.pid = os.posix_spawn(
                argv[0],
                argv,
                environment,
                file_actions=actions,
                setsid=True,
                setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE),
            )
        except BaseException:
            for descriptor in (self._in, self._out, self._err):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (theirs_in, theirs_out, theirs_err):
                os.close(descriptor)
        self.status: int | None = None
        self.cut = False
        """Standard input of the room ended while this ran."""
        self.memory = 0
        """Bytes that everything which runs may use, 0 for any."""
        self.hungry = False
        """More was used, so that it was stopped."""

    def finish(self, stdin: bytes, timeout: float, *, quiet: bool = False) -> bool:
        """Feed, pass output on, wait. True when it took longer than ``timeout`` seconds and was stopped."""
        try:
            return self._talk(stdin, time.monotonic() + timeout, quiet=quiet)
        finally:
            for descriptor in (self._in, self._out, self._err):
                with contextlib.suppress(OSError):
                    os.close(descriptor)

    def _talk(self, stdin: bytes, deadline: float, *, quiet: bool) -> bool:
        poll = select.poll()
        pending = memoryview(stdin)
        outputs = {self._out: OUTPUT, self._err: ERRORS}
        os.set_blocking(self._in, False)
        for descriptor in outputs:
            poll.register(descriptor, select.POLLIN)
        if pending:
            poll.register(self._in, select.POLLOUT)
        else:
            os.close(self._in)
        if not quiet:
            poll.register(0, select.POLLIN)
        while outputs or self.status is None:
            left = deadline - time.monotonic()
            if left <= 0 or (self.memory and self._uses_too_much()):
                self._stop()
                return left <= 0
            # Daemons that a command started may hold its outputs: the command's own end counts.
            longest = _LOOK_SECONDS if self.memory or self.status is not None or not outputs else 0.5
            for descriptor, _ in poll.poll(min(left, longest) * 1000):
                if descriptor == 0:  # nobody sends while a command runs: what can be read is the end
                    self.cut = True
                    self._stop()
                    return False
                if descriptor == self._in:
                    pending = self._feed(pending, poll)
                else:
                    self._pass_on(descriptor, outputs, poll, quiet=quiet)
            had_ended = self.status is not None
            self._reap()
            if had_ended:
                self._drain(outputs, quiet=quiet)
                break
        return False

    def _uses_too_much(self) -> bool:
        self.hungry = uses_more_than(self.memory, pids=(os.getpid(), self.pid))
        return self.hungry

    def _feed(self, pending: memoryview, poll: select.poll) -> memoryview:
        try:
            pending = pending[os.write(self._in, pending) :]
        except BlockingIOError:
            return pending
        except OSError:  # nobody reads it
            pending = pending[:0]
        if not pending:
            poll.unregister(self._in)
            os.close(self._in)
        return pending

    def _pass_on(self, descriptor: int, outputs: dict[int, bytes], poll: select.poll, *, quiet: bool) -> None:
        chunk = os.read(descriptor, _CHUNK)
        if chunk and not quiet:
            _write(frame(outputs[descriptor], chunk))
        if not chunk:
            poll.unregister(descriptor)
            del outputs[descriptor]

    def _drain(self, outputs: dict[int, bytes], *, quiet: bool) -> None:
        """What the command itself wrote is in the pipes by now."""
        for descriptor in list(outputs):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(descriptor, _CHUNK):
                    if not quiet:
                        _write(frame(outputs[descriptor], chunk))

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.pid:
                    self.status = os.waitstatus_to_exitcode(status)

    def _stop(self) -> None:
        """TERM to the command alone, which cleans up after itself; then KILL to all there is."""
        deadline = time.monotonic() + GRACE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        while self.status is None and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)
        self.end_everything()
        if self.status is None:
            self.status = -signal.SIGKILL

    @staticmethod
    def end_everything() -> None:
        """Kill and collect every process of the room but this one."""
        if os.getpid() != 1:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


def _trouble(error: OSError) -> dict[str, Any]:
    what = error.filename or "a call of the kernel"
    return {"what": f"{what}: {error.strerror}", "errno": error.errno or errno.EIO}


def _say(kind: bytes, value: dict[str, Any]) -> None:
    _write(frame(kind, json.dumps(value).encode()))


def _write(payload: bytes) -> None:
    rest = memoryview(payload)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except BrokenPipeError:
        return  # nobody listens any more: standard input ends too


def _read(size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        chunk = os.read(0, min(size - len(parts), 1 << 20))
        if not chunk:
            break
        parts += chunk
    return parts


if __name__ == "__main__":
    sys.exit("this module is started by builder.engine.session")
