"""Small plans, and images of foreign make, for the tests of rooms that write and read images."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builder.image.write import Image, write_image
from builder.oci import ImageConfig, Platform
from builder.plan.model import Entry, ImagePlan, Layer
from builder.progress import Silent
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Compression
from builder.sysroot import Content, Kind

REASON = Reason(ReasonKind.KEEP, "/**")
AMD64 = Platform("linux", "amd64")


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path=path, kind=Kind.DIRECTORY, mode=mode, reason=REASON)


def plain(path: str, content: bytes = b"", mode: int = 0o644) -> Entry:
    return Entry(path=path, kind=Kind.FILE, mode=mode, content=content, reason=REASON)


def symlink(path: str, target: str) -> Entry:
    return Entry(path=path, kind=Kind.SYMLINK, mode=0o777, target=target, reason=REASON)


def hardlink(path: str, first: str) -> Entry:
    return Entry(path=path, kind=Kind.FILE, mode=0o644, hardlink=first, reason=REASON)


def stored(path: str, store: Path, offset: int, payload: bytes, package: str = "demo") -> Entry:
    """An entry whose bytes lie in ``store``; ``payload`` gives size and digest only."""
    content = Content(
        store=store, offset=offset, size=len(payload), sha256=hashlib.sha256(payload).hexdigest()
    )
    return Entry(path=path, kind=Kind.FILE, mode=0o755, content=content, package=package, reason=REASON)


def layer_of(*entries: Entry, comment: str = "") -> Layer:
    return Layer(
        entries=tuple(sorted(entries, key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))),
        comment=comment,
    )


def plan_of(*layers: Layer, created: int = 1_700_000_000, platform: Platform = AMD64) -> ImagePlan:
    return ImagePlan(
        platform=platform,
        config=ImageConfig(entrypoint=("/bin/demo",), env=(("PATH", "/bin"),)),
        annotations=(("org.opencontainers.image.title", "demo"),),
        layers=layers,
        packages=(),
        created=created,
        distribution="debian-13",
    )


def demo_layer() -> Layer:
    """One of everything that an image may hold."""
    return layer_of(
        folder("/bin"),
        plain("/bin/demo", b"#!/bin/sh\necho demo\n" * 100, 0o4755),
        hardlink("/bin/demo2", "/bin/demo"),
        folder("/etc"),
        symlink("/etc/link", "../bin/demo"),
        plain("/etc/empty"),
        folder("/tmp", 0o1777),  # noqa: S108 (a path of the image)
    )


def write(
    directory: Path, plan: ImagePlan | None = None, compression: Compression = Compression.GZIP
) -> Image:
    return write_image(
        plan or plan_of(demo_layer()), compression=compression, directory=directory, progress=Silent()
    )


def member(name: str, payload: bytes | None = None, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member of foreign make: a file with ``payload``, else what ``fields`` say."""
    info = tarfile.TarInfo(name)
    info.size = len(payload or b"")
    for key, value in fields.items():
        setattr(info, key, value)
    return info, payload or b""


def tar_of(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002 (tarfile's own word)
    """A tar archive as the standard library writes it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
        for info, payload in members:
            archive.addfile(info, io.BytesIO(payload))
    return stream.getvalue()


def put_blob(directory: Path, payload: bytes) -> dict[str, Any]:
    """Write a blob of a layout; its digest and size."""
    digest = hashlib.sha256(payload).hexdigest()
    path = directory / "blobs/sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload)
    return {"digest": f"sha256:{digest}", "size": len(payload)}


def foreign_layout(directory: Path, tars: Iterable[bytes], *, compress: bool = True) -> Path:
    """An OCI layout with one image over layers of any bytes."""
    tars = tuple(tars)
    kind = "application/vnd.oci.image"
    layers = [
        {
            "mediaType": f"{kind}.layer.v1.tar+gzip",
            **put_blob(directory, gzip.compress(tar, mtime=0) if compress else tar),
        }
        for tar in tars
    ]
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars],
        },
    }
    described = {"mediaType": f"{kind}.config.v1+json", **put_blob(directory, json.dumps(config).encode())}
    manifest = {"schemaVersion": 2, "config": described, "layers": layers}
    entry = {"mediaType": f"{kind}.manifest.v1+json", **put_blob(directory, json.dumps(manifest).encode())}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return directory


def pack(directory: Path, archive: Path) -> Path:
    """A layout folder as one tar archive."""
    with tarfile.open(archive, "w") as tar:
        for path in sorted(directory.rglob("*")):
            tar.add(path, path.relative_to(directory).as_posix(), recursive=False)
    return archive


def snapshot(directory: Path) -> dict[str, bytes]:
    """Every file below ``directory``, by relative path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def hostile_bytes(archive: bytearray) -> bytes:
    """``archive`` with the checksum of every block made right, as if each were a header."""
    for start in range(0, len(archive) - 511, 512):
        block = archive[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            archive[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    return bytes(archive)
