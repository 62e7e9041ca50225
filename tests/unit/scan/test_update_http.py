from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.errors import MachineError, ScanError
from builder.progress import Silent
from builder.scan.database import Machine, default_feeds, status, update
from builder.scan.model import DatabaseMeta
from builder.transport import Transport
from tests.support.osv import export, record, write_export

BODY = export([record("DEBIAN-CVE-2026-1")])
MODIFIED = 1_795_400_000.0


class Handler(BaseHTTPRequestHandler):
    body = BODY
    served: list[int]

    def do_GET(self) -> None:
        if self.path != "/osv/Debian/all.zip":
            self.answer(404, b"")
        elif self.headers.get("If-None-Match") == '"v1"':
            self.answer(304, b"")
        else:
            self.answer(200, self.body)

    def answer(self, code: int, body: bytes) -> None:
        self.served.append(code)
        self.send_response(code)
        self.send_header("ETag", '"v1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    class Own(Handler):
        served: list[int] = []  # noqa: RUF012 (each test has a class of its own)

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/osv", Own
        running.shutdown()
        thread.join()


def updated(folder: Path, base_url: str) -> DatabaseMeta:
    with Transport(progress=Silent(), retries=0) as transport:
        machine = Machine(folder=folder, clock=lambda: MODIFIED, progress=Silent())
        feeds = default_feeds(folder, base_url, ("Debian",), official=False)
        (meta,) = update(machine, feeds, transport)
    return meta


def test_what_the_server_says_is_unchanged_is_not_fetched_again(
    tmp_path: Path, server: tuple[str, type[Handler]]
) -> None:
    url, handler = server
    assert updated(tmp_path, url) == updated(tmp_path, url + "/")
    assert handler.served == [200, 304]


def test_an_error_page_leaves_the_old_database(tmp_path: Path, server: tuple[str, type[Handler]]) -> None:
    url, handler = server
    old = updated(tmp_path, url)
    with pytest.raises(MachineError):
        updated(tmp_path, url + "/elsewhere")
    handler.body = b"<html>Sign in</html>"
    (tmp_path / "other").mkdir()
    with pytest.raises(ScanError, match="not a readable zip"):
        updated(tmp_path / "other", url)
    assert status(tmp_path) == (old,)


def test_a_file_address_is_read_and_is_as_old_as_its_newest_record(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1")])
    meta = updated(tmp_path / "db", folder.as_uri())
    assert (meta.records, meta.live, f"{meta.date:%Y-%m-%d}") == (1, False, "2026-11-01")


def test_an_unreachable_server_is_the_machines_fault(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(MachineError):
        updated(tmp_path, "http://127.0.0.1:9/osv")
    assert time.monotonic() - started < 5
