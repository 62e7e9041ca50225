"""Plan + lock + one pinned image → the text of a Dockerfile. Pure but for reading what is embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.containerfile import made, packages, rights, settings
from builder.containerfile.bundles import bundle_commands
from builder.containerfile.context import find_context, mode_commands, provide_context
from builder.containerfile.ground import last_start, with_ground
from builder.containerfile.head import head_lines
from builder.containerfile.origins import match
from builder.containerfile.parted import Parted, part
from builder.containerfile.provision import At, Pin, Stage, joined, no_form
from builder.containerfile.script import Run, runs
from builder.containerfile.sources import local_paths, provide_sources
from builder.containerfile.takes import IMAGE, Taking, parents, take
from builder.lock import Lock
from builder.oci import ImageConfig, ImageReference
from builder.plan.model import ImagePlan
from builder.recipe.model import Recipe
from builder.report.templates import render
from builder.sources.supply import SourceTree
from builder.sysroot import Kind, Package, Sysroot

TEMPLATE = "Dockerfile.j2"


def _no_pin(reference: ImageReference) -> ImageReference:
    return reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a Dockerfile is written from. ``unpack``: the pinned image whose tools unpack the packages.

    ``base`` is the tree of the image's base, ``trees`` are those of the other sources; ``pin`` gives images
    their digests; ``at`` makes a problem of a key of the recipe.
    """

    recipe: Recipe
    plan: ImagePlan
    lock: Lock
    packages: tuple[Package, ...]
    unpack: ImageReference
    at: At
    base: Sysroot | None = None
    trees: Mapping[str, SourceTree] = field(default_factory=dict)
    pin: Pin = _no_pin


def containerfile(subject: Subject, *, templates: Path) -> str:
    """The Dockerfile. RecipeError when the recipe has something that no Dockerfile can say."""
    plan, recipe = subject.plan, subject.recipe
    for key, message in settings.missing_form(plan.config):
        raise no_form(subject.at(key, message))
    entries = with_ground((entry for layer in plan.layers for entry in layer.entries), subject.base)
    locked = {one.name: one for one in subject.lock.packages}
    context = find_context(recipe.path, recipe.installs, local_paths(recipe), subject.at)
    unpacked = packages.origins(subject.packages, locked)
    others = match(entries, unpacked.values())[1]
    provided = joined(
        (
            provide_context(recipe.installs, context, subject.at),
            provide_sources(
                recipe,
                others,
                subject.trees,
                context,
                unpack=str(subject.unpack),
                ways=(subject.pin, subject.at),
            ),
        )
    )
    parted = part(entries, (*unpacked.values(), *provided.origins))
    used = parted.origins()
    wanted = packages.fetched(locked[name] for name in sorted(unpacked) if unpacked[name].folder in used)
    ground = plan.base.config if plan.base is not None else ImageConfig()
    values = {
        "head": head_lines(recipe, plan, context if provided.context else None),
        "unpack": str(subject.unpack),
        "additions": packages.additions(wanted),
        "unpacking": _numbered(runs("", packages.unpacking(wanted))),
        "stages": tuple(_numbered_stage(one) for one in provided.stages),
        "copies": provided.copies,
        "collecting": _numbered(_collecting(parted, plan.created)),
        "image": IMAGE,
        "start": last_start(plan, subject.at),
        "instructions": tuple(settings.instructions(plan.config, ground)),
    }
    return render(TEMPLATE, folder=templates, values=values)


def _collecting(parted: Parted, created: int) -> Iterator[Run]:
    taking = take(parted.taken, parted.folders)
    local = frozenset(one.entry.path for one in parted.taken if rights.is_local(one))
    usual, settled = mode_commands(parted.named, local)
    modes = rights.known_modes(parted.taken, local - settled)
    own = (*made.text_commands(parted.texts), *bundle_commands(parted.bundles))
    stamped = [one.entry for one in parted.taken if one.entry.xattrs]
    yield from runs("Folders.", made.folder_commands(_folders(parted, taking)))
    yield from runs("Files: exactly those that the image needs.", taking.commands)
    yield from runs("Files that rootlet or the recipe makes.", own)
    yield from runs("Links.", made.link_commands(parted.links))
    yield from runs("Owners and modes.", rights.rights_commands(parted.named, modes, usual))
    yield from runs("Extended attributes.", made.stamp_commands(stamped, created))
    yield from made.archive_runs(parted.archived, created)
    yield from runs("Times.", rights.time_commands(created))


def _folders(parted: Parted, taking: Taking) -> list[tuple[str, str]]:
    """Folders to make beforehand, with their reasons: only the innermost are named."""
    known = {
        entry.path: entry for entry in parted.named if entry.kind is Kind.DIRECTORY and entry.path != "/"
    }
    files = (*parted.links, *parted.texts, *(one.entry for one in parted.bundles.values()))
    needed = {path for entry in files for path in parents(entry.path)} | taking.before
    wanted = {path for path in known if path not in taking.after} | (needed & known.keys())
    inner = wanted - {parent for path in wanted for parent in parents(path)}
    return [(path, str(known[path].reason)) for path in sorted(inner)]


def _numbered_stage(stage: Stage) -> dict[str, object]:
    """A stage for the template: each step is lines or a RUN."""
    steps: list[tuple[str, object]] = []
    for step in stage.steps:
        if isinstance(step, Run):
            after_run = bool(steps) and steps[-1][0] == "run"
            steps.append(("run", replace(step, first=not after_run)))
        else:
            steps.append(("lines", step))
    return {"title": stage.title, "start": stage.start, "name": stage.name, "steps": steps}


def _numbered(found: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(replace(run, first=number == 0) for number, run in enumerate(found))
