"""Container images as sources: what is taken is copied straight from them, each pinned by digest."""

from __future__ import annotations

from collections.abc import Iterable

from builder.containerfile.provision import At, Pin, Provision, no_form, taken_from
from builder.oci import ImageAddress
from builder.plan.model import Entry
from builder.recipe.source_model import ImageSource
from builder.sysroot import Sysroot


def pinned(address: ImageAddress, key: tuple[str | int, ...], pin: Pin, at: At) -> str:
    """The image as FROM and COPY name it. RecipeError for one that is in no registry."""
    if address.reference is None:
        message = f"{address} is an image of this machine, which other builders do not have"
        raise no_form(at(key, message))
    return str(pin(address.reference))


def provide_image(
    source: ImageSource, tree: Sysroot, entries: Iterable[Entry], pin: Pin, at: At
) -> Provision:
    """Copies of what entries have of the image."""
    used = taken_from(source.name, "", tree, entries, f"{source.ref}: the source {source.name}")
    if not used.origins:
        return used
    start = pinned(source.ref, ("sources", source.name, "ref"), pin, at)
    return taken_from(source.name, start, tree, entries, f"{start}: the source {source.name}")
