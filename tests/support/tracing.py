"""What the programs of a smoke test look for on the disk: strace(1) around the sandbox, and its logs read.

Only what happens inside the image counts: from the moment a process has made the image its root.
"""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from builder.engine.command import Command, Finished, Runner

_LINE = re.compile(r"(?P<call>\w+)\((?P<arguments>.*?)\)\s+= (?P<result>-?\d+)(?P<rest>.*)")
_PATH = re.compile(
    r'(?:(?P<at>AT_FDCWD|\d+)(?:<(?P<folder>(?:[^>\\]|\\.)*)>)?, )?"(?P<path>(?:[^"\\]|\\.)*)"'
)
_FOLDER = re.compile(r"\d+<(?P<folder>(?:[^>\\]|\\.)*)>")
_CHILD = re.compile(r"(\d+) in strace's PID NS")
_STARTS = frozenset({"clone", "clone3", "fork", "vfork"})
_ROOT = frozenset({"pivot_root", "chroot"})


@dataclass(frozen=True, slots=True)
class Looked:
    """One look at the disk. ``found`` is False for ENOENT; ``listed``: the names in a folder were read."""

    path: str
    found: bool
    listed: bool


class TracingRunner:
    """Runs commands under strace; the log of each process is a file in ``folder``."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self._runner = runner
        self._folder = folder

    def find(self, program: str) -> str | None:
        return self._runner.find(program)

    def run(self, command: Command) -> Finished:
        # -D: strace is no parent of the sandbox, which wants to be the child of its caller.
        options = ("-D", "-ff", "-y", "-s", "4096", "--pidns-translation", "--seccomp-bpf", "--quiet=all")
        traced = ("-e", "trace=%file,%process,getdents64", "-o", str(self._folder / "log"))
        return self._runner.run(replace(command, argv=("strace", *options, *traced, *command.argv)))


def looks(folder: Path) -> frozenset[Looked]:
    """Everything that the processes traced into ``folder`` looked at inside the image."""
    logs = {int(path.suffix[1:]): path for path in folder.glob("log.*")}
    children: set[int] = set()
    parsed: dict[int, tuple[list[tuple[int, bool]], list[tuple[bool, Looked]]]] = {}
    for pid, path in logs.items():
        parsed[pid] = _read(path)
        children |= {child for child, _ in parsed[pid][0]}
    found: set[Looked] = set()
    pending = [(pid, False) for pid in parsed.keys() - children]
    while pending:
        pid, inside = pending.pop()
        if pid in parsed:
            started, looked = parsed.pop(pid)
            found |= {one for after, one in looked if inside or after}
            pending += [(child, inside or after) for child, after in started]
    return frozenset(found)


def _read(path: Path) -> tuple[list[tuple[int, bool]], list[tuple[bool, Looked]]]:
    """Children and looks of one process, each with whether it had entered the image by itself before."""
    started: list[tuple[int, bool]] = []
    looked: list[tuple[bool, Looked]] = []
    inside = False
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        call = match["call"]
        if call in _STARTS and int(match["result"]) > 0:
            child = _CHILD.search(match["rest"])
            started.append((int(child[1]) if child else int(match["result"]), inside))
        elif call in _ROOT and match["result"] == "0":
            inside = True
        else:
            looked += ((inside, one) for one in _looked(match))
    return started, looked


def _looked(match: re.Match[str]) -> Iterator[Looked]:
    failed = "ENOENT" in match["rest"]
    if match["result"].startswith("-") and not failed:
        return
    listed = _FOLDER.match(match["arguments"]) if match["call"] == "getdents64" else None
    if listed is not None:
        yield Looked(_unescaped(listed["folder"]), found=True, listed=True)
        return
    path = _PATH.search(match["arguments"])
    if path is None:
        return
    name = _unescaped(path["path"])
    folder = _unescaped(path["folder"] or "")
    if name.startswith("/") or folder.startswith("/"):
        whole = posixpath.normpath(posixpath.join(folder, name))
        yield Looked(whole, found=not failed, listed=False)


def _unescaped(text: str) -> str:
    raw = codecs.escape_decode(text.encode("utf-8", "surrogateescape"))[0]
    return raw.decode("utf-8", "surrogateescape")


def strangers(
    looked: Iterable[Looked], image: frozenset[str], everything: frozenset[str], listings: dict[str, set[str]]
) -> frozenset[str]:
    """Paths that programs looked for in vain although ``everything``, the full installation, has them.

    ``listings``: the names in each folder of the full installation, for folders that programs read.
    """
    found: set[str] = set()
    for one in looked:
        if not one.found and one.path in everything and one.path not in image:
            found.add(one.path)
        elif one.listed:
            found |= {path for path in listings.get(one.path, ()) if path not in image}
    return frozenset(found)
