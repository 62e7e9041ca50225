"""Images that stand in a layout or an archive already, on their way to a registry: scan, gate, push.

Nothing is taken on trust: what is pushed was read, judged and proven in this run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError, ResolutionError
from builder.image.layer import WrittenLayer
from builder.image.write import Image
from builder.oci import Descriptor, ImageReference
from builder.papers import attach_bill, bills
from builder.publish import Publication, publish
from builder.recipe.model import BillKind, ImagePolicy, Output, OutputKind, ScanPolicy
from builder.scan.gate import Candidate, Terms, approve
from builder.scan.model import ApprovedImage, ScanReport
from builder.scan.store import Database
from builder.scan.subject import Question, hardening_of, scan_image
from builder.scan.vex import read_vex
from builder.sources.image import image_door
from builder.staging import staging
from builder.stored.blobs import BlobSource, open_blobs, read_json_blob, read_section
from builder.stored.manifest import INDEX_TYPES, parse_index, reference_name
from builder.stored.read import StoredImage, open_image
from builder.workshop import Workshop

_ANY_IMAGE = ImagePolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Where an image goes, what it is judged by, and the bills that are attached to it.

    ``policy`` is of findings, ``image`` of what it may be at all; ``vex`` are files of OpenVEX statements.
    """

    references: tuple[ImageReference, ...]
    policy: ScanPolicy
    image: ImagePolicy = _ANY_IMAGE
    vex: tuple[Path, ...] = ()
    bills: tuple[BillKind, ...] = ()


def push_standing(path: Path, name: str, push: Push, workshop: Workshop) -> Descriptor:
    """Judge the image ``name`` ("" for the only one) of a layout or an archive, and push it; what was pushed.

    ResolutionError when it is not there, PolicyError or ScanError as the gate says, MachineError or
    BuildError as pushing says. No name is given before all that goes before it is there.
    """
    source = open_blobs(path)
    descriptor = _named(source, path, name)
    approved, images = _approved(path, source, descriptor, push, workshop)
    door = image_door(workshop.cache, workshop.freshness, workshop.effects, workshop.registries)
    tags: dict[str, list[str]] = {}
    for reference in push.references:
        tags.setdefault(reference.name, []).append(reference.tag or "latest")
    with staging(workshop.cache / "staging") as scratch:
        for repository, wanted in tags.items():
            publication = Publication(
                approved=approved,
                images=images,
                name=repository,
                tags=tuple(dict.fromkeys(wanted)),
                native=workshop.native,
            )
            outputs = [Output(kind=OutputKind.REGISTRY)]
            publish(publication, outputs, runner=workshop.runner, scratch=scratch, door=door)
            for paper in bills(publication, push.bills):
                workshop.progress.step(f"attach the bill of materials ({paper.suffix}) of {repository}")
                attach_bill(paper, publication, door, scratch)
    return descriptor


def _named(source: BlobSource, path: Path, name: str) -> Descriptor:
    """What has the name: a manifest, or an index of several platforms."""
    if not source.has("index.json"):
        raise ResolutionError(
            f"{path} is no OCI layout: what is in it has no manifest that could be pushed",
            hint="build the image to oci:FOLDER, or copy it there: skopeo copy … oci:FOLDER:TAG",
        )
    where = f"{path}: index.json"
    entries = parse_index(read_section(source.named("index.json"), where), where)
    fitting = [one for one in entries if not name or name in (reference_name(one), str(one.digest))]
    found = {one.digest: one for one in fitting}
    if len(found) == 1:
        return next(iter(found.values()))
    names = ", ".join(sorted({reference_name(one) for one in entries} - {""})[:10]) or "no names"
    if not found:
        raise ResolutionError(f"{path} holds no image named {name}", hint=f"it has {names}")
    raise ResolutionError(
        f"{path} holds {len(found)} images, and which one is meant is not said",
        hint=f"name it as oci:{path}:NAME; it has {names}",
    )


def _approved(
    path: Path, source: BlobSource, descriptor: Descriptor, push: Push, workshop: Workshop
) -> tuple[ApprovedImage, tuple[Image, ...]]:
    manifests: tuple[Descriptor, ...] = (descriptor,)
    if descriptor.media_type in INDEX_TYPES:
        manifests = parse_index(read_json_blob(source, descriptor), f"The index {descriptor.digest}")
    candidates = []
    with Database.open(workshop.database) as database:
        for manifest in manifests:
            stored = open_image(path, name=str(manifest.digest))
            subject = f"{path} ({stored.config.platform})"
            workshop.progress.step(f"scan {subject}")
            question = Question(subject=subject, now=workshop.now(), hardening=hardening_of(push.image))
            report = scan_image(stored, database, question)
            diff_ids = tuple(layer.diff_id for layer in stored.layers)
            image = _image(stored, path, report)
            candidates.append(Candidate(image=image, report=report, read=diff_ids))
    approved = approve(
        tuple(candidates),
        layout=path,
        descriptor=descriptor,
        terms=Terms(
            scan=push.policy,
            today=workshop.now().date(),
            image=push.image,
            statements=read_vex(push.vex),
        ),
    )
    return approved, tuple(candidate.image for candidate in candidates)


def _image(stored: StoredImage, path: Path, report: ScanReport) -> Image:
    """The value of an image that somebody wrote: of its layers nothing is counted one by one."""
    if stored.manifest is None or stored.config_blob is None:
        raise BuildError(f"{path} has no manifest")
    layers = tuple(
        WrittenLayer(
            descriptor=layer.descriptor,
            diff_id=layer.diff_id,
            size=layer.descriptor.size,
            files=0,
            entries=0,
        )
        for layer in stored.layers
        if layer.descriptor is not None
    )
    return Image(
        platform=stored.config.platform,
        manifest=stored.manifest,
        config=stored.config_blob,
        layers=layers,
        directory=path,
        compressor="",
        files=report.inventory.files,
    )
