"""Files of the author: copied from the build context, which is the folder of the recipe or one above it."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.containerfile.origins import Origin
from builder.containerfile.provision import At, Provision, no_form
from builder.containerfile.quote import path_form, plain_part, shell_word
from builder.containerfile.script import Command, comment
from builder.plan.model import Entry
from builder.recipe.model import Install, Owner
from builder.sources.local import local_files
from builder.sysroot import Kind, Sysroot

FOLDER = "/context"
"""Where the collecting stage has what it takes from the build context."""


@dataclass(frozen=True, slots=True)
class Context:
    """The build context: an absolute folder of this machine, known to the Dockerfile as ".".

    ``up`` is how many folders it is above the recipe's.
    """

    folder: Path
    up: int

    def relative(self, path: Path) -> str:
        """``path`` as the build context has it; "" for the context itself."""
        relative = os.path.relpath(path.absolute(), self.folder)
        return "" if relative == "." else relative


def find_context(
    recipe: Path, installs: Sequence[Install], more: Iterable[tuple[Path, tuple[str | int, ...]]], at: At
) -> Context:
    """The nearest folder above the recipe that holds everything that is taken from this machine.

    ``more``: other paths, each with the key that names it. RecipeError when only the root folder does.
    """
    folder = str(recipe.absolute().parent)
    found = folder
    paths = [
        (one.context, ("install", number, "context")) for number, one in enumerate(installs) if one.context
    ]
    for path, key in (*paths, *more):
        common = os.path.commonpath((found, os.path.normpath(path.absolute())))
        if common == os.path.sep:
            message = f"{path} and the recipe have no folder in common that could be the build context"
            raise no_form(at(key, message))
        found = common
    return Context(Path(found), len(Path(folder).parts) - len(Path(found).parts))


def provide_context(installs: Sequence[Install], context: Context, at: At) -> Provision:
    """Copies of everything that ``[[install]]`` names with ``context``."""
    origins, copies = [], []
    for number, install in enumerate(installs):
        if install.context is None:
            continue
        relative = context.relative(install.context)
        if not relative.isprintable():
            message = "a Dockerfile cannot hold line ends and control characters in a path"
            raise no_form(at(("install", number, "context"), message))
        origins.append(_origin(install, relative))
        copies.append((copy_line(relative, FOLDER, folder=install.context.is_dir()),))
    return Provision(origins=tuple(origins), copies=tuple(dict.fromkeys(copies)), context=bool(copies))


def copy_line(relative: str, to: str, *, folder: bool) -> str:
    """The COPY that brings a path of the build context to the same path below ``to``.

    Where its name has a wildcard, the folder around it is copied.
    """
    plain = plain_part(relative)
    if folder or plain != relative:
        place = f"{to}/{plain}".rstrip("/")
        return f"COPY {path_form([(plain or '.') + '/', place + '/'])}"
    return f"COPY {path_form([plain, f'{to}/{plain}'])}"


def _origin(install: Install, relative: str) -> Origin:
    """Everything in the folder, with what the recipe ignores: what is taken whole is seen by that."""
    assert install.context is not None  # noqa: S101 (the caller asked)
    folder = f"{FOLDER}/{relative}".rstrip("/")
    if not install.context.is_dir():
        folder = folder.rpartition("/")[0]
        to = f"/{install.context.name}"
    else:
        to = "/"
    bare = replace(install, to=to, into=False, mode=None, owner=Owner(), ignore=())
    found = local_files((bare,), (), Sysroot(()))
    return Origin(
        folder=folder,
        words=f"{relative or '.'} of the build context",
        nodes=tuple(node for node, _ in found.installed if node.path != "/"),
    )


def mode_commands(
    entries: Sequence[Entry], local: frozenset[str]
) -> tuple[tuple[Command, ...], frozenset[str]]:
    """Give folders that hold nothing but local files rootlet's modes: 0755 for programs, 0644 for the rest.

    Gives the commands, and the paths whose modes are right then.
    """
    others = {
        parent
        for entry in entries
        if entry.path not in local and entry.kind is not Kind.DIRECTORY
        for parent in _parents(entry.path)
    }
    usual = {0o644, 0o755}
    odd = {
        parent
        for entry in entries
        if entry.path in local and entry.mode not in usual
        for parent in _parents(entry.path)
    }
    own = {parent for path in local for parent in _parents(path)} - others - odd
    highest = sorted(folder for folder in own if folder.rpartition("/")[0] not in own)
    if not highest:
        return (), frozenset()
    words = tuple(shell_word(folder[1:]) for folder in highest)
    command = Command(
        start="chmod -R u=rwX,go=rX",
        words=words,
        comments=comment("Files of the build context: 0755 or 0644."),
    )
    return (command,), frozenset(path for path in local if own.intersection(_parents(path)))


def _parents(path: str) -> list[str]:
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found
