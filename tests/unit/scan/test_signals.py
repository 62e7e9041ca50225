from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from builder.errors import ScanError
from builder.progress import Silent
from builder.scan.carry import is_bundle, read_bundle, write_bundle
from builder.scan.database import Database, Machine, import_path, status
from builder.scan.model import Signal
from builder.scan.signals import MAX_SIGNALS, parse_signals
from tests.support.osv import record, write_export

KEV = json.dumps(
    {
        "dateReleased": "2026-11-20T17:04:19.9796Z",
        "vulnerabilities": [
            {"cveID": "CVE-2026-1001", "dateAdded": "2026-11-19"},
            {"cveID": "CVE-2026-1002"},
        ],
    }
).encode()
EPSS = b"""\
#model_version:v2026.03.14,score_date:2026-11-21T00:00:00+0000
cve,epss,percentile
CVE-2026-1001,0.97,0.99
CVE-2026-1003,0.0004,0.1
"""


def test_the_two_lists_are_told_apart() -> None:
    kev, epss = parse_signals(KEV, source="x"), parse_signals(gzip.compress(EPSS), source="x")
    assert (kev.kind, f"{kev.date:%Y-%m-%d}", kev.values) == (
        "KEV",
        "2026-11-20",
        {"CVE-2026-1001": "2026-11-19", "CVE-2026-1002": ""},
    )
    assert (epss.kind, f"{epss.date:%Y-%m-%d}") == ("EPSS", "2026-11-21")
    assert epss.values == {"CVE-2026-1001": "0.97", "CVE-2026-1003": "0.0004"}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"", "neither", id="nothing"),
        pytest.param(b"<html>", "neither", id="an error page"),
        pytest.param(b"{}", "no list of exploited", id="another JSON"),
        pytest.param(b'{"vulnerabilities": 7}', "no list of exploited", id="no list"),
        pytest.param(b'{"vulnerabilities": []}', "neither", id="an empty list"),
        pytest.param(b'{"vulnerabilities": [{"cveID": 7}, {"cveID": "x"}]}', "is damaged", id="no ids"),
        pytest.param(b"{" * 100_000, "no list of exploited", id="very deep"),
        pytest.param(b"cve,epss\nCVE-2026-1001,nan\nCVE-2026-1002,9\n", "is damaged", id="no probabilities"),
        pytest.param(gzip.compress(EPSS)[:40], "ends too early", id="cut short"),
        pytest.param(b"\x1f\x8b nonsense", "is damaged", id="no gzip"),
    ],
)
def test_what_is_no_list_is_refused(payload: bytes, words: str) -> None:
    with pytest.raises(ScanError, match=words):
        parse_signals(payload, source="x")


def test_a_bomb_is_refused() -> None:
    bomb = gzip.compress(b"cve,epss\n" + b" " * MAX_SIGNALS, compresslevel=1)
    with pytest.raises(ScanError, match="unpacks to more than"):
        parse_signals(bomb, source="x")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    osv = write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1001")])
    (osv / "kev.json").write_bytes(KEV)
    (osv / "epss_scores-current.csv.gz").write_bytes(gzip.compress(EPSS))
    import_path(Machine(folder=tmp_path / "db", clock=lambda: 1_795_400_000.0, progress=Silent()), osv)
    return tmp_path / "db"


def test_lists_lie_beside_the_advisories(database: Path) -> None:
    assert [(meta.ecosystem, meta.records) for meta in status(database)] == [
        ("Debian", 1),
        ("EPSS", 2),
        ("KEV", 2),
    ]
    with Database.open(database) as opened:
        found = opened.signals(["CVE-2026-1001", "CVE-2026-1002", "CVE-2026-1003", "CVE-2026-9"])
    assert found == {
        "CVE-2026-1001": Signal(kev=True, epss=0.97),
        "CVE-2026-1002": Signal(kev=True),
        "CVE-2026-1003": Signal(epss=0.0004),
    }


def test_several_folders_are_asked_at_once(database: Path, tmp_path: Path) -> None:
    own = write_export(tmp_path / "own", [record("OWN-2026-1")])
    import_path(Machine(folder=tmp_path / "second", clock=lambda: 1_795_400_000.0, progress=Silent()), own)
    with Database.open(database, tmp_path / "second") as opened:
        found = opened.advisories_for("Debian", ("13",), ["openssl"])
        assert len(opened.metas("Debian")) == 2
    assert [one.id for one in found] == ["DEBIAN-CVE-2026-1001", "OWN-2026-1"]


def test_what_is_exported_is_imported_with_its_age(database: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "data.tar.gz"
    write_bundle(database, bundle)
    assert is_bundle(bundle)
    read_bundle(bundle, tmp_path / "other")
    assert status(tmp_path / "other") == status(database)
    read_bundle(bundle, tmp_path / "one", ("KEV",))
    assert [meta.ecosystem for meta in status(tmp_path / "one")] == ["KEV"]


@pytest.mark.parametrize("at", [200, 400, -30], ids=str)
def test_a_damaged_export_leaves_the_old_data(database: Path, tmp_path: Path, at: int) -> None:
    bundle = tmp_path / "data.tar.gz"
    write_bundle(database, bundle)
    payload = bytearray(bundle.read_bytes())
    payload[at] ^= 0xFF
    (tmp_path / "bad.tar.gz").write_bytes(payload)
    (tmp_path / "short.tar.gz").write_bytes(payload[: len(payload) // 2])
    before = status(database)
    for name in ("bad.tar.gz", "short.tar.gz"):
        with pytest.raises(ScanError, match="no whole export"):
            read_bundle(tmp_path / name, database)
        assert status(database) == before
        assert not list(database.glob(".*"))


def test_nothing_to_export_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="to export"):
        write_bundle(tmp_path, tmp_path / "x.tar.gz")
    assert not (tmp_path / "x.tar.gz").exists()
