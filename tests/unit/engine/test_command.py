"""Running programs: outputs, environment, time limits, interruptions; nothing is left running."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.engine import command as command_module
from builder.engine.command import Command, MachineRunner
from builder.engine.storage import copy_to_storage, pull_archive, stored_config, tag_image
from builder.errors import BuildError, MachineError
from tests.support.debian_archive import wait_until


def runner(**environment: str) -> MachineRunner:
    return MachineRunner({"PATH": os.environ["PATH"], **environment})


def shell(script: str, **fields: object) -> Command:
    return Command(argv=("/bin/sh", "-c", script), **fields)  # type: ignore[arg-type]  # fields by name


def python(script: str, **fields: object) -> Command:
    return Command(argv=(sys.executable, "-c", script), **fields)  # type: ignore[arg-type]  # fields by name


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_input_and_both_outputs() -> None:
    done = runner().run(shell("cat; echo err >&2", stdin=b"in\0put"))
    assert (done.status, done.stdout, done.stderr) == (0, b"in\0put", b"err\n")


def test_megabytes_on_both_outputs_and_input_that_nobody_reads() -> None:
    script = "import sys; sys.stderr.write('e' * 5_000_000); sys.stdout.write('o' * 5_000_000)"
    done = runner().run(python(script, stdin=b"i" * 5_000_000))
    assert (len(done.stdout), len(done.stderr)) == (5_000_000, 5_000_000)


def test_only_listed_variables_reach_a_program() -> None:
    given = runner(DATABASE="s", HOME="/h", LC_ALL="de_DE", LD_PRELOAD="x", BASH_ENV="y")
    lines = given.run(shell("env", environment=(("MORE", "m"),))).stdout.decode().splitlines()
    names = {line.partition("=")[0] for line in lines} - {"PWD", "SHLVL", "_", "OLDPWD"}
    assert names == {"PATH", "HOME", "LC_ALL", "MORE"}
    assert "LC_ALL=C.UTF-8" in lines


def test_a_status_that_is_no_success_shows_the_end_of_the_errors() -> None:
    with pytest.raises(BuildError, match=r"^making failed with status 3:\nlast \ufffd words$") as caught:
        runner().run(shell("printf 'last \\377 words' >&2; exit 3", description="making"))
    assert len(caught.value.message) < 100
    with pytest.raises(BuildError) as caught:
        runner().run(shell("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"))
    assert len(caught.value.message) < 5000


def test_a_signal_is_named() -> None:
    with pytest.raises(BuildError, match="failed with signal 9"):
        runner().run(shell("kill -9 $$"))


def test_other_statuses_can_be_a_success() -> None:
    assert runner().run(shell("exit 2", success=frozenset({0, 2}))).status == 2


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    for name in ("/nowhere/prog", str(tmp_path / "plain"), str(tmp_path)):
        with pytest.raises(MachineError, match="could not be started") as caught:
            runner().run(Command(argv=(name,)))
        assert caught.value.hint is not None


def test_programs_are_found_on_the_path_given(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    assert MachineRunner({"PATH": str(tmp_path)}).find("tool") is None
    (tmp_path / "tool").chmod(0o755)
    assert MachineRunner({"PATH": str(tmp_path)}).find("tool") == str(tmp_path / "tool")


_FAMILY = "sleep 60 & echo $! > {0}/grandchild; echo $$ > {0}/child; wait"
_STUBBORN = (
    "trap '' TERM; (trap '' TERM; sleep 60) & echo $! > {0}/grandchild; echo $$ > {0}/child; wait; sleep 60"
)


def family(folder: Path) -> list[int]:
    return [int((folder / name).read_text()) for name in ("child", "grandchild")]


@pytest.mark.parametrize("script", [_FAMILY, _STUBBORN], ids=["obedient", "deaf to TERM"])
def test_a_time_limit_ends_the_program_and_its_children(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_module, "_GRACE_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(BuildError, match=r"did not finish within 0 s and was stopped"):
        runner().run(shell(script.format(tmp_path), timeout=0.4))
    assert time.monotonic() - started < 5
    for pid in family(tmp_path):
        assert wait_until(lambda pid=pid: gone(pid))  # type: ignore[misc]  # bound at once


def test_a_daemon_that_keeps_the_outputs_open_does_not_hold_the_build_for_ever(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="did not finish"):
        runner().run(shell(f"sleep 60 & echo $! > {tmp_path}/pid", timeout=0.5))
    assert wait_until(lambda: gone(int((tmp_path / "pid").read_text())))


def interrupt_when(condition: Path, times: int = 1) -> threading.Thread:
    def wait() -> None:
        wait_until(lambda: condition.exists() and bool(condition.read_text()))
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize(("script", "times"), [(_FAMILY, 1), (_STUBBORN, 2)], ids=["once", "impatiently"])
def test_an_interruption_ends_the_program_and_its_children(tmp_path: Path, script: str, times: int) -> None:
    running = [True]

    def interrupt(*_: object) -> None:
        if running:  # on a slow machine the second one may come when all is over
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    thread = interrupt_when(tmp_path / "child", times)
    try:
        with pytest.raises(KeyboardInterrupt):
            runner().run(shell(script.format(tmp_path)))
        running.clear()
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    for pid in family(tmp_path):
        assert wait_until(lambda pid=pid: gone(pid))  # type: ignore[misc]  # bound at once


def test_commands_of_the_storage_are_values() -> None:
    assert copy_to_storage("/s", "/l:image", "localhost/a:1", Path("/t")).argv == (
        *("/s", "--tmpdir", "/t", "copy", "--quiet"),
        *("oci:/l:image", "containers-storage:localhost/a:1"),
    )
    assert stored_config("/s", "n").argv[-1] == "containers-storage:n"
    assert pull_archive("/b", Path("/a.tar"), Path("/t")).environment == (("TMPDIR", "/t"),)
    assert tag_image("/b", "id", "n").argv == ("/b", "tag", "id", "n")
