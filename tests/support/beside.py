"""A program beside a service, both of images, in a network namespace with nothing but a loopback.

As a script: JSON says what to start, what the service prints when it is ready, and what to run then; the
status is that of the program, or 90 when the service ended before it was ready.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.support.inside import _loopback_up

_REPOSITORY = Path(__file__).resolve().parents[2]
NOT_READY = 90


def run_beside_service(
    service: Sequence[str], ready: str, argv: Sequence[str], *, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` while ``service`` runs; both streams of the two of them."""
    task = json.dumps({"service": list(service), "ready": ready, "argv": list(argv)})
    return subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.support.beside", task],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=_REPOSITORY,
    )


def main() -> int:
    """Start the service, wait for its word, run the program, end the service."""
    task = json.loads(sys.argv[1])
    _loopback_up()
    service = subprocess.Popen(
        task["service"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert service.stdout is not None
    try:
        for line in service.stdout:
            sys.stderr.write(line)
            if task["ready"] in line:
                threading.Thread(
                    target=service.stdout.read, daemon=True
                ).start()  # it never waits for a reader
                return subprocess.run(task["argv"], check=False).returncode
        return NOT_READY
    finally:
        service.terminate()
        try:
            service.wait(10)
        except subprocess.TimeoutExpired:
            service.kill()


if __name__ == "__main__":
    sys.exit(main())
