"""What is known of buildah on this machine, looked up once and kept as long as nothing of it changes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builder.engine import buildah
from builder.engine.buildah import OLDEST, Engine, Store, Version
from builder.engine.command import Runner
from builder.engine.failures import NO_OVERLAY, find, translate
from builder.errors import BuildError, MachineError
from builder.files import read_checked, write_bytes, write_checked

ISOLATIONS = ("chroot", "oci", "rootless")
_VERSION = re.compile(rb"^Version:\s*v?(\d+)\.(\d+)", re.MULTILINE)
_POLICY = b'{"default": [{"type": "insecureAcceptAnything"}]}\n'
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: the folder of the storage, BUILDAH_ISOLATION or "", whether this is root."""

    folder: Path
    isolation: str = ""
    root: bool = False


def look_up(runner: Runner, wish: Wish) -> Engine:
    """The engine for this user on this machine; the storage driver is the best one that works.

    MachineError when buildah is missing or too old, or cannot make its storage.
    """
    program = runner.find("buildah")
    if program is None:
        raise MachineError("Build stages need buildah, and it is not installed", hint=how_to_install())
    isolation = check_isolation(wish.isolation)
    store = _store(program, wish.folder)
    write_policy(store)
    memory = wish.folder / "engine.json"
    question = _question(program, runner, wish)
    known = _recall(memory, question)
    if known is None:
        version = read_version(runner, program)
        store = choose_driver(runner, store)
        known = (version, store.driver, store.mount_program)
        write_checked(memory, json.dumps([question, *known]).encode())
    version, driver, mount_program = known
    return Engine(
        store=replace(store, driver=driver, mount_program=mount_program),
        version=version,
        isolation=isolation,
        unshare=() if wish.root else (program, "unshare"),
    )


def _store(program: str, folder: Path) -> Store:
    for name in ("storage", "run", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    return Store(program=program, root=folder / "storage", run=folder / "run", scratch=folder / "scratch")


def write_policy(store: Store) -> None:
    """Write the signature policy of the storage where it is missing."""
    if not store.policy.is_file():
        write_bytes(store.policy, _POLICY)


def check_isolation(name: str) -> str:
    """BUILDAH_ISOLATION as it stands, or the one that works everywhere. MachineError for another word."""
    if name and name not in ISOLATIONS:
        raise MachineError(
            f"BUILDAH_ISOLATION is {name!r}, which is no isolation",
            hint=f"one of {', '.join(ISOLATIONS)}, or nothing",
        )
    return name or "chroot"


def read_version(runner: Runner, program: str) -> Version:
    """Read the version of buildah. MachineError when it is too old, BuildError when it says none."""
    said = runner.run(buildah.version(program)).stdout
    match = _VERSION.search(said)
    if match is None:
        raise BuildError(f"{program} version says no version")
    version = (int(match[1]), int(match[2]))
    if version < OLDEST:
        raise MachineError(
            f"buildah {version[0]}.{version[1]} is too old for build stages",
            hint=f"install version {OLDEST[0]}.{OLDEST[1]} or later",
        )
    return version


def choose_driver(runner: Runner, store: Store) -> Store:
    """The storage with the first driver that works in its folder: overlay, fuse-overlayfs, plain copies.

    A storage that is there already keeps its driver. Raises what the last one met.
    """
    failure: BuildError | None = None
    for candidate in _candidates(runner, store):
        try:
            said = json.loads(runner.run(buildah.info(candidate)).stdout)
        except BuildError as error:
            known = find(error.message)
            if known not in {None, NO_OVERLAY} and candidate == replace(store, driver="overlay"):
                raise translate(error.message) or error from error
            failure = error
            continue
        if said["store"]["GraphDriverName"] == candidate.driver:
            return candidate
    if failure is None:
        raise MachineError("buildah has no storage driver that works here", hint="rootlet doctor")
    raise translate(failure.message) or failure from failure


def _candidates(runner: Runner, store: Store) -> Iterator[Store]:
    fuse = runner.find("fuse-overlayfs")
    made = [name for name in ("overlay", "vfs") if (store.root / f"{name}-images").is_dir()]
    if made != ["vfs"]:
        yield replace(store, driver="overlay")
        if fuse is not None:
            yield replace(store, driver="overlay", mount_program=fuse)
    if made != ["overlay"]:
        yield replace(store, driver="vfs")


def how_to_install() -> str:
    """Say how buildah is installed where this runs."""
    return "sudo apt-get install buildah uidmap (Fedora: sudo dnf install buildah)"


def _question(program: str, runner: Runner, wish: Wish) -> str:
    """Everything after whose change it is looked up anew."""
    stamps = []
    for path in (program, runner.find("fuse-overlayfs"), "/etc/subuid", "/etc/containers/storage.conf"):
        try:
            status = os.stat(path) if path else None  # noqa: PTH116 (a name or None)
        except OSError:
            status = None
        stamps.append([path, status and [status.st_size, status.st_mtime_ns, status.st_ino]])
    return json.dumps([_FORMAT, stamps, os.uname().release, wish.root])


def _recall(memory: Path, question: str) -> tuple[Version, str, str] | None:
    body = read_checked(memory)
    try:
        asked, version, driver, mount_program = json.loads(body or b"null")
    except (ValueError, TypeError):
        return None
    return ((version[0], version[1]), driver, mount_program) if asked == question else None


def as_json(engine: Engine) -> dict[str, object]:
    """The engine as plain values, for ``rootlet doctor --json``."""
    plain = asdict(engine)
    plain["store"] = {name: str(value) for name, value in plain["store"].items()}
    plain["version"] = ".".join(map(str, engine.version))
    return plain
