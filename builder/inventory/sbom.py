"""Embedded bills of materials: CycloneDX, SPDX and syft JSON, as claims that add and never subtract (X2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, json_object, object_of, objects
from builder.inventory.found import NOTHING, Found, Package, damaged, found, plain_word
from builder.inventory.purl import ParsedPurl, component_name, parse_purl

_PATHS = re.compile(
    r".*(?:\.(?:cdx|spdx|cyclonedx|syft|sbom|bom)\.json|\.(?:cdx|spdx)"
    r"|/(?:bom|sbom|cyclonedx|spdx)\.json|/\.dist-info/sboms/[^/]+\.json|/\.spdx-[^/]+\.spdx)"
)
_IN_WHEELS = re.compile(r".*\.dist-info/sboms/[^/]+\.json")
_MAX_DEPTH = 30
_SOURCE_NAME, _SOURCE_VERSION = "SrcName", "SrcVersion"
_TRIVY = "aquasecurity:trivy:"


def is_sbom(path: str) -> bool:
    """Whether a path is where tools put a bill of materials (trivy, syft, PEP 770)."""
    return _PATHS.fullmatch(path) is not None or _IN_WHEELS.fullmatch(path) is not None


def bill_of_materials(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read what a document claims; one that is neither of the known forms says nothing."""
    if content[0:4096].lstrip()[:1] != b"{":
        return NOTHING
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error))
    if document.get("bomFormat") == "CycloneDX":
        return found(_cyclonedx(document.get("components"), 0))
    if isinstance(document.get("spdxVersion"), str):
        return found(_spdx(document))
    if isinstance(document.get("artifacts"), list) and "descriptor" in document:
        return found(_claims((one.get("purl"), {}) for one in objects(document["artifacts"])))
    return NOTHING


def _cyclonedx(components: object, depth: int) -> Iterator[Package]:
    if depth > _MAX_DEPTH:
        return
    for one in objects(components):
        if one.get("scope") == "excluded":  # it was needed to build, and is not inside
            continue
        extra = {
            str(pair.get("name", "")).removeprefix(_TRIVY): pair.get("value")
            for pair in objects(one.get("properties"))
        }
        yield from _claims([(one.get("purl"), extra)])
        yield from _cyclonedx(one.get("components"), depth + 1)


def _spdx(document: dict[str, Any]) -> Iterator[Package]:
    for package in objects(document.get("packages")):
        references = objects(package.get("externalRefs"))
        purls = [one.get("referenceLocator") for one in references if one.get("referenceType") == "purl"]
        yield from _claims((purl, {}) for purl in purls[:1])


def _claims(pairs: Iterable[tuple[object, dict[str, object]]]) -> Iterator[Package]:
    for text, extra in pairs:
        purl = parse_purl(text) if isinstance(text, str) else None
        if purl is not None and purl.kind is not None and purl.version:
            yield _package(purl, object_of(extra))


def _package(purl: ParsedPurl, extra: dict[str, object]) -> Package:
    assert purl.kind is not None  # noqa: S101 (checked by the caller; for the type)
    version = purl.version.removeprefix("v") if purl.type == "golang" else purl.version
    epoch = purl.qualifiers.get("epoch", "")
    if purl.kind.is_system and epoch.isdecimal() and epoch != "0" and ":" not in version:
        version = f"{epoch}:{version}"
    upstream, _, upstream_version = purl.qualifiers.get("upstream", "").partition("@")
    if purl.type == "rpm" and upstream.endswith(".src.rpm"):
        upstream, *parts = upstream.removesuffix(".src.rpm").rsplit("-", 2)
        upstream_version = "-".join(parts)
    source = plain_word(extra.get(_SOURCE_NAME)) or plain_word(upstream) or component_name(purl)
    source_version = plain_word(extra.get(_SOURCE_VERSION)) or plain_word(upstream_version) or version
    return Package(
        kind=purl.kind,
        name=plain_word(component_name(purl)),
        version=plain_word(version),
        architecture=plain_word(purl.qualifiers.get("arch", "")),
        source_name=source if purl.kind.is_system else "",
        source_version=_whole_source(extra, source_version) if purl.kind.is_system else "",
        namespace=purl.namespace if purl.kind.is_system else "",
        claimed=True,
    )


def _whole_source(extra: dict[str, object], version: str) -> str:
    """Put trivy's parts of a source version together again."""
    if not plain_word(extra.get(_SOURCE_VERSION)):
        return version
    epoch, release = plain_word(extra.get("SrcEpoch")), plain_word(extra.get("SrcRelease"))
    return f"{f'{epoch}:' if epoch and epoch != '0' else ''}{version}{f'-{release}' if release else ''}"
