"""What a plan begins with: the recipe over its base, and the tree of every source that is no archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import ResolutionError
from builder.lock import Lock
from builder.recipe.model import Recipe
from builder.runtime.rulebook import Rule
from builder.sources.stage.options import StageRecipe
from builder.sources.supply import SourceTree, Supply, address_inputs, source_inputs, supply
from builder.sysroot import Package, Sysroot
from builder.workshop import Workshop

if TYPE_CHECKING:  # read only for a recipe that has a base
    from builder.sources.base import Base

_BASE = "[image] base"
"""Where the base stands among the trees; no source can be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What stays the same however often the closure is made.

    ``recipe`` has the configuration over its base. ``trees``: the base's first, then those of the sources, by
    name.
    """

    recipe: Recipe
    trees: Mapping[str, SourceTree]
    rules: tuple[Rule, ...]
    base: Base | None

    def beside(self, packages: tuple[Package, ...], locked: Lock) -> tuple[Package, ...]:
        """What the archives bring beside the base. ResolutionError when the two do not fit."""
        if self.base is None:
            return packages
        from builder.sources.base import beside_base  # noqa: PLC0415 (see above)

        return beside_base(packages, locked, self.base)

    def top(self, tree: Sysroot, locked: Lock) -> Sysroot:
        """The archives' tree, in which the packages that the base has are the base's."""
        if self.base is None:
            return tree
        named = {one.name for one in locked.packages if one.requested}
        own = self.base.tree.packages.keys() - named
        return Sysroot(tree, (one for name, one in tree.packages.items() if name not in own))

    def explained(self, error: ResolutionError, locked: Lock) -> ResolutionError:
        """The error, with what the base has in another version than the archive: often it is the cause."""
        if self.base is None:
            return error
        from builder.sources.base import outdated  # noqa: PLC0415 (see above)

        others = outdated(locked, self.base)
        if not others:
            return error
        told = ", ".join(others[:_MOST]) + (", …" if len(others) > _MOST else "")
        note = (
            f"the base's versions are used of {told}; a package that the recipe names comes from the archive"
        )
        return ResolutionError(error.message, hint=f"{error.hint}; {note}" if error.hint else note)


_MOST = 8


def begin(recipe: Recipe, workshop: Workshop, rules: tuple[Rule, ...], locked: Lock) -> Beginning:
    """Open the base and make the trees of the sources; ``locked`` are the archives' packages.

    Raises what these raise.
    """
    supplies = Supply(
        platform=recipe.platform,
        mirrors=workshop.mirrors,
        cache=workshop.cache,
        freshness=workshop.freshness,
        effects=workshop.effects,
        versions={package.name: package.version for package in locked.packages},
        stages=workshop.stages,
        recipe=StageRecipe(
            path=recipe.path.absolute(),
            written=recipe.written,
        ),
        registries=workshop.reaching(recipe.insecure),
    )
    if recipe.base is None:
        return Beginning(recipe=recipe, trees=supply(recipe.sources, supplies), rules=rules, base=None)
    from builder.sources.base import over_base  # noqa: PLC0415 (see above)
    from builder.sources.ground import open_base  # noqa: PLC0415 (see above)

    base = open_base(recipe.base, supplies)
    below = SourceTree(name=_BASE, tree=base.tree, key=base.key, fresh_until=base.fresh_until)
    own = {name: package.version for name, package in base.tree.packages.items()}
    supplies = replace(supplies, versions={**own, **supplies.versions})
    return Beginning(
        recipe=replace(recipe, config=over_base(recipe.config, base.config.config)),
        trees={_BASE: below, **supply(recipe.sources, supplies)},
        rules=rules,
        base=base,
    )


def inputs_of(recipes: tuple[Recipe, ...], workshop: Workshop) -> tuple[Path, ...]:
    """Every file of this machine that decides the result, besides the cache; links, and where they lead."""
    found: list[Path] = []
    for recipe in recipes:
        extras = (one.context for test in recipe.tests for one in test.files if one.context is not None)
        bases = address_inputs(recipe.base) if recipe.base is not None else ()
        for path in (*recipe.inputs, *bases, *extras):
            found += (path, path.resolve())
        found += source_inputs(recipe.sources, recipe.written)
        for install in recipe.installs:
            if install.context is not None:
                found += (install.context, *sorted(install.context.rglob("*")))
    if workshop.mirrors is not None:
        found.append(Path(workshop.mirrors.origin))
    found += sorted(workshop.database.glob("*"))
    found.append(workshop.database)
    return tuple(dict.fromkeys(found))
