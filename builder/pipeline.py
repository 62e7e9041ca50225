"""The way through the house: recipe → lock → sysroot → closure → plan → image → scan → names."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder import __version__
from builder.beginning import Beginning, begin
from builder.elf.facts import ElfFacts
from builder.engine.platforms import check_runs_here
from builder.errors import BuildError, ResolutionError, SmokeError
from builder.files import Stamp, read_checked, stamp, write_checked
from builder.image.write import Image, Written, write_image, write_index
from builder.lock import Extra, Lock, LockedPackage
from builder.plan.build import make_plan
from builder.plan.model import ImagePlan
from builder.recipe.model import Compression, Missing, OutputKind, Recipe
from builder.recipe.source_model import DebianSource, Source
from builder.report.build import BuildSummary, PlatformSummary, count_findings
from builder.runtime.closure import Closure
from builder.runtime.hints import LOADERS
from builder.runtime.resolve import resolve
from builder.runtime.rulebook import Rule, shipped_rules, watched_symbols, watched_texts
from builder.sources.debian.archive import DebianArchive, acquire, archive_state, lock, merged_tree
from builder.sources.debian.configure.lay import lay
from builder.sources.debian.configure.remember import configured
from builder.sources.local import LocalFiles, local_files, with_configuration
from builder.sources.supply import SourceTree
from builder.sources.underlay import underlaid
from builder.staging import staging
from builder.sysroot import Content, Package, Sysroot
from builder.verify.linkplan import linked
from builder.workshop import Workshop

if TYPE_CHECKING:  # read while the layers are compressed: see build_image
    from builder.approval import Show
    from builder.scan.model import ScanReport, Verdict
    from builder.sources.base import Base
    from builder.verify.smoke import SmokeReport

_MOST_ROUNDS = 8
_MOST_NOTES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A recipe of one platform with its plan, and what it was chosen from.

    After ``fresh_until`` (unix time) sources besides the archives would be asked anew.
    """

    recipe: Recipe
    plan: ImagePlan
    locked: Lock
    packages: tuple[Package, ...]
    sysroot: Sysroot
    closure: Closure
    trees: Mapping[str, SourceTree]
    base: Base | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished build. After ``valid_until`` (unix time) mirrors would be asked, or the verdict differ.

    ``looked_at``: files of this machine that sources found by themselves, as they were then.
    """

    summary: BuildSummary
    images: tuple[Image, ...]
    recipes: tuple[Recipe, ...]
    valid_until: float
    looked_at: tuple[Stamp, ...] = ()
    papers: tuple[Path, ...] = ()
    """Files that were written beside the image."""


def plan_recipe(recipe: Recipe, workshop: Workshop, *, rules: tuple[Rule, ...] | None = None) -> Planned:
    """Recipe → lock → sysroot → closure → plan.

    Rules may want files of packages that nothing depends on (``Closure.taken``): these are locked too and the
    closure is made again until nothing new is wanted. What it came to is remembered by everything it follows
    from, so that the next build starts with it. ``rules``: None for those that rootlet ships.
    """
    rules = shipped_rules() if rules is None else rules
    locked = lock_sources(recipe, workshop)
    beginning = begin(recipe, workshop, rules, locked)
    question = _question(beginning, locked)
    memory = workshop.cache / "taken" / f"{question}.json"
    taken = remembered = _recall(memory)
    for _ in range(_MOST_ROUNDS):
        resolved = _resolve_with(beginning, taken, workshop)
        if resolved.wanted == taken:
            if taken != remembered:
                write_checked(memory, json.dumps(taken).encode())
            return _planned(beginning, resolved, workshop)
        taken = resolved.wanted
    raise ResolutionError(
        f"The packages that rules take for {recipe.name} do not settle",
        hint="report this recipe as a defect of rootlet",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resolved:
    """A closure and what it was made from."""

    locked: Lock
    packages: tuple[Package, ...]
    sysroot: Sysroot
    local: LocalFiles
    facts: ElfFacts
    closure: Closure

    @property
    def wanted(self) -> tuple[str, ...]:
        """Packages that the closure's rules take, by name."""
        return tuple(sorted(self.closure.taken))


def _resolve_with(beginning: Beginning, taken: tuple[str, ...], workshop: Workshop) -> _Resolved:
    """The closure with the packages of ``taken`` at hand."""
    recipe, trees, rules = beginning.recipe, beginning.trees, beginning.rules
    locked = lock_sources(recipe, workshop, taken)
    packages = beginning.beside(_acquired(locked, workshop), locked)
    workshop.progress.step(f"resolve {recipe.name} for {recipe.platform}")
    tree = beginning.top(merged_tree(packages), locked)
    configuration = configured(packages, tree, workshop.cache / "configured")
    tree = underlaid(lay(configuration, tree), (one.tree for one in trees.values()))
    local = with_configuration(local_files(recipe.installs, recipe.files, tree, trees), configuration)
    sysroot = tree.overlay(local.nodes())
    facts = ElfFacts(
        workshop.cache / "elf", watched=watched_symbols(rules) | LOADERS, texts=watched_texts(rules)
    )
    try:
        closure = resolve(_settled(recipe, locked), sysroot, local, facts, rules, asked=taken)
    except ResolutionError as error:
        raise beginning.explained(error, locked) from error
    return _Resolved(
        locked=locked, packages=packages, sysroot=sysroot, local=local, facts=facts, closure=closure
    )


def _planned(beginning: Beginning, resolved: _Resolved, workshop: Workshop) -> Planned:
    recipe, base = beginning.recipe, beginning.base
    plan = make_plan(
        recipe,
        resolved.sysroot,
        resolved.closure,
        resolved.local,
        resolved.facts,
        epoch=workshop.epoch,
        base=base,
    )
    warn = recipe.runtime.missing is Missing.WARN
    ground = base.tree if base is not None else None
    memory = workshop.cache / "elf" / "links"
    try:
        plan = linked(plan, resolved.facts, memory=memory, warn=warn, ground=ground)
    except ResolutionError as error:
        raise beginning.explained(error, resolved.locked) from error
    resolved.facts.save()
    return Planned(
        recipe=recipe,
        plan=plan,
        locked=resolved.locked,
        packages=resolved.packages,
        sysroot=resolved.sysroot,
        closure=resolved.closure,
        trees=beginning.trees,
        base=base,
    )


def _question(beginning: Beginning, locked: Lock) -> str:
    """Everything that decides which packages rules take, in one word."""
    words = [(rule.name, rule.add, rule.take) for rule in beginning.rules]
    keys = [(name, one.key) for name, one in beginning.trees.items()]
    return hashlib.sha256(repr((__version__, beginning.recipe, locked, keys, words)).encode()).hexdigest()


def _recall(memory: Path) -> tuple[str, ...]:
    try:
        return tuple(json.loads(read_checked(memory) or b"[]"))
    except ValueError:
        return ()


def _acquired(locked: Lock, workshop: Workshop) -> tuple[Package, ...]:
    packages = acquire(
        locked.packages, cache=workshop.cache, freshness=workshop.freshness, effects=workshop.effects
    )
    return tuple(
        replace(package, alone=True) if one.alone else package
        for package, one in zip(packages, locked.packages, strict=True)
    )


def _settled(recipe: Recipe, locked: Lock) -> Recipe:
    """The recipe with the packages that its names came to: a virtual package is a real one now."""
    return replace(recipe, sources=tuple(_settled_source(source, locked) for source in recipe.sources))


def _settled_source(source: Source, locked: Lock) -> Source:
    if not isinstance(source, DebianSource):
        return source
    names = (one.name for one in locked.packages if one.requested and one.source == source.name)
    return replace(source, packages=tuple(names))


def lock_sources(recipe: Recipe, workshop: Workshop, taken: tuple[str, ...] = ()) -> Lock:
    """Exact packages for every source, what every image needs, and what rules take where it can be had."""
    extra = (
        Extra("base-files", "every image"),
        *(Extra(name, "a rule", optional=True) for name in taken),
    )
    found: dict[str, LockedPackage] = {}
    for number, archive in enumerate(archives(recipe, workshop)):
        for package in lock(
            archive, workshop.freshness, workshop.effects, extra=extra if number == 0 else ()
        ):
            _check_same(found.setdefault(package.name, package), package)
    return Lock(platform=recipe.platform, packages=tuple(found[name] for name in sorted(found)))


def _check_same(one: LockedPackage, other: LockedPackage) -> None:
    """Each source is resolved by itself, but an image has one version of a package."""
    if one.sha256 != other.sha256:
        raise ResolutionError(
            f"{one.name} comes to {one.version} from the source {one.source} (wanted by {one.wanted_by}) "
            f"and to {other.version} from the source {other.source} (wanted by {other.wanted_by})",
            hint="pin it to one version in both sources, or take everything from one of them",
        )


def archives(recipe: Recipe, workshop: Workshop) -> tuple[DebianArchive, ...]:
    """The recipe's Debian sources on this machine."""
    return tuple(
        DebianArchive(source=source, platform=recipe.platform, mirrors=workshop.mirrors, cache=workshop.cache)
        for source in recipe.archives
    )


def build_image(recipes: tuple[Recipe, ...], workshop: Workshop, *, show: Show, tests: bool = True) -> Built:
    """The whole way for one recipe on each of its platforms; no name exists before all of them are approved.

    Without ``tests`` those of the recipe are not run. Raises what the stages raise: see builder/errors.py.
    Nothing is left behind then.
    """
    started = workshop.effects.clock()
    for recipe in recipes if tests else ():
        if recipe.tests:
            check_runs_here(recipe.name, recipe.platform, workshop.native)
    with staging(_staging_parent(recipes[0], workshop)) as work:
        planned = tuple(plan_recipe(recipe, workshop) for recipe in recipes)
        with ThreadPoolExecutor(1) as pool:
            # The modules of the second half are read while the layers are compressed.
            second_half = pool.submit(importlib.import_module, "builder.approval")
            written = _write_all(planned, work / "layout", workshop)
            looked_at = _looked_at(planned)
        second_half.result()
        from builder.approval import Proof, approve_and_publish  # noqa: PLC0415 (see above)

        scratch = work / "scratch"
        scratch.mkdir()
        proof = Proof(scratch=scratch, show=show, tests=tests)
        with _remembering(planned):
            named = approve_and_publish(written, tuple(one.recipe for one in planned), workshop, proof)
    summary = BuildSummary(
        name=recipes[0].name,
        digest=written.descriptor.digest,
        references=named.references,
        outputs=named.outputs,
        platforms=tuple(
            _summary(*of_platform)
            for of_platform in zip(
                planned,
                written.images,
                named.approved.reports,
                named.approved.verdicts,
                named.tests or (None,) * len(planned),
                strict=True,
            )
        ),
        seconds=workshop.effects.clock() - started,
    )
    return Built(
        summary=summary,
        images=written.images,
        recipes=recipes,
        valid_until=min(_fresh_until(planned, workshop), named.valid_until),
        looked_at=looked_at,
        papers=named.papers,
    )


def _looked_at(planned: tuple[Planned, ...]) -> tuple[Stamp, ...]:
    """What sources looked at on this machine. BuildError when a file of the image was changed since."""
    looked_at: dict[str, Stamp] = {}
    for one in planned:
        contents = (entry.content for layer in one.plan.layers for entry in layer.entries)
        used = {str(content.store) for content in contents if isinstance(content, Content)}
        for found in (found for tree in one.trees.values() for found in tree.stamps()):
            looked_at[found[0]] = found
            if found[0] in used and stamp(Path(found[0])) != found:
                raise BuildError(
                    f"{found[0]} was changed while the image was made of it",
                    hint="build again when nothing writes to that file",
                )
    return tuple(looked_at.values())


@contextlib.contextmanager
def _remembering(planned: tuple[Planned, ...]) -> Iterator[None]:
    """Say what the plan warned of when a test fails: often it is the cause, and no summary will say it."""
    try:
        yield
    except SmokeError as error:
        warnings = dict.fromkeys(warning for one in planned for warning in one.plan.warnings)
        lines = [f"\n  note: {warning}" for warning in list(warnings)[:_MOST_NOTES]]
        if len(warnings) > _MOST_NOTES:
            lines.append(f"\n  and {len(warnings) - _MOST_NOTES} more notes: rootlet plan")
        error.hint = "".join([error.hint or "", *lines])
        raise


def _staging_parent(recipe: Recipe, workshop: Workshop) -> Path:
    """Next to the target, so that finished blobs are linked or renamed and never copied."""
    folders = (output.path.parent for output in recipe.outputs if output.path is not None)
    return next(folders, workshop.cache / "staging")


def _write_all(planned: tuple[Planned, ...], layout: Path, workshop: Workshop) -> Written:
    images = tuple(_write(one, layout, workshop) for one in planned)
    descriptor = write_index(images, layout) if len(images) > 1 else images[0].manifest
    return Written(images=images, layout=layout, descriptor=descriptor)


def _write(planned: Planned, layout: Path, workshop: Workshop) -> Image:
    compression = planned.recipe.compression
    if all(output.kind is OutputKind.STORAGE for output in planned.recipe.outputs):
        compression = Compression.NONE  # the local storage unpacks it at once
    return write_image(planned.plan, compression=compression, directory=layout, progress=workshop.progress)


def _summary(
    planned: Planned, image: Image, report: ScanReport, verdict: Verdict, tests: SmokeReport | None
) -> PlatformSummary:
    nodes = [node for package in planned.packages for node in package.nodes if node.content is not None]
    counted = [finding for finding in verdict.findings if finding.ignored is None]
    base = planned.plan.base
    below = (sum(layer.size for layer in base.layers), base.files) if base is not None else (0, 0)
    whole = sum(node.content.size for node in nodes if node.content is not None and not node.hardlink)
    return PlatformSummary(
        platform=image.platform,
        manifest=image.manifest.digest,
        config=image.config.digest,
        compressed=sum(layer.descriptor.size for layer in image.layers),
        size=sum(layer.size for layer in image.layers),
        files=image.files,
        packages=len(planned.plan.packages),
        full_size=whole + below[0],
        full_files=len(nodes) + below[1],
        full_packages=len(planned.packages),
        findings=count_findings(finding.severity for finding in counted),
        waived=len(verdict.findings) - len(counted),
        tests=tests.passed if tests else 0,
        untested=0 if tests else len(planned.recipe.tests),
        test_seconds=tests.seconds if tests else 0.0,
        database=_database_words(report),
        warnings=(*planned.plan.warnings, *verdict.warnings),
    )


def _database_words(report: ScanReport) -> str:
    words = (
        f"{one.ecosystem}, {one.date:%Y-%m-%d}{', a partial cut' if one.partial else ''}"
        for one in report.databases
    )
    return "; ".join(words) or "no vulnerability data"


def _fresh_until(planned: tuple[Planned, ...], workshop: Workshop) -> float:
    known = replace(workshop.freshness, refresh=False)  # it was just asked for
    states = [
        archive_state(archive, known, workshop.effects)
        for one in planned
        for archive in archives(one.recipe, workshop)
    ]
    asked = (state.fresh_until if state is not None else 0.0 for state in states)
    made = (tree.fresh_until for one in planned for tree in one.trees.values())
    return min((*asked, *made), default=float("inf"))
