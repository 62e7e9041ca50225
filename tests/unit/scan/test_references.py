"""What `rootlet scan` is asked to judge: references, and folders that are nothing of the kind."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import pytest

from builder.errors import BuildError, ScanError
from builder.oci import Platform
from builder.scan.subject import Question, scan_reference, split_reference
from builder.stored.read import open_image
from tests.support.osv import Source

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def test_names_with_colons_follow_the_file_that_exists(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.touch()
    assert split_reference(f"docker-archive:{archive}:shop/api:1.4") == (
        "docker-archive",
        archive,
        "shop/api:1.4",
    )
    assert split_reference(f"oci:{tmp_path}/none:1.4") == ("oci", tmp_path / "none", "1.4")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        pytest.param("", "No image is named", id="nothing"),
        pytest.param("oci:", "No image is named", id="a kind alone"),
        pytest.param("/nowhere/at/all", "does not exist", id="a path to nothing"),
        pytest.param("docker://mirror.test/api:1", "does not exist", id="a registry, without a way there"),
        pytest.param("storage:localhost/api", "does not exist", id="a storage, without a way there"),
    ],
)
def test_what_is_not_there_is_not_scanned(
    reference: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScanError) as caught:
        scan_reference(reference, Source(meta=None), Question(subject="", now=NOW), platform=None)
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["", "dir:"])
def test_a_folder_that_is_no_root_folder_is_never_a_pass(kind: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")  # as in skopeo's own dir: format
    report = scan_reference(
        f"{kind}{tmp_path}", Source(meta=None), Question(subject="", now=NOW), platform=None
    )
    assert any("no root folder" in gap for gap in report.unscannable)


def layout(folder: Path, *images: tuple[str, str]) -> Path:
    """An index that names images by tag and architecture; their blobs are not needed to choose."""
    manifests = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{number:064x}",
            "size": 2,
            "platform": {"os": "linux", "architecture": architecture},
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }
        for number, (tag, architecture) in enumerate(images)
    ]
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    return folder


@pytest.mark.parametrize(
    ("images", "name", "platform", "words"),
    [
        pytest.param(
            (("a", "amd64"), ("a", "arm64")),
            "",
            None,
            "--platform, one of linux/amd64, linux/arm64",
            id="platforms",
        ),
        pytest.param((("a", "amd64"), ("b", "amd64")), "", None, "one of a, b", id="names"),
        pytest.param(
            (("a", "amd64"), ("b", "amd64")), "c", None, "it has a, b", id="a name it does not have"
        ),
        pytest.param(
            (("a", "amd64"),), "", "linux/s390x", "it has linux/amd64", id="a platform it does not have"
        ),
    ],
)
def test_a_choice_that_is_not_clear_says_what_there_is(
    images: tuple[tuple[str, str], ...], name: str, platform: str | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(BuildError) as caught:
        open_image(
            layout(tmp_path, *images), name=name, platform=Platform.parse(platform) if platform else None
        )
    assert words in str(caught.value)


def test_a_compressed_archive_says_so(tmp_path: Path) -> None:
    path = tmp_path / "image.tar.gz"
    path.write_bytes(gzip.compress(b"x"))
    with pytest.raises(BuildError, match="is compressed"):
        open_image(path)
