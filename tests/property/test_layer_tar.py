"""Any layer becomes a tar that the standard library reads as the same entries, and so do our own readers."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import BuildError
from builder.image.layer import write_layer
from builder.image.validate import validate
from builder.plan.model import Entry, Layer
from builder.progress import Silent
from builder.recipe.model import Compression
from builder.stored.decompress import decompressed
from builder.stored.read import files, open_image
from builder.stored.untar import TarReader
from builder.sysroot import Kind
from tests.support.images import REASON, hostile_bytes, layer_of, member, plan_of, tar_of, write

NAMES = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120),
    st.binary(min_size=1, max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.sampled_from(["a" * 99, "a" * 100, "a" * 101, "é" * 50, "a" * 155, "-"]),
).filter(lambda name: not {"/", "\0"} & set(name) and name not in {".", ".."} and not name.startswith(".wh."))
NUMBERS = st.one_of(st.integers(0, 70_000), st.sampled_from([0o7777777, 0o10000000, 2**31]))
XATTRS = st.dictionaries(
    st.from_regex(r"user\.[a-z]{1,20}", fullmatch=True), st.binary(max_size=40), max_size=2
)


@dataclass(frozen=True)
class Leaf:
    kind: str
    content: bytes
    target: str
    mode: int
    uid: int
    gid: int
    xattrs: tuple[tuple[str, bytes], ...]


LEAVES = st.builds(
    Leaf,
    kind=st.sampled_from(["file", "symlink", "folder", "hardlink"]),
    content=st.binary(max_size=2000),
    target=st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    mode=st.integers(0, 0o7777),
    uid=NUMBERS,
    gid=NUMBERS,
    xattrs=XATTRS.map(lambda found: tuple(sorted(found.items()))),
)
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=4).map(tuple), LEAVES, max_size=12)


def layer_from(tree: dict[tuple[str, ...], Leaf]) -> Layer:
    """Paths that lie below a file are dropped, folders on the way are added, hard links look back."""
    entries: dict[str, Entry] = {}
    first = ""
    for parts, leaf in sorted(
        tree.items(), key=lambda item: [part.encode("utf-8", "surrogateescape") for part in item[0]]
    ):
        parents = ["/" + "/".join(parts[:end]) for end in range(1, len(parts))]
        if any(parent in entries and entries[parent].kind is not Kind.DIRECTORY for parent in parents):
            continue
        for parent in parents:
            entries.setdefault(parent, Entry(path=parent, kind=Kind.DIRECTORY, mode=0o755, reason=REASON))
        path = "/" + "/".join(parts)
        if path not in entries:
            entries[path] = entry_from(path, leaf)
    found = layer_of(*entries.values())
    linked: list[Entry] = []
    for entry in found.entries:
        link = tree.get(tuple(entry.path[1:].split("/")))
        if entry.kind is Kind.FILE and link is not None and link.kind == "hardlink" and first:
            linked.append(
                Entry(path=entry.path, kind=Kind.FILE, mode=entry.mode, hardlink=first, reason=REASON)
            )
            continue
        first = entry.path if entry.kind is Kind.FILE else first
        linked.append(entry)
    return Layer(entries=tuple(linked))


def entry_from(path: str, leaf: Leaf) -> Entry:
    kind = {"symlink": Kind.SYMLINK, "folder": Kind.DIRECTORY}.get(leaf.kind, Kind.FILE)
    return Entry(
        path=path,
        kind=kind,
        mode=leaf.mode,
        uid=leaf.uid,
        gid=leaf.gid,
        content=leaf.content if kind is Kind.FILE else None,
        target=leaf.target if kind is Kind.SYMLINK else "",
        xattrs=leaf.xattrs,
        reason=REASON,
    )


def told(entry: Entry) -> tuple[object, ...]:
    payload = entry.content if isinstance(entry.content, bytes) else b""
    kind = "link" if entry.hardlink else entry.kind.value
    target = entry.hardlink[1:] or entry.target
    return (entry.path[1:], kind, entry.mode, entry.uid, entry.gid, target, payload, dict(entry.xattrs))


def judged(tar: bytes) -> Iterator[tuple[object, ...]]:
    kinds = {
        tarfile.REGTYPE: "file",
        tarfile.DIRTYPE: "directory",
        tarfile.SYMTYPE: "symlink",
        tarfile.LNKTYPE: "link",
    }
    with tarfile.open(fileobj=io.BytesIO(tar), encoding="utf-8", errors="surrogateescape") as archive:
        for found in archive:
            stream = archive.extractfile(found) if found.isreg() else None
            xattrs = {
                key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
                for key, value in found.pax_headers.items()
                if key.startswith("SCHILY.xattr.")
            }
            assert (found.mtime, found.uname, found.gname) == (7, "", "")
            payload = stream.read() if stream else b""
            yield (
                found.name,
                kinds[found.type],
                found.mode,
                found.uid,
                found.gid,
                found.linkname,
                payload,
                xattrs,
            )


def tar_of_layer(layer: Layer, compression: Compression, threads: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        written = write_layer(
            layer, created=7, compression=compression, blobs=Path(folder), progress=Silent(), threads=threads
        )
        blob = (Path(folder) / "sha256" / written.descriptor.digest.encoded).read_bytes()
    return b"".join(decompressed(iter([blob]), "it"))


@settings(deadline=None, max_examples=60)
@given(tree=TREES, compression=st.sampled_from(Compression), threads=st.integers(1, 3))
def test_any_layer_is_read_back_by_the_standard_library(
    tree: dict[tuple[str, ...], Leaf], compression: Compression, threads: int
) -> None:
    layer = layer_from(tree)
    assert list(judged(tar_of_layer(layer, compression, threads))) == [told(entry) for entry in layer.entries]


@settings(deadline=None, max_examples=30)
@given(tree=TREES)
def test_any_layer_is_valid_and_read_back_by_our_own_reader(tree: dict[tuple[str, ...], Leaf]) -> None:
    plan = plan_of(layer_from(tree))
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), plan)
        assert validate(Path(folder), plan=plan) == ()
        found = [(file.path, file.kind, file.read(1 << 20)) for file in files(open_image(Path(folder)))]
    assert found == [
        (entry.path, entry.kind, entry.content if isinstance(entry.content, bytes) else b"")
        for entry in plan.layers[0].entries
    ]


SAMPLE = tar_of(
    member("a" * 120, b"x" * 700),
    member("d", type=tarfile.DIRTYPE),
    member("d/é", b"y", uid=2**31, pax_headers={"SCHILY.xattr.user.a": "1"}),
    member("l", type=tarfile.SYMTYPE, linkname="t" * 150),
)


@settings(deadline=None, max_examples=300)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, len(SAMPLE)),
    chunk=st.sampled_from([1, 100, 512, 10_000]),
)
def test_a_mangled_archive_is_read_or_refused(changes: list[tuple[int, int]], cut: int, chunk: int) -> None:
    mangled = bytearray(SAMPLE)
    for place, value in changes:
        mangled[place] = value
    # Headers get right checksums again, so that the damage reaches what is behind the checksum.
    tar = hostile_bytes(mangled)[:cut]
    chunks = (tar[at : at + chunk] for at in range(0, len(tar), chunk))
    with contextlib.suppress(BuildError):
        for found in (reader := TarReader(chunks, "it")):
            assert len(reader.peek(1 << 20)) == found.size


@settings(deadline=None, max_examples=200)
@given(
    blob=st.binary(max_size=200),
    magic=st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b""]),
)
def test_noise_is_unpacked_or_refused(blob: bytes, magic: bytes) -> None:
    with contextlib.suppress(BuildError):
        assert sum(map(len, decompressed(iter([magic + blob]), "it"))) < 1 << 30
