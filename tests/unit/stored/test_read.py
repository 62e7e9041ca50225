from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.archive import write_docker_archive
from builder.image.layout import publish_layout
from builder.image.write import write_index
from builder.oci import Platform
from builder.recipe.model import Compression
from builder.stored.read import ImageFile, Limits, Whiteout, files, open_image
from builder.sysroot import Kind
from tests.support.images import (
    AMD64,
    demo_layer,
    foreign_layout,
    layer_of,
    member,
    pack,
    plain,
    plan_of,
    tar_of,
    write,
)


def listing(path: Path) -> dict[str, tuple[Kind, int, bytes, str]]:
    return {
        file.path: (file.kind, file.mode, b"".join(file.chunks()), file.target or file.hardlink)
        for file in files(open_image(path))
    }


DEMO = {
    "/bin": (Kind.DIRECTORY, 0o755, b"", ""),
    "/bin/demo": (Kind.FILE, 0o4755, b"#!/bin/sh\necho demo\n" * 100, ""),
    "/bin/demo2": (Kind.FILE, 0o644, b"", "/bin/demo"),
    "/etc": (Kind.DIRECTORY, 0o755, b"", ""),
    "/etc/empty": (Kind.FILE, 0o644, b"", ""),
    "/etc/link": (Kind.SYMLINK, 0o777, b"", "../bin/demo"),
    "/tmp": (Kind.DIRECTORY, 0o1777, b"", ""),  # noqa: S108 (a path of the image)
}


@pytest.mark.parametrize("compression", Compression)
def test_a_layout_folder_is_read(tmp_path: Path, compression: Compression) -> None:
    write(tmp_path, compression=compression)
    assert listing(tmp_path) == DEMO


def test_an_oci_archive_is_read(tmp_path: Path) -> None:
    image = write(tmp_path / "stage")
    archive = pack(tmp_path / "stage", tmp_path / "image.tar")
    assert listing(archive) == DEMO
    found = open_image(archive).manifest
    assert found is not None
    assert found.digest == image.manifest.digest


def test_a_docker_archive_is_read(tmp_path: Path) -> None:
    image = write(tmp_path / "stage")
    write_docker_archive(tmp_path / "stage", image, ("demo:1", "demo:2"), tmp_path / "image.tar")
    assert listing(tmp_path / "image.tar") == DEMO
    found = open_image(tmp_path / "image.tar", name="demo:2")
    assert (found.names, found.config.platform) == (("demo:1", "demo:2"), AMD64)
    with pytest.raises(BuildError, match="0 images named demo:3"):
        open_image(tmp_path / "image.tar", name="demo:3")


def test_a_docker_archive_with_linked_and_compressed_layers_is_read(tmp_path: Path) -> None:
    tar = tar_of(member("a", b"1"))
    config = {"rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"] * 2}}
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["x/layer.tar", "y/layer.tar"]}]
    archive = tar_of(
        member("x/layer.tar", gzip.compress(tar)),
        member("y/layer.tar", type=tarfile.SYMTYPE, linkname="../x/layer.tar"),
        member("c.json", json.dumps(config).encode()),
        member("manifest.json", json.dumps(manifest).encode()),
    )
    (tmp_path / "image.tar").write_bytes(archive)
    assert [file.layer for file in files(open_image(tmp_path / "image.tar"))] == [0, 1]


def test_the_start_of_a_file_can_be_read_again_and_all_of_it_once(tmp_path: Path) -> None:
    payload = bytes(range(256)) * 20_000
    foreign_layout(tmp_path, [tar_of(member("big", payload), member("small", b"abc"))])
    stream = files(open_image(tmp_path))
    big = next(stream)
    assert (big.read(4), big.read(2_000_000), big.read(0)) == (payload[:4], payload[:2_000_000], b"")
    assert b"".join(big.chunks()) == payload
    with pytest.raises(ValueError, match="only once"):
        big.read(1)
    small = next(stream)
    assert small.read(100) == b"abc"
    with pytest.raises(ValueError, match="until the iterator moves on"):
        big.chunks()
    assert list(stream) == []


def test_several_images_need_a_choice(tmp_path: Path) -> None:
    images = tuple(
        write(tmp_path / name, plan_of(demo_layer(), platform=Platform("linux", name)))
        for name in ("amd64", "arm64")
    )
    index = write_index(images, tmp_path / "both")
    publish_layout(tmp_path / "both", index, ("all",), tmp_path / "dist")
    one = write(tmp_path / "one", plan_of(layer_of(plain("/one"))))
    publish_layout(tmp_path / "one", one.manifest, ("single",), tmp_path / "dist")
    with pytest.raises(BuildError, match="3 images") as caught:
        open_image(tmp_path / "dist")
    hint = "choose with --platform, one of linux/amd64, linux/arm64 and a name, one of all, single"
    assert caught.value.hint == hint
    with pytest.raises(BuildError, match="no image named none"):
        open_image(tmp_path / "dist", name="none")
    assert open_image(tmp_path / "dist", name="single").names == ("single",)
    arm = open_image(tmp_path / "dist", name="all", platform=Platform("linux", "arm64"))
    assert arm.config.platform.architecture == "arm64"


def foreign(tmp_path: Path, *tars: bytes) -> list[ImageFile]:
    return list(files(open_image(foreign_layout(tmp_path, tars))))


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(tmp_path: Path, style: int) -> None:
    name = "/".join(["d" * 50] * 4) + "/é"
    tar = tar_of(member("./" + name, b"x", mode=0o600, uid=7, gid=8, mtime=9), format=style)
    (found,) = foreign(tmp_path, tar)
    assert (found.path, found.mode, found.uid, found.gid, found.mtime) == ("/" + name, 0o600, 7, 8, 9)


def test_large_numbers_of_gnu_tar_are_read(tmp_path: Path) -> None:
    (found,) = foreign(tmp_path, tar_of(member("x", uid=2**31, gid=2**40), format=tarfile.GNU_FORMAT))
    assert (found.uid, found.gid) == (2**31, 2**40)


def test_whiteouts_are_told(tmp_path: Path) -> None:
    tar = tar_of(member("etc/.wh.passwd"), member("var/.wh..wh..opq"), member(".wh..wh..opq"))
    found = [(file.path, file.whiteout) for file in foreign(tmp_path, tar)]
    assert found == [("/etc/passwd", Whiteout.PATH), ("/var", Whiteout.CONTENTS), ("/", Whiteout.CONTENTS)]


def test_devices_are_passed_over(tmp_path: Path) -> None:
    assert foreign(tmp_path, tar_of(member("dev/null", type=tarfile.CHRTYPE))) == []


def test_many_gzip_members_and_zero_blocks_less_at_the_end_are_fine(tmp_path: Path) -> None:
    tar = tar_of(member("a", b"1" * 3000), member("b", b"2"))[: 512 * 9]
    foreign_layout(tmp_path, [tar])
    parts = b"".join(gzip.compress(tar[at : at + 700]) for at in range(0, len(tar), 700))
    swap_layer(tmp_path, parts)
    assert [file.path for file in files(open_image(tmp_path))] == ["/a", "/b"]


def swap_layer(directory: Path, payload: bytes) -> None:
    """Give the image of a foreign layout another layer blob, correctly described."""
    entry = json.loads((directory / "index.json").read_bytes())["manifests"][0]
    path = directory / "blobs/sha256" / entry["digest"][7:]
    manifest = json.loads(path.read_bytes())
    digest = hashlib.sha256(payload).hexdigest()
    (directory / "blobs/sha256" / digest).write_bytes(payload)
    manifest["layers"][0] |= {"digest": f"sha256:{digest}", "size": len(payload)}
    text = json.dumps(manifest).encode()
    entry |= {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}", "size": len(text)}
    (directory / "blobs/sha256" / entry["digest"][7:]).write_bytes(text)
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


PLAIN = tar_of(member("a", b"x" * 100_000))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        pytest.param(gzip.compress(PLAIN)[:-9], "end too early", id="a cut gzip stream"),
        pytest.param(gzip.compress(PLAIN)[:-8] + b"\0" * 8, "is damaged", id="a wrong checksum"),
        pytest.param(b"\x1f\x8b" + b"\xff" * 100, "is damaged", id="noise that calls itself gzip"),
        pytest.param(b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "is damaged", id="noise that calls itself zstd"),
        pytest.param(gzip.compress(PLAIN) + b"tail", "is damaged", id="bytes after the end"),
        pytest.param(gzip.compress(tar_of(member("b"))), "its DiffID is not", id="another layer"),
        pytest.param(gzip.compress(b"x" * 5000), "is not a sound tar archive", id="no archive"),
        pytest.param(gzip.compress(PLAIN[:5000]), "its DiffID is not", id="a cut archive"),
        pytest.param(b"", "its DiffID is not", id="nothing"),
    ],
)
def test_a_damaged_layer_is_an_error(tmp_path: Path, blob: bytes, message: str) -> None:
    foreign_layout(tmp_path, [PLAIN])
    swap_layer(tmp_path, blob)
    with pytest.raises(BuildError, match=message):
        list(files(open_image(tmp_path)))


def test_a_blob_with_a_flipped_byte_is_an_error(tmp_path: Path) -> None:
    foreign_layout(tmp_path, [PLAIN], compress=False)
    path = tmp_path / "blobs/sha256" / hashlib.sha256(PLAIN).hexdigest()
    path.write_bytes(PLAIN[:1000] + b"y" + PLAIN[1001:])
    with pytest.raises(BuildError, match="DiffID"):
        list(files(open_image(tmp_path)))


def hostile_header(**changes: bytes) -> bytes:
    """A header with some fields overwritten and the checksum made right again."""
    spans = {"name": (0, 100), "mode": (100, 108), "size": (124, 136), "type": (156, 157), "uid": (108, 116)}
    header = bytearray(tar_of(member("a"))[:512])
    for field, value in changes.items():
        start, end = spans[field]
        header[start:end] = value.ljust(end - start, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    ("tar", "message"),
    [
        pytest.param(tar_of(member("../etc/passwd")), "climbs out", id="a name that climbs out"),
        pytest.param(tar_of(member("a/../../b")), "climbs out", id="a name that climbs out later"),
        pytest.param(
            tar_of(member("a", type=tarfile.LNKTYPE, linkname="../b")),
            "climbs out",
            id="a hard link that climbs out",
        ),
        pytest.param(hostile_header(size=b"-0000001"), "not octal", id="a negative size"),
        pytest.param(hostile_header(size=b"\xff" * 12), "out of range", id="a negative size in base 256"),
        pytest.param(hostile_header(size=b"\x80" + b"\x7f" * 11), "out of range", id="an endless size"),
        pytest.param(hostile_header(size=b"0_1"), "not octal", id="a number as Python would read it"),
        pytest.param(hostile_header(mode=b"9"), "not octal", id="a digit that is not octal"),
        pytest.param(hostile_header(size=b"77777777777"), "ends too early", id="a size beyond the end"),
        pytest.param(hostile_header(type=b"S"), "no engine unpacks", id="a sparse file of GNU tar"),
        pytest.param(hostile_header(type=b"x", size=b"77777777"), "extended header has", id="a pax bomb"),
        pytest.param(
            hostile_header(type=b"L", size=b"77777777"), "extended header has", id="a long name bomb"
        ),
        pytest.param(
            hostile_header(type=b"x", size=b"5") + b"9 a=b".ljust(512, b"\0"),
            "malformed",
            id="a pax record cut off",
        ),
        pytest.param(
            hostile_header(type=b"x", size=b"6") + b"0 a=b\n".ljust(512, b"\0"),
            "malformed",
            id="a pax record of no size",
        ),
        pytest.param(
            tar_of(member("a", pax_headers={"size": "-1"})), "'-1' for size", id="a negative pax size"
        ),
        pytest.param(tar_of(member("a", pax_headers={"path": "a\0b"})), "NUL", id="a NUL in a pax name"),
        pytest.param(
            tar_of(member("a", pax_headers={"GNU.sparse.major": "1"})), "sparse", id="a pax sparse file"
        ),
        pytest.param(tar_of(member("a/" * 5000)), "no system has such paths", id="an endless path"),
        pytest.param(hostile_header()[:300], "ends inside a header", id="half a header"),
        pytest.param(hostile_header()[:511] + b"x", "wrong checksum", id="a wrong checksum"),
    ],
)
def test_a_hostile_archive_is_an_error(tmp_path: Path, tar: bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        foreign(tmp_path, tar)


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    foreign_layout(tmp_path, [tar_of(member("zeros", bytes(40 << 20)))])
    with pytest.raises(BuildError, match="unpacks to more than 5000000 bytes"):
        list(files(open_image(tmp_path, limits=Limits(layer_bytes=5_000_000))))


def test_too_many_entries_stop_at_the_limit(tmp_path: Path) -> None:
    foreign_layout(tmp_path, [tar_of(*(member(str(number)) for number in range(20)))])
    with pytest.raises(BuildError, match="more than 10 entries"):
        list(files(open_image(tmp_path, limits=Limits(entries=10))))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("index.json", b"{", "index.json is not JSON", id="a broken index"),
        pytest.param(
            "index.json", b'{"schemaVersion":2,"manifests":[]}', "holds no image", id="an empty index"
        ),
        pytest.param("index.json", b" " * (9 << 20), "at most", id="an index of 9 MiB"),
    ],
)
def test_a_damaged_layout_is_an_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BuildError, match=message):
        open_image(tmp_path)


def test_a_missing_or_short_blob_is_an_error(tmp_path: Path) -> None:
    image = write(tmp_path)
    layer = tmp_path / "blobs/sha256" / image.layers[0].descriptor.digest.encoded
    layer.write_bytes(layer.read_bytes()[:-1])
    with pytest.raises(BuildError, match="as described"):
        list(files(open_image(tmp_path)))
    layer.unlink()
    with pytest.raises(BuildError, match="is missing"):
        open_image(tmp_path)


def test_indexes_that_hold_themselves_do_not_hang(tmp_path: Path) -> None:
    write(tmp_path)
    kind = "application/vnd.oci.image.index.v1+json"
    inner = {"mediaType": kind, "digest": "sha256:" + "0" * 64, "size": 3}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [inner]}))
    with pytest.raises(BuildError, match="is missing"):
        open_image(tmp_path)


def test_what_is_no_image_is_an_error(tmp_path: Path) -> None:
    for content in (b"", b"text" * 1000, gzip.compress(b"x")):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(BuildError, match=r"is no image|not a sound tar|is compressed"):
            open_image(tmp_path / "file")
    with pytest.raises(BuildError, match="is no image"):
        open_image(tmp_path)
    with pytest.raises(BuildError, match="cannot be read"):
        open_image(tmp_path / "absent")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildError, match="a device or a pipe"):
        open_image(tmp_path / "pipe")
