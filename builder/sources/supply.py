"""The sources that are no archive of packages: each gives one tree, from which [[install]] takes files.

Such a tree also lies below the packages' own (builder/sources/underlay.py): what a taken program needs and no
package brings is found there. A new type of source is a value in builder/recipe/source_model.py with its
keys, a module of this room that makes its tree, and a case of ``_tree`` here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.files import Stamp
from builder.lock import LockedPackage
from builder.oci import ImageAddress, Platform
from builder.recipe.source_model import (
    ArchiveSource,
    DebianSource,
    GitSource,
    HostSource,
    ImageSource,
    PythonSource,
    Source,
    StageSource,
)
from builder.registry.options import NO_OPTIONS, RegistryOptions
from builder.sources.debian.apt_sources import Mirrors
from builder.sources.debian.archive import Effects, Freshness
from builder.sources.stage.options import NO_RECIPE, USUAL, StageOptions, StageRecipe
from builder.sysroot import Sysroot


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """What one source holds. Nothing of it is in the image until something asks for it.

    ``tree.packages`` own the paths that name them. ``key`` changes whenever the tree does. After
    ``fresh_until`` (unix time) the source would have to be asked whether it still holds the same.
    """

    name: str
    tree: Sysroot
    key: str
    fresh_until: float = float("inf")
    locked: tuple[LockedPackage, ...] = ()
    """Packages of the system that a build stage was run in."""
    stamps: Callable[[], tuple[Stamp, ...]] = tuple
    """Gives the stamps of the machine's files that were looked at so far, as they were then."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables that programs of the tree expect, where it is an image's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What making trees takes: the image's platform, the machine's mirrors and cache, and the world."""

    platform: Platform
    mirrors: Mirrors | None
    cache: Path
    freshness: Freshness
    effects: Effects
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package → version, of the recipe's archives and base."""
    stages: StageOptions = USUAL
    recipe: StageRecipe = NO_RECIPE
    registries: RegistryOptions = NO_OPTIONS


def supply(sources: tuple[Source, ...], supplies: Supply) -> Mapping[str, SourceTree]:
    """The tree of every source that is no archive, by name. Raises what the sources raise."""
    trees: dict[str, SourceTree] = {}
    for source in sources:
        tree = _tree(source, supplies)
        if tree is not None:
            trees[source.name] = tree
    if any(isinstance(source, StageSource) for source in sources):
        from builder.sources.stage.build import stage_trees  # noqa: PLC0415 (see below)

        found = {**trees, **stage_trees(sources, trees, supplies)}
        return {source.name: found[source.name] for source in sources if source.name in found}
    return trees


def _tree(source: Source, supplies: Supply) -> SourceTree | None:
    # Each type is read by its own module, which is imported only for a recipe that has one.
    match source:
        case HostSource():
            from builder.sources.host import host_tree  # noqa: PLC0415 (see above)

            return host_tree(source, supplies.cache)
        case ArchiveSource():
            from builder.sources.archive import archive_tree  # noqa: PLC0415 (see above)

            return archive_tree(source, supplies)
        case ImageSource():
            from builder.sources.image import image_tree  # noqa: PLC0415 (see above)

            return image_tree(source.name, source.ref, supplies)
        case GitSource():
            from builder.sources.git import git_tree  # noqa: PLC0415 (see above)

            return git_tree(source, supplies)
        case PythonSource():
            from builder.sources.pypi.source import python_tree  # noqa: PLC0415 (see above)

            return python_tree(source, supplies)
        case DebianSource() | StageSource():
            return None


def source_inputs(sources: tuple[Source, ...], written: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """Every file of this machine that sources name: whether it changed is seen before anything is made.

    Links, and where they lead; those in contexts of stages are copied as links. ``written`` is what the build
    writes.
    """
    found: list[Path] = []
    for source in sources:
        for path in _inputs(source, written):
            found += (path,) if isinstance(source, StageSource) else (path, path.resolve())
    return tuple(dict.fromkeys(found))


def _inputs(source: Source, written: tuple[Path, ...]) -> Iterator[Path]:
    match source:
        case DebianSource(keyring=Path() as keyring):
            yield keyring
        case ImageSource(ref=ref):
            yield from address_inputs(ref)
        case ArchiveSource(path=Path() as path):
            yield path
        case PythonSource(requirements=requirements, lock=lock, pyproject=pyproject):
            yield from (path for path in (requirements, lock, pyproject) if path is not None)
        case StageSource():
            if source.image is not None:
                yield from address_inputs(source.image)
            if source.copy:
                from builder.sources.stage.context import paths_of  # noqa: PLC0415 (see above)

                yield from paths_of(source.copy, source.folder, written)
        case _:
            pass


def address_inputs(address: ImageAddress) -> Iterator[Path]:
    """The files of this machine that say what an image is."""
    if address.path is not None:
        yield address.path
        yield address.path / "index.json"
