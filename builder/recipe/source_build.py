"""Sections of ``[sources.NAME]`` made into the values of builder/recipe/source_model.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from builder.recipe import formats
from builder.recipe.reading import Section
from builder.recipe.source_model import (
    ArchiveSource,
    DebianSource,
    GitSource,
    HostSource,
    ImageSource,
    PythonSource,
    Source,
    StageCopy,
    StageSecret,
    StageSource,
)
from builder.recipe.stage_keys import SECRET, names_image, number_of_bytes


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


def _stage(name: str, section: Section) -> StageSource:
    return StageSource(
        name=name,
        start=section.text("from"),
        image=section.image("from") if names_image(section.text("from")) else None,
        folder=section.node.origin.folder,
        packages=section.words("packages"),
        copy=tuple(_copy(one) for one in section.sections("copy")),
        env=section.pairs("env"),
        run=cast("tuple[str | tuple[str, ...], ...]", section.values["run"]),
        workdir=section.text("workdir"),
        user=section.text("user"),
        network=section.flag("network"),
        secrets=tuple(_secret(text, section) for text in section.words("secrets")),
        cache=section.words("cache"),
        memory=number_of_bytes(section.text("memory")),
        cpus=section.number("cpus"),
        seconds=formats.nanoseconds(section.text("time")) / 10**9,
    )


def _copy(section: Section) -> StageCopy:
    dest = section.text("dest")
    source = section.text("from")
    return StageCopy(
        dest=dest.rstrip("/") or "/",
        into=dest.endswith("/"),
        context=None if source else section.local_path("src"),
        source=source,
        path=section.text("src") if source else "",
        ignore=section.texts("ignore"),
    )


def _secret(text: str, section: Section) -> StageSecret:
    match = SECRET.fullmatch(text)
    if match is None:
        return StageSecret(id=text)
    file = match["file"]
    folder = section.at("secrets").origin.folder
    return StageSecret(id=match["id"], env=match["env"] or "", file=folder / file if file else None)


def _archive(name: str, section: Section) -> ArchiveSource:
    return ArchiveSource(
        name=name,
        url=section.text("url"),
        path=section.local_path("path"),
        sha256=section.text("sha256"),
        strip=section.number("strip"),
        root=section.text("root"),
    )


def _image(name: str, section: Section) -> ImageSource:
    return ImageSource(name=name, ref=section.image("ref"))


def _git(name: str, section: Section) -> GitSource:
    return GitSource(
        name=name,
        url=section.text("url"),
        path=section.local_path("path"),
        commit=section.text("commit"),
        ref=section.text("ref"),
        submodules=section.flag("submodules"),
    )


def _python(name: str, section: Section) -> PythonSource:
    links = section.local_path("links")
    return PythonSource(
        name=name,
        requirements=section.local_path("requirements"),
        lock=section.local_path("lock"),
        pyproject=section.local_path("pyproject"),
        extras=section.words("extras"),
        groups=section.words("groups"),
        python=section.text("python"),
        libc=section.text("libc"),
        hashes=section.flag("hashes"),
        index=section.text("index").rstrip("/"),
        extra_indexes=tuple(one.rstrip("/") for one in section.words("extra_indexes")),
        links="" if links is None else str(links.absolute()),
        interpreter=section.text("interpreter"),
        bytecode=section.flag("bytecode"),
    )


_MAKERS: Mapping[str, Callable[[str, Section], Source]] = {
    "debian": _debian,
    "host": _host,
    "stage": _stage,
    "archive": _archive,
    "image": _image,
    "git": _git,
    "python": _python,
}
