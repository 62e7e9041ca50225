"""A container image as a source: the tree that its containers see, with the packages that own its files.

Layers are unpacked once each (builder/stored/layers.py); what they come to is kept beside them by their
DiffIDs, so that the next build reads one index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.files import read_checked, write_checked
from builder.oci import ImageAddress
from builder.registry.options import RegistryOptions
from builder.sources.debian.archive import Effects, Freshness
from builder.sources.recorded import with_owners
from builder.sources.rows import nodes_of, package_of, package_row, row_of
from builder.sources.supply import SourceTree, Supply
from builder.stored.layers import LayerEntry, LayerStore, UnpackedLayer, final_tree
from builder.stored.open import OpenedImage, open_address, unpacked_layers
from builder.stored.pull import ImageDoor
from builder.stored.read import Whiteout
from builder.sysroot import Kind, Node, Sysroot

_FORMAT = 2
"""Raised when the index, or what is read of package databases, changes."""


def image_tree(name: str, address: ImageAddress, supplies: Supply) -> SourceTree:
    """The tree of an image. ResolutionError, BuildError, MachineError as :func:`open_address` raises them."""
    door, layers = door_of(supplies), layer_store(supplies.cache)
    opened = open_address(address, supplies.platform, door, layers)
    return SourceTree(
        name=name,
        tree=opened_tree(opened, door, layers).tree,
        key=f"image {opened.key}",
        fresh_until=opened.fresh_until,
        env=opened.image.config.config.env,
    )


def door_of(supplies: Supply) -> ImageDoor:
    """What opens images, as the machine and the recipe have it."""
    return image_door(supplies.cache, supplies.freshness, supplies.effects, supplies.registries)


def image_door(cache: Path, freshness: Freshness, effects: Effects, options: RegistryOptions) -> ImageDoor:
    """What opens images, made of what a command has at hand."""
    return ImageDoor(
        folder=cache / "images",
        options=options,
        transport=effects.transport,
        runner=effects.runner,
        clock=effects.clock,
        progress=effects.progress,
        max_age=freshness.max_age,
        offline=freshness.offline,
        refresh=freshness.refresh,
    )


def layer_store(cache: Path) -> LayerStore:
    """Where layers are unpacked."""
    return LayerStore(cache / "layers")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """Bytes of a layer's tar, its regular files and hard links, all its entries."""

    size: int
    files: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedTree:
    """The files of an image with their owners, and what its layers hold, lowest first."""

    tree: Sysroot
    layers: tuple[LayerFacts, ...]


def opened_tree(opened: OpenedImage, door: ImageDoor, layers: LayerStore) -> OpenedTree:
    """Read an image; every layer was proven when it was unpacked."""
    memory = layers.folder / f"tree-{opened.key}.json"
    known = _recall(memory, opened, layers)
    if known is not None:
        return known
    unpacked = unpacked_layers(opened, door, layers)
    entries = final_tree(unpacked, where=str(opened.address))
    nodes, packages = with_owners(_node(one) for _, one in sorted(entries.items()))
    found = OpenedTree(tree=Sysroot(nodes, packages), layers=tuple(_facts(one) for one in unpacked))
    _remember(memory, unpacked, found)
    return found


def _facts(layer: UnpackedLayer) -> LayerFacts:
    plain = [one for one in layer.entries if one.file.whiteout is Whiteout.NONE and not one.special]
    files = sum(one.file.kind is Kind.FILE for one in plain)
    return LayerFacts(size=layer.size, files=files, entries=len(layer.entries))


def _node(entry: LayerEntry) -> Node:
    file = entry.file
    return Node(
        path=file.path,
        kind=file.kind,
        mode=file.mode & 0o7777,
        uid=file.uid,
        gid=file.gid,
        mtime=file.mtime,
        content=entry.content,
        target=file.target if file.kind is Kind.SYMLINK else "",
        hardlink=file.hardlink,
        xattrs=file.xattrs,
    )


def _remember(memory: Path, layers: Iterable[UnpackedLayer], found: OpenedTree) -> None:
    # Rows name no store, so they are kept by the layer that has the bytes; what has none is in the first.
    stores = {layer.tar: number for number, layer in enumerate(layers)}
    rows: list[list[Any]] = [[] for _ in stores] or [[]]
    for node in found.tree:
        rows[stores[node.content.store] if node.content is not None else 0].append(row_of(node))
    document = {
        "format": _FORMAT,
        "nodes": rows,
        "packages": [package_row(one) for one in found.tree.packages.values()],
        "layers": [asdict(one) for one in found.layers],
    }
    write_checked(memory, json.dumps(document, separators=(",", ":")).encode())


def _recall(memory: Path, opened: OpenedImage, layers: LayerStore) -> OpenedTree | None:
    body = read_checked(memory)
    diff_ids = list(dict.fromkeys(layer.diff_id for layer in opened.image.layers))
    if body is None or not all(layers.has(diff_id) for diff_id in diff_ids):
        return None
    document: Mapping[str, Any] = json.loads(body)
    if document["format"] != _FORMAT:
        return None
    stores = [layers.tar(diff_id) for diff_id in diff_ids] or [memory]
    nodes = (
        node for store, rows in zip(stores, document["nodes"], strict=True) for node in nodes_of(rows, store)
    )
    return OpenedTree(
        tree=Sysroot(nodes, (package_of(row, ()) for row in document["packages"])),
        layers=tuple(LayerFacts(**one) for one in document["layers"]),
    )
