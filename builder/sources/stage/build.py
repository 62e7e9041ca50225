"""All stages of a recipe: each after those it needs, side by side where they need nothing of each other."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from graphlib import TopologicalSorter

from builder.engine.buildah import Engine
from builder.engine.failures import LostImageError
from builder.engine.platforms import runs_here
from builder.errors import MachineError, RootletError
from builder.lock import LockedPackage
from builder.recipe.source_model import DebianSource, Source, StageSource
from builder.sources.debian.archive import DebianArchive, acquire, lock
from builder.sources.debian.store import PackageStore
from builder.sources.stage import dpkg_root
from builder.sources.stage.base import Base, debian_base, scratch, tree_base
from builder.sources.stage.bench import bench_of
from builder.sources.stage.context import Surroundings, gather
from builder.sources.stage.run import Left, Task, remembered, run_stage
from builder.sources.stage.secrets import secret_values
from builder.sources.supply import SourceTree, Supply
from builder.sysroot import Package

_MOST_AT_ONCE = 4


def stage_trees(
    sources: tuple[Source, ...], trees: Mapping[str, SourceTree], supplies: Supply
) -> Mapping[str, SourceTree]:
    """The trees of all stages, by name; ``trees`` are those of the other sources.

    BuildError when a command fails; MachineError when this machine cannot run stages, and what making a tree
    of packages raises.
    """
    return _Stages(sources, trees, supplies).build()


class _Stages:
    def __init__(
        self, sources: tuple[Source, ...], trees: Mapping[str, SourceTree], supplies: Supply
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._stages = {one.name: one for one in sources if isinstance(one, StageSource)}
        self._trees = dict(trees)
        self._supplies = supplies
        self._options = supplies.stages
        self._bench = bench_of(
            supplies.effects.runner, supplies.effects.progress, supplies.cache, supplies.stages
        )
        self._tasks: dict[str, Task] = {}
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def build(self) -> Mapping[str, SourceTree]:
        """Make every tree; on any error everything that runs is stopped first."""
        graph = {name: self._needed(stage) for name, stage in self._stages.items()}
        order = TopologicalSorter(graph)
        order.prepare()
        with ThreadPoolExecutor(_MOST_AT_ONCE, "stage") as pool:
            running: dict[Future[Left], str] = {}
            try:
                while order.is_active():
                    for name in order.get_ready():
                        task = self._task(self._stages[name])
                        left = remembered(task, self._bench)
                        if left is not None:
                            self._done(name, left)
                            order.done(name)
                        else:
                            running[pool.submit(self._run, task)] = name
                    if running:
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            name = running.pop(future)
                            self._done(name, future.result())
                            order.done(name)
            except BaseException:
                self._bench.sessions.stop()
                raise
        if self._engine is None and self._bench.has_leftovers():
            with contextlib.suppress(
                RootletError
            ):  # nothing had to be run: this is for a killed build's sake
                self._look_up()
        return {name: self._trees[name] for name in self._stages}

    def _needed(self, stage: StageSource) -> set[str]:
        names = {stage.start, *(copy.source for copy in stage.copy)}
        return names & self._stages.keys()

    def _done(self, name: str, left: Left) -> None:
        task = self._tasks[name]
        used = [self._trees[copy.source] for copy in task.source.copy if copy.source]
        used += [self._trees[task.source.start]] if task.source.start in self._trees else []
        used += [task.origin.tree] if task.origin.tree is not None else []
        self._trees[name] = SourceTree(
            name=name,
            tree=left.tree,
            key=f"stage {left.key}",
            fresh_until=min((one.fresh_until for one in used), default=math.inf),
            locked=task.origin.locked,
        )

    def _task(self, stage: StageSource) -> Task:
        origin, start = self._start(stage)
        around = Surroundings(
            folder=stage.folder,
            memory=self._bench.folder / "hashes",
            trees=self._trees,
            written=self._supplies.recipe.written,
        )
        task = Task(
            source=stage,
            origin=origin,
            start=start,
            context=gather(stage.copy, around),
            wanted=any(other.start == stage.name for other in self._stages.values()),
            fresh=self._options.fresh,
            recipe=str(self._supplies.recipe.path),
        )
        self._tasks[stage.name] = task
        return task

    def _start(self, stage: StageSource) -> tuple[Base, str]:
        """The base at the bottom, and the key of what the stage starts from."""
        if stage.start in self._tasks:
            below = self._tasks[stage.start]
            return below.origin, below.keys(self._bench.epoch)[-1]
        source = self._sources.get(stage.start)
        if stage.image is not None:
            from builder.sources.image import image_tree  # noqa: PLC0415 (imports the network)

            base = tree_base(image_tree(stage.start, stage.image, self._supplies))
        elif source is None:
            base = scratch()
        elif isinstance(source, DebianSource):
            base = debian_base(self._locked(source, ()))
            if stage.packages:
                base = debian_base(self._locked(source, stage.packages), base)
        else:
            base = tree_base(self._trees[stage.start])
        return base, base.key

    def _locked(self, source: DebianSource, packages: tuple[str, ...]) -> tuple[LockedPackage, ...]:
        names = dict.fromkeys((*dpkg_root.ESSENTIAL, *packages))
        archive = DebianArchive(
            source=replace(source, packages=tuple(names)),
            platform=self._supplies.platform,
            mirrors=self._supplies.mirrors,
            cache=self._supplies.cache,
        )
        return lock(archive, self._supplies.freshness, self._supplies.effects)

    def _acquire(self, locked: tuple[LockedPackage, ...]) -> tuple[Package, ...]:
        """Unpacked packages with their triggers, which older versions of rootlet did not keep."""
        supplies = self._supplies

        def packages() -> tuple[Package, ...]:
            return acquire(
                locked, cache=supplies.cache, freshness=supplies.freshness, effects=supplies.effects
            )

        found = packages()
        old = [
            one
            for one, package in zip(locked, found, strict=True)
            if not dpkg_root.has_triggers(package.scripts)
        ]
        if not old or supplies.freshness.offline:
            return found
        store = PackageStore(supplies.cache / "packages")
        for one in old:
            store.forget(one)
        return packages()

    def _check_platform(self, task: Task) -> None:
        platform, native = self._supplies.platform, self._options.native
        if task.runs_programs and native is not None and not runs_here(platform, native):
            raise MachineError(
                f"The commands of the stage {task.source.name} for {platform} cannot run on this machine, "
                f"which is {native}",
                hint="register an emulator that is fixed in memory (binfmt_misc, flag F; on Debian "
                "apt install qemu-user-static), or build on such a machine",
            )

    def _look_up(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._bench.engine()
            return self._engine

    def _run(self, task: Task) -> Left:
        engine = self._look_up()
        try:
            return self._run_once(task, engine)
        except LostImageError:
            self._bench.forget_images()
            return self._run_once(task, engine)

    def _run_once(self, task: Task, engine: Engine) -> Left:
        self._check_platform(task)
        below = self._tasks.get(task.source.start)
        if below is not None and not self._bench.image(task.start):
            self._run_once(replace(below, wanted=True, fresh=False), engine)
        values = secret_values(task.source.secrets, self._options.secrets, self._options.environment)
        return run_stage(task, self._bench, engine, secrets=values, acquire=self._acquire)
