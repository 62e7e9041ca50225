from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import io
import json
import os
import sqlite3
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import MachineError, ScanError
from builder.progress import Silent
from builder.recipe.model import Severity
from builder.scan import compile as compiler
from builder.scan import database, osvzip
from builder.scan.database import Database, Machine, default_feeds, import_path, status, update
from builder.scan.ecosystems import ECOSYSTEMS
from builder.scan.model import DatabaseMeta
from tests.support.osv import export, record, write_export

if TYPE_CHECKING:
    from builder.transport import Transport

CUT = Path(__file__).parents[2] / "data/osv"
NOW = 1_795_400_000.0
URL = "http://osv.test/export"


def machine(folder: Path, at: float = NOW) -> Machine:
    return Machine(folder=folder, clock=lambda: at, progress=Silent())


def imported(folder: Path, path: Path) -> DatabaseMeta:
    (meta,) = import_path(machine(folder), path)
    return meta


@dataclass
class Reply:
    status: int
    body: bytes = b""
    etag: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """Stands for the transport: answers in turn, remembers what was asked."""

    replies: list[Reply | Exception]
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def get_into(self, stream: BinaryIO, url: str, *, limit: int, headers: Mapping[str, str]) -> Reply:
        assert limit == database.MAX_DOWNLOAD
        reply = self.get(url, limit=limit, headers=headers)
        stream.write(reply.body)
        return reply

    def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        assert limit
        self.asked.append((url, headers or {}))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def updated(folder: Path, server: Server, *, at: float = NOW, base_url: str = URL) -> DatabaseMeta:
    feeds = default_feeds(folder, base_url, ("Debian",), official=False)
    (meta,) = update(machine(folder, at), feeds, cast("Transport", server))
    return meta


def test_what_was_imported_is_found_again(tmp_path: Path) -> None:
    rich = record("DEBIAN-CVE-2026-2", fixed=None, summary="a hole")
    rich["affected"][0]["ecosystem_specific"]["urgency"] = "high"
    records = [record("DEBIAN-CVE-2026-1"), rich, record("DEBIAN-CVE-2026-3", "bash", release="12")]
    meta = imported(tmp_path / "db", write_export(tmp_path / "osv", records))
    assert (meta.records, meta.refused, meta.advisories, meta.releases) == (3, 0, 3, ("12", "13"))
    assert meta.date == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert meta.fetched == dt.datetime.fromtimestamp(NOW, dt.UTC)
    assert meta.source == str(tmp_path / "osv/Debian/all.zip")
    assert status(tmp_path / "db") == (meta,)
    with Database.open(tmp_path / "db") as opened:
        one, other = opened.advisories_for("Debian", ("13",), ["openssl", "bash", "openssl", "absent"])
        assert opened.metas("PyPI") == ()
    assert (one.id, one.names, one.ranges) == (
        "DEBIAN-CVE-2026-1",
        ("CVE-2026-1",),
        ((("introduced", "0"), ("fixed", "3.5.1-1")),),
    )
    assert (other.severity, other.status, other.summary) == (Severity.HIGH, "unfixed", "a hole")
    assert os.listdir(tmp_path / "db") == ["Debian.sqlite"]  # noqa: PTH208 (hidden names count too)


@pytest.mark.parametrize("place", ["osv", "osv/Debian", "osv/Debian/all.zip"])
def test_a_folder_of_ecosystems_one_of_them_and_a_zip_are_the_same(tmp_path: Path, place: str) -> None:
    write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1")])
    assert imported(tmp_path / "db", tmp_path / place).records == 1


def test_other_ecosystems_are_left_alone(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1")])
    (folder / "Hex").mkdir()
    (folder / "Hex/all.zip").write_bytes(b"never read")
    imported(tmp_path / "db", folder)
    assert [meta.ecosystem for meta in status(tmp_path / "db")] == ["Debian"]


def test_coverage_is_honoured(tmp_path: Path) -> None:
    coverage = {"sources": ["openssl", "bash"], "releases": ["13"]}
    meta = imported(tmp_path / "db", write_export(tmp_path / "osv", [record("CVE-2026-1")], coverage))
    assert (meta.coverage, meta.releases) == (frozenset({"openssl", "bash"}), ("13",))


@pytest.mark.parametrize(
    "coverage", [[], {}, {"sources": "all", "releases": []}, {"sources": [1], "releases": ["13"]}]
)
def test_a_coverage_that_says_nothing_is_an_error(tmp_path: Path, coverage: object) -> None:
    folder = write_export(tmp_path / "osv", [record("CVE-2026-1")], coverage or "x")
    with pytest.raises(ScanError, match="does not say what its data covers"):
        imported(tmp_path / "db", folder)


def test_the_cut_that_is_shipped_for_tests_is_whole(tmp_path: Path) -> None:
    meta = imported(tmp_path / "db", CUT)
    assert (meta.refused, meta.releases) == (0, ("13",))
    assert meta.coverage is not None
    assert {
        "glibc",
        "openssl",
        "redis",
        "nginx",
        "flask",
        "gunicorn",
        "curl",
        "sqlite3",
        "busybox",
    } <= meta.coverage
    with Database.open(tmp_path / "db") as opened:
        found = {one.package for one in opened.advisories_for("Debian", ("13",), meta.coverage)}
    assert found <= meta.coverage
    assert json.loads((CUT / "Debian/coverage.json").read_text())["records"] == meta.records


def test_records_that_are_none_are_counted(tmp_path: Path) -> None:
    good = record("DEBIAN-CVE-2026-1")
    bad = [b"no json", b"[]", {**record("CVE-2"), "affected": 7}]
    meta = imported(tmp_path / "db", write_export(tmp_path / "osv", [good, *bad]))
    assert (meta.records, meta.refused) == (1, 3)


def test_a_record_from_the_far_future_does_not_date_the_data(tmp_path: Path) -> None:
    records = [record("CVE-1"), record("CVE-2", modified="2999-01-01T00:00:00Z")]
    assert imported(tmp_path / "db", write_export(tmp_path / "osv", records)).newest.year == 2026


def test_an_export_that_is_wholly_in_the_future_is_refused(tmp_path: Path) -> None:
    records = [record("CVE-2", modified="2999-01-01T00:00:00Z")]
    with pytest.raises(ScanError, match="dated in the future"):
        imported(tmp_path / "db", write_export(tmp_path / "osv", records))


def damaged_member() -> bytes:
    payload = bytearray(export([record("CVE-2026-1")]))
    payload[60] ^= 0xFF
    return bytes(payload)


def with_method(method: int) -> bytes:
    payload = bytearray(export([record("CVE-2026-1")]))
    at = payload.rindex(b"PK\x01\x02")
    payload[at + 10 : at + 12] = struct.pack("<H", method)
    return bytes(payload)


def with_offset() -> bytes:
    payload = bytearray(export([record("CVE-2026-1")]))
    at = payload.rindex(b"PK\x01\x02")
    payload[at + 42 : at + 46] = struct.pack("<I", 5)
    return bytes(payload)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"", "not a readable zip", id="nothing"),
        pytest.param(b"<html>404</html>", "not a readable zip", id="an error page"),
        pytest.param(export([record("CVE-2026-1")])[:-30], "not a readable zip", id="a zip cut short"),
        pytest.param(damaged_member(), "not a readable zip", id="a damaged member"),
        pytest.param(with_method(14), "unknown method", id="a member compressed by an unknown method"),
        pytest.param(with_offset(), "has no header", id="a member that is elsewhere"),
        pytest.param(export([]), "says nothing of Debian", id="an empty zip"),
        pytest.param(export([b"{}"] * 3), "0 records read, 3 refused", id="no record at all"),
        pytest.param(
            export([{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": []}]),
            "says nothing of Debian",
            id="records without packages",
        ),
    ],
)
def test_an_export_that_is_none_leaves_the_old_database(tmp_path: Path, payload: bytes, words: str) -> None:
    old = imported(tmp_path / "db", write_export(tmp_path / "old", [record("CVE-2026-1")]))
    folder = write_export(tmp_path / "new", [])
    (folder / "Debian/all.zip").write_bytes(payload)
    with pytest.raises(ScanError, match=words):
        imported(tmp_path / "db", folder)
    assert status(tmp_path / "db") == (old,)
    assert os.listdir(tmp_path / "db") == ["Debian.sqlite"]  # noqa: PTH208 (hidden names count too)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osvzip, "MAX_RECORD", 1000)
    bomb = [record("CVE-2026-1"), b"[" + b" " * 1_000_000 + b"]"]
    assert imported(tmp_path / "db", write_export(tmp_path / "one", bomb)).refused == 1
    monkeypatch.setattr(osvzip, "MAX_TOTAL", 5000)
    with pytest.raises(ScanError, match="unpacks to more than"):
        imported(tmp_path / "db", write_export(tmp_path / "all", [b" " * 1_000_000] * 10))
    monkeypatch.setattr(osvzip, "MAX_RECORDS", 3)
    with pytest.raises(ScanError, match="has 4 members"):
        imported(tmp_path / "db", write_export(tmp_path / "many", [record("CVE-2026-1")] * 4))


_GOOD = export([record(f"DEBIAN-CVE-2026-{number}") for number in range(3)])


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(_GOOD) - 1), value=st.integers(0, 255), cut=st.integers(0, len(_GOOD)))
def test_a_changed_zip_is_read_or_refused(at: int, value: int, cut: int) -> None:
    payload = bytearray(_GOOD)
    payload[at] = value
    tally = osvzip.Tally()
    stream = io.BytesIO(bytes(payload[: max(cut, at)]))
    with contextlib.suppress(ScanError):
        list(osvzip.read_records(stream, ECOSYSTEMS["Debian"], tally, not_after="2027-01-01T00:00:00"))


def test_an_update_fetches_once_and_then_asks_whether_it_changed(tmp_path: Path) -> None:
    server = Server(
        [Reply(200, export([record("CVE-2026-1")]), '"one"'), Reply(304), Reply(200, _GOOD, '"two"')]
    )
    first = updated(tmp_path, server)
    assert (first.live, first.etag, first.records) == (True, '"one"', 1)
    assert first.date == dt.datetime.fromtimestamp(NOW, dt.UTC)
    second = updated(tmp_path, server, at=NOW + 3600)
    assert (second.records, second.date) == (1, dt.datetime.fromtimestamp(NOW + 3600, dt.UTC))
    third = updated(tmp_path, server)
    assert (third.records, third.etag) == (3, '"two"')
    assert server.asked == [
        (f"{URL}/Debian/all.zip", {}),
        (f"{URL}/Debian/all.zip", {"If-None-Match": '"one"'}),
        (f"{URL}/Debian/all.zip", {"If-None-Match": '"one"'}),
    ]


def test_another_server_is_not_asked_about_the_first_ones_etag(tmp_path: Path) -> None:
    server = Server([Reply(200, _GOOD, '"one"'), Reply(200, _GOOD, '"one"')])
    updated(tmp_path, server)
    updated(tmp_path, server, base_url="http://other.test/")
    assert server.asked[1] == ("http://other.test/Debian/all.zip", {})


def test_a_damaged_database_is_replaced_by_an_update(tmp_path: Path) -> None:
    (tmp_path / "Debian.sqlite").write_bytes(b"nonsense")
    assert updated(tmp_path, Server([Reply(200, _GOOD)])).records == 3


def test_an_update_that_fails_leaves_the_old_database(tmp_path: Path) -> None:
    old = updated(tmp_path, Server([Reply(200, _GOOD, '"one"')]))
    with pytest.raises(MachineError):
        updated(tmp_path, Server([MachineError("unreachable")]))
    with pytest.raises(ScanError):
        updated(tmp_path, Server([Reply(200, b"<html>")]))
    assert status(tmp_path) == (old,)


def test_an_interrupted_import_leaves_the_old_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_export(tmp_path / "osv", [record("CVE-2026-1")])
    old = imported(tmp_path / "db", folder)

    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(compiler, "_check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        imported(tmp_path / "db", folder)
    assert status(tmp_path / "db") == (old,)
    assert os.listdir(tmp_path / "db") == ["Debian.sqlite"]  # noqa: PTH208 (hidden names count too)


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("a file")
    with pytest.raises(MachineError, match="could not be written"):
        imported(tmp_path / "db", write_export(tmp_path / "osv", [record("CVE-2026-1")]))


@pytest.mark.parametrize("path", ["absent", "empty"])
def test_nothing_to_import_is_an_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError):
        imported(tmp_path / "db", tmp_path / path)


def test_no_database_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="There is no vulnerability database") as raised:
        Database.open(tmp_path / "absent")
    assert raised.value.hint == "rootlet database update"
    assert status(tmp_path / "absent") == ()


def spoil(file: Path, script: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(script)
    connection.close()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("PRAGMA user_version = 99", "has format 99", id="another format"),
        pytest.param("DROP TABLE meta", "is damaged", id="no meta"),
        pytest.param("DELETE FROM meta WHERE key = 'newest'", "is damaged", id="a missing meta row"),
        pytest.param(
            "UPDATE meta SET value = 'x' WHERE key = 'records'", "is damaged", id="a meta row that is no JSON"
        ),
        pytest.param(
            """UPDATE meta SET value = '"PyPI"' WHERE key = 'ecosystem'""", "is damaged", id="a foreign file"
        ),
        pytest.param("UPDATE entry SET ranges = '['", "is damaged", id="a damaged advisory"),
        pytest.param("UPDATE entry SET severity = 77", "is damaged", id="an unknown severity"),
        pytest.param("DROP TABLE entry", "is damaged", id="no advisories"),
    ],
)
def test_a_spoilt_database_is_an_error_and_never_clean(tmp_path: Path, script: str, words: str) -> None:
    imported(tmp_path, write_export(tmp_path / "osv", [record("CVE-2026-1")]))
    spoil(tmp_path / "Debian.sqlite", script)
    with Database.open(tmp_path) as opened, pytest.raises(ScanError, match=words):
        opened.advisories_for("Debian", ("13",), ["openssl"])


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Debian.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(ScanError, match="is damaged"), Database.open(tmp_path) as opened:
        opened.metas("Debian")


def test_zip_members_that_are_stored_are_read(tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.json", json.dumps(record("CVE-2026-1")))
        archive.writestr("README", "not a record")
    assert imported(tmp_path / "db", file).records == 1


def test_a_server_that_says_unchanged_of_what_nobody_has_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="but nothing was ever fetched there"):
        updated(tmp_path, Server([Reply(304)]))
    assert status(tmp_path) == ()


@pytest.mark.parametrize(
    ("sums", "whole"),
    [
        pytest.param("crc32c=AAAA==, md5={}", True, id="its own"),
        pytest.param("md5=AAAAAAAAAAAAAAAAAAAAAA==", False, id="of something else"),
        pytest.param("crc32c=AAAA==", True, id="one that is not known"),
    ],
)
def test_a_checksum_that_the_server_sends_is_held(tmp_path: Path, sums: str, *, whole: bool) -> None:
    digest = base64.b64encode(hashlib.md5(_GOOD).digest()).decode()
    reply = Reply(200, _GOOD, headers={"x-goog-hash": sums.format(digest)})
    if whole:
        assert updated(tmp_path, Server([reply])).records == 3
    else:
        with pytest.raises(ScanError, match="came damaged"):
            updated(tmp_path, Server([reply]))
        assert os.listdir(tmp_path) == []  # noqa: PTH208 (hidden names count too)


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / ".Debian.aa.tmp", tmp_path / ".Debian.bb.tmp"
    for path, age in ((old, 90_000), (new, 60)):
        path.write_bytes(b"x")
        os.utime(path, (NOW - age, NOW - age))
    updated(tmp_path, Server([Reply(200, _GOOD)]))
    assert [old.exists(), new.exists()] == [False, True]


def test_what_is_updated_without_a_name(tmp_path: Path) -> None:
    first = [feed.name for feed in default_feeds(tmp_path, URL, (), official=True)]
    assert first[:3] == ["Debian", "PyPI", "npm"]
    assert first[-2:] == ["KEV", "EPSS"]
    (tmp_path / "Rocky Linux.sqlite").write_bytes(b"an older format")
    feeds = default_feeds(tmp_path, URL, (), official=False)
    assert [(feed.name, feed.url, feed.required) for feed in feeds] == [
        ("Rocky Linux", f"{URL}/Rocky%20Linux/all.zip", True),
        ("KEV", f"{URL}/kev.json", False),
        ("EPSS", f"{URL}/epss.csv.gz", False),
    ]


def test_records_without_a_date_are_as_old_as_their_file(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "osv", [{**record("CVE-2026-1"), "modified": "0001-01-01T00:00:00Z"}])
    os.utime(folder / "Debian/all.zip", (NOW - 86400, NOW - 86400))
    assert imported(tmp_path / "db", folder).date == dt.datetime.fromtimestamp(NOW - 86400, dt.UTC)


def test_large_exports_are_compiled_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "_ALONE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    folder = write_export(tmp_path / "osv", [record("CVE-2026-1")])
    parts = {"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}
    write_export(folder, [{**record("MAL-2026-1"), "affected": [parts]}], ecosystem="npm")
    (folder / "Go").mkdir()
    (folder / "Go/all.zip").write_bytes(b"nonsense")
    with pytest.raises(ScanError, match="not a readable zip"):
        import_path(machine(tmp_path / "db"), folder)
    assert [meta.ecosystem for meta in status(tmp_path / "db")] == ["Debian", "npm"]
