"""Digests, platforms and references: what is a name and what is none."""

from __future__ import annotations

import pytest

from builder.oci import Digest, ImageReference, Platform

HEX = "0123456789abcdef" * 4

REFERENCES = {
    "a bare repository": ("redis", "", "redis", ""),
    "a tag": ("redis:7", "", "redis", "7"),
    "a repository of several names": ("library/redis:7.2-alpine", "", "library/redis", "7.2-alpine"),
    "a registry has a dot": ("ghcr.io/o/r:v1", "ghcr.io", "o/r", "v1"),
    "a registry has a port": ("registry:5000/r", "registry:5000", "r", ""),
    "localhost is a registry": ("localhost/r:1", "localhost", "r", "1"),
    "localhost alone is a repository": ("localhost:5000", "", "localhost", "5000"),
    "a first name without dot or port is no registry": ("shop/api", "", "shop/api", ""),
    "separators inside a name": ("a__b/c.d-e--f", "", "a__b/c.d-e--f", ""),
    "a registry may have capitals": ("Reg.Example.com/r", "Reg.Example.com", "r", ""),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_a_reference_has_its_parts_and_prints_as_it_was_written(case: str) -> None:
    text, registry, repository, tag = REFERENCES[case]
    found = ImageReference.parse(text)
    assert (found.registry, found.repository, found.tag) == (registry, repository, tag)
    assert str(found) == text


def test_a_reference_keeps_its_digest() -> None:
    text = f"ghcr.io/o/r:v1@sha256:{HEX}"
    found = ImageReference.parse(text)
    assert (found.tag, str(found.digest), str(found)) == ("v1", f"sha256:{HEX}", text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "/",
            "Redis",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a:-",
            "a:b:c",
            "a b",
            "a_",
            "a..b",
            "a@sha256:12",
            "a\n",
        ),
        *("a:" + "t" * 129, "ghcr.io/", "ghcr.io/O/r", "a/../b", "é"),
    ],
    ids=repr,
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        ImageReference.parse(text)


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_a_digest_goes_to_text_and_back(text: str) -> None:
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX.upper()}",
        f"sha512:{HEX}",
        f"md5:{HEX}",
        f"sha256:{HEX}\n",
        "",
    ],
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        Digest.parse(text)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64/10.0.17763"])
def test_a_platform_goes_to_text_and_back(text: str) -> None:
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize("text", ["", "linux", "linux/", "linux/a/b/c", "Linux/amd64", "linux/amd64\n", "/"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(ValueError, match="not a platform"):
        Platform.parse(text)


def test_platforms_sort_by_system_architecture_and_variant() -> None:
    texts = ["linux/arm64", "linux/amd64", "linux/arm/v7", "linux/arm/v6"]
    assert [str(one) for one in sorted(map(Platform.parse, texts))] == [
        "linux/amd64",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm64",
    ]
