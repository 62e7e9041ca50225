"""What a source of files contributes to a Dockerfile besides packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from builder.containerfile.origins import Origin
from builder.containerfile.quote import path_form, plain_part, writable
from builder.containerfile.script import Run
from builder.errors import Problem, RecipeError
from builder.oci import ImageReference
from builder.plan.model import Entry
from builder.sysroot import Content, Kind, Sysroot

At = Callable[[tuple[str | int, ...], str], Problem]
"""Makes a problem of a key of the recipe: its key path, and what is wrong with it."""
Pin = Callable[[ImageReference], ImageReference]
"""Gives a reference its digest."""

SOURCES = "/sources"
"""Folder of the collecting stage with a folder for each source."""
_MOST_COPIES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of its own. ``steps`` are instructions: lines of one, or a RUN."""

    title: tuple[str, ...]
    start: str
    name: str
    steps: tuple[tuple[str, ...] | Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """``stages`` come first; ``copies`` put files into folders of the collecting stage: lines of each.

    ``context`` says that the build context is used.
    """

    origins: tuple[Origin, ...] = ()
    stages: tuple[Stage, ...] = ()
    copies: tuple[tuple[str, ...], ...] = ()
    context: bool = False


def no_form(problem: Problem) -> RecipeError:
    """The error for a key that no Dockerfile can say."""
    return RecipeError((problem,), hint="rootlet build can do it: a Dockerfile has no form for that")


def joined(provisions: Sequence[Provision]) -> Provision:
    """Everything together, in order."""
    return Provision(
        origins=tuple(one for provision in provisions for one in provision.origins),
        stages=tuple(one for provision in provisions for one in provision.stages),
        copies=tuple(one for provision in provisions for one in provision.copies),
        context=any(provision.context for provision in provisions),
    )


def taken_from(name: str, start: str, tree: Sysroot, entries: Iterable[Entry], words: str) -> Provision:
    """Copy the files that entries have of a tree, from the stage or image ``start`` whose root is the tree.

    ``name`` is that of the source. Nothing when the entries have none of it.
    """
    wanted = {_key(entry.content) for entry in entries if isinstance(entry.content, Content)}
    nodes = [
        node
        for node in tree
        if node.kind is Kind.FILE and node.content is not None and _key(node.content) in wanted
    ]
    nodes = [node for node in nodes if writable(node.path)]
    if not nodes:
        return Provision()
    folder = f"{SOURCES}/{name}"
    origin = Origin(folder=folder, words=words, nodes=tuple(nodes), known=False, links=False)
    groups: dict[str, list[str]] = {}
    for node in nodes:
        groups.setdefault(node.path.rpartition("/")[0], []).append(node.path)
    copies = tuple(_copy(start, folder, groups)) if len(groups) <= _MOST_COPIES else (_whole(start, folder),)
    return Provision(origins=(origin,), copies=copies)


def _copy(start: str, folder: str, groups: Mapping[str, list[str]]) -> Iterable[tuple[str, ...]]:
    for parent, paths in sorted(groups.items()):
        plain = plain_part(parent)
        if plain != parent or any(plain_part(path) != path for path in paths):
            yield (f"COPY --from={start} {path_form([f'{plain}/', f'{folder}{plain}/'])}",)
            continue
        words = [path_form([path])[1:-1] for path in sorted(paths)]
        lines = [f"    {word}, \\" for word in words]
        yield (f"COPY --from={start} [\\", *lines, f"    {path_form([f'{folder}{parent}/'])[1:-1]}]")


def _whole(start: str, folder: str) -> tuple[str, ...]:
    return (f"COPY --from={start} {path_form(['/', f'{folder}/'])}",)


def _key(content: Content) -> tuple[object, int, int]:
    return content.store, content.offset, content.size
