"""SPDX 2.3 as JSON (https://spdx.github.io/spdx-spec/v2.3/), in the shape that trivy and grype read back."""

from __future__ import annotations

import hashlib
import json
import re

from builder.inventory.model import Component
from builder.sbom.bill import Bill

MEDIA_TYPE = "application/spdx+json"
SUFFIX = ".spdx.json"

_NOBODY_SAYS = "NOASSERTION"
_ROOT = "SPDXRef-Image"
_SYSTEM = "SPDXRef-OperatingSystem"

Object = dict[str, object]


def spdx(bill: Bill) -> str:
    """The document; equal bills give equal texts."""
    parts = {_identifier(reference): (one, reference) for reference, one in bill.references()}
    document: Object = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.name,
        "documentNamespace": f"urn:uuid:{bill.serial}",
        "creationInfo": {
            "created": f"{bill.created:%Y-%m-%dT%H:%M:%SZ}",
            "creators": [f"Tool: rootlet-{bill.tool_version}"],
        },
        "packages": [
            _image(bill),
            *_system(bill),
            *(_package(name, one) for name, (one, _) in parts.items()),
        ],
        "relationships": _relationships(bill),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _identifier(reference: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", reference.partition("?")[0]).strip("-")[:80]
    return f"SPDXRef-Package-{readable}-{hashlib.sha256(reference.encode(errors='replace')).hexdigest()[:12]}"


def _plain(identifier: str, name: str, version: str) -> Object:
    made: Object = {"SPDXID": identifier, "name": name}
    if version:
        made["versionInfo"] = version
    return {
        **made,
        "downloadLocation": _NOBODY_SAYS,
        "filesAnalyzed": False,
        "licenseConcluded": _NOBODY_SAYS,
        "licenseDeclared": _NOBODY_SAYS,
        "copyrightText": _NOBODY_SAYS,
    }


def _purl(purl: str) -> Object:
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
    return {"externalRefs": [reference]}


def _image(bill: Bill) -> Object:
    made = {**_plain(_ROOT, bill.name, bill.version), "primaryPackagePurpose": "CONTAINER"}
    if bill.digest is not None:
        algorithm = {"sha256": "SHA256", "sha512": "SHA512"}[bill.digest.algorithm]
        made["checksums"] = [{"algorithm": algorithm, "checksumValue": bill.digest.encoded}]
    return {**made, **_purl(bill.purl)} if bill.purl else made


def _system(bill: Bill) -> list[Object]:
    if bill.distribution is None:
        return []
    made = _plain(_SYSTEM, bill.distribution.id, bill.distribution.version)
    return [{**made, "primaryPackagePurpose": "OPERATING-SYSTEM"}]


def _package(identifier: str, one: Component) -> Object:
    made = _plain(identifier, one.name, one.version)
    if one.kind.is_system and one.source_name:
        # trivy reads the source package from these very words.
        made["sourceInfo"] = f"built package from: {one.source_name} {one.source_version}"
    purpose = {"primaryPackagePurpose": "LIBRARY"}
    return {**made, **_purl(one.purl), **purpose} if one.purl else {**made, **purpose}


def _relationships(bill: Bill) -> list[Object]:
    made = [_relationship("SPDXRef-DOCUMENT", "DESCRIBES", _ROOT)]
    if bill.distribution is not None:
        made.append(_relationship(_ROOT, "CONTAINS", _SYSTEM))
    for reference, one in bill.references():
        owner = _SYSTEM if one.kind.is_system and bill.distribution is not None else _ROOT
        made.append(_relationship(owner, "CONTAINS", _identifier(reference)))
    for dependent, providers in sorted(bill.depends.items()):
        made += (_relationship(_identifier(dependent), "DEPENDS_ON", _identifier(one)) for one in providers)
    return made


def _relationship(one: str, kind: str, other: str) -> Object:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
