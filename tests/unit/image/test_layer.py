from __future__ import annotations

import errno
import gzip
import hashlib
import io
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.errors import BuildError, MachineError
from builder.image.compress import compressor_name
from builder.image.layer import WrittenLayer, write_layer
from builder.oci import Digest
from builder.plan.model import Layer
from builder.progress import Silent
from builder.recipe.model import Compression
from builder.stored.decompress import decompressed
from builder.sysroot import Content
from tests.support.images import demo_layer, folder, hardlink, layer_of, plain, stored


def run(
    layer: Layer, blobs: Path, compression: Compression = Compression.GZIP, threads: int | None = None
) -> WrittenLayer:
    return write_layer(
        layer, created=7, compression=compression, blobs=blobs, progress=Silent(), threads=threads
    )


def blob_of(blobs: Path, layer: WrittenLayer) -> bytes:
    return (blobs / "sha256" / layer.descriptor.digest.encoded).read_bytes()


def large_layer(tmp_path: Path) -> Layer:
    """Files that cross blocks, end on their borders, and are far smaller than one."""
    store = tmp_path / "data.tar"
    payloads = [
        bytes([number]) * size for number, size in enumerate((0, 1, 512, 3_000_000, (1 << 20) - 512, 700))
    ]
    store.write_bytes(b"skip" + b"".join(payloads))
    entries, offset = [], 4
    for number, payload in enumerate(payloads):
        entries.append(stored(f"/f{number}", store, offset, payload))
        offset += len(payload)
    return layer_of(*entries, folder("/g"), plain("/g/made", b"made" * 99))


@pytest.mark.parametrize("compression", Compression)
def test_a_layer_unpacks_to_its_diff_id(tmp_path: Path, compression: Compression) -> None:
    written = run(large_layer(tmp_path), tmp_path / "blobs", compression)
    blob = blob_of(tmp_path / "blobs", written)
    tar = b"".join(decompressed(iter([blob]), "it"))
    assert len(blob) == written.descriptor.size
    assert len(tar) == written.size
    assert Digest("sha256", hashlib.sha256(tar).hexdigest()) == written.diff_id
    assert Digest("sha256", hashlib.sha256(blob).hexdigest()) == written.descriptor.digest


def test_gzip_is_one_member_that_the_standard_library_reads(tmp_path: Path) -> None:
    written = run(large_layer(tmp_path), tmp_path / "blobs")
    blob = blob_of(tmp_path / "blobs", written)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
        found = {member.name: member.size for member in tar}
    assert found["f3"] == 3_000_000
    assert blob[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@pytest.mark.parametrize("compression", Compression)
def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path: Path, compression: Compression) -> None:
    layer = large_layer(tmp_path)
    digests = {
        run(layer, tmp_path / "blobs", compression, threads).descriptor.digest for threads in range(1, 9)
    }
    assert len(digests) == 1


def test_files_and_entries_are_counted(tmp_path: Path) -> None:
    written = run(demo_layer(), tmp_path)
    assert (written.files, written.entries) == (3, 7)


def test_an_empty_layer_is_an_empty_archive(tmp_path: Path) -> None:
    written = run(Layer(entries=()), tmp_path)
    assert gzip.decompress(blob_of(tmp_path, written)) == bytes(1024)


def test_the_same_layer_has_the_same_digest_whatever_the_store(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (run(large_layer(tmp_path / name), tmp_path / name / "blobs") for name in ("one", "two"))
    assert one == two


def test_stores_are_read_in_any_order_and_in_turn(tmp_path: Path) -> None:
    payloads = [bytes([number]) * (100 + 3000 * (number % 40)) for number in range(150)]
    stores = [tmp_path / name for name in ("a", "b", "c")]
    for store in stores:
        store.write_bytes(b"".join(payloads))
    offsets = [sum(map(len, payloads[:number])) for number in range(150)]
    order = [number * 37 % 150 for number in range(50)] + list(range(100, 150))
    entries = [
        stored(f"/{place:03}", stores[place % 3 if place < 70 else 0], offsets[number], payloads[number])
        for place, number in enumerate(order)
    ]
    written = run(layer_of(*entries), tmp_path / "blobs", Compression.NONE)
    with tarfile.open(fileobj=io.BytesIO(blob_of(tmp_path / "blobs", written))) as tar:
        found = [tar.extractfile(member).read() for member in tar]  # type: ignore[union-attr]  # all are files
    assert found == [payloads[number] for number in order]


def test_more_stores_than_may_be_open_are_read(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"s{number}").write_bytes(b"%d" % number)
    entries = [
        stored(f"/{turn}{number:02}", tmp_path / f"s{number}", 0, b"%d" % number)
        for turn in range(2)
        for number in range(100)
    ]
    assert run(layer_of(*entries), tmp_path / "blobs").files == 200


def damaged(tmp_path: Path) -> Layer:
    store = tmp_path / "data.tar"
    store.write_bytes(b"x" * 5_000_000)
    return layer_of(stored("/a", store, 0, b"x" * 100), stored("/b", store, 100, b"y" * 4_000_000))


def test_a_damaged_byte_of_the_store_names_file_and_package_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        run(damaged(tmp_path), tmp_path / "blobs")
    assert str(caught.value) == (
        f"/b of package demo cannot be read from {tmp_path}/data.tar: "
        "its bytes are not the ones that were stored\n"
        "  hint: remove that file; rootlet fetches the package again"
    )
    assert list((tmp_path / "blobs").rglob("*")) == [tmp_path / "blobs/sha256"]


def test_a_store_that_is_too_short_or_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(BuildError, match="shorter than it was"):
        run(layer_of(stored("/a", tmp_path / "short", 0, b"abcd")), tmp_path / "blobs")
    with pytest.raises(BuildError, match="No such file"):
        run(layer_of(stored("/a", tmp_path / "gone", 0, b"abcd")), tmp_path / "blobs")


def test_bytes_without_a_known_digest_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"mine")
    content = Content(store=tmp_path / "own", offset=0, size=4, sha256="")
    written = run(layer_of(replace(plain("/own"), content=content)), tmp_path / "blobs", Compression.NONE)
    assert b"mine" in blob_of(tmp_path / "blobs", written)


class Full:
    """A disk with room for some bytes."""

    def __init__(self, stream: Any, room: int) -> None:
        self._stream = stream
        self._room = room

    def write(self, payload: bytes) -> int:
        self._room -= len(payload)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._stream.write(payload))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def test_a_full_disk_is_an_error_of_the_machine_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_open = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: Full(plain_open(path, *a, **k), 100))
    noise = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(40_000))
    with pytest.raises(MachineError, match="No space left on device"):
        run(layer_of(*(plain(f"/{number}", noise) for number in range(10, 40))), tmp_path / "blobs")
    assert list((tmp_path / "blobs").rglob("*")) == [tmp_path / "blobs/sha256"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        pytest.param(Layer(entries=(plain("/b"), plain("/a"))), "not sorted", id="out of order"),
        pytest.param(Layer(entries=(plain("/a"), plain("/a"))), "not sorted", id="a path twice"),
        pytest.param(Layer(entries=(plain("a"),)), "no absolute, normal path", id="a relative path"),
        pytest.param(Layer(entries=(plain("/a/../b"),)), "no absolute, normal path", id="a path that climbs"),
        pytest.param(Layer(entries=(plain("/a/"),)), "no absolute, normal path", id="a slash at the end"),
        pytest.param(Layer(entries=(plain("/.wh.a"),)), "takes another file away", id="a whiteout's name"),
        pytest.param(
            Layer(entries=(hardlink("/a", "/b"), plain("/b"))), "no file before it", id="a link ahead"
        ),
        pytest.param(
            Layer(entries=(folder("/a"), hardlink("/b", "/a"))), "no file before it", id="a linked folder"
        ),
    ],
)
def test_a_plan_that_is_no_tar_is_refused(tmp_path: Path, layer: Layer, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        run(layer, tmp_path)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_memory_does_not_grow_with_the_image(tmp_path: Path, compression: Compression) -> None:
    size = 96 << 20
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(size)
    content = Content(store=tmp_path / "sparse", offset=0, size=size, sha256="")
    layer = layer_of(*(replace(plain(f"/{number}"), content=content) for number in range(3)))
    tracemalloc.start()
    try:
        written = run(layer, tmp_path / "blobs", compression, threads=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written.size > 3 * size
    assert peak < 40 << 20


def test_the_compressor_is_named_with_its_version() -> None:
    assert compressor_name(Compression.GZIP).startswith("zlib-ng 2.")
    assert compressor_name(Compression.GZIP).endswith(" level 2 block 1MiB")
    assert compressor_name(Compression.ZSTD).startswith("zstd 1.")
    assert compressor_name(Compression.NONE) == "none"
