"""Bills of materials: valid by the formats' own judges, equal for equal images, with what others look for."""

from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.oci import Digest, Platform
from builder.sbom.bill import Bill, components_of, needed_packages
from builder.sbom.cyclonedx import cyclonedx
from builder.sbom.spdx import spdx


def component(kind: ComponentKind, name: str, version: str, purl: str, **more: Any) -> Component:
    fields: dict[str, Any] = {
        "architecture": "",
        "source_name": name,
        "source_version": version,
        "evidence": (f"/there/{name}",),
        "files": 1,
    }
    return Component(kind=kind, name=name, version=version, purl=purl, **(fields | more))


LIBSSL = component(
    ComponentKind.DEB,
    "libssl3t64",
    "3.5.1-1+b1",
    "pkg:deb/debian/libssl3t64@3.5.1-1%2Bb1?arch=amd64&distro=debian-13&upstream=openssl%403.5.1-1",
    source_name="openssl",
    source_version="1:3.5.1-1",
)
REDIS = component(ComponentKind.DEB, "redis", "8.0", "pkg:deb/debian/redis@8.0?distro=debian-13")
FLASK = component(ComponentKind.PYTHON, "flask", "3.0", "pkg:pypi/flask@3.0")
NPM = component(ComponentKind.NPM, "@scope/name", "1.0", "pkg:npm/%40scope/name@1.0")
JAR = component(ComponentKind.JAVA, "org.slf4j:slf4j-api", "2.0", "pkg:maven/org.slf4j/slf4j-api@2.0")
MODULE = component(ComponentKind.GO, "example.com/app", "", "pkg:golang/example.com/app")
ALPINE = component(ComponentKind.APK, "musl", "1.2.5-r10", "pkg:apk/alpine/musl@1.2.5-r10")
ODD = component(ComponentKind.GENERIC, "b\udcffd", "1", "pkg:generic/b%FFd@1")


def bill(*components: Component, **more: Any) -> Bill:
    fields: dict[str, Any] = {
        "name": "registry.test/shop/api",
        "version": "1.4",
        "digest": Digest("sha256", "a" * 64),
        "platform": Platform("linux", "amd64"),
        "created": dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
        "distribution": Distribution(id="debian", version="13", pretty_name="Debian 13"),
        "depends": {},
        "tool_version": "0.1.0",
    }
    return Bill(components=components, **(fields | more))


WHOLE = bill(LIBSSL, REDIS, FLASK, FLASK, NPM, JAR, MODULE, depends={REDIS.purl: (LIBSSL.purl,)})
BILLS = {
    "every kind": WHOLE,
    "nothing": bill(),
    "a folder": bill(FLASK, digest=None, platform=None, distribution=None, version="", name="root"),
    "no version of the distribution": bill(
        ALPINE, distribution=Distribution(id="alpine", version="", pretty_name="Alpine")
    ),
}


@pytest.mark.parametrize("one", BILLS.values(), ids=BILLS)
def test_cyclonedx_is_valid_by_the_official_schema(one: Bill) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx(one)) is None


@pytest.mark.parametrize("one", BILLS.values(), ids=BILLS)
def test_spdx_is_valid_by_its_own_validator(tmp_path: Path, one: Bill) -> None:
    path = tmp_path / "x.spdx.json"
    path.write_text(spdx(one))
    logging.disable(logging.ERROR)
    try:
        messages = validate_full_spdx_document(parse_file(str(path)))
    finally:
        logging.disable(logging.NOTSET)
    assert [one.validation_message for one in messages] == []


@pytest.mark.parametrize("write", [cyclonedx, spdx])
def test_equal_bills_are_equal_texts_and_another_digest_is_another_bill(write: Any) -> None:
    assert write(WHOLE) == write(WHOLE)
    assert write(WHOLE) != write(bill(*WHOLE.components, digest=Digest("sha256", "b" * 64)))


@pytest.mark.parametrize("write", [cyclonedx, spdx])
def test_names_that_are_no_text_do_not_break_a_bill(write: Any) -> None:
    document = write(bill(ODD)).encode(errors="backslashreplace")
    assert json.loads(document)


def test_sources_of_packages_are_where_trivy_looks_for_them() -> None:
    document = json.loads(cyclonedx(WHOLE))
    libssl = next(one for one in document["components"] if one["name"] == "libssl3t64")
    values = {one["name"].rpartition(":")[2]: one["value"] for one in libssl["properties"]}
    assert values == {
        "PkgID": "libssl3t64@3.5.1-1+b1",
        "PkgType": "debian",
        "SrcName": "openssl",
        "SrcVersion": "3.5.1",
        "SrcRelease": "1",
        "SrcEpoch": "1",
    }


def test_groups_stand_apart_from_names() -> None:
    parts = {
        one["purl"]: (one.get("group"), one["name"]) for one in json.loads(cyclonedx(WHOLE))["components"][1:]
    }
    assert parts[NPM.purl] == ("@scope", "name")
    assert parts[JAR.purl] == ("org.slf4j", "slf4j-api")


def test_dependencies_are_those_that_are_known() -> None:
    document = json.loads(cyclonedx(WHOLE))
    edges = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    assert edges[REDIS.purl] == [LIBSSL.purl]
    assert edges["operating-system"] == [LIBSSL.purl, REDIS.purl]
    assert f"{FLASK.purl}#2" in edges["image"], "two components of one purl stay two"


def test_edges_between_files_packages_become_edges_between_components() -> None:
    edges = [("redis", "libssl3t64"), ("redis", "redis"), ("redis", "libssl3t64"), ("gone", "redis")]
    assert needed_packages(edges, [LIBSSL, REDIS]) == {REDIS.purl: (LIBSSL.purl,)}


def test_what_only_development_needs_is_not_in_a_bill() -> None:
    tool = component(ComponentKind.NPM, "eslint", "9", "pkg:npm/eslint@9", development=True)
    inventory = Inventory(
        distribution=None, components=(NPM, tool), unowned_elf=(), elf_files=0, files=0, notes=()
    )
    assert components_of(inventory) == (NPM,)


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        ("redis", f"pkg:oci/redis@sha256%3A{'a' * 64}?arch=amd64"),
        (
            "registry.test:5000/a/B",
            f"pkg:oci/b@sha256%3A{'a' * 64}?arch=amd64&repository_url=registry.test:5000/a/B",
        ),
    ],
)
def test_an_image_has_a_package_url(name: str, purl: str) -> None:
    assert bill(name=name).purl == purl
