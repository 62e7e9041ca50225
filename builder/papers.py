"""What goes with an approved image: bills of materials and a report, as files and at its registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.files import write_bytes
from builder.image.contents import image_contents
from builder.image.referrers import Attachment, attach
from builder.image.write import Image
from builder.oci import ImageReference
from builder.publish import Publication
from builder.recipe.model import BillKind, OutputKind, Recipe
from builder.registry.name import locate
from builder.report.page import scan_html
from builder.sbom import cyclonedx, spdx
from builder.sbom.bill import Bill
from builder.sbom.image import bill_of, identity_of
from builder.scan.model import ApprovedImage
from builder.stored.pull import ImageDoor
from builder.stored.read import open_image


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One bill of one platform's image."""

    image: Image
    text: str
    media_type: str
    suffix: str


_FORMS: Mapping[BillKind, tuple[Callable[[Bill], str], str, str]] = {
    BillKind.CYCLONEDX: (cyclonedx.cyclonedx, cyclonedx.MEDIA_TYPE, cyclonedx.SUFFIX),
    BillKind.SPDX: (spdx.spdx, spdx.MEDIA_TYPE, spdx.SUFFIX),
}


def bills(publication: Publication, kinds: tuple[BillKind, ...]) -> Iterator[Paper]:
    """The bills of every platform's image, read from what was written. BuildError when that is damaged."""
    for image in publication.images if kinds else ():
        stored = open_image(image.directory, name=str(image.manifest.digest))
        bill = bill_of(
            image_contents(stored, subject=publication.name),
            identity_of(stored, name=publication.name, version=publication.tags[0]),
        )
        for kind in kinds:
            render, media_type, suffix = _FORMS[kind]
            yield Paper(image=image, text=render(bill), media_type=media_type, suffix=suffix)


def attach_bill(paper: Paper, publication: Publication, door: ImageDoor, scratch: Path) -> None:
    """Attach a bill to its image's manifest, as a referrer. MachineError when the registry refuses."""
    file = scratch / f"bill{paper.suffix}"
    file.write_text(paper.text, encoding="utf-8", errors="backslashreplace")
    attachment = Attachment(path=file, kind=paper.media_type)
    with door.transport() as transport:
        repository = locate(ImageReference.parse(publication.name))
        attach(door.registries(transport), repository, paper.image.manifest, attachment, scratch)


def hand_out(
    recipe: Recipe, publication: Publication, approved: ApprovedImage, door: ImageDoor | None, scratch: Path
) -> tuple[Path, ...]:
    """Write, and where the image was pushed attach, what the recipe asks for; the files that were written."""
    is_pushed = any(output.kind is OutputKind.REGISTRY for output in recipe.outputs)
    written: list[Path] = []
    for paper in bills(publication, recipe.bills):
        several = len(publication.images) > 1
        platform = f".{str(paper.image.platform).replace('/', '-')}" if several else ""
        target = recipe.beside.with_name(f"{recipe.beside.name}{platform}{paper.suffix}")
        _write(target, paper.text)
        written.append(target)
        if is_pushed and door is not None:
            attach_bill(paper, publication, door, scratch)
    if recipe.report is not None:
        pages = (scan_html(*pair) for pair in zip(approved.reports, approved.verdicts, strict=True))
        for number, page in enumerate(pages):
            target = recipe.report if number == 0 else _numbered(recipe.report, approved, number)
            _write(target, page)
            written.append(target)
    return tuple(written)


def _numbered(path: Path, approved: ApprovedImage, number: int) -> Path:
    """The page of another platform than the first: its name has the platform's."""
    platform = approved.manifests[number].platform
    words = str(platform).replace("/", "-") if platform is not None else str(number)
    return path.with_name(f"{path.stem}.{words}{path.suffix}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode(errors="backslashreplace"))
