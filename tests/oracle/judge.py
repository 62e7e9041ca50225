"""The real dynamic loader inside a root folder, asked what it would open: nothing of the folder is started.

glibc: ``ld.so FILE`` with LD_TRACE_LOADED_OBJECTS (not ``--list``, which ends at the first missing library).
musl: the loader called as ``ldd``. Loaders of other machines run under qemu's user mode.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_LINE = re.compile(r"\s*(?:(?P<name>.*) => )?(?P<path>/.*) \(0x[0-9a-f]+\)")
_MISSING = re.compile(r"\s*(?P<name>.*) => not found")
_MUSL_MISSING = re.compile(r"Error loading shared library ([^:]+):")
_GLIBC_FATAL = re.compile(r"error while loading shared libraries: (?:(?P<name>[^:]+): )?(?P<reason>.*)")
_SECONDS = 60

# Runs as root of the folder. The variable is set for the loader alone; an alarm outlives the exec.
_SERVER = """
import json, os, signal, sys
folder, emulator = sys.argv[1:3]
emulator = os.open(emulator, os.O_RDONLY) if emulator else None
os.chroot(folder)
os.chdir("/")

def ask(loader, argv):
    out, err = os.memfd_create("out"), os.memfd_create("err")
    child = os.fork()
    if not child:
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            signal.alarm(SECONDS)
            environment = {"LD_TRACE_LOADED_OBJECTS": "1"}
            if emulator is None:
                os.execve(loader, argv, environment)
            os.execve(emulator, ["qemu", "-0", argv[0], loader, *argv[1:]], environment)
        except OSError as error:
            os.write(2, str(error).encode())
        os._exit(127)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    told = []
    for descriptor in (out, err):
        os.lseek(descriptor, 0, os.SEEK_SET)
        told.append(os.read(descriptor, 1 << 22).decode("utf-8", "surrogateescape"))
        os.close(descriptor)
    return [status, *told]

for line in sys.stdin:
    print(json.dumps(ask(*json.loads(line))), flush=True)
"""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the loader said. ``opened``: paths as printed, in its order, the loader where it prints it."""

    opened: tuple[str, ...]
    missing: tuple[str, ...]
    fatal: str
    """The name at which it gave up, "" if it did not."""
    status: int
    error: str


class Judge:
    """One loader process after the other in the root ``folder``; ``emulator`` is a static qemu, or None."""

    def __init__(self, folder: Path, emulator: Path | None = None) -> None:
        enter = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        script = _SERVER.replace("SECONDS", str(_SECONDS))
        argv = [*enter, sys.executable, "-c", script, str(folder), str(emulator or "")]
        self._server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()

    def glibc(self, loader: str, path: str) -> Verdict:
        """Ask glibc's ``loader`` (a path inside the folder) for ``path``, which must be canonical."""
        status, out, err = self._ask(loader, [loader, path])
        fatal = _GLIBC_FATAL.search(err)
        missing = [match["name"] for line in out.splitlines() if (match := _MISSING.fullmatch(line))]
        return _verdict(out, missing, (fatal["name"] or path) if fatal else "", status, err)

    def musl(self, loader: str, path: str) -> Verdict:
        """Ask musl's ``loader`` for ``path``."""
        status, out, err = self._ask(loader, ["ldd", path])
        return _verdict(out, _MUSL_MISSING.findall(err), "", status, err)

    def _ask(self, loader: str, argv: list[str]) -> tuple[int, str, str]:
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([loader, argv]) + "\n")
        stdin.flush()
        status, out, err = json.loads(stdout.readline())
        return status, out, err


def _verdict(out: str, missing: list[str], fatal: str, status: int, error: str) -> Verdict:
    opened = tuple(match["path"] for line in out.splitlines() if (match := _LINE.fullmatch(line)))
    return Verdict(opened=opened, missing=tuple(missing), fatal=fatal, status=status, error=error.strip())
