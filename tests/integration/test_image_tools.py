"""What other tools make of our images: skopeo, umoci, podman, and a registry."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.image.archive import write_docker_archive
from builder.image.layout import publish_layout
from builder.image.write import Image
from builder.plan.model import ImagePlan
from builder.recipe.model import Compression
from builder.stored.read import files, open_image
from builder.stored.tree import flatten
from tests.support.images import demo_layer, folder, layer_of, pack, plain, plan_of, symlink, write
from tests.support.registry import real_registry
from tests.support.tools import need

pytestmark = pytest.mark.tools

LONG = "/" + "/".join(["d" * 60] * 3)


def odd_plan() -> ImagePlan:
    """Names that need pax headers, beside the ordinary ones."""
    long = [folder("/" + "/".join(["d" * 60] * depth)) for depth in (1, 2, 3)]
    return plan_of(
        layer_of(*demo_layer().entries, *long, plain(f"{LONG}/{'f' * 120}", b"long"), symlink("/é", "ü"))
    )


@pytest.fixture
def image(tmp_path: Path) -> Image:
    image = write(tmp_path / "stage", odd_plan())
    publish_layout(image.directory, image.manifest, ("demo",), tmp_path / "dist")
    return image


def run(*arguments: str | Path, status: int = 0) -> str:
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def skopeo(tmp_path: Path, *arguments: str) -> str:
    return run("skopeo", "--insecure-policy", "--tmpdir", tmp_path, *arguments)


def test_skopeo_reads_the_layout(tmp_path: Path, image: Image) -> None:
    need("skopeo")
    found = json.loads(skopeo(tmp_path, "inspect", f"oci:{tmp_path}/dist:demo"))
    assert found["Digest"] == str(image.manifest.digest)
    assert found["Layers"] == [str(layer.descriptor.digest) for layer in image.layers]
    assert found["Created"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("compression", Compression)
def test_skopeo_copies_the_layout_without_changing_a_digest(tmp_path: Path, compression: Compression) -> None:
    need("skopeo")
    image = write(tmp_path / "stage", odd_plan(), compression)
    skopeo(tmp_path, "copy", "--preserve-digests", f"oci:{tmp_path}/stage", f"oci:{tmp_path}/copy:demo")
    found = open_image(tmp_path / "copy").manifest
    assert found is not None
    assert found.digest == image.manifest.digest


def test_umoci_unpacks_every_file(tmp_path: Path, image: Image) -> None:
    need("umoci")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/dist:demo", tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    assert image.layers[0].entries == sum(1 for _ in root.rglob("*"))
    assert (root / "bin/demo").read_bytes() == b"#!/bin/sh\necho demo\n" * 100
    assert (root / "bin/demo").stat().st_mode & 0o7777 == 0o4755
    assert (root / "bin/demo").samefile(root / "bin/demo2")
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / LONG[1:] / ("f" * 120)).read_bytes() == b"long"
    assert (root / "é").readlink() == Path("ü")
    assert (root / "bin/demo").stat().st_mtime == 1_700_000_000


@pytest.fixture
def store() -> Iterator[Path]:
    """A container storage of this test's own; podman wants a path below 50 characters."""
    with tempfile.TemporaryDirectory(prefix="rl-", ignore_cleanup_errors=True) as short:
        yield Path(short)


def podman(store: Path, *arguments: str) -> str:
    storage = ("--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs")
    manager = ("--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc")
    return run("podman", *storage, *manager, *arguments)


def test_podman_loads_the_docker_archive_and_changes_nothing(
    tmp_path: Path, store: Path, image: Image
) -> None:
    need("podman", "runc")
    write_docker_archive(image.directory, image, ("localhost/demo:1",), tmp_path / "demo.tar")
    assert "localhost/demo:1" in podman(store, "load", "--input", f"{tmp_path}/demo.tar")
    found = json.loads(podman(store, "image", "inspect", "localhost/demo:1"))[0]
    assert found["RootFS"]["Layers"] == [str(layer.diff_id) for layer in image.layers]
    assert found["Config"]["Entrypoint"] == ["/bin/demo"]
    podman(store, "save", "--output", f"{tmp_path}/saved.tar", "localhost/demo:1")
    saved, ours = (flatten(open_image(path)) for path in (tmp_path / "saved.tar", tmp_path / "stage"))
    assert saved == ours


def test_podman_loads_a_packed_layout(tmp_path: Path, store: Path, image: Image) -> None:
    need("podman", "runc")
    archive = pack(tmp_path / "dist", tmp_path / "oci.tar")
    podman(store, "load", "--input", f"{archive}")
    found = podman(store, "images", "--no-trunc", "--quiet")
    assert found.split() == [str(image.config.digest)]


def test_skopeo_docker_archive_and_oci_archive_are_read(tmp_path: Path, image: Image) -> None:
    need("skopeo")
    skopeo(tmp_path, "copy", f"oci:{tmp_path}/dist:demo", f"docker-archive:{tmp_path}/docker.tar:demo:1")
    skopeo(tmp_path, "copy", f"oci:{tmp_path}/dist:demo", f"oci-archive:{tmp_path}/oci.tar:demo")
    ours = [(file.path, file.size) for file in files(open_image(image.directory))]
    for archive in ("docker.tar", "oci.tar"):
        assert [(file.path, file.size) for file in files(open_image(tmp_path / archive))] == ours


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry of this test's own on a free port."""
    with real_registry(tmp_path) as address:
        yield address


@pytest.mark.parametrize("compression", Compression)
def test_a_registry_keeps_the_digest_both_ways(
    tmp_path: Path, registry: str, compression: Compression
) -> None:
    need("skopeo")
    image = write(tmp_path / "stage", odd_plan(), compression)
    there = f"docker://{registry}/shop/demo:1"
    skopeo(tmp_path, "copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{tmp_path}/stage", there)
    found = json.loads(skopeo(tmp_path, "inspect", "--tls-verify=false", there))
    assert found["Digest"] == str(image.manifest.digest)
    skopeo(
        tmp_path, "copy", "--preserve-digests", "--src-tls-verify=false", there, f"oci:{tmp_path}/back:demo"
    )
    back = open_image(tmp_path / "back").manifest
    assert back is not None
    assert back.digest == image.manifest.digest
    assert flatten(open_image(tmp_path / "back")) == flatten(open_image(tmp_path / "stage"))
