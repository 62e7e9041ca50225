"""``rootlet database`` and what ``rootlet scan`` makes of it, from the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from builder.cli import main
from tests.support.osv import record, write_export


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """OSV exports of two ecosystems with both lists of exploits."""
    folder = write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1001", severity=[])])
    npm = {
        "id": "GHSA-1",
        "modified": "2026-11-01T00:00:00Z",
        "aliases": ["CVE-2026-1002"],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": "left-pad"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.0"}]}],
            }
        ],
    }
    write_export(folder, [npm], ecosystem="npm")
    listed = {"vulnerabilities": [{"cveID": "CVE-2026-1001", "dateAdded": "2026-11-01"}]}
    (folder / "kev.json").write_text(json.dumps(listed))
    scores = b"cve,epss,percentile\nCVE-2026-1001,0.5,0.9\nCVE-2026-1002,0.25,0.9\n"
    (folder / "epss.csv.gz").write_bytes(gzip.compress(scores))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A trixie with openssl and an npm package."""
    folder = tmp_path / "root"
    (folder / "var/lib/dpkg/info").mkdir(parents=True)
    (folder / "var/lib/dpkg/status").write_text(
        "Package: openssl\nStatus: install ok installed\nVersion: 3.5.0-1\nArchitecture: amd64\n"
    )
    (folder / "etc").mkdir()
    (folder / "etc/os-release").write_text('ID=debian\nVERSION_ID="13"\n')
    module = folder / "srv/node_modules/left-pad"
    module.mkdir(parents=True)
    (module / "package.json").write_text('{"name": "left-pad", "version": "1.1.3"}')
    return folder


def database(folder: Path, *words: str | Path) -> int:
    return main.run(["database", "--database", str(folder), *map(str, words)])


def test_data_is_imported_exported_and_shown(
    tmp_path: Path, exports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert database(here, "import", exports, "-q") == 0
    assert database(here, "export", tmp_path / "data.tar.gz", "-q") == 0
    assert database(there, "import", tmp_path / "data.tar.gz", "-q") == 0
    capsys.readouterr()
    assert database(there, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1:2]] == ["Debian", "npm", "EPSS", "KEV"]
    assert lines[0].startswith("Debian: 1 records as of 2026-11-01 00:00 UTC, ")
    assert lines[0].endswith("kB, releases 13")
    assert lines[-1].endswith(f" in {there}")


def test_only_what_is_asked_for_is_taken(tmp_path: Path, exports: Path) -> None:
    assert database(tmp_path / "db", "import", exports, "-e", "npm", "-q") == 0
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == ["npm.sqlite"]
    assert database(tmp_path / "db", "update", "--from", exports, "-e", "kev", "--ecosystem", "debian") == 0
    names = ["Debian.sqlite", "KEV.signals", "npm.sqlite"]
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == names
    assert database(tmp_path / "db", "import", exports, "-e", "Maven") == 8


def test_a_mirror_has_the_layout_of_the_export(tmp_path: Path, exports: Path) -> None:
    assert database(tmp_path / "db", "update", "--from", exports.as_uri(), "npm", "KEV", "EPSS", "-q") == 0
    names = ["EPSS.signals", "KEV.signals", "npm.sqlite"]
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == names


def test_one_ecosystem_that_fails_does_not_stop_the_others(
    tmp_path: Path, exports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (exports / "Debian/all.zip").write_bytes(b"<html>")
    arguments = ("update", "--from", exports.as_uri(), "Debian", "npm", "Maven", "-q")
    assert database(tmp_path / "db", *arguments) == 8
    message = capsys.readouterr().err
    assert "not a readable zip" in message
    assert "Maven/all.zip does not exist" in message
    assert "updated were npm" in message
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == ["npm.sqlite"]


def test_a_mirror_without_lists_is_no_error(
    tmp_path: Path, exports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert database(tmp_path / "db", "import", exports, "-e", "npm", "-q") == 0
    (exports / "kev.json").unlink()
    assert database(tmp_path / "db", "update", "--from", exports.as_uri()) == 0
    assert "KEV was not updated" in capsys.readouterr().err
    names = ["EPSS.signals", "npm.sqlite"]
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == names


def scan(folder: Path, root: Path, *words: str | Path) -> int:
    base = ["scan", f"dir:{root}", "--database", str(folder), "--max-database-age", "any"]
    return main.run([*base, *map(str, words)])


def test_a_scan_says_what_is_known_of_exploits(
    tmp_path: Path, exports: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert database(tmp_path / "db", "import", exports, "-q") == 0
    capsys.readouterr()
    assert scan(tmp_path / "db", root, "--format", "json") == 5
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    keys = ("ecosystem", "package", "version", "fixed", "severity", "cvss", "kev", "epss")
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    assert [found["CVE-2026-1002"][key] for key in keys] == [
        *("npm", "left-pad", "1.1.3", "1.2.0", "critical"),
        *({"vector": vector, "score": 9.8}, False, 0.25),
    ]
    assert [found["CVE-2026-1001"][key] for key in ("severity", "cvss", "kev", "epss")] == [
        *("unknown", None, True, 0.5)
    ]
    scan(tmp_path / "db", root)
    table = capsys.readouterr().out
    assert "resolved, exploited (KEV)" in table
    assert "resolved, EPSS 25%" in table
    assert "data: Debian of 2026-11-01" in table
    assert "data: npm of 2026-11-01" in table


def test_several_databases_are_asked_together(
    tmp_path: Path, exports: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("Debian", "npm"):
        assert database(tmp_path / name, "import", exports, "-e", name, "-q") == 0
    capsys.readouterr()
    assert scan(tmp_path / "Debian", root) == 8
    assert (
        "there is no vulnerability data for npm, so 1 package could not be judged" in capsys.readouterr().out
    )
    assert scan(tmp_path / "Debian", root, "--database", tmp_path / "npm") == 5


def test_the_report_goes_into_a_file_whole(tmp_path: Path, exports: Path, root: Path) -> None:
    assert database(tmp_path / "db", "import", exports, "-q") == 0
    assert scan(tmp_path / "db", root, "--format", "json", "--output", tmp_path / "report.json") == 5
    assert len(json.loads((tmp_path / "report.json").read_text())["findings"]) == 2
