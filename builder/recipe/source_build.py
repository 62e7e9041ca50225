"""Sections of ``[sources.NAME]`` made into the values of builder/recipe/source_model.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.recipe.reading import Section
from builder.recipe.source_model import DebianSource, HostSource, Source


def make_source(name: str, section: Section) -> Source:
    """Make the source that a sound section describes."""
    return _MAKERS[section.text("type")](name, section)


def _debian(name: str, section: Section) -> DebianSource:
    return DebianSource(
        name=name,
        suite=section.text("suite"),
        components=section.words("components"),
        packages=section.words("packages"),
        mirror=section.text("mirror").rstrip("/"),
        security_mirror=section.text("security_mirror").rstrip("/"),
        security=section.flag("security"),
        snapshot=section.text("snapshot"),
        keyring=section.local_path("keyring"),
        pin=section.pairs("pin"),
    )


def _host(name: str, section: Section) -> HostSource:
    root = section.local_path("root")
    return HostSource(name=name) if root is None else HostSource(name=name, root=root)


_MAKERS: Mapping[str, Callable[[str, Section], Source]] = {"debian": _debian, "host": _host}
