"""Configurations of sets of packages, remembered on disk: the same packages always come to the same.

<folder>/<SHA-256 over the packages>.json     a checksum on its first line (builder/files.py)
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builder import __version__
from builder.files import read_checked, write_checked
from builder.sources.debian.configure.model import (
    Asked,
    Configuration,
    ConfiguredGroup,
    ConfiguredUser,
    Made,
    ScriptReport,
)
from builder.sysroot import Content, Kind, Node, Package, Sysroot

FORMAT = 8
"""Raised when what scripts come to changes; answers of another format count as absent."""


def configured(packages: Iterable[Package], tree: Sysroot, folder: Path) -> Configuration:
    """:func:`builder.sources.debian.configure.run.configure`, remembered in ``folder``."""
    packages = tuple(packages)
    memory = folder / f"{_key(packages)}.json"
    known = _recall(memory)
    if known is None:
        from builder.sources.debian.configure.run import configure  # noqa: PLC0415 (rarely needed: a reader of shell)

        known = configure(packages, tree)
        write_checked(memory, json.dumps(_to_plain(known)).encode())
    return known


def _key(packages: tuple[Package, ...]) -> str:
    """Everything that a configuration follows from."""
    digest = hashlib.sha256(f"{FORMAT} {__version__}".encode())
    for package in sorted(packages, key=lambda package: package.name):
        first = next((node.content for node in package.nodes if node.content is not None), None)
        parts = [package.name, package.version, package.architecture, "alone" if package.alone else ""]
        # The store names its files by the checksum of the package: they stand for everything in it.
        parts += [package.control, *package.scripts.values()] if first is None else [str(first.store)]
        digest.update("\0".join(parts).encode("utf-8", "surrogateescape") + b"\0\0")
    return digest.hexdigest()


def _recall(memory: Path) -> Configuration | None:
    body = read_checked(memory)
    if body is None:
        return None
    try:
        return _from_plain(json.loads(body))
    except (ValueError, KeyError, TypeError):
        return None


def _to_plain(configuration: Configuration) -> dict[str, Any]:
    contents = configuration.contents
    return {
        "made": [_made_to_plain(one) for one in configuration.made],
        "asked": [dataclasses.asdict(one) for one in configuration.asked],
        "speakers": {name: sorted(packages) for name, packages in configuration.speakers.items()},
        "contents": {path: base64.b64encode(text).decode() for path, text in contents.items()},
        "removed": sorted(configuration.removed),
        "users": [dataclasses.asdict(user) for user in configuration.users],
        "groups": [dataclasses.asdict(group) for group in configuration.groups],
        "scripts": [dataclasses.asdict(report) for report in configuration.scripts],
    }


def _made_to_plain(made: Made) -> dict[str, Any]:
    node = dataclasses.asdict(made.node)
    node["kind"] = made.node.kind.value
    node["xattrs"] = [[name, base64.b64encode(value).decode()] for name, value in made.node.xattrs]
    content = made.node.content
    if content is not None:
        node["content"] = [str(content.store), content.offset, content.size, content.sha256]
    node = {key: value for key, value in node.items() if value not in (None, "", [])}
    return {"node": node, "package": made.package, "detail": made.detail, "changed": made.changed}


def _from_plain(plain: Mapping[str, Any]) -> Configuration:
    return Configuration(
        made=tuple(Made(**{**one, "node": _node(one["node"])}) for one in plain["made"]),
        asked=tuple(Asked(**one) for one in plain["asked"]),
        speakers={name: frozenset(packages) for name, packages in plain["speakers"].items()},
        contents={path: base64.b64decode(text) for path, text in plain["contents"].items()},
        removed=frozenset(plain["removed"]),
        users=tuple(ConfiguredUser(**{**user, "groups": tuple(user["groups"])}) for user in plain["users"]),
        groups=tuple(ConfiguredGroup(**group) for group in plain["groups"]),
        scripts=tuple(_script(report) for report in plain["scripts"]),
    )


def _node(plain: Mapping[str, Any]) -> Node:
    fields = dict(plain)
    fields["kind"] = Kind(fields["kind"])
    fields["xattrs"] = tuple((name, base64.b64decode(value)) for name, value in fields.get("xattrs", ()))
    if "content" in fields:
        store, offset, size, sha256 = fields["content"]
        fields["content"] = Content(store=Path(store), offset=offset, size=size, sha256=sha256)
    return Node(**fields)


def _script(plain: Mapping[str, Any]) -> ScriptReport:
    return ScriptReport(
        package=plain["package"],
        script=plain["script"],
        recognised=tuple(plain["recognised"]),
        not_made=tuple(plain["not_made"]),
        unrecognised=tuple((number, text) for number, text in plain["unrecognised"]),
    )
