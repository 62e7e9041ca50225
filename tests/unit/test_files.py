"""Files that are whole or absent, folders for work in progress, and where shipped files are."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from builder import resources
from builder.files import Stamp, atomic_write, names_in, stamp, write_bytes
from builder.resources import shipped


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_is_exact_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "a" / "b", b"x", mode=0o664)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o664
    assert names(tmp_path / "a") == ["b"]


def fail(tmp_path: Path, error: BaseException) -> None:
    with atomic_write(tmp_path / "f") as stream:
        stream.write(b"half")
        raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), OSError(errno.EIO, "no")], ids=repr)
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    write_bytes(tmp_path / "f", b"old")
    with pytest.raises(type(error)):
        fail(tmp_path, error)
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_bytes(tmp_path / "f", b"old")
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_target_that_is_a_folder_is_refused_and_no_litter_stays(tmp_path: Path) -> None:
    (tmp_path / "f" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match=r"directory|exists"):
        write_bytes(tmp_path / "f", b"x")
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("name", ["n" * 255, "\u4e2d" * 85, "\U0001f600" * 63, "\udcff" * 255])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to("target")
    write_bytes(tmp_path / "link", b"new", durable=False)
    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("kind", ["recipes", "templates"])
def test_shipped_files_are_found(kind: str) -> None:
    assert any(shipped(kind).iterdir())


def test_a_wheel_carries_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "builder")
    with pytest.raises(FileNotFoundError, match="templates folder is missing"):
        shipped("templates")
    (tmp_path / "builder/_shipped/templates").mkdir(parents=True)
    assert shipped("templates") == tmp_path / "builder/_shipped/templates"


def test_names_of_a_folder_have_a_stamp_of_their_own(tmp_path: Path) -> None:
    def now(*without: str) -> Stamp:
        return stamp(names_in(tmp_path / "d", *without))

    nothing = now()
    (tmp_path / "d").mkdir()
    (tmp_path / "d/.rootlet-0123").mkdir()  # work in progress
    assert now() == nothing
    (tmp_path / "d/a").touch()
    one = now()
    assert one != nothing
    os.utime(tmp_path / "d", (1, 1))
    (tmp_path / "d/out").touch()
    assert now("out")[1:] == one[1:]
    assert now()[1:] != one[1:]
    (tmp_path / "d/a").rename(tmp_path / "d/b")
    assert now("out")[1:] != one[1:]
    assert stamp(Path(json.loads(json.dumps(now("out", "x")))[0])) == now("out", "x")


def test_devices_and_pipes_are_written_to_and_stay_what_they_are(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"one")
        write_bytes(link, b" two")
        assert os.read(reader, 100) == b"one two"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["link", "pipe"]
