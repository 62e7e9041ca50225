"""Containers of processes that are gone are found, those of living ones are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.sources.stage.journal import abandoned, alone, container_name, forget

REPOSITORY = Path(__file__).resolve().parents[3]


def test_a_name_is_forgotten_at_the_end_and_kept_after_an_error(tmp_path: Path) -> None:
    with container_name(tmp_path) as name:
        assert name.startswith("rootlet-")
        assert abandoned(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError), container_name(tmp_path) as name:
        raise RuntimeError
    assert abandoned(tmp_path) == (name,)
    forget(tmp_path, name)
    assert abandoned(tmp_path) == ()


def test_what_a_killed_process_left_is_found(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time\n"
        "from builder.sources.stage.journal import container_name\n"
        "with container_name(pathlib.Path(sys.argv[1])) as name:\n"
        "    print(name, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert abandoned(tmp_path) == ()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert abandoned(tmp_path) == (name,)


def test_other_files_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "rootlet-x.lock").touch()
    (tmp_path / "rootlet-0123456789abcdef.txt").touch()
    assert abandoned(tmp_path / "nowhere") == ()
    assert abandoned(tmp_path) == ()


def test_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    holding = threading.Event()

    def second() -> None:
        holding.wait()
        with alone(tmp_path / "k") as waited:
            order.append(f"second {waited}")

    other = threading.Thread(target=second)
    other.start()
    with alone(tmp_path / "k") as waited:
        holding.set()
        other.join(0.3)
        order.append(f"first {waited}")
    other.join()
    assert order == ["first False", "second True"]
