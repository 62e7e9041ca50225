"""Names for approved images only, in a layout, an archive and the container storage."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builder.engine.command import Command, Finished
from builder.errors import BuildError, MachineError, RootletError, ScanError
from builder.image.layout import layout_names
from builder.image.write import Image, write_index
from builder.oci import Descriptor, Platform
from builder.publish import Publication, publish
from builder.recipe.model import Output, OutputKind, ScanPolicy
from builder.scan.gate import Candidate, Terms, approve
from builder.scan.model import ApprovedImage, ScanReport
from tests.support.images import AMD64, demo_layer, layer_of, plain, plan_of, snapshot, write
from tests.support.osv import inventory

ARM64 = Platform("linux", "arm64")
STORAGE = Output(kind=OutputKind.STORAGE)


@dataclass
class Tools:
    """Programs that do what they are told to; ``stored`` is what the storage gives back."""

    programs: tuple[str, ...] = ("skopeo", "buildah")
    config: bytes = b""
    image_id: str = ""
    ran: list[tuple[str, ...]] = field(default_factory=list)
    error: RootletError | None = None

    def find(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def run(self, command: Command) -> Finished:
        self.ran.append(command.argv)
        if self.error is not None:
            raise self.error
        out = self.config if "inspect" in command.argv else f"pulling\n{self.image_id}\n".encode()
        return Finished(status=0, stdout=out, stderr=b"")


def approved(layout: Path, images: tuple[Image, ...], descriptor: Descriptor | None = None) -> ApprovedImage:
    candidates = tuple(
        Candidate(
            image=image,
            report=ScanReport(
                subject="demo",
                inventory=inventory(files=sum(layer.files for layer in image.layers)),
                findings=(),
                databases=(),
                unscannable=(),
            ),
            read=tuple(layer.diff_id for layer in image.layers),
        )
        for image in images
    )
    return approve(
        candidates,
        layout=layout,
        descriptor=descriptor or images[0].manifest,
        terms=Terms(scan=ScanPolicy(), today=dt.date(2026, 11, 1)),
    )


def publication(
    folder: Path, *platforms: Platform, name: str = "shop/demo", tags: tuple[str, ...] = ("1", "latest")
) -> Publication:
    layout = folder / "staged"
    images = tuple(write(layout, plan_of(demo_layer(), platform=one)) for one in platforms or (AMD64,))
    descriptor = write_index(images, layout) if len(images) > 1 else None
    return Publication(
        approved=approved(layout, images, descriptor), images=images, name=name, tags=tags, native=AMD64
    )


def tools_for(one: Publication, **fields: object) -> Tools:
    image = one.single()
    config = (image.directory / "blobs/sha256" / image.config.digest.encoded).read_bytes()
    return Tools(config=config, image_id=image.config.digest.encoded, **fields)  # type: ignore[arg-type]  # fields by name


def test_a_layout_gets_every_tag(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    words = publish(
        publication(tmp_path),
        [Output(kind=OutputKind.OCI_LAYOUT, path=target)],
        runner=Tools(),
        scratch=tmp_path,
    )
    assert words == (f"oci:{target}:1",)
    assert layout_names(target) == ("1", "latest")


def test_an_archive_gets_every_reference(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    publish(
        publication(tmp_path),
        [Output(kind=OutputKind.DOCKER_ARCHIVE, path=target)],
        runner=Tools(),
        scratch=tmp_path,
    )
    with tarfile.open(target) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        assert json.load(member)[0]["RepoTags"] == ["shop/demo:1", "shop/demo:latest"]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("demo", "localhost/demo"), ("ghcr.io/o/demo", "ghcr.io/o/demo"), ("h:5000/d", "h:5000/d")],
)
def test_the_storage_gets_whole_names_through_skopeo(tmp_path: Path, name: str, prefix: str) -> None:
    one = publication(tmp_path, name=name)
    tools = tools_for(one)
    (tmp_path / "scratch").mkdir()
    assert publish(one, [STORAGE], runner=tools, scratch=tmp_path / "scratch") == (
        f"containers-storage:{prefix}:1",
    )
    copied = [argv[-1] for argv in tools.ran if "copy" in argv]
    assert copied == [f"containers-storage:{prefix}:1", f"containers-storage:{prefix}:latest"]


def test_the_storage_gets_whole_names_through_buildah(tmp_path: Path) -> None:
    one = publication(tmp_path)
    tools = tools_for(one, programs=("buildah",))
    publish(one, [STORAGE], runner=tools, scratch=tmp_path)
    assert [argv[1] for argv in tools.ran] == ["pull", "tag"]
    assert tools.ran[1][2:] == (tools.image_id, "localhost/shop/demo:latest")


def test_without_skopeo_and_buildah_the_storage_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="neither skopeo nor buildah") as caught:
        publish(publication(tmp_path), [STORAGE], runner=Tools(programs=()), scratch=tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("programs", [("skopeo",), ("buildah",)])
@pytest.mark.parametrize("back", [b"", b"{}", b"\xff\xfe"])
def test_a_storage_that_gives_something_else_back_is_an_error(
    tmp_path: Path, programs: tuple[str, ...], back: bytes
) -> None:
    tools = Tools(programs=programs, config=back, image_id=hashlib.sha256(back).hexdigest())
    with pytest.raises(BuildError, match="holds another image under localhost/shop/demo:1"):
        publish(publication(tmp_path), [STORAGE], runner=tools, scratch=tmp_path)
    assert len(tools.ran) <= 2


def test_a_tool_that_fails_ends_the_publication(tmp_path: Path) -> None:
    tools = Tools(error=BuildError("no"))
    with pytest.raises(BuildError, match="no"):
        publish(publication(tmp_path), [STORAGE], runner=tools, scratch=tmp_path)
    assert len(tools.ran) == 1


def test_one_place_gets_the_machines_own_platform(tmp_path: Path) -> None:
    one = publication(tmp_path, ARM64, AMD64)
    assert one.single().platform == AMD64
    assert replace(one, native=ARM64).single().platform == ARM64
    with pytest.raises(BuildError, match="None of the platforms") as caught:
        replace(one, native=Platform("linux", "s390x")).single()
    assert caught.value.hint


def test_the_only_platform_goes_even_where_it_cannot_run(tmp_path: Path) -> None:
    assert publication(tmp_path, ARM64).single().platform == ARM64


def other(folder: Path) -> Image:
    return write(folder / "staged", plan_of(layer_of(plain("/evil", b"x"))))


NOT_APPROVED: dict[str, Callable[[tuple[Image, ...], Image], tuple[Image, ...]]] = {
    "no image": lambda _given, _new: (),
    "one less": lambda given, _new: given[:1],
    "one more": lambda given, new: (*given, new),
    "another": lambda given, new: (given[0], new),
    "one twice": lambda given, _new: (given[0], given[0]),
    "other layers under an approved manifest": lambda given, new: (
        given[0],
        replace(given[1], layers=new.layers),
    ),
    "another configuration under it": lambda given, new: (given[0], replace(given[1], config=new.config)),
}


@pytest.mark.parametrize("case", NOT_APPROVED)
def test_nothing_but_what_was_approved_can_be_published(tmp_path: Path, case: str) -> None:
    one = publication(tmp_path, AMD64, ARM64)
    with pytest.raises(ScanError, match="to be published"):
        replace(one, images=NOT_APPROVED[case](one.images, other(tmp_path)))


def test_the_order_of_the_images_does_not_matter(tmp_path: Path) -> None:
    one = publication(tmp_path, AMD64, ARM64)
    assert replace(one, images=one.images[::-1]).single() == one.single()


def test_a_blob_that_was_damaged_after_the_approval_is_noticed(tmp_path: Path) -> None:
    one = publication(tmp_path)
    blob = one.approved.layout / "blobs/sha256" / one.images[0].layers[0].descriptor.digest.encoded
    blob.write_bytes(bytes(blob.stat().st_size))
    target = tmp_path / "out.tar"
    with pytest.raises(BuildError):
        publish(one, [Output(kind=OutputKind.DOCKER_ARCHIVE, path=target)], runner=Tools(), scratch=tmp_path)
    assert not target.exists()


def test_two_publications_at_once_both_get_their_names(tmp_path: Path) -> None:
    target = Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path / "dist")
    ones = []
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        ones.append(publication(tmp_path / str(number), tags=(f"t{number}",)))
    threads = [
        threading.Thread(
            target=publish, args=(one, [target]), kwargs={"runner": Tools(), "scratch": tmp_path}
        )
        for one in ones
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(layout_names(tmp_path / "dist")) == ["t0", "t1", "t2", "t3"]
    assert not [name for name in snapshot(tmp_path / "dist") if name.startswith(".")]


def test_an_output_without_a_path_is_an_error(tmp_path: Path) -> None:
    for kind in (OutputKind.OCI_LAYOUT, OutputKind.DOCKER_ARCHIVE):
        with pytest.raises(BuildError, match="has no path"):
            publish(publication(tmp_path), [Output(kind=kind)], runner=Tools(), scratch=tmp_path)


def test_what_can_be_known_to_fail_is_found_before_the_first_name(tmp_path: Path) -> None:
    image = publication(tmp_path)
    layout = Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path / "named")
    folder = Output(kind=OutputKind.DOCKER_ARCHIVE, path=tmp_path)
    for output, words in ((STORAGE, "neither skopeo nor buildah"), (folder, "is a folder")):
        with pytest.raises(MachineError, match=words):
            publish(image, [layout, output], runner=Tools(programs=()), scratch=tmp_path)
        assert not (tmp_path / "named").exists()
