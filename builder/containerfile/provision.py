"""What a source of files contributes to a Dockerfile besides packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builder.containerfile.origins import Origin
from builder.containerfile.script import Command
from builder.errors import Problem, RecipeError

At = Callable[[tuple[str | int, ...], str], Problem]
"""Makes a problem of a key of the recipe: its key path, and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A whole stage of its own, before the collecting one: ``lines`` of its instructions, FROM first."""

    title: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """``stages`` come first; ``copies`` and ``commands`` put files into folders of the collecting stage.

    ``copies`` has the lines of each COPY or ADD. ``context`` says that the build context is used.
    """

    origins: tuple[Origin, ...]
    stages: tuple[Stage, ...] = ()
    copies: tuple[tuple[str, ...], ...] = ()
    commands: tuple[Command, ...] = ()
    context: bool = False


def no_form(problem: Problem) -> RecipeError:
    """The error for a key that no Dockerfile can say."""
    return RecipeError((problem,), hint="rootlet build can do it: a Dockerfile has no form for that")
