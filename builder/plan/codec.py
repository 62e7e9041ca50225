"""ImagePlan ↔ JSON: ``rootlet plan --json``, golden tests and the Dockerfile backend read the same text."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from builder.oci import Descriptor, Digest, Healthcheck, ImageConfig, ImageReference, Platform
from builder.plan.model import Entry, ImagePlan, Layer, PlannedBase, PlannedPackage
from builder.plan.sizes import Share, shares
from builder.reason import Reason, ReasonKind
from builder.sources.base import BaseLayer
from builder.sources.debian.configure.model import ScriptReport
from builder.stored.blobs import Section
from builder.sysroot import Content, Kind

FORMAT = 1


def plan_to_json(plan: ImagePlan) -> str:
    """The plan as JSON text, one entry a line, keys in the order of the values' fields."""
    document = {
        "format": FORMAT,
        "platform": str(plan.platform),
        "distribution": plan.distribution,
        "created": plan.created,
        "config": _config_to_plain(plan.config),
        "annotations": dict(plan.annotations),
        "packages": [dataclasses.asdict(package) for package in plan.packages],
        "reasons": [_share_to_plain(share) for share in shares(_entries(plan))],
        "warnings": list(plan.warnings),
        "hints": list(plan.hints),
        "scripts": [dataclasses.asdict(report) for report in plan.scripts],
        **({"base": _base_to_plain(plan.base)} if plan.base is not None else {}),
    }
    head = json.dumps(document, indent=2, ensure_ascii=True)[:-2]
    layers = ",\n".join(_layer_text(layer) for layer in plan.layers)
    return f'{head},\n  "layers": [\n{layers}\n  ]\n}}\n'


def plan_from_json(text: str) -> ImagePlan:
    """Read what :func:`plan_to_json` wrote. ValueError when it is something else."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(f"plan format {document['format']!r}, expected {FORMAT}")
        return ImagePlan(
            platform=Platform.parse(document["platform"]),
            distribution=document["distribution"],
            created=document["created"],
            config=_config(document["config"]),
            annotations=tuple(document["annotations"].items()),
            packages=tuple(PlannedPackage(**package) for package in document["packages"]),
            warnings=tuple(document["warnings"]),
            hints=tuple(document.get("hints", ())),
            scripts=tuple(_script(report) for report in document.get("scripts", ())),
            layers=tuple(_layer(layer) for layer in document["layers"]),
            base=_base(document["base"]) if "base" in document else None,
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an image plan: {error}") from error


def _entries(plan: ImagePlan) -> Iterator[Entry]:
    return (entry for layer in plan.layers for entry in layer.entries)


def _script(plain: Mapping[str, Any]) -> ScriptReport:
    return ScriptReport(**{key: _tuples(value) for key, value in plain.items()})


def _share_to_plain(share: Share) -> dict[str, Any]:
    return {"kind": share.kind.name, "subject": share.subject, "files": share.files, "size": share.size}


def _base_to_plain(base: PlannedBase) -> dict[str, Any]:
    return {
        "words": base.words,
        "reference": str(base.reference) if base.reference is not None else "",
        "digest": str(base.digest) if base.digest is not None else "",
        "files": base.files,
        "config": _config_to_plain(base.config),
        "history": list(base.history),
        "layers": [
            {
                "diff_id": str(layer.diff_id),
                "blob": [str(layer.section.path), layer.section.offset, layer.section.size],
                "digest": str(layer.descriptor.digest) if layer.descriptor is not None else "",
                "media_type": layer.descriptor.media_type if layer.descriptor is not None else "",
                "size": layer.size,
                "files": layer.files,
                "entries": layer.entries,
            }
            for layer in base.layers
        ],
    }


def _base(plain: Mapping[str, Any]) -> PlannedBase:
    return PlannedBase(
        words=plain["words"],
        reference=ImageReference.parse(plain["reference"]) if plain["reference"] else None,
        digest=Digest.parse(plain["digest"]) if plain["digest"] else None,
        files=plain["files"],
        config=_config(plain["config"]),
        history=tuple(plain["history"]),
        layers=tuple(_base_layer(layer) for layer in plain["layers"]),
    )


def _base_layer(plain: Mapping[str, Any]) -> BaseLayer:
    path, offset, size = plain["blob"]
    digest = Digest.parse(plain["digest"]) if plain["digest"] else None
    kind = plain["media_type"]
    return BaseLayer(
        section=Section(path=Path(path), offset=offset, size=size),
        descriptor=Descriptor(media_type=kind, digest=digest, size=size) if digest else None,
        diff_id=Digest.parse(plain["diff_id"]),
        size=plain["size"],
        files=plain["files"],
        entries=plain["entries"],
    )


def _config_to_plain(config: ImageConfig) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(config).items() if value not in (None, "", ())}


def _layer_text(layer: Layer) -> str:
    lines = ",\n".join(f"      {json.dumps(_entry_to_plain(entry))}" for entry in layer.entries)
    return f'    {{"comment": {json.dumps(layer.comment)}, "entries": [\n{lines}\n    ]}}'


def _entry_to_plain(entry: Entry) -> dict[str, Any]:
    plain: dict[str, Any] = {"path": entry.path, "kind": entry.kind.value, "mode": f"{entry.mode:04o}"}
    optional = {
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "target": entry.target,
        "hardlink": entry.hardlink,
        "xattrs": {name: base64.b64encode(value).decode() for name, value in entry.xattrs},
        "package": entry.package,
    }
    plain |= {key: value for key, value in optional.items() if value}
    if entry.content is not None:
        plain["content"] = _content_to_plain(entry.content)
    return plain | {"reason": [entry.reason.kind.name, entry.reason.subject, entry.reason.detail]}


def _content_to_plain(content: Content | bytes) -> dict[str, Any]:
    if isinstance(content, bytes):
        return {"base64": base64.b64encode(content).decode()}
    return {
        "store": str(content.store),
        "offset": content.offset,
        "size": content.size,
        "sha256": content.sha256,
    }


def _config(plain: Mapping[str, Any]) -> ImageConfig:
    fields: dict[str, Any] = {key: _tuples(value) for key, value in plain.items()}
    if "healthcheck" in fields:
        check = plain["healthcheck"]
        fields["healthcheck"] = Healthcheck(**{key: _tuples(value) for key, value in check.items()})
    return ImageConfig(**fields)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _layer(plain: Mapping[str, Any]) -> Layer:
    return Layer(entries=tuple(_entry(entry) for entry in plain["entries"]), comment=plain["comment"])


def _entry(plain: Mapping[str, Any]) -> Entry:
    kind, subject, detail = plain["reason"]
    return Entry(
        path=plain["path"],
        kind=Kind(plain["kind"]),
        mode=int(plain["mode"], 8),
        uid=plain.get("uid", 0),
        gid=plain.get("gid", 0),
        content=_content(plain["content"]) if "content" in plain else None,
        target=plain.get("target", ""),
        hardlink=plain.get("hardlink", ""),
        xattrs=tuple((name, base64.b64decode(value)) for name, value in plain.get("xattrs", {}).items()),
        package=plain.get("package", ""),
        reason=Reason(ReasonKind[kind], subject, detail),
    )


def _content(plain: Mapping[str, Any]) -> Content | bytes:
    if "base64" in plain:
        return base64.b64decode(plain["base64"])
    return Content(
        store=Path(plain["store"]), offset=plain["offset"], size=plain["size"], sha256=plain["sha256"]
    )
