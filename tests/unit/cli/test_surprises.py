"""Odd ways to call rootlet: closed streams, hang-ups, words that are planned, addresses that are none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.cli import main
from tests.support.tools import REPOSITORY

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    start = "from builder.cli.main import main; main()"
    return subprocess.run(
        ["sh", "-c", f'rootlet() {{ "{sys.executable}" -c "{start}" "$@"; }}; {line}'],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("rootlet schema >&-", id="without standard output"),
        pytest.param("rootlet schema 2>&-", id="without standard error"),
        pytest.param("rootlet schema <&- >&- 2>&-", id="without any stream"),
    ],
)
def test_closed_streams_are_no_failure(line: str, tmp_path: Path) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_messages_do_not_go_to_a_file_that_got_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    assert shell("rootlet build nowhere.toml 2>&-", tmp_path).returncode == 2
    assert not any(path.is_file() and path.stat().st_size for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", ["init"])
def test_planned_commands_are_refused_as_such(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([name, "something"]) == 2
    assert f"{name} is not supported yet" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--mirror", "--security-mirror"])
@pytest.mark.parametrize("address", ["nonsense", "mirror.test/debian", "http://", "ftp://mirror.test"])
def test_what_is_no_address_is_a_wrong_command_line(
    option: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["build", "recipe.toml", option, address]) == 2
    assert f"{option} '{address}': expected an http" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--push",), ("--to", "registry")])
def test_a_push_needs_a_registry_in_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    (tmp_path / "r.toml").write_text('schema = 1\nname = "x"\n')
    assert main.run(["build", "r.toml", *option]) == 2
    assert "x names no registry" in capsys.readouterr().err


def test_the_hash_of_a_commit_outside_of_a_repository_says_why_it_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text('schema = 1\nname = "x"\ntags = ["{git.sha}"]\n')
    assert main.run(["plan", "r.toml"]) == 2
    assert "in no git repository" in capsys.readouterr().err


def test_a_hang_up_ends_like_an_interruption_unless_nohup_asked_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang_up(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(main.cli, "invoke", hang_up)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert main.run(["schema"]) == 0
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert main.run(["schema"]) == main.INTERRUPTED


def test_a_current_folder_that_is_gone_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert main.run(["plan", "recipe.toml"]) == 9
    assert "The current folder is gone" in capsys.readouterr().err


def test_two_recipes_for_one_name_in_one_place_are_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(f'schema = 1\nname = "{name}"\npackages = ["xx"]\n')
    for where in ("oci:out", "docker-archive:out.tar"):
        assert main.run(["build", "a.toml", "b.toml", "--to", where]) == 2
        assert "a.toml and b.toml would both be written to" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.toml", "b.toml"]
