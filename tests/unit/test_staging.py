"""Staging folders: gone at the end, gone after a kill, and never someone else's."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from builder import staging as staging_module
from builder.staging import staging
from tests.support.tools import REPOSITORY

_HOLD = """
import sys, time
from pathlib import Path
from builder.staging import staging
with staging(Path(sys.argv[1])) as work:
    (work / "half").write_text("x")
    print(work, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def holder(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has a staging folder in ``parent``, and that folder."""
    command = [sys.executable, "-c", _HOLD, str(parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_and_the_parents_made_for_it_go(tmp_path: Path) -> None:
    with staging(tmp_path / "a" / "b") as work:
        (work / "x").mkdir()
        assert work.is_dir()
    assert names(tmp_path) == []


def test_a_parent_with_something_in_it_stays(tmp_path: Path) -> None:
    with staging(tmp_path / "a" / "b") as work:
        (work / "x").write_text("1")
        (work / "x").rename(tmp_path / "a" / "b" / "result")
    assert names(tmp_path / "a/b") == ["result"]


def test_an_empty_parent_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with staging(tmp_path / "a"):
        pass
    assert names(tmp_path) == ["a"]


def fail(parent: Path, error: BaseException) -> None:
    with staging(parent) as work:
        (work / "x").write_text("1")
        raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()], ids=repr)
def test_an_error_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(tmp_path / "a", error)
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    with holder(tmp_path) as (process, left):
        with staging(tmp_path):
            assert (left / "half").is_file()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (left / "half").is_file()
        with staging(tmp_path) as work:
            assert not left.exists()
            assert names(tmp_path) == [work.parent.name]
    assert names(tmp_path) == []


def test_what_was_killed_before_its_lock_was_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / (".rootlet-" + "0" * 16)).mkdir()
    with staging(tmp_path):
        pass
    assert names(tmp_path) == []


def test_what_only_looks_like_it_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "lock").write_text("")
    (tmp_path / ".rootlet-notes").mkdir()
    (tmp_path / ".rootlet-notes" / "lock").write_text("")
    (tmp_path / (".rootlet-" + "1" * 16)).write_text("a file")
    (tmp_path / (".rootlet-" + "2" * 16)).symlink_to("mine")
    full = tmp_path / (".rootlet-" + "3" * 16)  # no lock: nothing says that it was ours
    (full / "work").mkdir(parents=True)
    before = names(tmp_path)
    with staging(tmp_path):
        pass
    assert names(tmp_path) == before
    assert (mine / "lock").exists()
    assert (full / "work").is_dir()


def test_a_folder_that_another_process_took_for_abandoned_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        if not taken and operation == fcntl.LOCK_EX:
            (folder,) = tmp_path.glob(".rootlet-*")
            taken.append(folder.name)
            shutil.rmtree(folder)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with staging(tmp_path) as work:
        assert work.is_dir()
        assert work.parent.name not in taken
    assert names(tmp_path) == []


def test_many_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    wrong: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(30):
                with staging(tmp_path) as work:
                    (work / "x").write_text("1")
                    assert (work / "x").read_text() == "1"
        except BaseException as error:  # noqa: BLE001 (shown by the test's own thread)
            wrong.append(error)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert names(tmp_path) == []


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staging_module, "_lock", refuse)
    with pytest.raises(OSError, match="No space"), staging(tmp_path / "a" / "b"):
        pass
    assert names(tmp_path) == []


def test_a_parent_that_is_a_file_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    for parent in (tmp_path / "f", tmp_path / "f" / "x"):
        with pytest.raises(OSError, match=r"exists|directory"), staging(parent):
            pass
    assert names(tmp_path) == ["f"]


def test_a_parent_that_cannot_be_written_is_an_error_of_the_file_system() -> None:
    # /proc refuses new folders from everybody, root too.
    with pytest.raises(OSError, match="/proc"), staging(Path("/proc/rootlet-staging")):
        pass
