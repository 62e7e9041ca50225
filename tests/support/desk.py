"""A desk to build on without a network: a signed archive in a folder, its key, a cache."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from tests.support.debian_archive import Deb, Key, SuiteText, make_key, write_suite
from tests.support.osv import record, write_export

RELEASE = b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'
BASE = Deb(
    name="base-files",
    version="13.8",
    files={
        "/usr/lib/os-release": RELEASE,
        "/etc/os-release": "../usr/lib/os-release",
        "/etc/debian_version": b"13.2\n",
    },
)


def make_mirror(folder: Path, *debs: Deb) -> Key:
    """Debian as it is today: two signed suites in a folder."""
    key = make_key()
    both = (("trixie", "stable", (BASE, *debs)), ("trixie-updates", "stable-updates", ()))
    for name, suite, content in both:
        write_suite(folder, SuiteText(name=name, suite=suite, debs=content, date=time.time() - 60), key)
    return key


def set_desk(folder: Path, mirror: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``folder`` the current one, with a key (keys.pgp), a cache, and data that says nothing bad."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ROOTLET_CACHE", str(folder / "cache"))
    for name in ("ROOTLET_DATABASE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROOTLET_MIRROR", f"file://{mirror}")
    (folder / "keys.pgp").write_bytes(key.public)
    write_export(folder / "osv", [record("DEBIAN-CVE-2026-1", "bash", fixed=None)])
    assert main.run(["database", "import", "-q", str(folder / "osv")]) == 0


def recipe(more: str, *, entrypoint: str = "/usr/bin/app", packages: str = "", top: str = "") -> str:
    """A recipe that takes ``packages`` from the desk's archive, with ``more`` tables."""
    return f"""schema = 1
name = "demo"
tags = ["1"]
entrypoint = ["{entrypoint}"]
{top}
[image]
platforms = ["linux/amd64"]
[sources.os]
packages = [{packages}]
security = false
keyring = "keys.pgp"
[scan]
unscannable = "warn"
max_database_age = "any"
{more}"""


def image_files(layout: Path) -> Mapping[str, tarfile.TarInfo]:
    """Everything in the one layer of an image, by absolute path."""
    return {f"/{one.name.rstrip('/')}": one for one in _members(layout)}


def image_bytes(layout: Path, path: str) -> bytes:
    """The bytes of one file of the image."""
    with tarfile.open(_layer(layout)) as tar:
        stream = tar.extractfile(path.lstrip("/"))
        assert stream is not None
        return stream.read()


def _members(layout: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(_layer(layout)) as tar:
        return tar.getmembers()


def _layer(layout: Path) -> Path:
    manifest = _json(layout, _read(layout / "index.json")["manifests"][0]["digest"])
    (layer,) = manifest["layers"]
    return _blob(layout, layer["digest"])


def _json(layout: Path, digest: str) -> dict[str, Any]:
    return _read(_blob(layout, digest))


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _read(path: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(path.read_text())
    return plain
