"""Where stages are run: the engine, the folders that are kept, and a container in a room of its own.

<folder>/storage, run, scratch     buildah's private storage (builder/engine/buildah.py)
<folder>/trees, packs              what stages left: nodes and bytes
<folder>/images                    which stored image a key stands for
<folder>/caches                    persistent caches of commands
<folder>/logs, locks, rooms        logs of stages that failed; who is at work
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from builder.engine import buildah
from builder.engine.buildah import NO_LIMITS, Engine, Limits
from builder.engine.command import Command, MachineRunner, Runner, Sink
from builder.engine.failures import NO_SPACE
from builder.engine.lookup import Wish, look_up
from builder.engine.session import RoomPlan, Session, attend
from builder.errors import BuildError, MachineError
from builder.files import read_checked, write_checked
from builder.progress import Progress
from builder.sources.stage.journal import abandoned, container_name
from builder.sources.stage.options import StageOptions
from builder.sources.stage.rows import laid
from builder.sources.stage.upkeep import ROOM, mark_used, remove_abandoned, sweep_unused
from builder.sysroot import Content, Node, Sysroot

_BOOT = "import sys; sys.path.append(sys.argv[1]); from builder.sources.stage.inside import main; main()"
_INSIDE_SECONDS = 3600.0
_CLOSING = "closing-"
_NO_SPACE = 1 << 20
"""Bytes: with less of them free, a disk is full."""
SECRETS = "/run/secrets"
Signs: TypeAlias = Mapping[str, list[int]] | Path
_NOTHING: Mapping[str, Content] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What stages need of the machine.

    ``isolation``: BUILDAH_ISOLATION or ""; ``epoch``: SOURCE_DATE_EPOCH or None.
    """

    runner: MachineRunner
    progress: Progress
    cache: Path
    isolation: str = ""
    epoch: int | None = None
    shell: bool = False
    """Open a shell for a person in a stage that fails."""
    proxies: tuple[tuple[str, str], ...] = ()
    """Variables that commands with a network get besides."""
    sessions: Sessions
    trees: dict[str, Sysroot]
    """Trees of bases by key, each read once."""

    @property
    def folder(self) -> Path:
        """Where everything of stages is kept, for each user apart."""
        return self.cache / ROOM / str(os.geteuid())

    def engine(self) -> Engine:
        """Look buildah up, and remove what processes left that were killed. MachineError without buildah."""
        wish = Wish(folder=self.folder, isolation=self.isolation, root=os.geteuid() == 0)
        engine = look_up(self.runner, wish)
        remove_abandoned(self.folder, engine, self.runner)
        sweep_unused(self.folder, engine, self.runner)
        return engine

    def has_leftovers(self) -> bool:
        """Whether killed processes may have left a container."""
        return bool(abandoned(self.folder / "rooms"))

    def image(self, key: str) -> str:
        """ID of the stored image that stands for ``key``; "" where none is known."""
        path = self.folder / "images" / f"{key}.json"
        body = read_checked(path)
        if body is not None:
            mark_used([path])
        return "" if body is None else str(json.loads(body)["image"])

    def remember_image(self, key: str, image: str) -> None:
        """Write down that an image stands for ``key``."""
        write_checked(self.folder / "images" / f"{key}.json", json.dumps({"image": image}).encode())

    def forget_images(self) -> None:
        """Forget every image: the storage is not the one in which they were."""
        for path in (self.folder / "images").glob("*.json"):
            path.unlink(missing_ok=True)


def bench_of(runner: Runner, progress: Progress, cache: Path, options: StageOptions) -> Bench:
    """The bench of a command. MachineError where no programs may be started."""
    if not isinstance(runner, MachineRunner):
        raise MachineError("Build stages need programs of this machine, and none may be started here")
    return Bench(
        runner=runner,
        progress=progress,
        cache=cache,
        isolation=options.isolation,
        epoch=options.epoch,
        shell=options.shell,
        proxies=tuple(options.proxies.items()),
        sessions=Sessions(),
        trees={},
    )


class Sessions:
    """The rooms that are open, so that an interruption can close them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Session] = []
        self._stopped = False

    @contextlib.contextmanager
    def added(self, session: Session) -> Iterator[None]:
        """Count a room among the open ones. BuildError when everything is being stopped."""
        with self._lock:
            self._open.append(session)
            if self._stopped:
                session.abort()
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(session)

    def stop(self) -> None:
        """Have whatever runs in a room end now, and whatever would start."""
        with self._lock:
            self._stopped = True
            for session in self._open:
                session.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomWish:
    """What container is wanted, in what room. ``secrets``: ids and values.

    ``kept`` are folders of this machine that outlast the container and that no secret may get into.
    """

    image: str
    network: bool = False
    limits: Limits = NO_LIMITS
    secrets: tuple[tuple[str, bytes], ...] = ()
    kept: tuple[Path, ...] = ()


class Container:
    """A working container in its room."""

    def __init__(self, bench: Bench, engine: Engine, session: Session, name: str, wish: RoomWish) -> None:
        self._bench = bench
        self._engine = engine
        self._session = session
        self.name = name
        self._wish = wish
        self._root = ""

    def start(self) -> None:
        """Make the container. BuildError when its image is not in the storage."""
        self._session.run(buildah.from_image(self._engine, self._wish.image, self.name))

    def lay(self, nodes: Iterable[Node]) -> None:
        """Lay files into the container."""
        self._inside("lay", "files are laid into the stage", nodes=laid(nodes))

    def signs(self) -> dict[str, list[int]]:
        """Everything there is, with what the kernel changes whenever a file is changed."""
        found: dict[str, list[int]] = self._inside("sign", "the stage's files are listed", skipped=[SECRETS])[
            "signs"
        ]
        return found

    def take(
        self, signs: Signs, pack: Path | None, known: Mapping[str, Content] = _NOTHING
    ) -> dict[str, Any]:
        """Find what changed since ``signs``; with ``pack`` take the bytes along that are not ``known``.

        ``signs``: the list, or its file. BuildError when a secret lies in a changed file.
        """
        answer = self._inside(
            "take",
            "the stage's files are collected",
            signs=str(signs) if isinstance(signs, Path) else signs,
            known={path: [one.size, one.sha256] for path, one in known.items()},
            skipped=[SECRETS],
            pack=str(pack) if pack is not None else "",
            kept=[str(folder) for folder in self._wish.kept],
            secrets=[base64.b64encode(value).decode() for _, value in self._wish.secrets if value.strip()],
        )
        if answer["leaks"]:
            raise BuildError(
                f"A secret of the stage was written to {', '.join(answer['leaks'][:3])}: nothing is kept",
                hint=f"read secrets from {SECRETS}/ when they are needed, and do not copy them",
            )
        return answer

    def run(self, command: buildah.Run, sink: Sink) -> None:
        """Run a command, with its secrets mounted, and give each line of its output to ``sink``."""
        folder = secrets_folder(self._bench, self.name)
        secrets = tuple((f"{folder}/{one}", f"{SECRETS}/{one}", "ro") for one, _ in self._wish.secrets)
        command = replace(command, volumes=(*secrets, *command.volumes))
        limited = replace(buildah.run(self._engine, self.name, command), memory=self._wish.limits.memory)
        self._session.stream(limited, sink)

    def open_shell(self) -> None:
        """Let a person look around in the container, on the terminal."""
        self._session.run(buildah.unmount(self._engine, self.name))
        self._root = ""
        command = buildah.run(
            self._engine, self.name, buildah.Run(argv=("/bin/sh",), workdir="", terminal=True)
        )
        plan = RoomPlan(network=self._wish.network)
        attend(self._bench.runner, plan, command, unshare=self._engine.unshare)

    def commit(self) -> str:
        """Keep what is there as an image; its ID."""
        said = self._session.run(buildah.commit(self._engine, self.name)).stdout
        return said.decode().split()[-1]

    def _inside(self, what: str, description: str, **job: Any) -> dict[str, Any]:
        if not self._root:
            said = self._session.run(buildah.mount(self._engine, self.name)).stdout
            self._root = said.decode().strip()
        library = str(Path(__file__).resolve().parents[3])
        command = Command(
            argv=(sys.executable, "-I", "-S", "-c", _BOOT, library),
            description=description,
            stdin=json.dumps({"do": what, "root": self._root, **job}).encode(),
            timeout=_INSIDE_SECONDS,
        )
        answer: dict[str, Any] = json.loads(self._session.run(command).stdout)
        return answer


def secrets_folder(bench: Bench, name: str) -> Path:
    """Where the room of a container has its secrets; empty for everybody else."""
    return bench.folder / "scratch" / f"{name}.secrets"


@contextlib.contextmanager
def container(bench: Bench, engine: Engine, wish: RoomWish) -> Iterator[Container]:
    """A working container that is there until the block ends, and gone however it ends.

    After a good end it is removed beside what comes next: see :func:`wait_for_rooms`.
    """
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(container_name(bench.folder / "rooms"))
        secrets = secrets_folder(bench, name)
        secrets.mkdir(mode=0o700, parents=True)
        stack.callback(secrets.rmdir)
        plan = RoomPlan(
            network=wish.network,
            processors=wish.limits.processors,
            folder=secrets,
            secrets=wish.secrets,
            cleanup=buildah.remove(engine, name).argv,
            environment=bench.proxies if wish.network else (),
        )
        session = stack.enter_context(Session(bench.runner, plan, unshare=engine.unshare))
        stack.enter_context(bench.sessions.added(session))
        made = Container(bench, engine, session, name, wish)
        with _full_disk_is_the_cause(bench.folder):
            made.start()
            yield made
        threading.Thread(target=stack.pop_all().close, name=f"{_CLOSING}{name}").start()


@contextlib.contextmanager
def _full_disk_is_the_cause(folder: Path) -> Iterator[None]:
    """Say that the disk is full where it is: what fails then may say anything, or nothing."""
    try:
        yield
    except BuildError as error:
        if shutil.disk_usage(folder).free < _NO_SPACE:
            raise MachineError(NO_SPACE.sentence, hint=NO_SPACE.hint) from error
        raise


def wait_for_rooms() -> None:
    """Wait until containers that are being removed are gone. Without that, the rooms do it by themselves."""
    for thread in threading.enumerate():
        if thread.name.startswith(_CLOSING):
            thread.join()
