"""Give an approved image its names: in a layout, an archive, the local container storage, a registry.

Everything here takes an ``ApprovedImage``, which the gate alone makes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine.command import Runner
from builder.engine.storage import copy_to_storage, pull_archive, stored_config, tag_image
from builder.errors import BuildError, MachineError, ScanError
from builder.image.archive import write_docker_archive
from builder.image.layout import publish_layout
from builder.image.write import Image
from builder.oci import ImageReference, Platform
from builder.recipe.model import Output, OutputKind
from builder.scan.model import ApprovedImage
from builder.stored.blobs import open_blobs, read_json_blob
from builder.stored.manifest import parse_manifest

if TYPE_CHECKING:  # read only for who pushes
    from builder.stored.pull import ImageDoor

_EXPORT = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What to publish where. ``native`` is the machine's platform: storage and archives hold one.

    ScanError when ``images`` are not exactly those that the gate approved, in the layout it approved.
    """

    approved: ApprovedImage
    images: tuple[Image, ...]
    name: str
    tags: tuple[str, ...]
    native: Platform
    base: ImageReference | None = None
    """The image of a registry that these start from: its repository has their lower layers."""

    def __post_init__(self) -> None:
        approved = sorted(str(manifest.digest) for manifest in self.approved.manifests)
        given = sorted(str(image.manifest.digest) for image in self.images)
        if given != approved:
            raise ScanError(
                f"What is to be published is not what was approved: {', '.join(given) or 'no image'} "
                f"instead of {', '.join(approved)}"
            )
        for image in self.images:
            _check_parts(image, self.approved.layout)

    def references(self) -> tuple[str, ...]:
        """``name:tag`` for every tag."""
        return tuple(f"{self.name}:{tag}" for tag in self.tags)

    def local_references(self) -> tuple[str, ...]:
        """References for a store of this machine: names without a registry belong to ``localhost``."""
        prefix = "" if ImageReference.parse(self.name).registry else "localhost/"
        return tuple(f"{prefix}{reference}" for reference in self.references())

    def single(self) -> Image:
        """The image for a place that holds one platform: the machine's own, else the only one."""
        fitting = [image for image in self.images if image.platform == self.native] or list(self.images)
        if len(fitting) > 1:
            raise BuildError(
                f"None of the platforms is this machine's ({self.native}), so none can be chosen",
                hint="choose one with --platform, or write an OCI layout, which holds them all",
            )
        return fitting[0]


def _check_parts(image: Image, layout: Path) -> None:
    # The approved manifest decides what an image is made of, not the value that travels beside it.
    payload = read_json_blob(open_blobs(layout), image.manifest)
    manifest = parse_manifest(payload, f"The manifest {image.manifest.digest}")
    approved = [manifest.config.digest, *(layer.digest for layer in manifest.layers)]
    if [image.config.digest, *(layer.descriptor.digest for layer in image.layers)] != approved:
        raise ScanError(f"The parts to be published are not those of the manifest {image.manifest.digest}")


def publish(
    publication: Publication,
    outputs: Iterable[Output],
    *,
    runner: Runner,
    scratch: Path,
    door: ImageDoor | None = None,
) -> tuple[str, ...]:
    """Write every output; the words for a person of where each went. ``scratch`` is an empty folder.

    ``door`` reaches registries. What can be known to fail is found before the first output gets its name;
    registries, which may fail later, come first.
    """
    wanted = tuple(outputs)
    tools = _Tools(runner=runner, scratch=scratch, door=door)
    for output in wanted:
        _check(publication, output, runner)
    places = {
        output: _PUBLISHERS[output.kind](publication, output, tools)
        for output in sorted(wanted, key=lambda one: one.kind is not OutputKind.REGISTRY)
    }
    return tuple(places[output] for output in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tools:
    """What writing takes."""

    runner: Runner
    scratch: Path
    door: ImageDoor | None


def _check(publication: Publication, output: Output, runner: Runner) -> None:
    if output.kind is OutputKind.REGISTRY:
        from builder.registry.name import locate  # noqa: PLC0415 (only for who pushes)

        locate(ImageReference.parse(publication.name))
    if output.kind in (OutputKind.OCI_LAYOUT, OutputKind.REGISTRY):
        return
    publication.single()
    if output.kind is OutputKind.DOCKER_ARCHIVE and _path(output).is_dir():
        raise MachineError(
            f"{output.path} is a folder; a docker-archive is a file", hint="name a file in it, as …/image.tar"
        )
    if output.kind is OutputKind.STORAGE and not (runner.find("skopeo") or runner.find("buildah")):
        raise MachineError(
            "The local container storage cannot be reached: neither skopeo nor buildah is on the PATH",
            hint="install skopeo, or write an OCI layout instead: --to oci:FOLDER",
        )


def _to_layout(publication: Publication, output: Output, _tools: _Tools) -> str:
    target = _path(output)
    approved = publication.approved
    publish_layout(approved.layout, approved.descriptor, publication.tags, target)
    return f"oci:{target}:{publication.tags[0]}"


def _to_archive(publication: Publication, output: Output, _tools: _Tools) -> str:
    target = _path(output)
    write_docker_archive(publication.approved.layout, publication.single(), publication.references(), target)
    return f"docker-archive:{target}"


def _to_registry(publication: Publication, _output: Output, tools: _Tools) -> str:
    from builder.image.push import Destination, push_image  # noqa: PLC0415 (only for who pushes)
    from builder.registry.name import locate  # noqa: PLC0415 (as above)

    door = tools.door
    if door is None:
        raise BuildError("There is nothing that reaches registries")
    name = ImageReference.parse(publication.name)
    base = publication.base
    destination = Destination(
        repository=locate(name),
        tags=publication.tags,
        neighbour=locate(base) if base is not None and base.registry else None,
    )
    door.progress.step(f"push {name}")
    with door.transport() as transport:
        push_image(
            open_blobs(publication.approved.layout),
            publication.approved.descriptor,
            destination,
            door.registries(transport),
            door.progress,
        )
    return f"docker://{publication.references()[0]}"


def _to_storage(publication: Publication, _output: Output, tools: _Tools) -> str:
    runner, scratch = tools.runner, tools.scratch
    skopeo, buildah = runner.find("skopeo"), runner.find("buildah")
    if skopeo:
        _with_skopeo(publication, skopeo, runner, scratch)
    elif buildah:  # one of the two is there: see _check
        _with_buildah(publication, buildah, runner, scratch)
    return f"containers-storage:{publication.local_references()[0]}"


def _with_skopeo(publication: Publication, skopeo: str, runner: Runner, scratch: Path) -> None:
    image = publication.single()
    export = scratch / "export"
    publish_layout(publication.approved.layout, image.manifest, (_EXPORT,), export)
    for name in publication.local_references():
        runner.run(copy_to_storage(skopeo, f"{export}:{_EXPORT}", name, scratch))
        stored = runner.run(stored_config(skopeo, name)).stdout
        _check_stored(hashlib.sha256(stored).hexdigest(), image, name)


def _with_buildah(publication: Publication, buildah: str, runner: Runner, scratch: Path) -> None:
    image = publication.single()
    first, *others = publication.local_references()
    archive = scratch / "export.tar"
    write_docker_archive(publication.approved.layout, image, (first,), archive)
    lines = runner.run(pull_archive(buildah, archive, scratch)).stdout.decode(errors="replace").split()
    stored = lines[-1] if lines else ""
    _check_stored(stored.removeprefix("sha256:"), image, first)
    for name in others:
        runner.run(tag_image(buildah, stored, name))


def _check_stored(encoded: str, image: Image, name: str) -> None:
    if encoded != image.config.digest.encoded:
        raise BuildError(
            f"The container storage holds another image under {name} than the one that was written: "
            f"sha256:{encoded}, not {image.config.digest}"
        )


def _path(output: Output) -> Path:
    if output.path is None:
        raise BuildError(f"The output {output.kind.value} has no path")
    return output.path


_PUBLISHERS: dict[OutputKind, Callable[[Publication, Output, _Tools], str]] = {
    OutputKind.OCI_LAYOUT: _to_layout,
    OutputKind.DOCKER_ARCHIVE: _to_archive,
    OutputKind.STORAGE: _to_storage,
    OutputKind.REGISTRY: _to_registry,
}
