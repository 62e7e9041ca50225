"""What a test expects and what came, in words. No input, no output."""

from __future__ import annotations

import re
import signal

from builder.verify.task import Http, Job, Program, Tcp

Pair = tuple[str, str]
"""What was expected, what came."""

_SHOWN = 200
_SIGNALS = 128


def matches(pattern: str, text: str) -> bool:
    """Say whether the regular expression is found; "" is found in anything. ^ and $ are those of lines."""
    return re.search(pattern, text, re.MULTILINE) is not None


def short(text: str) -> str:
    """Show the start of a text on one line."""
    shown = ascii(text[:_SHOWN]) if not text[:_SHOWN].isprintable() else repr(text[:_SHOWN])
    return f"{shown}…" if len(text) > _SHOWN else shown


def how_it_ended(status: int) -> str:
    """Say an exit code, or the signal of a negative status."""
    if status >= 0:
        return f"exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"signal {-status} ({name})"


def program_failures(job: Job, program: Program) -> list[Pair]:
    """Judge a program that should have ended: its start, its exit code, its output."""
    if program["error"]:
        return [("the program starts", program["error"])]
    if program["status"] is None:
        return [(f"an end within {job['within']:g} s", "it was still running and was killed")]
    found: list[Pair] = []
    if program["status"] != job["exit_code"]:
        found.append((f"exit code {job['exit_code']}", how_it_ended(program["status"])))
    return found + output_failures(job, program)


def output_failures(job: Job, program: Program) -> list[Pair]:
    """Judge what a program wrote so far."""
    return [
        (f"{name} that matches {job[name]!r}", short(program[name]) if program[name] else "nothing")
        for name in ("stdout", "stderr")
        if not matches(job[name], program[name])
    ]


def http_words(http: Http) -> str:
    """Say which answer to which request is expected."""
    scheme = "https" if http["tls"] else "http"
    body = f" and a body that matches {http['body']!r}" if http["body"] else ""
    headers = "".join(f" and {name}: {pattern!r}" for name, pattern in http["expect_headers"])
    return f"{scheme}://localhost:{http['port']}{http['path']} answers {http['status']}{body}{headers}"


def tcp_words(tcp: Tcp) -> str:
    """Say which answer of the port is expected."""
    answer = f"answers with a match of {tcp['expect']!r}" if tcp["expect"] else "takes a connection"
    return f"TCP port {tcp['port']} {answer}"
