"""Every source of a recipe besides its archives of packages, as a Dockerfile has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builder.containerfile.archives import provide_archive
from builder.containerfile.context import Context
from builder.containerfile.images import provide_image
from builder.containerfile.provision import At, Pin, Provision, joined, no_form
from builder.containerfile.stages import Around, contexts, provide_stages
from builder.plan.model import Entry
from builder.recipe.model import Recipe
from builder.recipe.source_model import ArchiveSource, DebianSource, HostSource, ImageSource, StageSource
from builder.sources.supply import SourceTree
from builder.sysroot import Content


def local_paths(recipe: Recipe) -> Iterator[tuple[Path, tuple[str | int, ...]]]:
    """Files of this machine that sources take, each with the key that names it."""
    stages = (one for one in recipe.sources if isinstance(one, StageSource))
    for stage, number, copy in contexts(stages):
        if copy.context is not None:
            yield copy.context, ("sources", stage.name, "copy", number, "src")
    for source in recipe.sources:
        if isinstance(source, ArchiveSource) and source.path is not None:
            yield source.path, ("sources", source.name, "path")


def provide_sources(
    recipe: Recipe,
    entries: Sequence[Entry],
    trees: Mapping[str, SourceTree],
    context: Context,
    *,
    unpack: str,
    ways: tuple[Pin, At],
) -> Provision:
    """What all sources contribute. RecipeError for one that no Dockerfile can say."""
    pin, at = ways
    found: list[Provision] = []
    stages: list[StageSource] = []
    for source in recipe.sources:
        match source:
            case ArchiveSource():
                found.append(provide_archive(source, trees[source.name].tree, context, unpack))
            case ImageSource():
                found.append(provide_image(source, trees[source.name].tree, entries, pin, at))
            case StageSource():
                stages.append(source)
            case HostSource():
                _refuse_host(source, recipe, entries, at)
            case DebianSource():
                pass
    around = Around(
        sources={one.name: one for one in recipe.sources},
        trees=trees,
        context=context,
        unpack=unpack,
        pin=pin,
        at=at,
    )
    if stages:
        found.append(provide_stages(stages, entries, around))
    return joined(found)


def _refuse_host(source: HostSource, recipe: Recipe, entries: Sequence[Entry], at: At) -> None:
    own = {str(install.context.resolve()) for install in recipe.installs if install.context is not None}
    for entry in entries:
        content = entry.content
        if not isinstance(content, Content) or content.sha256 or content.offset:
            continue
        store = str(content.store)
        if not any(store == one or store.startswith(f"{one}/") for one in own):
            message = f"{entry.path} is {store}, a file of this machine, which other builders do not have"
            raise no_form(at(("sources", source.name, "type"), message))
