"""Plan + lock + one pinned image → the text of a Dockerfile. Pure but for reading what is embedded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.containerfile import made, packages, rights, settings
from builder.containerfile.origins import Origin, Taken, match
from builder.containerfile.quote import writable
from builder.containerfile.script import Command, Run, runs
from builder.containerfile.takes import IMAGE, Taking, parents, take
from builder.lock import Lock
from builder.oci import ImageConfig, ImageReference
from builder.plan.model import Entry, ImagePlan
from builder.recipe.model import Recipe
from builder.report.templates import render
from builder.sysroot import Content, Kind, Package

TEMPLATE = "Dockerfile.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a Dockerfile is written from. ``unpack``: the pinned image whose tools unpack the packages."""

    recipe: Recipe
    plan: ImagePlan
    lock: Lock
    packages: tuple[Package, ...]
    unpack: ImageReference


def containerfile(subject: Subject, *, templates: Path) -> str:
    """The Dockerfile. RecipeError when the recipe has something that no Dockerfile can say."""
    plan = subject.plan
    entries = tuple(entry for layer in plan.layers for entry in layer.entries)
    locked = {one.name: one for one in subject.lock.packages}
    used = packages.owners(entries)
    wanted = packages.fetched(one for name, one in sorted(locked.items()) if name in used)
    origins = packages.origins((one for one in subject.packages if one.name in used), locked)
    values = {
        "head": _head(subject),
        "unpack": str(subject.unpack),
        "additions": packages.additions(wanted),
        "unpacking": _first(runs("", packages.unpacking(wanted))),
        "collecting": _first(_collecting(entries, origins, plan.created)),
        "image": IMAGE,
        "instructions": tuple(settings.instructions(plan.config, ImageConfig())),
    }
    return render(TEMPLATE, folder=templates, values=values)


def _collecting(entries: Sequence[Entry], origins: Sequence[Origin], created: int) -> Iterable[Run]:
    sayable = [entry for entry in entries if writable(entry.path + entry.target + entry.hardlink)]
    taken, rest = match(sayable, origins)
    folders = frozenset(entry.path for entry in entries if entry.kind is Kind.DIRECTORY)
    taking = take(taken, folders)
    links = [entry for entry in rest if entry.kind is Kind.SYMLINK or entry.hardlink]
    texts = [entry for entry in rest if made.is_text(entry)]
    skipped = {entry.path for entry in (*links, *texts)} | {one.entry.path for one in taken}
    archived = [one for one in entries if one.kind is Kind.FILE and one.path not in skipped]
    yield from runs("Folders.", made.folder_commands(_folders(entries, taking, (*links, *texts))))
    yield from runs("Files of packages: exactly those that the image needs.", taking.commands)
    yield from runs("Files that rootlet or the recipe makes.", made.text_commands(texts))
    yield from runs("Links.", made.link_commands(links))
    embedded = {entry.path for entry in archived}
    written = [entry for entry in entries if entry.path not in embedded]
    yield from runs("Owners and modes.", rights.rights_commands(written, taken, frozenset()))
    yield from made.archive_runs(archived, created)
    yield from runs("Times.", tuple(rights.time_commands(created)))


def _folders(
    entries: Iterable[Entry], taking: Taking, others: Iterable[Entry]
) -> list[tuple[str, str]]:
    """Folders to make beforehand, with their reasons: only the innermost are named."""
    needed = {path for entry in others for path in parents(entry.path)} | taking.before
    known = {entry.path: entry for entry in entries if entry.kind is Kind.DIRECTORY and entry.path != "/"}
    wanted = {path for path in known if path not in taking.after} | needed
    inner = wanted - {parent for path in wanted for parent in parents(path)}
    return [(path, str(known[path].reason)) for path in sorted(inner) if path in known]


def _first(found: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(replace(run, first=number == 0) for number, run in enumerate(found))


def _head(subject: Subject) -> tuple[str, ...]:
    recipe, plan = subject.recipe, subject.plan
    name = recipe.path.name
    return (
        f"{recipe.name} for {plan.platform}, written by rootlet from {name}. Do not edit it: change the recipe, then",
        f"  rootlet dockerfile {name} -o Dockerfile     (--check Dockerfile says in CI whether it is stale)",
    )
