"""A stage from its key to its tree: remembered where nothing changed, else run from the first step that did.

Each command has a key: that of what was before, and the command. The container is kept as a stored
image after commands that took long, so that a change in a later command starts there. What a finished stage
left is one file of nodes and one of bytes; the next build needs no buildah.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.engine import buildah
from builder.engine.buildah import Engine, Limits
from builder.errors import BuildError
from builder.recipe.source_model import StageSource
from builder.sources.stage.base import Acquire, Base, Prepared, base_tree, prepare
from builder.sources.stage.bench import Bench, Container, RoomWish, container
from builder.sources.stage.context import Context
from builder.sources.stage.delta import DeltaSysroot
from builder.sources.stage.journal import alone
from builder.sources.stage.logs import StageLog
from builder.sources.stage.rows import Rows, read_rows, taken, write_rows
from builder.sources.stage.upkeep import mark_used
from builder.sysroot import Kind, Node, Sysroot

FORMAT = 2
"""Raised when stages come out otherwise; what was kept of another format counts as absent."""

_WORTH_KEEPING = 2.0
"""Seconds of work after which a container is kept as an image: that itself takes a quarter of a second."""
_EPOCH = 946684800
"""Time of files that are copied into a stage where SOURCE_DATE_EPOCH does not say another: 2000-01-01."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A stage with everything that decides what it leaves. ``origin`` is the base at the bottom of its chain.

    ``above``: keys of what stages before it in the chain left (their images hold it), the lowest first.
    ``wanted``: another stage starts from it, so that its last image is kept. ``secrets``: ids and values.
    """

    source: StageSource
    origin: Base
    start: str
    """Key of what it starts from: the origin, or the last step of another stage."""
    context: Context
    wanted: bool = False
    fresh: bool = False
    """Nothing that was kept is used (--no-cache)."""
    recipe: str = ""
    """Whose persistent caches are used."""

    @property
    def runs_programs(self) -> bool:
        """Whether programs of its platform are run: its commands, or those that configure its packages."""
        return bool(self.source.run or self.origin.locked)

    def keys(self, epoch: int | None) -> tuple[str, ...]:
        """The key before the first command, and after each of them."""
        source = self.source
        words: list[Any] = [FORMAT, self.start, self.context.key, source.env, source.workdir, source.user]
        words += [source.network, [one.id for one in source.secrets], source.cache, epoch, self.origin.env]
        keys = [_hash(words)]
        for command in source.run:
            keys.append(_hash([keys[-1], command]))
        return tuple(keys)


def _hash(words: object) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a stage left. ``key`` stands for it."""

    key: str
    tree: Sysroot


def remembered(task: Task, bench: Bench) -> Left | None:
    """What the stage left when it was run with the same inputs; None when that is not known any more."""
    key = task.keys(bench.epoch)[-1]
    if task.fresh:
        return None
    tree = base_tree(task.origin, bench)
    rows = read_rows(_rows_path(bench, key), bench.cache) if tree is not None else None
    if tree is None or rows is None:
        return None
    used = (key, task.origin.key)
    mark_used(bench.folder / "packs" / f"{one}.pack" for one in used)
    mark_used(bench.folder / "trees" / f"{one}.{kind}" for one in used for kind in ("json", "signs"))
    return Left(key=key, tree=DeltaSysroot(tree, rows.nodes, rows.gone))


def run_stage(
    task: Task, bench: Bench, engine: Engine, *, secrets: tuple[tuple[str, bytes], ...], acquire: Acquire
) -> Left:
    """Run what has to be run. BuildError when a command fails, with the end of its output."""
    key = task.keys(bench.epoch)[-1]
    with alone(bench.folder / "locks" / key) as waited:
        found = remembered(task, bench) if waited else None
        if found is not None and (not task.wanted or bench.image(key)):
            return found
        prepared = prepare(task.origin, bench, engine, acquire=acquire)
        return _Run(task, bench, engine, prepared, secrets).run()


class _Run:
    def __init__(
        self,
        task: Task,
        bench: Bench,
        engine: Engine,
        prepared: Prepared,
        secrets: tuple[tuple[str, bytes], ...],
    ) -> None:
        self._task = task
        self._source = task.source
        self._bench = bench
        self._engine = engine
        self._prepared = prepared
        self._secrets = secrets
        self._keys = task.keys(bench.epoch)

    def run(self) -> Left:
        """Start at the last step that was kept, run the rest, take what changed along."""
        source = self._source
        name = f"{source.name}-{self._keys[-1][:12]}"
        done, image = self._begin()
        wish = RoomWish(
            image=image,
            network=source.network,
            limits=Limits(memory=source.memory, processors=source.cpus),
            secrets=self._secrets,
            kept=tuple(self._cache(path) for path in source.cache),
        )
        with StageLog(self._bench, name) as log, container(self._bench, self._engine, wish) as made:
            if done == 0:
                self._bench.progress.step(f"copy files into the stage {source.name}")
                made.lay(self._copied())
            self._run_commands(made, done, log)
            rows = self._take(made)
            if self._task.wanted:
                self._keep(made, len(source.run))
        write_rows(_rows_path(self._bench, self._keys[-1]), rows, self._bench.cache)
        tree = DeltaSysroot(self._prepared.tree, rows.nodes, rows.gone)
        return Left(key=self._keys[-1], tree=tree)

    def _begin(self) -> tuple[int, str]:
        """How many commands are done already, and the image that holds what they left."""
        if not self._task.fresh:
            for done in range(len(self._source.run), 0, -1):
                image = self._bench.image(self._keys[done])
                if image:
                    return done, image
        if self._task.start == self._task.origin.key:
            return 0, self._prepared.image
        image = self._bench.image(self._task.start)
        if not image:
            raise BuildError(
                f"What the stage {self._source.name} starts from is gone", hint="run it again with --no-cache"
            )
        return 0, image

    def _environment(self) -> tuple[tuple[str, str], ...]:
        given = {**dict(self._task.origin.env), **dict(self._source.env)}
        usual = {"PATH": _PATH, "HOME": "/root"} if not self._source.user else {"PATH": _PATH}
        if self._bench.epoch is not None:
            usual["SOURCE_DATE_EPOCH"] = str(self._bench.epoch)
        return tuple({**usual, **given}.items())

    def _copied(self) -> Iterator[Node]:
        time_of_all = _EPOCH if self._bench.epoch is None else self._bench.epoch
        if self._source.workdir != "/":
            yield Node(path=self._source.workdir, kind=Kind.DIRECTORY, mode=0o755, mtime=time_of_all)
        for node in self._task.context.nodes:
            yield replace(node, mtime=time_of_all)

    def _run_commands(self, made: Container, done: int, log: StageLog) -> None:
        commands = self._source.run
        spent = 0.0
        for number, words in enumerate(commands[done:], start=done + 1):
            text = log.command(words)
            self._bench.progress.step(f"{self._source.name} {number}/{len(commands)}: {_short(text)}")
            started = time.monotonic()
            argv = ("/bin/sh", "-c", words) if isinstance(words, str) else words
            try:
                made.run(self._command(argv), log.line)
            except BuildError as error:
                where = f"command {number} of {len(commands)}"
                what = f"The stage {self._source.name} failed at {where}, {_short(text)}"
                explained = log.explained(what, error)
                if self._bench.shell:
                    self._bench.progress.note(f"{explained.message}\na shell in the stage; exit ends it")
                    made.open_shell()
                raise explained from error
            spent += time.monotonic() - started
            if spent >= _WORTH_KEEPING and number < len(commands):
                if self._secrets:
                    made.take(self._prepared.signs, None)  # raises when one of them would be kept
                self._keep(made, number)
                spent = 0.0

    def _command(self, argv: tuple[str, ...]) -> buildah.Run:
        source = self._source
        return buildah.Run(
            argv=argv,
            user=source.user,
            workdir=source.workdir,
            env=self._environment(),
            volumes=tuple((str(self._cache(path)), path, "rw") for path in source.cache),
            seconds=source.seconds,
        )

    def _cache(self, path: str) -> Path:
        folder = self._bench.folder / "caches" / _hash([self._task.recipe, path])[:32]
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o1777)  # whoever the commands run as; nobody else gets through the folder above
        return folder

    def _keep(self, made: Container, number: int) -> None:
        if not self._bench.image(self._keys[number]):
            self._bench.remember_image(self._keys[number], made.commit())

    def _take(self, made: Container) -> Rows:
        self._bench.progress.step(f"collect the files of the stage {self._source.name}")
        tree = self._prepared.tree
        pack = self._bench.folder / "packs" / f"{self._keys[-1]}.pack"
        pack.parent.mkdir(parents=True, exist_ok=True)
        temporary = pack.with_name(f".{pack.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
        try:
            answer = made.take(self._prepared.signs, temporary)
            temporary.replace(pack)
        finally:
            temporary.unlink(missing_ok=True)
        nodes = (taken(found, pack, tree.get(found["path"])) for found in answer["changed"])
        return Rows(nodes=tuple(node for node in nodes if node is not None), gone=tuple(answer["gone"]))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}…"  # noqa: PLR2004 (a line's worth)


def _rows_path(bench: Bench, key: str) -> Path:
    return bench.folder / "trees" / f"{key}.json"
