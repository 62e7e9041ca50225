"""Every source of a recipe besides its archives of packages, as a Dockerfile has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.containerfile import made
from builder.containerfile.archives import provide_archive
from builder.containerfile.context import FOLDER, Context, copy_line
from builder.containerfile.images import provide_image
from builder.containerfile.origins import Origin
from builder.containerfile.provision import At, Pin, Provision, joined, no_form
from builder.containerfile.stages import Around, contexts, provide_stages
from builder.plan.model import Entry
from builder.progress import human_size
from builder.recipe.model import Recipe
from builder.recipe.source_model import (
    ArchiveSource,
    DebianSource,
    HostSource,
    ImageSource,
    Source,
    StageSource,
)
from builder.sources.supply import SourceTree
from builder.sysroot import Content, Kind, Node, Sysroot


def local_paths(recipe: Recipe) -> Iterator[tuple[Path, tuple[str | int, ...]]]:
    """Files of this machine that sources take, each with the key that names it."""
    stages = (one for one in recipe.sources if isinstance(one, StageSource))
    for stage, number, copy in contexts(stages):
        if copy.context is not None:
            yield copy.context, ("sources", stage.name, "copy", number, "src")
    for source in recipe.sources:
        if isinstance(source, ArchiveSource) and source.path is not None:
            yield source.path, ("sources", source.name, "path")


@dataclass(frozen=True, slots=True)
class _Ways:
    context: Context
    at: At


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
                found.append(_provide_host(source, recipe, entries, _Ways(context, at)))
            case DebianSource():
                pass
            case _:
                _check_embedded(source, trees[source.name].tree, entries, at)
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


def _provide_host(source: HostSource, recipe: Recipe, entries: Sequence[Entry], ways: _Ways) -> Provision:
    """Files of this machine that lie in the build context; RecipeError for others."""
    installed = [str(install.context.resolve()) for install in recipe.installs if install.context is not None]
    top = ways.context.folder.resolve()
    nodes: list[Node] = []
    copies: list[tuple[str, ...]] = []
    for entry in entries:
        content = entry.content
        if not isinstance(content, Content) or content.sha256 or content.offset:
            continue
        store = str(content.store)
        if any(store == one or store.startswith(f"{one}/") for one in installed):
            continue
        if not content.store.is_relative_to(top):
            message = f"{entry.path} is {store}, a file of this machine, which other builders do not have"
            raise no_form(ways.at(("sources", source.name, "type"), message))
        relative = content.store.relative_to(top).as_posix()
        nodes.append(Node(path=f"/{relative}", kind=Kind.FILE, mode=entry.mode, content=content))
        copies.append((copy_line(relative, FOLDER, folder=False),))
    words = f"the source {source.name}: files of this machine"
    origin = Origin(folder=FOLDER, words=words, nodes=tuple(nodes), known=False, links=False)
    return Provision(
        origins=(origin,) if nodes else (), copies=tuple(dict.fromkeys(copies)), context=bool(nodes)
    )


def _check_embedded(source: Source, tree: Sysroot, entries: Sequence[Entry], at: At) -> None:
    """RecipeError where more is taken of a source than a Dockerfile can hold in itself."""
    taken = {_place(entry.content) for entry in entries if isinstance(entry.content, Content)}
    contents = {
        _place(node.content): node.content
        for node in tree
        if node.content is not None and _place(node.content) in taken
    }
    size = sum(content.size for content in contents.values())
    if size > made.MOST_EMBEDDED * 4 or made.packed_size(contents.values()) > made.MOST_EMBEDDED:
        message = (
            f"{human_size(size)} are taken of this source, which other builders cannot fetch; up to "
            f"{human_size(made.MOST_EMBEDDED)}, compressed, a Dockerfile can hold in itself"
        )
        raise no_form(at(("sources", source.name, "type"), message))


def _place(content: Content) -> tuple[Path, int]:
    return content.store, content.offset
