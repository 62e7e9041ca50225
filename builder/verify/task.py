"""What the sandbox's process is told and what it tells: values that are JSON as they stand.

The process starts for every build with tests, so nothing here costs time to import; it knows no recipe.
"""

from __future__ import annotations

from typing import TypedDict


class Http(TypedDict):
    """A GET over the loopback. ``body`` and the values of ``expect_headers`` are regular expressions."""

    port: int
    path: str
    headers: list[tuple[str, str]]
    tls: bool
    status: int
    body: str
    expect_headers: list[tuple[str, str]]


class Tcp(TypedDict):
    """A connection over the loopback; ``expect`` is a regular expression, "" for any."""

    port: int
    send: str
    expect: str


class Folder(TypedDict):
    """A file system in memory. ``users``: it belongs to the test's user; else it is as the image has it."""

    path: str
    users: bool


class Room(TypedDict):
    """Where a test runs: the unpacked tree, who it runs as, what is laid over the read-only tree.

    ``files`` are pairs of a file of this machine and its path in the image.
    """

    root: str
    uid: int
    gid: int
    groups: list[int]
    folders: list[Folder]
    files: list[tuple[str, str]]
    env: dict[str, str]
    workdir: str


class Job(TypedDict):
    """One test. ``argv`` is never empty; ``within`` in seconds; see builder.recipe.model.SmokeTest."""

    room: Room
    argv: list[str]
    service: bool
    http: Http | None
    tcp: Tcp | None
    exec: list[str]
    stdin: str
    stdout: str
    stderr: str
    exit_code: int
    within: float


class Task(TypedDict):
    """All tests of an image. ``parent`` is the process that waits for the sandbox.

    ``privileged``: this process may use real user numbers; else it has one, which it maps.
    """

    parent: int
    privileged: bool
    jobs: list[Job]


class Program(TypedDict):
    """What became of a program. ``status``: exit code, negative for a signal, None while it ran.

    ``error`` is why it could not be started, else "". Outputs are the ends of what was written.
    """

    argv: list[str]
    status: int | None
    error: str
    stdout: str
    stderr: str


class Outcome(TypedDict):
    """What came of a test. ``failures`` are pairs: what was expected, what came; none: it passed.

    ``trouble`` says what the machine refused ("" for nothing) and ``errno`` how: then nothing was tested.
    With ``errno`` 0 it is the sandbox itself that broke.
    """

    failures: list[tuple[str, str]]
    programs: list[Program]
    seconds: float
    trouble: str
    errno: int


def broken(trouble: str, errno: int = 0) -> Outcome:
    """Make the outcome of a test that the machine did not let run."""
    return Outcome(failures=[], programs=[], seconds=0.0, trouble=trouble, errno=errno)
