"""What the last stage starts from: nothing, or the base, pinned by the digest that the plan was made for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from builder.containerfile.provision import At, no_form
from builder.plan.model import Entry, ImagePlan
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind, Sysroot

SCRATCH = "scratch"


def last_start(plan: ImagePlan, at: At) -> str:
    """What FROM of the last stage names. RecipeError for a base that is in no registry."""
    if plan.base is None:
        return SCRATCH
    reference = plan.base.reference
    if reference is None or (reference.digest or plan.base.digest) is None:
        message = f"{plan.base.words} is an image of this machine, which other builders do not have"
        raise no_form(at(("image", "base"), message))
    return str(replace(reference, digest=reference.digest or plan.base.digest))


def with_ground(entries: Iterable[Entry], base: Sysroot | None) -> tuple[Entry, ...]:
    """The entries and the folders above them that the base has.

    A COPY gives a folder that is there already its own mode and owner, so these must be the base's.
    """
    own = tuple(entries)
    return own if base is None else (*own, *_folders(own, base))


def _folders(entries: Iterable[Entry], base: Sysroot) -> Iterator[Entry]:
    seen = {entry.path for entry in entries} | {""}
    for entry in entries:
        path = entry.path.rpartition("/")[0]
        while path not in seen:
            seen.add(path)
            node = base.get(path)
            if node is not None and node.kind is Kind.DIRECTORY:
                reason = Reason(ReasonKind.BASE, "as the base has it")
                yield Entry(
                    path=path, kind=Kind.DIRECTORY, mode=node.mode, uid=node.uid, gid=node.gid, reason=reason
                )
            path = path.rpartition("/")[0]
