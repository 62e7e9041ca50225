"""Which distribution a tree is: os-release(5), and Debian's own /etc/debian_version."""

from __future__ import annotations

import re

from builder.inventory.model import Distribution

_LINE = re.compile(
    r"""^(?P<key>[A-Z][A-Z0-9_]*)=(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<bare>\S*))\s*$"""
)
_MAX_TEXT = 1 << 16
_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_MAJOR = re.compile(r"([0-9]{1,6})(?:\.|$)")


def parse_os_release(text: str) -> dict[str, str]:
    """Give the assignments of an os-release file, unquoted; of equal keys the last counts."""
    values: dict[str, str] = {}
    for line in text[:_MAX_TEXT].split("\n"):
        match = _LINE.match(line.strip())
        if match is None:
            continue
        if match["double"] is not None:
            values[match["key"]] = re.sub(r"\\(.)", r"\1", match["double"])
        else:
            values[match["key"]] = match["single"] if match["single"] is not None else match["bare"]
    return values


def distribution_of(os_release: str | None, debian_version: str | None) -> Distribution | None:
    """Tell the distribution by os-release, else by debian_version; None when neither says (rule D4)."""
    values = parse_os_release(os_release) if os_release is not None else {}
    major = _major(debian_version)
    if _NAME.fullmatch(values.get("ID", "")):
        version = values.get("VERSION_ID", "")
        if not _NAME.fullmatch(version):
            version = major if values["ID"] == "debian" else ""
        return Distribution(id=values["ID"], version=version, pretty_name=_plain(values, version))
    if debian_version is None or not major:
        return None
    return Distribution(id="debian", version=major, pretty_name=f"Debian GNU/Linux {major}")


def contradiction(distribution: Distribution | None, debian_version: str | None) -> str | None:
    """Give a sentence when os-release and debian_version name two releases of Debian, else None."""
    major = _major(debian_version)
    if distribution is None or distribution.id != "debian" or not major:
        return None
    if major == distribution.version.partition(".")[0]:
        return None
    return f"/etc/debian_version says release {major}, os-release says {distribution.version}"


def _major(debian_version: str | None) -> str:
    match = _MAJOR.match((debian_version or "").strip())
    return match[1] if match else ""


def _plain(values: dict[str, str], version: str) -> str:
    name = values.get("PRETTY_NAME") or values.get("NAME") or f"{values['ID']} {version}".strip()
    return "".join(letter for letter in name if letter.isprintable())[:120]
