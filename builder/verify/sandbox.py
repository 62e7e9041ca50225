"""The sandbox's own process: reads a task as JSON, performs each test in a room of its own, writes outcomes.

Started by builder.verify.smoke with an isolated Python. For each test it forks a process that enters new
namespaces, and that one forks process 1 of the test. Each of them dies with its parent.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import time
from typing import NoReturn

from builder.engine import kernel
from builder.verify.confine import drop_privileges, enter_namespaces, enter_root
from builder.verify.inside import perform
from builder.verify.task import Job, Outcome, Task, broken

GRACE_SECONDS = 5.0
"""Beyond a test's own time: for its processes to be killed, and for regular expressions."""
_READ = 1 << 16


def main() -> None:
    """Read a task from standard input, write the list of outcomes to standard output."""
    task: Task = json.loads(sys.stdin.buffer.read())
    kernel.die_with_parent()
    if os.getppid() != task["parent"]:
        return
    if any(job["http"] and job["http"]["tls"] for job in task["jobs"]):
        import encodings.idna  # noqa: F401, PLC0415 (the codec of TLS server names)
        import ssl  # noqa: F401, PLC0415 (read now: inside the image there is no Python)
    outcomes: list[Outcome] = []
    for job in task["jobs"]:
        outcomes.append(_in_a_room(job, privileged=task["privileged"]))
        if outcomes[-1]["trouble"]:
            break
    sys.stdout.write(json.dumps(outcomes))
    sys.stdout.flush()


def _in_a_room(job: Job, *, privileged: bool) -> Outcome:
    told, tell = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        kernel.die_with_parent()
        if os.getppid() != parent:
            os._exit(0)
        _as_keeper(job, tell, privileged=privileged)
    os.close(tell)
    text = _all_of(told, time.monotonic() + job["within"] + GRACE_SECONDS)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not text:
        return Outcome(
            failures=[(f"the test ends within {job['within']:g} s", "its judgement did not come to an end")],
            programs=[],
            seconds=job["within"],
            trouble="",
            errno=0,
        )
    outcome: Outcome = json.loads(text)
    return outcome


def _all_of(descriptor: int, deadline: float) -> bytes:
    """Everything that comes until the end; nothing when that is later than ``deadline``."""
    text = b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    with open(descriptor, "rb", buffering=0) as stream:
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                chunk = stream.read(_READ)
                if not chunk:
                    return text
                text += chunk
    return b""


def _as_keeper(job: Job, tell: int, *, privileged: bool) -> NoReturn:
    """Enter the namespaces, start process 1, wait for its end."""
    try:
        enter_namespaces(job["room"], privileged=privileged)
        alive, keep = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(keep)
            _as_first(job, tell, alive, privileged=privileged)
        os.close(tell)
        os.waitpid(pid, 0)
    except OSError as error:
        _say(tell, _refused(error))
    finally:
        os._exit(0)


def _as_first(job: Job, tell: int, alive: int, *, privileged: bool) -> NoReturn:
    """Enter the image, give up every privilege, perform the test."""
    try:
        refused = _lock_in(job, privileged=privileged)
        if refused is not None:
            _say(tell, refused)
        elif not _has_ended(alive):
            os.close(alive)
            _say(tell, perform(job))
    except Exception as error:  # noqa: BLE001 (nobody else would hear of it)
        _say(tell, broken(f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)


def _lock_in(job: Job, *, privileged: bool) -> Outcome | None:
    try:
        enter_root(job["room"])
        drop_privileges(job["room"], privileged=privileged)
    except OSError as error:
        return _refused(error)
    return None


def _has_ended(alive: int) -> bool:
    """Say whether the parent ended before it could take this process along."""
    poll = select.poll()
    poll.register(alive, select.POLLIN)
    return bool(poll.poll(0))


def _refused(error: OSError) -> Outcome:
    what = error.filename or "a call of the kernel"
    return broken(f"{what}: {error.strerror}", error.errno or errno.EIO)


def _say(tell: int, outcome: Outcome) -> None:
    with open(tell, "wb", closefd=False) as stream:
        stream.write(json.dumps(outcome).encode())
