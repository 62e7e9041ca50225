"""A signed archive on a loopback server, for every test of the Debian source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import transport as transport_module
from tests.support.debian_archive import Key, World, make_key
from tests.support.debian_archive import world as open_world


@pytest.fixture(scope="session")
def key() -> Key:
    return make_key()


@pytest.fixture
def world(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(transport_module, "_BACK_OFF", 0.01)
    with open_world(tmp_path, key) as opened:
        yield opened
