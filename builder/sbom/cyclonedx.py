"""CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/), in the shape that trivy and grype read back.

trivy finds a package's source in properties of its own and the release in a component of the type
operating-system; grype finds both in the purl. Both are written.
"""

from __future__ import annotations

import json

from builder.inventory.model import Component, ComponentKind
from builder.sbom.bill import Bill

MEDIA_TYPE = "application/vnd.cyclonedx+json"
SUFFIX = ".cdx.json"

_TRIVY = "aquasecurity:trivy:"
_ROOT = "image"
_SYSTEM = "operating-system"
_TYPES = {
    ComponentKind.PYTHON: "python-pkg",
    ComponentKind.NPM: "node-pkg",
    ComponentKind.GO: "gobinary",
    ComponentKind.RUST: "rustbinary",
    ComponentKind.JAVA: "jar",
    ComponentKind.RUBY: "gemspec",
    ComponentKind.PHP: "composer-vendor",
    ComponentKind.DOTNET: "dotnet-core",
}

Object = dict[str, object]


def cyclonedx(bill: Bill) -> str:
    """The document; equal bills give equal texts."""
    parts = dict(bill.references())
    document: Object = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{bill.serial}",
        "version": 1,
        "metadata": _metadata(bill),
        "components": [
            *_system(bill),
            *(_component(reference, one, bill) for reference, one in parts.items()),
        ],
        "dependencies": _dependencies(bill, list(parts)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _metadata(bill: Bill) -> Object:
    subject: Object = {"bom-ref": _ROOT, "type": "container", "name": bill.name}
    if bill.version:
        subject["version"] = bill.version
    if bill.purl:
        subject["purl"] = bill.purl
    properties = [_property("SchemaVersion", "2")]
    if bill.digest is not None:
        properties.append({"name": "rootlet:manifest-digest", "value": str(bill.digest)})
    if bill.platform is not None:
        properties.append({"name": "rootlet:platform", "value": str(bill.platform)})
    tool = {"type": "application", "name": "rootlet", "version": bill.tool_version}
    return {
        "timestamp": f"{bill.created:%Y-%m-%dT%H:%M:%SZ}",
        "tools": {"components": [tool]},
        "component": {**subject, "properties": properties},
    }


def _property(name: str, value: str) -> Object:
    return {"name": f"{_TRIVY}{name}", "value": value}


def _system(bill: Bill) -> list[Object]:
    if bill.distribution is None:
        return []
    properties = [_property("Class", "os-pkgs"), _property("Type", bill.distribution.id)]
    made: Object = {"bom-ref": _SYSTEM, "type": "operating-system", "name": bill.distribution.id}
    if bill.distribution.version:
        made["version"] = bill.distribution.version
    return [{**made, "properties": properties}]


def _component(reference: str, one: Component, bill: Bill) -> Object:
    group, name = _named(one)
    made: Object = {
        "bom-ref": reference,
        "type": "application" if one.kind is ComponentKind.GENERIC else "library",
    }
    if group:
        made["group"] = group
    made["name"] = name
    if one.version:
        made["version"] = one.version
    made["purl"] = one.purl
    properties = _properties(one, bill)
    if properties:
        made["properties"] = properties
    if one.evidence:
        made["evidence"] = {"occurrences": [{"location": _text(path)} for path in one.evidence]}
    return made


def _named(one: Component) -> tuple[str, str]:
    if one.kind is ComponentKind.JAVA:
        group, _, artifact = one.name.rpartition(":")
        return group, artifact
    if one.kind in {ComponentKind.NPM, ComponentKind.PHP} and "/" in one.name:
        group, _, name = one.name.rpartition("/")
        return group, name
    return "", one.name


def _properties(one: Component, bill: Bill) -> list[Object]:
    if not one.kind.is_system:
        kind = _TYPES.get(one.kind)
        found = [_property("PkgType", kind)] if kind else []
        return [*found, *([_property("FilePath", _text(one.evidence[0]))] if kind and one.evidence else [])]
    epoch, version, release = _parts(one)
    found = [
        _property("PkgID", f"{one.name}@{one.version}"),
        _property("PkgType", bill.distribution.id if bill.distribution is not None else "debian"),
        _property("SrcName", one.source_name),
        _property("SrcVersion", version),
    ]
    if release:
        found.append(_property("SrcRelease", release))
    if epoch not in {"", "0"}:
        found.append(_property("SrcEpoch", epoch))
    if one.modularity:
        found.append(_property("Modularitylabel", one.modularity))
    return found


def _parts(one: Component) -> tuple[str, str, str]:
    """Epoch, version and release of the source package; Alpine's versions are one word."""
    if one.kind is ComponentKind.APK:
        return "", one.source_version, ""
    epoch, colon, rest = one.source_version.partition(":")
    if not colon:
        epoch, rest = "", one.source_version
    version, dash, release = rest.rpartition("-")
    return (epoch, version, release) if dash else (epoch, rest, "")


def _dependencies(bill: Bill, references: list[str]) -> list[Object]:
    top = [_SYSTEM] if bill.distribution is not None else []
    system = [reference for reference, one in bill.references() if one.kind.is_system]
    others = [reference for reference, one in bill.references() if not one.kind.is_system]
    made: list[Object] = [{"ref": _ROOT, "dependsOn": [*top, *(others if top else references)]}]
    if top:
        made.append({"ref": _SYSTEM, "dependsOn": system})
    for one in references:
        made.append({"ref": one, "dependsOn": list(bill.depends.get(one, ()))})  # noqa: PERF401 (typed)
    return made


def _text(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="replace")
