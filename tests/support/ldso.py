"""The machine's own dynamic loader as a judge: trace mode tells what it would open; nothing is started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from builder.sysroot import Kind, Sysroot, read_content
from tests.support.mkelf import GLIBC_X86_64

_LINE = re.compile(r"\s*(?:(?P<name>.*) => )?(?P<path>/.*) \(0x[0-9a-f]+\)")
_MUSL_MISSING = re.compile(r"Error loading shared library ([^:]+):")
_MISSING = re.compile(r"\s*(?P<name>.*) => not found")


@dataclass(frozen=True)
class Trace:
    """What the loader said: the paths it opened as it printed them, the names it did not find."""

    opened: tuple[str, ...]
    missing: tuple[str, ...]
    status: int
    error: str


# The variable must reach the loader alone: set any earlier, it would make a tracer of chroot(1) itself.
_ENTER = """
import os, sys
folder, program, *argv = sys.argv[1:]
if folder:
    os.chroot(folder)
    os.chdir("/")
os.execve(program, argv, {"LD_TRACE_LOADED_OBJECTS": "1"})
"""


def trace(path: str, *, folder: Path | None = None) -> Trace:
    """Trace one program or shared object, inside ``folder`` as root folder when it is given."""
    return _trace(GLIBC_X86_64, [GLIBC_X86_64, path], folder)


def trace_musl(path: str, *, loader: str, folder: Path) -> Trace:
    """Let musl's ``loader`` do the same: called as "ldd" it lists, and complains of what is missing."""
    told = _trace(loader, ["ldd", path], folder)
    return replace(told, missing=tuple(_MUSL_MISSING.findall(told.error)))


def _trace(loader: str, argv: list[str], folder: Path | None) -> Trace:
    enter = [] if folder is None or os.geteuid() == 0 else ["unshare", "--map-root-user"]
    finished = subprocess.run(
        [*enter, sys.executable, "-c", _ENTER, "" if folder is None else str(folder), loader, *argv],
        capture_output=True,
        timeout=30,
        check=False,
    )
    lines = finished.stdout.decode("utf-8", "surrogateescape").splitlines()
    return Trace(
        opened=tuple(match["path"] for line in lines if (match := _LINE.fullmatch(line))),
        missing=tuple(match["name"] for line in lines if (match := _MISSING.fullmatch(line))),
        status=finished.returncode,
        error=finished.stderr.decode("utf-8", "replace"),
    )


def can_chroot(folder: Path) -> bool:
    """Whether this machine lets this user trace inside a root folder of his own."""
    return os.geteuid() == 0 or "No such file" in trace("/none", folder=folder).error


def write_tree(sysroot: Sysroot, folder: Path) -> None:
    """Write a sysroot as real files, folders and links."""
    links: list[tuple[Path, str]] = []
    for node in sorted(sysroot, key=lambda node: node.path):
        path = folder / node.path.lstrip("/")
        if node.kind is Kind.DIRECTORY:
            path.mkdir(parents=True, exist_ok=True)
        elif node.kind is Kind.SYMLINK:
            links.append((path, node.target))
        elif node.content is not None:
            path.write_bytes(read_content(node.content))
            path.chmod(0o755)
    for path, target in links:
        path.symlink_to(target)
