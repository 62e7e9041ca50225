"""What is in a finished image of any make, in one pass: its inventory and, where it has them, reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.inventory.collect import MAX_DATABASE_FILE, is_file_list, take_owned_inventory
from builder.inventory.dpkg import parse_list, parse_md5sums
from builder.inventory.files import TreeFile, walk_root
from builder.oci import ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME
from builder.plan.contents import Contents, LayerFacts, Place, make_contents
from builder.plan.reasons import MAX_RECORD, RECORD, Provenance, reasons_from_json
from builder.reason import Reason, ReasonKind
from builder.stored.read import ImageFile, StoredImage
from builder.stored.tree import tree
from builder.sysroot import Kind

Passing = Callable[[Iterable[TreeFile]], Iterator[TreeFile]]
"""Looks at every file on its way to the inventory."""


def image_contents(
    image: StoredImage, *, subject: str, wanted: frozenset[str] = frozenset(), passing: Passing | None = None
) -> Contents:
    """Read what a container of ``image`` sees; every layer is proven on the way.

    ``wanted``: paths that file lists of packages are searched for. BuildError when the image or its record
    of reasons is damaged.
    """
    files = tree(image)
    layers = tuple(_layers(image))
    return _contents(passing(files) if passing else files, subject, layers, wanted, base=_base(image))


def folder_contents(
    folder: Path, *, subject: str, wanted: frozenset[str] = frozenset(), passing: Passing | None = None
) -> Contents:
    """Read a root folder of this machine, likewise."""
    files = walk_root(folder)
    return _contents(passing(files) if passing else files, subject, (), wanted)


def _base(image: StoredImage) -> Reason | None:
    """The reason of what nobody wrote down in an image that says what it started from."""
    said = dict(image.annotations)
    name = said.get(ANNOTATION_BASE_NAME) or said.get(ANNOTATION_BASE_DIGEST)
    return Reason(ReasonKind.BASE, name) if name else None


def _layers(image: StoredImage) -> Iterator[LayerFacts]:
    for layer in image.layers:
        digest = layer.descriptor.digest if layer.descriptor is not None else layer.diff_id
        yield LayerFacts(digest=str(digest), size=layer.section.size)


@dataclass(slots=True)
class _Notes:
    """What is kept of each path while the inventory reads the stream."""

    wanted: frozenset[str]
    listed: dict[str, str] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    record: bytes | None = None

    def follow(self, files: Iterable[TreeFile]) -> Iterator[TreeFile]:
        for file in files:
            image_file = file if isinstance(file, ImageFile) else None
            second_name = image_file is not None and bool(image_file.hardlink)
            place = Place(
                path=file.path,
                kind=file.kind,
                size=0 if second_name or file.kind is not Kind.FILE else max(file.size, 0),
                target=file.target,
                layer=image_file.layer if image_file is not None else 0,
            )
            self.places.append(place)
            if file.path == RECORD and file.kind is Kind.FILE:
                self.record = file.read(MAX_RECORD + 1)
            if self.wanted and file.kind is Kind.FILE and is_file_list(file.path):
                self._search(file)
            yield file

    def _search(self, file: TreeFile) -> None:
        text = file.read(MAX_DATABASE_FILE).decode(errors="surrogateescape")
        package = file.path.rpartition("/")[2].rpartition(".")[0].partition(":")[0]
        for path in parse_list(text) if file.path.endswith(".list") else parse_md5sums(text):
            for spelling in (path, f"/usr{path}"):  # before /usr was merged
                if spelling in self.wanted:
                    self.listed[spelling] = package


def _contents(
    files: Iterable[TreeFile],
    subject: str,
    layers: tuple[LayerFacts, ...],
    wanted: frozenset[str],
    *,
    base: Reason | None = None,
) -> Contents:
    notes = _Notes(wanted)
    inventory, owners = take_owned_inventory(notes.follow(files))
    known = reasons_from_json(notes.record, f"{RECORD} of {subject}") if notes.record is not None else {}
    others = base if notes.record is not None else None
    places = (
        _known(place, known.get(place.path), owners.get(place.path, ""), others) for place in notes.places
    )
    return make_contents(
        subject,
        places,
        inventory,
        layers=layers,
        recorded=notes.record is not None,
        listed=notes.listed,
    )


def _known(place: Place, provenance: Provenance | None, owner: str, base: Reason | None) -> Place:
    return Place(
        path=place.path,
        kind=place.kind,
        size=place.size,
        target=place.target,
        package=provenance.package if provenance is not None else owner,
        reason=provenance.reason if provenance is not None else base,
        layer=place.layer,
    )
