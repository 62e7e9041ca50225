"""A short run of the inventory's fuzzer, each seed as it is, and bombs whose memory is measured."""

from __future__ import annotations

import io
import time
import zipfile
import zlib

import pytest

from tests.fuzz.inventory import LARGEST, SEEDS, blind, peak, reader_of
from tests.support import rpmdb
from tests.support.programs import elf


@pytest.mark.parametrize(("path", "seed"), SEEDS, ids=[path for path, _ in SEEDS])
def test_each_seed_is_read_to_its_end(path: str, seed: bytes) -> None:
    found = reader_of(path)(seed, path)
    assert found.packages or found.claims
    assert found.notes == ()


def test_ten_seconds_of_mutations_find_nothing() -> None:
    assert blind(10, time.time_ns()) > 100


def bomb() -> bytes:
    """A jar of 1 GB of zeros, four times over."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.jar", "b.jar", "META-INF/MANIFEST.MF", "META-INF/maven/a/b/pom.properties"):
            with archive.open(name, "w") as entry:
                for _ in range(64):
                    entry.write(bytes(4 << 20))
    return stream.getvalue()


def many_entries() -> bytes:
    """A jar whose directory has 60,000 entries."""
    record = b"PK\x01\x02" + bytes(24) + b"\x01\0" + bytes(16) + b"x"
    directory = record * 60_000
    return directory + b"PK\x05\x06" + bytes(8) + len(directory).to_bytes(4, "little") + bytes(6)


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        pytest.param("/a.jar", bomb(), id="a jar that unpacks to a gigabyte"),
        pytest.param("/a.jar", many_entries(), id="a jar of many entries"),
        pytest.param(
            "/node_modules/a/package.json", b"[" + b"[]," * 600_000 + b"0]", id="JSON of many lists"
        ),
        pytest.param(
            "/bin/rust", elf({".dep-v0": zlib.compress(bytes(200 << 20))}), id="crates that unpack to 200 MB"
        ),
        pytest.param(
            "/var/lib/rpm/rpmdb.sqlite", rpmdb.sqlite([bytes(20 << 20)]), id="an rpm header of 20 MB"
        ),
        pytest.param("/pom.xml", b"<project>" + b"<a>" * 1_000_000, id="XML that is nested deeply"),
        pytest.param(
            "/yarn.lock", b'a@1:\n  version "1.0.0"\n' * 30_000, id="a lock file of one package, often"
        ),
    ],
)
def test_bombs_cost_bounded_time_and_memory(path: str, payload: bytes) -> None:
    started = time.monotonic()
    assert peak(path, payload) < LARGEST
    assert time.monotonic() - started < 60
