"""A recipe file read into values: parse, lay over each other, substitute, judge; every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import Problem
from builder.oci import Platform
from builder.recipe.build import Frame, make_recipe
from builder.recipe.keys import IMAGE
from builder.recipe.model import Recipe
from builder.recipe.outline import DOCUMENT
from builder.recipe.overlay import check_fixed, check_forms, profile_names, settle
from builder.recipe.parse import Layers, read_layers
from builder.recipe.reading import TreeReader
from builder.recipe.tree import Node, Problems, nearest, show
from builder.recipe.variables import substitute


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the caller asks of a recipe.

    ``folder`` is the absolute current folder: relative recipe paths and outputs start there. ``machine`` is
    the platform that is built where neither the recipe nor ``platforms`` (which wins) names one.
    ``settings`` are variables set by ``--set``; ``given`` are those that rootlet itself knows, as "git.sha".
    """

    folder: Path
    machine: Platform
    platforms: tuple[Platform, ...] = ()
    profiles: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A recipe that is right for each of its ``platforms``; ``inputs`` are all files it was read from."""

    name: str
    platforms: tuple[Platform, ...]
    inputs: tuple[Path, ...]
    recipes: Mapping[Platform, Recipe] = field(repr=False)
    make: Callable[[Platform], Recipe] = field(repr=False, compare=False)
    tree: Callable[[Platform], Node] = field(repr=False, compare=False)
    """The settled tree of a platform: what the author wrote, with the lines where it stands."""

    def recipe(self, platform: Platform) -> Recipe:
        """Give the recipe for a platform; RecipeError where it is wrong for one not in ``platforms``."""
        found = self.recipes.get(platform)
        return self.make(platform) if found is None else found


def read_recipe(path: Path, request: Request, *, fragments: Path) -> Document:
    """Read the recipe ``path``, what it extends, and the profiles asked for.

    ``fragments`` is the folder where ``extends`` finds bare names. Everything wrong raises one RecipeError
    with all problems.
    """
    problems = Problems()
    layers = read_layers(path, request.folder, fragments, problems)
    _check_files(layers, request, problems)
    if not layers.complete:
        raise problems.error()
    maker = _Maker(request.folder / path, request, layers)
    platforms = maker.platforms(problems)
    recipes = {platform: maker.make(platform, problems) for platform in platforms}
    names = dict.fromkeys((recipe.name, recipe.tags) for recipe in recipes.values())
    if len(names) > 1:
        root = layers.roots[-1]
        message = f"differs between platforms: {', '.join(show(one) for one, _ in names)}"
        problems.at(root.children.get("image", root), message, child="name")
    problems.raise_if_any()
    return Document(
        name=next(iter(names))[0],
        platforms=platforms,
        inputs=tuple(layers.inputs),
        recipes=recipes,
        make=maker.make_alone,
        tree=maker.tree,
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the recipe of one platform after the other from the same layers."""

    path: Path
    request: Request
    layers: Layers

    def platforms(self, problems: Problems) -> tuple[Platform, ...]:
        """Say what to build for. This cannot depend on the platform: tables with ``when`` are left out."""
        request = self.request
        image = self._settled(None, problems).children.get("image")
        written: tuple[str, ...] = ()
        if image is not None and isinstance(image.value, dict):
            only = image.holding({name: node for name, node in image.value.items() if name == "platforms"})
            written = TreeReader(problems=Problems(), settled=True).section(only, IMAGE).texts("platforms")
        named = tuple(Platform.parse(one) for one in written)
        return tuple(dict.fromkeys(request.platforms or named or (request.machine,)))

    def make(self, platform: Platform, problems: Problems) -> Recipe:
        """Make the recipe of one platform; whatever is wrong is reported."""
        root = TreeReader(problems=problems, settled=True).section(
            self._settled(platform, problems), DOCUMENT
        )
        frame = Frame(
            path=self.path,
            platform=platform,
            folder=self.request.folder,
            inputs=tuple(self.layers.inputs),
        )
        return make_recipe(root, frame, problems)

    def make_alone(self, platform: Platform) -> Recipe:
        """Make the recipe of one platform; RecipeError with all problems."""
        problems = Problems()
        recipe = self.make(platform, problems)
        problems.raise_if_any()
        return recipe

    def tree(self, platform: Platform) -> Node:
        """Settle the layers for one platform of a recipe that is right."""
        return self._settled(platform, Problems())

    def _settled(self, platform: Platform | None, problems: Problems) -> Node:
        settled = settle(self.layers.roots, self.request.profiles, platform)
        quiet = Problems() if platform is None else problems
        return substitute(settled, self.request.settings, self.request.given, quiet)


def _check_files(layers: Layers, request: Request, problems: Problems) -> None:
    reader = TreeReader(problems=problems, settled=False)
    for root in layers.roots:
        reader.section(root, DOCUMENT)
        check_forms(root, problems)
        check_fixed(root, problems)
    known = profile_names(layers.roots)
    for name in request.profiles if layers.complete else ():
        if name not in known:
            others = f"there are {', '.join(known)}" if known else "the recipe has none"
            hint = nearest(name, known) or others
            label = layers.roots[-1].origin.label
            problems.add(
                Problem(file=label, line=None, key="", message=f"there is no profile {show(name)}; {hint}")
            )
