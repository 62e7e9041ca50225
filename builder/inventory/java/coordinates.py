"""Maven coordinates from the texts inside a jar: pom.properties, MANIFEST.MF, the file's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from builder.inventory.found import plain_word

_NAME = re.compile(
    r"(?P<artifact>.+?)[-_](?P<version>[vV]?[0-9][0-9A-Za-z.+_-]*?)(?:-(?:sources|javadoc|tests))?"
)
_GROUP = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_0-9][\w-]*)+")
_ARTIFACT = re.compile(r"[A-Za-z0-9_][\w.-]*")
_SECTION = re.compile(rb"\r?\n(?:\r?\n)+")


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Group, artifact and version; each "" where nobody says."""

    group: str
    artifact: str
    version: str


def parse_properties(payload: bytes) -> Coordinates | None:
    """Read a pom.properties; None when it has not all three."""
    fields: dict[str, str] = {}
    for line in payload.decode(errors="replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith(("#", "!")):
            fields[key.strip()] = plain_word(value)
    made = Coordinates(fields.get("groupId", ""), fields.get("artifactId", ""), fields.get("version", ""))
    return made if made.group and made.artifact and made.version else None


def parse_manifest(payload: bytes) -> dict[str, str]:
    """Read the main section of a MANIFEST.MF; long lines are joined."""
    main = _SECTION.split(payload, maxsplit=1)[0]
    text = main.replace(b"\r\n ", b"").replace(b"\n ", b"").decode(errors="replace")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def from_name(file: str) -> Coordinates:
    """Part "commons-lang3-3.12.0.jar" into artifact and version."""
    stem = file[-255:].rpartition(".")[0]
    match = _NAME.fullmatch(stem)
    if match is None:
        return Coordinates("", plain_word(stem), "")
    return Coordinates("", plain_word(match["artifact"]), plain_word(match["version"]))


def from_manifest(manifest: Mapping[str, str], named: Coordinates) -> Coordinates | None:
    """Make coordinates of the manifest and the file's name; None when nothing gives a version."""
    version = named.version or _first(
        manifest, "Implementation-Version", "Bundle-Version", "Specification-Version", "Plugin-Version"
    )
    bundle = manifest.get("Bundle-SymbolicName", "").partition(";")[0].strip()
    artifact = named.artifact or _artifact(manifest)
    version = _version(version)
    if not artifact or not version:
        return None
    return Coordinates(_group(manifest, bundle, artifact), artifact, version)


def _version(text: str) -> str:
    # "1.2 (build 7)": the first word is the version.
    word = plain_word(text.split(" ", 1)[0])
    return word if any(letter.isdecimal() for letter in word) else ""


def _first(manifest: Mapping[str, str], *keys: str) -> str:
    return next((manifest[key] for key in keys if manifest.get(key)), "")


def _artifact(manifest: Mapping[str, str]) -> str:
    for key in ("Implementation-Title", "Specification-Title", "Bundle-Name", "Automatic-Module-Name"):
        word = manifest.get(key, "")
        if _ARTIFACT.fullmatch(word):
            return plain_word(word)
    return ""


def _group(manifest: Mapping[str, str], bundle: str, artifact: str) -> str:
    vendor = manifest.get("Implementation-Vendor-Id", "")
    if _GROUP.fullmatch(vendor):
        return plain_word(vendor)
    if not _GROUP.fullmatch(bundle):
        return ""
    # "org.apache.commons.lang3" of commons-lang3: the last word is the artifact's. Apache's projects that
    # have no word of their own there ("org.apache.tomcat-coyote") begin the artifact with it.
    words = bundle.split(".")
    parts = {*re.split(r"[-_.]", artifact.lower()), artifact.lower()}
    if words[:-1] == ["org", "apache"] and words[-1] == artifact:
        return ".".join([*words[:-1], artifact.partition("-")[0]])
    if len(words) > 2 and words[-1].lower() in parts:  # noqa: PLR2004 (a group has two words)
        words.pop()
    return ".".join(words)
