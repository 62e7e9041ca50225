from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.image.validate import validate
from builder.oci import ImageConfig
from builder.plan.model import ImagePlan, Layer
from tests.support.images import (
    demo_layer,
    hostile_bytes,
    layer_of,
    member,
    plain,
    plan_of,
    put_blob,
    symlink,
    tar_of,
    write,
)

CREATED = "2023-11-14T22:13:20Z"
TIME = 1_700_000_000


def rewrite(
    directory: Path,
    *,
    config: Callable[[dict[str, Any]], None] = lambda _: None,
    manifest: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Change configuration and manifest of the staged image, with right digests all the way up."""
    index = json.loads((directory / "index.json").read_bytes())
    blobs = directory / "blobs/sha256"
    document = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_bytes())
    settings = json.loads((blobs / document["config"]["digest"][7:]).read_bytes())
    config(settings)
    document["config"] |= put_blob(directory, json.dumps(settings).encode())
    manifest(document)
    index["manifests"][0] |= put_blob(directory, json.dumps(document).encode())
    (directory / "index.json").write_text(json.dumps(index))


def relayer(directory: Path, tar: bytes) -> tuple[str, ...]:
    """What validate says of an image whose only layer is ``tar``."""
    write(directory, plan_of(Layer(entries=())))
    digest = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    rewrite(
        directory,
        config=lambda settings: settings["rootfs"].update(diff_ids=[digest]),
        manifest=lambda document: document["layers"][0].update(put_blob(directory, gzip.compress(tar))),
    )
    return validate(directory)


@pytest.mark.parametrize(
    ("tar", "problem"),
    [
        pytest.param(
            tar_of(member("b", mtime=TIME), member("a", mtime=TIME)), "'a' is not in sorted order", id="order"
        ),
        pytest.param(
            tar_of(member("a", mtime=TIME), member("a", mtime=TIME)), "'a' is there twice", id="twice"
        ),
        pytest.param(
            tar_of(member("/a", mtime=TIME)), "'/a' is no plain path inside the image", id="absolute"
        ),
        pytest.param(
            tar_of(member("../a", mtime=TIME)), "'../a' is no plain path inside the image", id="climbing"
        ),
        pytest.param(tar_of(member("a/b", mtime=TIME)), "'a/b' comes without its folder", id="no parent"),
        pytest.param(tar_of(member("a", mtime=TIME + 1)), "'a' has another time than the image", id="time"),
        pytest.param(
            tar_of(member("a", mtime=TIME, type=tarfile.CHRTYPE)), "'a' is a device or a pipe", id="a device"
        ),
        pytest.param(
            tar_of(member("a", mtime=TIME, type=tarfile.LNKTYPE, linkname="b")),
            "'a' is a hard link to 'b', which is no file before it",
            id="a dangling hard link",
        ),
        pytest.param(
            hostile_bytes(bytearray(tar_of(member("a", mtime=TIME)).replace(b"0000644", b"0100644", 1))),
            "'a' has the mode 100644",
            id="a mode",
        ),
    ],
)
def test_broken_layers(tmp_path: Path, tar: bytes, problem: str) -> None:
    found = relayer(tmp_path, tar)
    assert any(problem in line for line in found), found


def test_every_violation_is_told(tmp_path: Path) -> None:
    tar = tar_of(member("b", mtime=TIME), member("/a"), member("c/d", mtime=TIME))
    assert len(relayer(tmp_path, tar)) == 4


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            lambda c: c["rootfs"]["diff_ids"].append(c["rootfs"]["diff_ids"][0]), "2 DiffIDs", id="DiffIDs"
        ),
        pytest.param(lambda c: c["history"].append({}), "the history tells of 2 layers", id="history"),
        pytest.param(lambda c: c.update(architecture="arm64"), "it is for linux/arm64", id="platform"),
        pytest.param(lambda c: c.update(created="now"), "'now' is no time", id="time"),
        pytest.param(
            lambda c: c["rootfs"].update(diff_ids=["sha256:" + "0" * 64]), "its DiffID is not", id="a DiffID"
        ),
        pytest.param(lambda c: c.update(config=[]), "'config' is not an object", id="a type"),
    ],
)
def test_broken_configurations(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    write(tmp_path)
    rewrite(tmp_path, config=change)
    assert any(problem in line for line in validate(tmp_path)), validate(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            lambda m: m["layers"].append(m["layers"][0]), "1 DiffIDs, the manifest has 2", id="layers"
        ),
        pytest.param(
            lambda m: m["layers"][0].update(mediaType="text/plain"), "is no layer", id="a media type"
        ),
        pytest.param(
            lambda m: m["config"].update(mediaType="text/plain"), "has the media type", id="config type"
        ),
        pytest.param(lambda m: m["layers"][0].update(size=1), "not 1 as described", id="a size"),
        pytest.param(lambda m: m.update(schemaVersion=1), "schema version 1", id="the schema"),
    ],
)
def test_broken_manifests(tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str) -> None:
    write(tmp_path)
    rewrite(tmp_path, manifest=change)
    assert any(problem in line for line in validate(tmp_path)), validate(tmp_path)


def test_broken_files_of_the_layout(tmp_path: Path) -> None:
    image = write(tmp_path)
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"9"}')
    (tmp_path / "blobs/sha256" / image.manifest.digest.encoded).write_text("{}")
    first, second = validate(tmp_path)
    assert first == "oci-layout: imageLayoutVersion is not 1.0.0"
    assert "has 2 bytes" in second
    (tmp_path / "index.json").unlink()
    assert len(validate(tmp_path)) == 2
    assert len(validate(tmp_path / "absent")) == 2


def swapped(plan: ImagePlan, layer: Layer) -> ImagePlan:
    return replace(plan, layers=(layer,))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            lambda plan: swapped(plan, Layer(entries=plan.layers[0].entries[1:])),
            "stands where the plan has",
            id="more",
        ),
        pytest.param(
            lambda plan: swapped(plan, layer_of(*plan.layers[0].entries, plain("/zz"))),
            "'/zz' of the plan is not in it",
            id="an entry less",
        ),
        pytest.param(
            lambda plan: swapped(plan, Layer(entries=plan.layers[0].entries[:-1])),
            "'tmp/' is not in the plan",
            id="last",
        ),
        pytest.param(
            lambda plan: swapped(
                plan,
                Layer(
                    entries=(
                        *plan.layers[0].entries[:4],
                        plain("/etc/empty", b"!"),
                        *plan.layers[0].entries[5:],
                    )
                ),
            ),
            "'etc/empty' is",
            id="another size",
        ),
        pytest.param(
            lambda plan: swapped(
                plan,
                Layer(
                    entries=(
                        plan.layers[0].entries[0],
                        replace(plan.layers[0].entries[1], content=b"#!/bin/sh\necho DEMO\n" * 100),
                        *plan.layers[0].entries[2:],
                    )
                ),
            ),
            "'bin/demo' has other bytes than the plan says",
            id="other bytes",
        ),
        pytest.param(
            lambda plan: swapped(
                plan,
                Layer(
                    entries=(
                        *plan.layers[0].entries[:5],
                        symlink("/etc/link", "x"),
                        *plan.layers[0].entries[6:],
                    )
                ),
            ),
            "'etc/link' is",
            id="another target",
        ),
        pytest.param(
            lambda plan: replace(plan, config=ImageConfig()), "not the one of the plan", id="configuration"
        ),
        pytest.param(
            lambda plan: replace(plan, annotations=()), "annotations are not the plan's", id="annotations"
        ),
        pytest.param(lambda plan: replace(plan, layers=()), "1 layers, the plan has 0", id="layers"),
    ],
)
def test_an_image_that_is_not_the_plan(
    tmp_path: Path, change: Callable[[ImagePlan], ImagePlan], problem: str
) -> None:
    plan = plan_of(demo_layer())
    write(tmp_path, plan)
    found = validate(tmp_path, plan=change(plan))
    assert any(problem in line for line in found), found


def test_a_root_of_its_own_mode_is_valid(tmp_path: Path) -> None:
    root = replace(demo_layer().entries[0], path="/", mode=0o700)
    plan = plan_of(layer_of(root, *demo_layer().entries))
    write(tmp_path, plan)
    assert validate(tmp_path, plan=plan) == ()
