"""A base is opened: found, fetched, unpacked and read."""

from __future__ import annotations

from builder.oci import ImageAddress
from builder.sources.base import Base, BaseLayer
from builder.sources.image import door_of, layer_store, opened_tree
from builder.sources.supply import Supply
from builder.stored.open import open_address, whole_image
from builder.stored.read import StoredImage


def open_base(address: ImageAddress, supplies: Supply) -> Base:
    """Find a base and have all of it on this machine. Raises as opening an image does."""
    door, store = door_of(supplies), layer_store(supplies.cache)
    opened = open_address(address, supplies.platform, door, store)
    tree = opened_tree(opened, door, store)
    image = whole_image(opened, door)
    return Base(
        words=str(address),
        reference=address.reference,
        digest=image.manifest.digest if image.manifest is not None else None,
        config=image.config,
        layers=tuple(
            BaseLayer(
                section=layer.section,
                descriptor=layer.descriptor,
                diff_id=layer.diff_id,
                size=facts.size,
                files=facts.files,
                entries=facts.entries,
            )
            for layer, facts in zip(image.layers, tree.layers, strict=True)
        ),
        tree=tree.tree,
        key=f"base {_config_key(image)} {opened.key}",
        fresh_until=opened.fresh_until,
    )


def _config_key(image: StoredImage) -> str:
    return repr((image.manifest.digest if image.manifest is not None else None, image.config))
