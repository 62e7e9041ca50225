"""What works on this machine, tried before a build needs it: for ``rootlet doctor``.

Each row is a kind of build, or a part of one; a row that does not work says the line that mends it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from builder.engine import buildah
from builder.engine.buildah import Engine
from builder.engine.command import Command, Runner
from builder.engine.failures import NO_NEWUIDMAP, NO_SUBUIDS, NOT_SETUID, Known
from builder.engine.lookup import ISOLATIONS, how_to_install
from builder.errors import BuildError, MachineError, RootletError
from builder.progress import human_size
from builder.sources.stage.bench import Bench, RoomWish, container
from builder.verify.obstacles import may_use_real_users, mend
from builder.workshop import Workshop

_LITTLE_SPACE = 1 << 30
_SHELVES = ("/usr", "/lib", "/lib64", "/bin")
"""Folders of the machine that are shown to a container without files, so that it can run a program."""
_PROBE = (
    "import sys; sys.path.append(sys.argv[1]); from builder.verify.confine import enter_namespaces; "
    "enter_namespaces({'uid': 0, 'gid': 0}, privileged=bool(int(sys.argv[2])))"
)
_SUBORDINATE = (Path("/etc/subuid"), Path("/etc/subgid"))
_MAPPERS = ("newuidmap", "newgidmap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that works or does not. ``needed``: without it a kind of build cannot be done at all."""

    name: str
    works: bool
    detail: str
    hint: str = ""
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who builds."""

    uid: int
    name: str

    @property
    def words(self) -> str:
        """Say who it is."""
        return "root" if self.uid == 0 else f"the user {self.name or self.uid}"


def examine(workshop: Workshop, bench: Bench, person: Person) -> Iterator[Row]:
    """Try everything, and say what came of it as soon as it is known."""
    yield from _archive_rows(workshop)
    yield _tests_row(bench.runner)
    yield from _stage_rows(bench, person)
    yield _storage_row(bench.runner)
    yield _push_row(workshop.registries.auth_files)


def all_needed(rows: Iterable[Row]) -> bool:
    """Whether every kind of build can be done."""
    return all(row.works for row in rows if row.needed)


def _archive_rows(workshop: Workshop) -> Iterator[Row]:
    name = "builds without stages"
    try:
        workshop.cache.mkdir(parents=True, exist_ok=True)
        probe = workshop.cache / f".doctor-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(workshop.cache).free
    except OSError as error:
        hint = "name a folder that you may write, with --cache or ROOTLET_CACHE"
        yield Row(name=name, works=False, detail=f"{workshop.cache}: {error.strerror}", hint=hint)
        return
    if workshop.mirrors is None:
        hint = "name a mirror, with --mirror or in the recipe's source"
        yield Row(name=name, works=False, detail="this machine names no package mirror", hint=hint)
    else:
        detail = f"packages from {workshop.mirrors.main}; {human_size(free)} free in {workshop.cache}"
        yield Row(name=name, works=True, detail=detail)
    if free < _LITTLE_SPACE:
        hint = "rootlet cache clean, or another folder with ROOTLET_CACHE"
        yield Row(name="space", works=False, detail=f"{human_size(free)} are little", hint=hint, needed=False)


def _tests_row(runner: Runner) -> Row:
    """Make the namespaces of a test, as the sandbox of tests does."""
    name = "tests of images"
    privileged = may_use_real_users()
    library = str(Path(__file__).resolve().parents[1])
    argv = (sys.executable, "-I", "-S", "-c", _PROBE, library, str(int(privileged)))
    try:
        runner.run(Command(argv=argv, description="making namespaces", timeout=60))
    except RootletError as error:
        last = error.message.strip().splitlines()[-1]
        hint = mend(_errno_of(last), privileged=privileged).partition("; --no-test")[0]
        return Row(name=name, works=False, detail=last, hint=hint)
    return Row(name=name, works=True, detail="namespaces, without network, can be made")


def _errno_of(text: str) -> int:
    """Read the number of a Python OSError: ``[Errno 1] …``."""
    digits = text.partition("[Errno ")[2].partition("]")[0]
    return int(digits) if digits.isdecimal() else 0


def _stage_rows(bench: Bench, person: Person) -> Iterator[Row]:
    name = "builds with stages"
    found = _obstacle(bench.runner, person)
    if found is not None:
        yield found
        return
    try:
        engine = bench.engine()
        _check_mapping(bench.runner, engine)
    except RootletError as error:
        yield Row(name=name, works=False, detail=error.message, hint=error.hint or "")
        return
    rows = [_isolation_row(bench, replace(engine, isolation=one)) for one in ISOLATIONS]
    chosen = next(row for row in rows if row.name.endswith(engine.isolation))
    version = ".".join(map(str, engine.version))
    if chosen.works:
        detail = f"buildah {version} as {person.words}, isolation {engine.isolation}, {_driver(engine)}"
        yield Row(name=name, works=True, detail=detail)
    else:
        yield replace(chosen, name=name, needed=True)
    yield from rows


def _driver(engine: Engine) -> str:
    store = engine.store
    if store.mount_program:
        return f"storage driver overlay through {store.mount_program}"
    slow = " (slow: it copies)" if store.driver == "vfs" else ""
    return f"storage driver {store.driver}{slow}"


def _obstacle(runner: Runner, person: Person) -> Row | None:
    """What a look at the machine's files says, before anything is run."""
    name = "builds with stages"
    if runner.find("buildah") is None:
        return Row(name=name, works=False, detail="buildah is not installed", hint=how_to_install())
    if person.uid == 0:
        return None
    known = _missing_mapping(runner, person)
    return None if known is None else Row(name=name, works=False, detail=known.sentence, hint=known.hint)


def _missing_mapping(runner: Runner, person: Person) -> Known | None:
    for program in _MAPPERS:
        path = runner.find(program)
        if path is None:
            return NO_NEWUIDMAP
        if not _may_map(Path(path)):
            return NOT_SETUID
    if not all(_has_range(path, person) for path in _SUBORDINATE):
        return NO_SUBUIDS
    return None


def _may_map(program: Path) -> bool:
    """Whether the program is setuid, or has the capabilities instead."""
    with contextlib.suppress(OSError):
        if os.getxattr(program, "security.capability"):
            return True
    try:
        return bool(program.stat().st_mode & stat.S_ISUID)
    except OSError:
        return False


def _has_range(path: Path, person: Person) -> bool:
    """Whether ``name:start:count`` (subuid(5)) gives the person any numbers."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    rows = (line.split(":") for line in lines)
    return any(
        row[0] in {person.name, str(person.uid)} and row[-1] not in {"", "0"} for row in rows if row[0]
    )


def _check_mapping(runner: Runner, engine: Engine) -> None:
    """MachineError when a user's namespace has one number only: buildah says so, and goes on."""
    if not engine.unshare:
        return
    command = buildah.unshare(engine.store.program, "cat", "/proc/self/uid_map")
    rows = runner.run(command).stdout.split(b"\n")
    if sum(int(row.split()[2]) for row in rows if row.strip()) == 1:
        raise MachineError(NOT_SETUID.sentence, hint=NOT_SETUID.hint)


def _isolation_row(bench: Bench, engine: Engine) -> Row:
    """Run a program of the machine in a container without files, and look which network it sees."""
    name = f"  isolation {engine.isolation}"
    shelves = tuple((path, path, "ro") for path in _SHELVES if Path(path).is_dir())
    lines: list[str] = []
    command = buildah.Run(argv=("/bin/cat", "/proc/net/dev"), volumes=shelves, seconds=60)
    try:
        with container(bench, engine, RoomWish(image="scratch")) as made:
            made.run(command, lines.append)
    except RootletError as error:
        said = [line for line in lines if line.strip()]
        detail = said[-1].strip() if said and isinstance(error, BuildError) else error.message.splitlines()[0]
        return Row(name=name, works=False, detail=detail, hint=error.hint or "", needed=False)
    names = [line.partition(":")[0].strip() for line in lines if ":" in line]
    if names != ["lo"]:
        detail = f"the network cannot be taken away: {', '.join(names)}"
        return Row(name=name, works=False, detail=detail, hint="use another isolation", needed=False)
    return Row(name=name, works=True, detail="runs programs; no network but the loopback", needed=False)


def _storage_row(runner: Runner) -> Row:
    name = 'output "storage"'
    program = runner.find("skopeo") or runner.find("buildah")
    if program is None:
        hint = "sudo apt-get install skopeo"
        return Row(
            name=name, works=False, detail="neither skopeo nor buildah is installed", hint=hint, needed=False
        )
    return Row(name=name, works=True, detail=f"by {program}", needed=False)


def _push_row(files: tuple[Path, ...]) -> Row:
    name = "registries"
    found = [path for path in files if path.is_file()]
    unreadable = [path for path in found if not os.access(path, os.R_OK)]
    if unreadable:
        detail = f"{unreadable[0]} cannot be read"
        return Row(name=name, works=False, detail=detail, hint=f"chmod u+r {unreadable[0]}", needed=False)
    detail = f"credentials in {found[0]}" if found else "without credentials: images that anybody may read"
    return Row(name=name, works=True, detail=detail, needed=False)
