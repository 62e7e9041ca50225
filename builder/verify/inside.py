"""One test, performed and judged by process 1 of the sandbox: a program that must end, or a service asked."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import NoReturn

from builder.engine import kernel
from builder.verify.expect import (
    Pair,
    how_it_ended,
    http_words,
    output_failures,
    program_failures,
    tcp_words,
)
from builder.verify.floor import Child, Floor
from builder.verify.probe import ask_http, ask_tcp
from builder.verify.task import Job, Outcome, Program

_TOLD = 1 << 13
"""Characters of each output that leave the sandbox: what a person can read."""
_FIRST_PAUSE, _LONGEST_PAUSE, _SLOWER = 0.005, 0.2, 1.5
_SETTLE_SECONDS = 1.0
"""How long a service must live that nobody asks."""
_LAST_WORD = 0.5
"""Seconds beyond the deadline in which who asks may still say what came."""
_ALIVE = "the service keeps running"

_Ask = Callable[[float], str]
"""Asks once before a deadline: "" for the right answer, else what came."""


def perform(job: Job) -> Outcome:
    """Run one test and judge it. The caller must be the first of its process namespace."""
    floor = Floor(job)
    programs: list[Child] = []
    try:
        main = floor.start(job["argv"], stdin="" if job["exec"] else job["stdin"])
        programs.append(main)
        failures = _service(floor, job, programs) if job["service"] else _command(floor, job, main)
    except BlockingIOError:  # fork(2): the programs of the test used up all there may be
        failures = [("another process can be started", "the test already has too many processes")]
        floor.finish()
    seconds = time.monotonic() - floor.started
    told = [_told(child.program()) for child in programs]
    return Outcome(failures=failures, programs=told, seconds=seconds, trouble="", errno=0)


def _told(program: Program) -> Program:
    return {**program, "stdout": program["stdout"][-_TOLD:], "stderr": program["stderr"][-_TOLD:]}


def _command(floor: Floor, job: Job, main: Child) -> list[Pair]:
    floor.until(lambda: main.status is not None, floor.deadline)
    status = main.status
    floor.finish()
    main.status = status
    return program_failures(job, main.program())


def _service(floor: Floor, job: Job, programs: list[Child]) -> list[Pair]:
    """Ask everything that the test asks, stop at the first thing that does not come, kill the service."""
    main = programs[0]
    failures = [("the program starts", main.error)] if main.error else _questions(floor, job, main)
    if not failures and job["exec"]:
        failures = _programs_beside(floor, job, programs)
    elif not failures:
        failures = _watch(floor, job, main)
    status = main.status
    floor.finish()
    main.status = status
    return failures


def _questions(floor: Floor, job: Job, main: Child) -> list[Pair]:
    http, tcp = job["http"], job["tcp"]
    failures: list[Pair] = []
    if http is not None:
        words = http_words(http)
        failures = _asked(floor, main, f"{words} within {job['within']:g} s", lambda end: ask_http(http, end))
    if tcp is not None and not failures:
        words = tcp_words(tcp)
        failures = _asked(floor, main, f"{words} within {job['within']:g} s", lambda end: ask_tcp(tcp, end))
    return failures


def _asked(floor: Floor, main: Child, expected: str, ask: _Ask) -> list[Pair]:
    """Have a process of its own ask until the answer is right, the service ends or the time is over."""

    def become() -> NoReturn:
        kernel.die_with_parent()
        _ask_again(ask, floor.deadline)
        os._exit(0)

    asking = floor.fork(("ask",), become)
    floor.until(lambda: asking.status is not None or main.status is not None, floor.deadline + _LAST_WORD)
    asking.stdout.read()
    lines = asking.stdout.text().splitlines()
    came = str(json.loads(lines[-1])) if lines else None
    floor.forget(asking)
    ended = _ended(floor, main)
    if ended:
        return [(expected if came != "" else _ALIVE, f"{ended}; last came {came}" if came else ended)]
    return [] if came == "" else [(expected, came or "no answer in time")]


def _ask_again(ask: _Ask, deadline: float) -> None:
    pause = _FIRST_PAUSE
    while time.monotonic() < deadline:
        came = ask(deadline)
        os.write(1, json.dumps(came).encode() + b"\n")
        if not came:
            return
        time.sleep(pause)
        pause = min(pause * _SLOWER, _LONGEST_PAUSE)


def _ended(floor: Floor, main: Child) -> str:
    """Say how the service ended, or "" when it runs."""
    if not floor.until(lambda: main.status is not None, 0) or main.status is None:
        return ""
    return f"the service ended with {how_it_ended(main.status)} after {floor.age():.2f} s"


def _programs_beside(floor: Floor, job: Job, programs: list[Child]) -> list[Pair]:
    """Run ``exec`` until it ends well, the service ends or the time is over."""
    main, pause = programs[0], _FIRST_PAUSE
    while True:
        child = floor.start(job["exec"], stdin=job["stdin"])
        floor.until(lambda: child.status is not None or main.status is not None, floor.deadline)  # noqa: B023 (used up before the next turn)
        floor.drain(child)
        programs[1:] = [child]
        failures = program_failures(job, child.program())
        ended = _ended(floor, main)
        if ended:
            return [(_ALIVE, ended), *failures]
        if not failures or child.error or time.monotonic() + pause >= floor.deadline:
            return failures
        floor.until(lambda: main.status is not None, time.monotonic() + pause)
        pause = min(pause * _SLOWER, _LONGEST_PAUSE)
        floor.forget(child)


def _watch(floor: Floor, job: Job, main: Child) -> list[Pair]:
    """Wait for what the service itself should write; where nothing at all is asked, for a moment."""

    def written() -> bool:
        return main.status is not None or not output_failures(job, main.program())

    if job["stdout"] or job["stderr"]:
        floor.until(written, floor.deadline)
    elif job["http"] is None and job["tcp"] is None:
        settled = min(floor.deadline, time.monotonic() + _SETTLE_SECONDS)
        floor.until(lambda: main.status is not None, settled)
    ended = _ended(floor, main)
    if ended:
        floor.drain(main)
    failures = output_failures(job, main.program())
    return [(_ALIVE, ended), *failures] if ended else failures
