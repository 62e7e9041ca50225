"""Package URLs (https://github.com/package-url/purl-spec): one name for a package in every tool's output.

Own code: writing them is a dozen lines, and what matters are the types' own rules (case, namespaces,
"upstream"), which the tests hold against the tools that read them.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.inventory.model import Component, ComponentKind, Distribution

_KINDS = {**{kind.value: kind for kind in ComponentKind}, "bitnami": ComponentKind.GENERIC}
"""Kinds by type; Bitnami's are programs in builds of their own, known by their bills of materials."""
_MAX = 4096
_DASHES = re.compile(r"[-_.]+")
_SOURCE_SUFFIX = ".src.rpm"


def component_purl(component: Component, distribution: Distribution | None, namespace: str = "") -> str:
    """Name a component; system packages get architecture, distribution and source, as syft writes them.

    The epoch of a Debian package stays in the version ("1:1.3"), that of an rpm becomes a qualifier, as the
    specification says. ``namespace`` overrides the distribution's id.
    """
    kind = component.kind
    if kind.is_system:
        return _system_purl(component, distribution, namespace)
    scope, name = _parts(kind, component.name)
    version = component.version
    if kind is ComponentKind.GO and version and component.name != "stdlib":
        version = f"v{version}"
    return _text(kind, scope, name, version, ())


def _system_purl(component: Component, distribution: Distribution | None, namespace: str) -> str:
    version, epoch = component.version, ""
    if component.kind is ComponentKind.RPM:
        before, colon, rest = version.partition(":")
        if colon and before.isdecimal():
            epoch, version = before, rest
    qualifiers = (
        ("arch", component.architecture),
        ("distro", str(distribution) if distribution is not None else ""),
        ("epoch", epoch),
        ("upstream", _upstream(component)),
    )
    space = namespace or (distribution.id if distribution is not None else _DEFAULT[component.kind])
    return _text(component.kind, space, component.name, version, qualifiers)


_DEFAULT = {ComponentKind.DEB: "debian", ComponentKind.APK: "alpine", ComponentKind.RPM: "redhat"}


def _upstream(component: Component) -> str:
    name, version = component.source_name, component.source_version
    if component.kind is ComponentKind.RPM:
        return f"{name}-{version.rpartition(':')[2]}{_SOURCE_SUFFIX}"
    if component.kind is ComponentKind.DEB and version != component.version:
        return f"{name}@{version}"
    return name if name != component.name else ""


def _parts(kind: ComponentKind, name: str) -> tuple[str, str]:
    """Part a component's name into the namespace and name of its purl."""
    if kind is ComponentKind.PYTHON:
        return "", _DASHES.sub("-", name).lower()
    if kind is ComponentKind.JAVA:
        group, _, artifact = name.rpartition(":")
        return group, artifact
    if kind in {ComponentKind.GO, ComponentKind.NPM, ComponentKind.PHP}:
        space, _, last = name.rpartition("/")
        return (space.lower(), last.lower()) if kind is not ComponentKind.NPM else (space, last)
    return "", name


def _text(
    kind: ComponentKind, space: str, name: str, version: str, qualifiers: Iterable[tuple[str, str]]
) -> str:
    place = "".join(f"{_quote(part)}/" for part in space.split("/") if part)
    at = f"@{_quote(version)}" if version else ""
    query = "&".join(f"{key}={_quote(value)}" for key, value in qualifiers if value)
    return f"pkg:{kind.value}/{place}{_quote(name)}{at}{f'?{query}' if query else ''}"


def _quote(text: str) -> str:
    # ":" is never encoded in a purl; "~" is unreserved.
    return urllib.parse.quote(text, safe=":~", errors="surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedPurl:
    """The parts of a package URL, decoded. ``kind`` is None for a type that no component has."""

    type: str
    kind: ComponentKind | None
    namespace: str
    name: str
    version: str
    qualifiers: dict[str, str] = field(default_factory=dict)


def parse_purl(text: str) -> ParsedPurl | None:
    """Read a package URL; None when it is none."""
    scheme, _, rest = text.partition(":")
    if scheme != "pkg" or len(text) > _MAX:
        return None
    rest, _, query = rest.partition("#")[0].partition("?")
    path = rest.strip("/")
    cut = path.rfind("@")
    path, version = (path[:cut], path[cut + 1 :]) if cut > path.rfind("/") else (path, "")
    parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
    if len(parts) < 2:  # noqa: PLR2004 (type and name)
        return None
    pairs = (pair.partition("=") for pair in query.split("&"))
    return ParsedPurl(
        type=parts[0].lower(),
        kind=_KINDS.get(parts[0].lower()),
        namespace="/".join(parts[1:-1]),
        name=parts[-1],
        version=urllib.parse.unquote(version),
        qualifiers={key.lower(): urllib.parse.unquote(value) for key, _, value in pairs if value},
    )


def component_name(purl: ParsedPurl) -> str:
    """Spell the name as :class:`~builder.inventory.model.Component` does."""
    if not purl.namespace or (purl.kind is not None and purl.kind.is_system):
        return purl.name
    return f"{purl.namespace}{':' if purl.kind is ComponentKind.JAVA else '/'}{purl.name}"
