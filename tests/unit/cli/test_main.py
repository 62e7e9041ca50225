"""Exit codes, streams and words of every kind of end; commands that need no network."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from builder import errors
from builder.cli import machine, main, options
from builder.cli.values import AGE, SEVERITY
from builder.cli.workshop import MachineOptions, given_variables, make_workshop, uses_given
from builder.errors import Problem, RecipeError, RootletError
from builder.oci import Platform
from builder.progress import Bar, JsonLines, Plain, Silent
from builder.recipe.model import Severity
from tests.support.tools import REPOSITORY


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("ROOTLET_DATABASE", "ROOTLET_MIRROR", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)


def ending_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(main.cli, "invoke", fail)
    return main.run(["schema"])


ENDS: dict[str, tuple[BaseException, int, str]] = {
    "a wrong recipe": (
        RecipeError((Problem(file="r.toml", line=3, key="name", message="wrong"),)),
        2,
        "r.toml:3: name: wrong",
    ),
    "not found": (errors.ResolutionError("no package", hint="name it"), 3, "hint: name it"),
    "a failed tool": (errors.BuildError("tool failed"), 4, "rootlet: tool failed"),
    "the gate": (errors.PolicyError("no"), 5, "rootlet: no"),
    "a smoke test": (errors.SmokeError("smoke"), 6, "smoke"),
    "a stale lock": (errors.LockError("stale"), 7, "stale"),
    "no judgement": (errors.ScanError("unknown"), 8, "unknown"),
    "the machine": (errors.MachineError("lacks"), 9, "lacks"),
    "a wrong command line": (click.UsageError("what?"), 2, "what?"),
    "a full disk": (OSError(errno.ENOSPC, "No space left on device", "/x"), 9, "rootlet cache clean"),
    "a folder that may not be written": (
        PermissionError(errno.EACCES, "Permission denied", "/x"),
        9,
        "/x: Perm",
    ),
    "a file system to read": (OSError(errno.EROFS, "Read-only file system"), 9, "can be written"),
    "an error of the system without words": (OSError("odd"), 9, "odd"),
    "a bug": (ZeroDivisionError("oops"), 1, "this is a bug in rootlet"),
    "a bug that looks like the end of a file": (EOFError("truncated"), 1, "EOFError: truncated"),
    "an interruption": (KeyboardInterrupt(), 130, "interrupted"),
    "an aborted question": (click.Abort(), 130, "interrupted"),
    "standard output closed": (BrokenPipeError(errno.EPIPE, "Broken pipe"), 130, ""),
}


@pytest.mark.parametrize("case", ENDS)
def test_every_end_has_its_code_and_its_words(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, code, words = ENDS[case]
    stdout, stderr = sys.stdout, sys.stderr
    try:
        assert ending_with(error, monkeypatch) == code
    finally:
        sys.stdout, sys.stderr = stdout, stderr  # click wraps them when the reader is gone
    out, err = capsys.readouterr()
    assert words in err
    assert out == ""
    assert ("Traceback" in err) == (code == 1)


def test_every_class_of_errors_has_a_code_of_its_own() -> None:
    classes = RootletError.__subclasses__()
    assert sorted(one.exit_code for one in classes) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert str(errors.BuildError("a", hint="b")) == "a\n  hint: b"


def test_many_problems_are_counted() -> None:
    problem = Problem(file="r", line=None, key="", message="m")
    assert str(RecipeError((problem, problem))) == "The recipe has 2 problems:\n  r: m\n  r: m"


WRONG = {
    "no command": [],
    "an unknown command": ["bild"],
    "an unknown option": ["build", "--nope", "r"],
    "no recipe": ["build"],
    "a setting without a value": ["plan", "r", "--set", "x"],
    "a setting without a name": ["plan", "r", "--set", "=x"],
    "no platform": ["plan", "r", "--platform", "linux"],
    "offline and refresh": ["plan", "r", "--offline", "--refresh"],
    "an odd age": ["build", "r", "--max-database-age", "7w"],
    "a negative age": ["build", "r", "--max-database-age=-1"],
    "an odd severity": ["scan", "dir:.", "--fail-on", "severe"],
    "an odd platform to scan": ["scan", "dir:.", "--platform", "x"],
    "an ecosystem that nobody knows": ["database", "update", "Windows"],
    "an import of nothing": ["database", "import", "gone"],
    "a descriptor that is not open": ["plan", "r", "--progress-fd", "987"],
    "a negative descriptor": ["plan", "r", "--progress-fd", "-1"],
    "a recipe that is not there": ["build", "gone.toml"],
    "a recipe that is a folder": ["plan", "."],
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_line_is_exit_2(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(WRONG[case]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["build", "-h"], ["database", "--help"]])
def test_help_is_no_failure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(arguments) == 0
    assert capsys.readouterr().out


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"]


def test_a_wrong_output_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.toml").write_text('schema = 1\nname = "x"\npackages = ["xyz"]\n')
    assert main.run(["build", "r.toml", "--to", "nowhere"]) == 2
    assert "--to: " in capsys.readouterr().err


def test_a_wrong_epoch_is_exit_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('schema = 1\nname = "x"\npackages = ["xyz"]\n')
    for text in ("yesterday", "-1", "1.5", str(1 << 40)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
        assert main.run(["plan", "r.toml"]) == 2
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert machine.source_date_epoch() == 12


def test_offline_without_a_cache_is_exit_9(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.toml").write_text('schema = 1\nname = "x"\npackages = ["xyz"]\n')
    for command in ("plan", "build"):
        arguments = [command, "r.toml", "--offline", "--mirror", "http://mirror.test/debian"]
        assert main.run(arguments) == 9
        assert "offline" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) in (["r.toml"], ["cache", "r.toml"])


def test_data_is_imported_shown_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["database", "status"]) == 8
    assert main.run(["database", "import", str(REPOSITORY / "tests/data/osv")]) == 0
    assert main.run(["database", "status"]) == 0
    assert "Debian: " in capsys.readouterr().out
    assert main.run(["database", "update", "-q", "--from", str(REPOSITORY / "tests/data/osv"), "Debian"]) == 0
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="13"\n')
    (root / "odd\udcff").write_text("x")
    arguments = ["scan", f"dir:{root}", "--max-database-age", "any", "--unscannable", "warn"]
    capsys.readouterr()
    assert main.run([*arguments, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)
    for form in ("json", "table"):
        assert main.run([*arguments, "--format", form, "-o", "report"]) == 0
        assert (tmp_path / "report").read_text()
    assert main.run(["scan", "dir:gone", "--max-database-age", "any"]) == 8
    assert main.run(["scan", f"dir:{root}", "--database", str(tmp_path / "none")]) == 8


def test_the_cache_is_measured_and_emptied_but_for_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for room in ("packages/a", "elf", "database", "newest", "mine"):
        (tmp_path / "cache" / room).mkdir(parents=True)
        (tmp_path / "cache" / room / "f").write_bytes(bytes(1500))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_text("x")
    (tmp_path / "cache" / "packages" / "link").symlink_to(tmp_path / "outside")
    assert main.run(["cache", "status"]) == 0
    assert "1.5 kB       1 files" in capsys.readouterr().out
    assert main.run(["cache", "clean"]) == 0
    assert "freed 3.0 kB" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["database", "mine", "newest"]
    assert (tmp_path / "outside" / "f").exists()
    assert main.run(["cache", "--cache", str(tmp_path / "none"), "clean"]) == 0


def test_standard_output_says_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    monkeypatch.setattr(main.cli, "invoke", lambda _: click.echo("é\udcff —"))
    assert main.run(["schema"]) == 0
    sys.stdout.flush()
    assert raw.getvalue().decode() == "é\\udcff —\n"


def test_a_reader_that_goes_away_is_no_bug() -> None:
    command = [sys.executable, "-m", "builder", "schema"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 130


# ---- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("AMD64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("riscv64", "linux/riscv64"),
        ("vax", "linux/amd64"),
    ],
)
def test_the_machines_platform(name: str, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=name))
    assert machine.native_platform() == Platform.parse(platform)


def test_folders_come_from_the_options_the_environment_and_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert options.folders(None, None) == (tmp_path / "cache", tmp_path / "cache/database")
    monkeypatch.setenv("ROOTLET_DATABASE", "rel")
    assert options.folders(Path("c"), None) == (tmp_path / "c", tmp_path / "rel")
    assert options.folders(None, Path("d"))[1] == tmp_path / "d"
    monkeypatch.delenv("ROOTLET_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert machine.cache_folder() == Path("/xdg/rootlet")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative: to be ignored")
    monkeypatch.setenv("HOME", "/h")
    assert machine.cache_folder() == Path("/h/.cache/rootlet")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machine.cache_folder() == Path("/h/Library/Caches/rootlet")


def test_a_user_without_a_home_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ROOTLET_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert main.run(["cache", "status"]) == 9
    assert "ROOTLET_CACHE" in capsys.readouterr().err


def test_proxies_in_both_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "a")
    monkeypatch.setenv("http_proxy", "b")
    monkeypatch.setenv("NO_PROXY", "c")
    assert machine.proxies() == {"http_proxy": "b", "no_proxy": "c"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise io.UnsupportedOperation


def test_displays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(machine.make_progress("auto", descriptor=None), Plain)
    monkeypatch.setattr(sys, "stderr", Terminal())
    kinds = {
        kind: machine.make_progress(kind, descriptor=None)
        for kind in ("auto", "bar", "plain", "json", "none")
    }
    assert [type(one) for one in kinds.values()] == [Bar, Bar, Plain, JsonLines, Silent]
    monkeypatch.setenv("CI", "1")
    assert isinstance(machine.make_progress("auto", descriptor=None), Plain)
    assert isinstance(options.progress_display("auto", None, quiet=True), Silent)
    assert isinstance(options.progress_display("json", None, quiet=True), JsonLines)


def test_a_descriptor_gets_json_lines() -> None:
    reader, writer = os.pipe()
    try:
        for kind in ("auto", "json", "none"):
            display = machine.make_progress(kind, descriptor=writer)
            display.step(kind)
            assert json.loads(os.read(reader, 1000)) == {"event": "step", "text": kind}
    finally:
        os.close(reader)
        os.close(writer)


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")
    assert not machine.colour()
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert machine.colour()  # an empty NO_COLOR says nothing
    monkeypatch.setenv("NO_COLOR", "1")
    assert not machine.colour()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not machine.colour()


def test_values_of_options() -> None:
    assert [AGE.convert(text, None, None) for text in ("7d", "12h", "any", "0h")] == [604800, 43200, None, 0]
    assert [SEVERITY.convert(text, None, None) for text in ("high", "LOW", "none")] == [
        Severity.HIGH,
        Severity.LOW,
        None,
    ]
    for text in ("", "d", "7", "7D", "-1d", "1234567d", "7 d"):
        with pytest.raises(click.BadParameter):
            AGE.convert(text, None, None)


def test_mirrors_of_the_command_line() -> None:
    def mirrors(**given: str) -> tuple[str, str] | None:
        words = {"mirror": "", "security_mirror": "", "refresh": False, "offline": False, **given}
        words["insecure_registries"] = ()
        archive = options.read_archive_options(words)
        found = make_workshop(MachineOptions(archive=archive, cache=None, database=None), Silent()).mirrors
        return (found.main, found.security) if found is not None else None

    own = mirrors()
    assert mirrors(mirror="http://mirror.test/debian/") == ("http://mirror.test/debian", "")
    both = mirrors(mirror="http://mirror.test/debian", security_mirror="http://mirror.test/s/")
    assert both == ("http://mirror.test/debian", "http://mirror.test/s")
    if own is not None:
        assert mirrors(security_mirror="http://mirror.test/s/") == (own[0], "http://mirror.test/s")


def test_variables_that_rootlet_knows(tmp_path: Path) -> None:
    given = given_variables(tmp_path / "r.toml")
    assert len(given["date"]) == 8
    assert "git.sha" not in given
    (tmp_path / "r.toml").write_text("tags = ['{date}']")
    assert uses_given([tmp_path / "r.toml", tmp_path / "gone"], "{date}")
    assert not uses_given([tmp_path / "r.toml", tmp_path], "{git.")
