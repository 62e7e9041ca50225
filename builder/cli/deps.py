"""``rootlet deps``: what the dynamic loader would load for files of any root folder; nothing is run."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli import machine
from builder.elf.object import ElfError
from builder.errors import ResolutionError, RootletError
from builder.sysroot import Kind

if TYPE_CHECKING:
    from builder.elf.closure import Resolver
    from builder.elf.scope import Scope
    from builder.sources.folder import FolderSysroot

_BATCH = 4096
"""Files after which everything read is forgotten, so that a list of any length takes the same memory."""
_BLOCK = 1 << 16
_LONGEST = 1 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@click.command("deps")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--root",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/"),
    help="Root folder that FILE is in and libraries are looked for in.",
)
@click.option(
    "--from-list", "listing", type=click.File("rb"), help="Take more FILEs from a list, one a line."
)
@click.option("-0", "--null", is_flag=True, help="Names of the list end with NUL instead of newline.")
@click.option("--library-path", default="", metavar="FOLDERS", help="LD_LIBRARY_PATH of the process.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each FILE, in order.")
@click.option("--flat", is_flag=True, help="Only the paths of what is loaded, each once.")
@click.option("--depth", type=click.IntRange(min=1), help="Levels of the tree to show.")
def command(  # noqa: PLR0913 (one parameter for each option)
    files: tuple[str, ...],
    folder: Path,
    listing: BufferedReader | None,
    *,
    null: bool,
    library_path: str,
    as_json: bool,
    flat: bool,
    depth: int | None,
) -> int:
    """Show every library that the loader would open for FILE, and the rule that finds each.

    Nothing is executed. With --root, FILE is a path in that root or the path of a file below the folder.

    Exit code 0: everything was found. 3: a library is missing, or a FILE is not there or damaged.
    """
    if not files and listing is None:
        raise click.UsageError("name a FILE, or a list with --from-list")
    if as_json and flat:
        raise click.UsageError("--json and --flat are two forms of one answer")
    gc.set_threshold(50_000)  # closures are many small values without cycles: looking for some takes a tenth
    examiner = _Examiner(folder, _folders(library_path))
    named = (_Asked(file, examiner.on_path(file)) for file in files)
    listed = (_Asked(file, file) for file in _names(listing, b"\0" if null else b"\n"))
    printer = _Printer(examiner, as_json=as_json, flat=flat, depth=depth)
    for asked in named:
        printer.show(asked)
    for asked in listed:
        printer.show(asked)
    return ResolutionError.exit_code if printer.failed else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A FILE: as it was given, and the path that is looked for."""

    given: str
    path: str


class _NotElfError(ResolutionError):
    """A file that no loader has anything to do with."""


class _Examiner:
    """Answers for one root folder. Forgets everything now and then."""

    def __init__(self, folder: Path, library_path: tuple[str, ...]) -> None:
        self._folder = folder
        self._library_path = library_path
        self._here = os.getcwd()  # noqa: PTH109 (a text, as the kernel gives it)
        self._left = 0
        self._sysroot, self.resolver = self._fresh()

    def scope(self, path: str) -> Scope:
        """What ``path`` loads. RootletError says why nothing can be said."""
        if not self._left:
            self._sysroot, self.resolver = self._fresh()
        self._left -= 1
        place = self._place(path)
        try:
            scope = self.resolver.scope(place)
        except ElfError:
            raise
        except ResolutionError:
            self._left = 0  # what a hostile file made it remember must not be the next one's burden
            raise
        if scope is None:
            raise _NotElfError(f"{path} is not an ELF file")
        return scope

    def on_path(self, file: str) -> str:
        """``file``, or where a program of that name is if there is no such file here."""
        if "/" in file or self._is_there(file):
            return file
        is_machine = not self._sysroot.folder
        folders = machine.environment().get("PATH", _PATH) if is_machine else _PATH
        candidates = (f"{folder}/{file}" for folder in folders.split(":") if folder.startswith("/"))
        return next((path for path in candidates if self._is_there(path)), file)

    def _fresh(self) -> tuple[FolderSysroot, Resolver]:
        from builder.elf.closure import Resolver  # noqa: PLC0415 (imports of one command)
        from builder.elf.facts import ElfFacts  # noqa: PLC0415 (as above)
        from builder.sources.folder import FolderSysroot  # noqa: PLC0415 (as above)

        self._left = _BATCH
        sysroot = FolderSysroot(self._folder)
        facts = ElfFacts(None)
        resolver = Resolver(sysroot, facts, library_path=self._library_path, installed_cache=True)
        return sysroot, resolver

    def _is_there(self, path: str) -> bool:
        node = self._sysroot.lookup(path, base=self._base()).node
        return node is not None and node.kind is Kind.FILE

    def _base(self) -> str:
        """Where names without a slash in front start: the working folder, or the root that was named."""
        return "/" if self._sysroot.folder else self._here

    def _place(self, path: str) -> str:
        """The canonical path inside the root. ResolutionError when there is no regular file."""
        found = self._sysroot.lookup(path, base=self._base())
        if found.node is None and self._sysroot.folder:
            below = self._below(path)
            found = found if below is None else self._sysroot.lookup(below)
        if found.node is None:
            raise ResolutionError(f"{path} {self._why_not(found.path, loop=found.loop)}")
        if found.node.kind is not Kind.FILE:
            raise ResolutionError(f"{path} is a folder")
        return found.path

    def _below(self, path: str) -> str | None:
        """The path inside the root of what this machine calls ``path``, where it is below the folder."""
        whole = path if path.startswith("/") else f"{self._here}/{path}"
        for folder in (self._sysroot.folder, os.path.abspath(self._folder)):  # noqa: PTH100 (links stay)
            if whole.startswith(f"{folder}/"):
                return whole[len(folder) :]
        return None

    def _why_not(self, path: str, *, loop: bool) -> str:
        if loop:
            return "is a symbolic link that leads to itself"
        for known, reason in self._sysroot.unreadable.items():
            if path == known or path.startswith(f"{known}/"):
                return f"could not be looked at: {known}: {reason}"
        return "is not there, or is no regular file"


class _Printer:
    """Writes one answer after the other to standard output; what failed, without JSON, to standard error."""

    def __init__(self, examiner: _Examiner, *, as_json: bool, flat: bool, depth: int | None) -> None:
        self._examiner = examiner
        self._as_json = as_json
        self._flat = flat
        self._depth = depth
        self._colour = machine.colour(sys.stdout)
        self._printed: set[str] = set()
        self.failed = False

    def show(self, asked: _Asked) -> None:
        """Answer for one file."""
        from builder.report import deps as report  # noqa: PLC0415 (imports of one command)

        try:
            scope = self._examiner.scope(asked.path)
        except RootletError as error:
            self.failed = self.failed or not isinstance(error, _NotElfError)
            if self._as_json:
                self._write(report.json_error(asked.given, error.message))
            else:
                click.echo(f"rootlet: {report.printable(error.message)}", err=True)
            return
        self.failed = self.failed or any(not missing.optional for missing in scope.missing)
        if self._as_json:
            self._write(report.json_line(asked.given, scope))
        elif self._flat:
            self._show_flat(report.paths_of(scope), report.missing_lines(scope.missing))
        else:
            self._write(self._tree(asked.given, scope))

    def _tree(self, file: str, scope: Scope) -> str:
        from builder.report.deps import Tree, render_tree  # noqa: PLC0415 (imports of one command)

        closure = self._examiner.resolver.closure([scope.root])
        warnings = tuple(warning for warning in closure.warnings if warning not in self._printed)
        self._printed.update(warnings)
        tree = Tree(file=file, scope=scope, edges=closure.edges, warnings=warnings)
        return render_tree(tree, colour=self._colour, depth=self._depth)

    def _show_flat(self, paths: Iterable[str], missing: Iterable[str]) -> None:
        for path in paths:
            if path not in self._printed:
                self._printed.add(path)
                click.echo(os.fsencode(path))  # bytes: another program reads them
        for line in missing:
            click.echo(f"rootlet: {line}", err=True)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _folders(library_path: str) -> tuple[str, ...]:
    folders = tuple(folder for folder in library_path.replace(";", ":").split(":") if folder)
    for folder in folders:
        if not folder.startswith("/"):
            raise click.UsageError(f"--library-path {folder!r}: expected an absolute path inside the root")
    return folders


def _names(listing: BufferedReader | None, end: bytes) -> Iterator[str]:
    """The names of a list as they come; empty ones are none. UsageError for one of more than a MiB."""
    left = b""
    while listing is not None and (block := listing.read1(_BLOCK)):
        *whole, left = (left + block).split(end)
        yield from (os.fsdecode(name) for name in whole if name)
        if len(left) > _LONGEST:
            raise click.UsageError("--from-list: a name has more than a MiB; is it a list of paths?")
    if left:
        yield os.fsdecode(left)
