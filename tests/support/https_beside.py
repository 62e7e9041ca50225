"""A program beside an HTTPS server of this machine, in a network namespace with nothing but a loopback.

As a script: FOLDER PEM PORT PROGRAM… serves FOLDER with the certificate and key of PEM, runs PROGRAM and ends
with its status.
"""

from __future__ import annotations

import functools
import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.support.inside import _loopback_up

_REPOSITORY = Path(__file__).resolve().parents[2]
PEM = _REPOSITORY / "recipes/testing/localhost.pem"
CA = _REPOSITORY / "recipes/testing/ca.pem"
PORT = 8443


def run_beside(folder: Path, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` while ``https://localhost:8443/`` shows ``folder`` with the recipes' test certificate."""
    script = [sys.executable, "-m", "tests.support.https_beside", str(folder), str(PEM), str(PORT)]
    return subprocess.run(
        ["unshare", "--net", *script, *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=_REPOSITORY,
    )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def main() -> int:
    """Serve, run, end; see the module's first lines."""
    folder, pem, port, *argv = sys.argv[1:]
    _loopback_up()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", int(port)), functools.partial(_Quiet, directory=folder)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
