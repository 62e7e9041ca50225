"""pom.xml (maven.apache.org/pom.html): a project's own coordinates, and what it depends on directly.

Nothing is fetched: what a parent on another machine says stays unknown, as does a version that it would give.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, whole_bytes
from builder.inventory.found import Found, Package, damaged, found, plain_word
from builder.inventory.java.coordinates import Coordinates
from builder.inventory.model import ComponentKind

_MAX_POM = 4 << 20
_MAX_TAGS = 200_000
_PROPERTY = re.compile(r"\$\{([^${}]{1,200})\}")
_RANGE = re.compile(r"\[([^\[\](),]+)\]")
_DEVELOPMENT = frozenset({"test"})


def pom_file(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read a project's direct dependencies; those without a known version are left out."""
    try:
        root = _parse(whole_bytes(content, _MAX_POM))
    except DocumentError as error:
        return damaged(str(error))
    if root is None:
        return damaged("it is no sound XML without a DOCTYPE")
    return found(_dependencies(root))


def own_coordinates(payload: bytes) -> Coordinates | None:
    """Give a project's own coordinates; None when it does not say all three."""
    root = _parse(payload)
    if root is None:
        return None
    own = _properties(root)
    made = Coordinates(own["project.groupId"], own["project.artifactId"], own["project.version"])
    return made if made.group and made.artifact and made.version and "$" not in made.version else None


def _parse(payload: bytes) -> ET.Element | None:
    if b"<!DOCTYPE" in payload or b"<!ENTITY" in payload or payload.count(b"<") > _MAX_TAGS:
        return None
    try:
        root = ET.fromstring(payload)  # noqa: S314 (expat bounds what entities cost, and there are none)
    except (ET.ParseError, ValueError, LookupError):
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root if root.tag == "project" else None


def _text(element: ET.Element | None, path: str) -> str:
    return (element.findtext(path) or "").strip() if element is not None else ""


def _properties(root: ET.Element) -> dict[str, str]:
    values = {one.tag: (one.text or "").strip() for one in root.find("properties") or ()}
    for key in ("groupId", "artifactId", "version"):
        own = _text(root, key) or (_text(root, f"parent/{key}") if key != "artifactId" else "")
        values[f"project.{key}"] = values[f"pom.{key}"] = own
        values[f"project.parent.{key}"] = _text(root, f"parent/{key}")
    return {key: plain_word(_filled(value, values)) for key, value in values.items()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for _ in range(8):
        filled = _PROPERTY.sub(lambda match: values.get(match[1], match[0]), text)[:1000]
        if filled == text:
            break
        text = filled
    return text


def _dependencies(root: ET.Element) -> Iterator[Package]:
    values = _properties(root)
    managed = {
        _key(one, values): _filled(_text(one, "version"), values)
        for one in root.iterfind("dependencyManagement/dependencies/dependency")
    }
    places = ("dependencies/dependency", "profiles/profile/dependencies/dependency")
    for one in (element for place in places for element in root.iterfind(place)):
        name = plain_word(_key(one, values))
        version = _filled(_text(one, "version"), values) or managed.get(name, "")
        exact = _RANGE.fullmatch(version)
        version = plain_word(exact[1] if exact else version)
        if version and "$" not in version and not version.startswith(("[", "(")) and name:
            development = _text(one, "scope") in _DEVELOPMENT
            yield Package(kind=ComponentKind.JAVA, name=name, version=version, development=development)


def _key(element: ET.Element, values: Mapping[str, str]) -> str:
    return ":".join(_filled(_text(element, key), values) for key in ("groupId", "artifactId"))
