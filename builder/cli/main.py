"""The command line: commands loaded on demand, every error turned into its message and exit code."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from builder import __version__
from builder.errors import MachineError, RootletError

INTERRUPTED = 130
_COMMANDS = {
    "build": "Build, scan and name the images of recipes.",
    "cache": "Show or empty the cache of packages and indexes.",
    "database": "Vulnerability data: update, import, status.",
    "doctor": "Say what works on this machine, and how to mend what does not.",
    "deps": "Show the libraries that a program would load, in any root folder.",
    "diff": "Say what differs between two images, recipes or root folders.",
    "dockerfile": "Write an image as one multi-stage Dockerfile.",
    "plan": "Show what would be in an image, with sizes and reasons.",
    "push": "Push an image to a registry, judged first.",
    "sbom": "Write the bill of materials of any image: CycloneDX or SPDX.",
    "scan": "Judge any image, archive or root folder.",
    "schema": "Print the JSON schema of recipes.",
    "why": "Say why a file is in an image: the chain of reasons.",
    "why-not": "Say why a file is not in an image, and what would add it.",
}
_PLANNED = ("init",)


class _OnDemand(click.Group):
    """A group whose commands are modules of this package, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (as above)
        if cmd_name in _PLANNED:
            raise click.UsageError(f"{cmd_name} is not supported yet")
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"builder.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (as above)
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rootlet")
def cli() -> None:
    """Compile recipes into minimal, scanned, reproducible container images: no daemon, no root."""


def main() -> None:
    """Entry point of the console script ``rootlet``."""
    _open_standard_streams()
    _leave(run(sys.argv[1:]))


def build() -> None:
    """Entry point of the console script ``build``: the same as ``rootlet build``."""
    _open_standard_streams()
    _leave(run(["build", *sys.argv[1:]]))


def _open_standard_streams() -> None:
    """Give streams that the caller closed to /dev/null: their numbers must not go to files of the build."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "w" if number else "r"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace"))


def _leave(code: int) -> NoReturn:
    """End the process at once: freeing every object one by one takes longer than an unchanged build."""
    if "builder.sources.stage.bench" in sys.modules:
        from builder.sources.stage.bench import wait_for_rooms  # noqa: PLC0415 (it is there already)

        wait_for_rooms()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code (see builder/errors.py)."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # what is in progress is cleaned up as after Ctrl-C
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            signal.signal(number, _interrupt)
    _never_fail_to_print()
    try:
        result = cli.main(list(arguments), prog_name="rootlet", standalone_mode=False)
    except SystemExit as error:  # click ends like this when nobody reads standard output any more
        return INTERRUPTED if error.code else 0
    except Exception as error:  # noqa: BLE001 (the last door: every failure has its words and its exit code)
        return _failed(error)
    except KeyboardInterrupt:
        return _say("interrupted; nothing was named and nothing is left behind", None, INTERRUPTED)
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    if isinstance(error, RootletError):
        return _say(error.message, error.hint, error.exit_code)
    if isinstance(error, click.Abort) and not isinstance(error.__cause__, EOFError):
        return _say("interrupted", None, INTERRUPTED)
    if isinstance(error, click.ClickException):
        error.show()
        return 2
    if isinstance(error, OSError):
        return _say(_os_message(error), _os_hint(error), MachineError.exit_code)
    import traceback  # noqa: PLC0415 (only for a bug)

    traceback.print_exception(error)
    return _say(f"this is a bug in rootlet {__version__}", "please report it with the lines above", 1)


def _never_fail_to_print() -> None:
    # Names of files need not be text: what standard output cannot say, it says as standard error does.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(message: str, hint: str | None, code: int) -> int:
    sys.stderr.write(f"rootlet: {message}\n")
    if hint:
        sys.stderr.write(f"  hint: {hint}\n")
    return code


def _os_message(error: OSError) -> str:
    if error.filename is None:
        try:
            Path.cwd()
        except OSError:
            return "The current folder is gone"
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _os_hint(error: OSError) -> str | None:
    import errno  # noqa: PLC0415 (only on the way out)

    hints = {
        errno.ENOSPC: "free some space (rootlet cache clean empties rootlet's cache) and run it again",
        errno.EACCES: "choose a folder that you may write, with --to or --cache",
        errno.EEXIST: "a folder is needed and something else is in its place; choose another path",
        errno.ENOTDIR: "a folder is needed and something else is in its place; choose another path",
        errno.EROFS: "choose a folder that can be written, with --to or --cache",
    }
    return hints.get(error.errno or 0)
