"""Runs a program inside an unpacked image: read-only root, no network but the loopback, no privileges.

As a script (in a network namespace of its own) it starts the service that a JSON description names, asks it
once it answers, prints the answer and stops it. As a module it gives tests :func:`ask` and :func:`run`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[2]
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A root folder and the configuration of the image it came from."""

    root: Path
    config: dict[str, Any]


def unpack(layout: Path, folder: Path) -> Unpacked:
    """Unpack the only image of an OCI layout with tar(1) and the standard library: nothing of rootlet's."""
    index = json.loads((layout / "index.json").read_text())
    manifest = _blob(layout, index["manifests"][0]["digest"])
    config = _blob(layout, manifest["config"]["digest"])
    folder.mkdir()
    for layer in manifest["layers"]:
        path = layout / "blobs" / layer["digest"].replace(":", "/")
        # The one user of the sandbox is this process's: what is the image user's own must be too.
        subprocess.run(["tar", "--no-same-owner", "-xpf", path, "-C", folder], check=True)
    return Unpacked(root=folder, config=config["config"])


def members(layout: Path) -> dict[str, tarfile.TarInfo]:
    """Every path of the image's layers, as tarfile reads them."""
    index = json.loads((layout / "index.json").read_text())
    manifest = _blob(layout, index["manifests"][0]["digest"])
    found: dict[str, tarfile.TarInfo] = {}
    for layer in manifest["layers"]:
        with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as tar:
            found |= {f"/{member.name.rstrip('/')}": member for member in tar}
    return found


def _blob(layout: Path, digest: str) -> Any:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())


def command(image: Unpacked, arguments: Sequence[str] = (), *, argv: Sequence[str] = ()) -> list[str]:
    """bwrap around the image's own entry point (with ``arguments`` for cmd) or around ``argv``."""
    config = image.config
    start = list(argv) or [*config.get("Entrypoint", []), *(arguments or config.get("Cmd", []))]
    user, _, group = config.get("User", "0").partition(":")
    uid = user if user.isdecimal() else _number(image.root / "etc/passwd", user)
    options = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--die-with-parent"]
    options += [
        "--uid",
        uid or "0",
        "--gid",
        group or uid or "0",
        "--cap-drop",
        "ALL",
        "--clearenv",
        "--new-session",
    ]
    options += ["--ro-bind", str(image.root), "/", "--proc", "/proc", "--dev", "/dev"]
    options += ["--tmpfs", "/tmp"]  # noqa: S108 (inside the image)
    for variable in config.get("Env", []):
        options += ["--setenv", *variable.split("=", 1)]
    if not any(variable.startswith("PATH=") for variable in config.get("Env", [])):
        options += ["--setenv", "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    return ["bwrap", *options, "--chdir", config.get("WorkingDir") or "/", *start]


def run(image: Unpacked, arguments: Sequence[str] = (), *, argv: Sequence[str] = (), stdin: str = "") -> str:
    """Run to the end in a network namespace with nothing in it; the output, both streams."""
    done = subprocess.run(
        [*_no_network(), *command(image, arguments, argv=argv)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def ask(image: Unpacked, *, port: int, question: bytes, arguments: Sequence[str] = ()) -> bytes:
    """Start the image's service, send ``question`` to its TCP port over the loopback, give the answer."""
    task = {"argv": command(image, arguments), "port": port, "question": question.hex()}
    done = subprocess.run(
        [*_no_network(), sys.executable, __file__, json.dumps(task)],
        capture_output=True,
        timeout=60,
        check=False,
        cwd=_REPOSITORY,
    )
    assert done.returncode == 0, f"{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout


def _number(passwd: Path, name: str) -> str:
    rows = (line.split(":") for line in passwd.read_text().splitlines())
    return next(row[2] for row in rows if row[0] == name)


def _no_network() -> list[str]:
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def _answer(port: int, question: bytes) -> bytes:
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(question)
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main() -> int:
    """Start, ask, stop; see the module's first lines."""
    task = json.loads(sys.argv[1])
    _loopback_up()
    service = subprocess.Popen(task["argv"], stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)
    try:
        sys.stdout.buffer.write(_answer(task["port"], bytes.fromhex(task["question"])))
    finally:
        service.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.wait(10)
        service.kill()
        service.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
