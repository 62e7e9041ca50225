"""What differs between two snapshots, as values. Pure.

Files are compared by type, mode, owner, content, link target and extended attributes. Times are compared
only when they are asked for, and of the configuration what decides how a container starts. ``""`` and ``/``
are one work folder, a port without a protocol is TCP, no PATH is the usual one: so say config.md and engines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from builder.compare.snapshot import FileFacts, Snapshot
from builder.inventory.model import Component, ComponentKind
from builder.oci import ImageConfig
from builder.sysroot import Kind

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker, podman and containerd set for a container whose image has no PATH, and builders write down."""
_TIMES = "mtime"
_ARCHIVE = ComponentKind.DEB.value
"""The kind of packages that a plan knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One path. ``before`` or ``after`` is None where it is not; ``aspects`` names the facts that differ.

    ``package`` owns it ("" for nobody, or where nobody knows).
    """

    path: str
    before: FileFacts | None
    after: FileFacts | None
    aspects: tuple[str, ...]
    package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """One key of the configuration; "platform" counts as one. Variables and labels are maps."""

    key: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """One package. Versions are "" where it is not; sizes are bytes of its files in the image."""

    kind: str
    name: str
    before: str
    after: str
    size_before: int
    size_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One image in figures. ``size`` counts the bytes of regular files, each name."""

    subject: str
    paths: int
    files: int
    size: int
    packages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that differs. ``configured`` is False when a side is a root folder, which has none."""

    before: Side
    after: Side
    files: tuple[FileChange, ...]
    config: tuple[ConfigChange, ...]
    packages: tuple[PackageChange, ...]
    configured: bool

    @property
    def identical(self) -> bool:
        """Whether a container could not tell the two apart."""
        return not self.files and not self.config


def difference(before: Snapshot, after: Snapshot, *, times: bool = False) -> Difference:
    """Hold two images against each other; ``times`` counts modification times too."""
    configs = (before.config, after.config)
    return Difference(
        before=_side(before),
        after=_side(after),
        files=tuple(_file_changes(before, after, times=times)),
        config=tuple(_config_changes(before, after)),
        packages=tuple(_package_changes(before, after)),
        configured=None not in configs,
    )


def _side(snapshot: Snapshot) -> Side:
    files = [facts for facts in snapshot.files.values() if facts.kind is Kind.FILE]
    return Side(
        subject=snapshot.subject,
        paths=len(snapshot.files),
        files=len(files),
        size=sum(facts.size for facts in files),
        packages=len(snapshot.contents.inventory.components),
    )


def _file_changes(before: Snapshot, after: Snapshot, *, times: bool) -> Iterator[FileChange]:
    compared = tuple(one.name for one in fields(FileFacts) if one.name != _TIMES or times)
    for path in sorted(before.files.keys() | after.files.keys()):
        one, other = before.files.get(path), after.files.get(path)
        if one is None or other is None:
            side = before if other is None else after
            yield FileChange(path=path, before=one, after=other, aspects=(), package=_owner(path, side))
            continue
        aspects = tuple(name for name in compared if _differs(name, one, other))
        if aspects:
            owner = _owner(path, after) or _owner(path, before)
            yield FileChange(path=path, before=one, after=other, aspects=aspects, package=owner)


def _differs(name: str, one: FileFacts, other: FileFacts) -> bool:
    values = getattr(one, name), getattr(other, name)
    unknown = name == _TIMES and None in values  # a folder that no layer names
    return values[0] != values[1] and not unknown


def _owner(path: str, snapshot: Snapshot) -> str:
    place = snapshot.contents.places.get(path)
    return place.package if place is not None else ""


def _config_changes(before: Snapshot, after: Snapshot) -> Iterator[ConfigChange]:
    if before.config is None or after.config is None:
        return
    if before.platform != after.platform:
        yield ConfigChange(key="platform", before=str(before.platform), after=str(after.platform))
    one, other = _same_words(before.config), _same_words(after.config)
    for key, value in one.items():
        if value == other[key]:
            continue
        if key == "env" and _path(before.config) == _path(after.config):
            one[key], other[key] = _without_path(before.config), _without_path(after.config)
        yield ConfigChange(key=key, before=one[key], after=other[key])


def _same_words(config: ImageConfig) -> dict[str, object]:
    """The configuration with one spelling for what means the same."""
    plain: dict[str, object] = {one.name: getattr(config, one.name) for one in fields(ImageConfig)}
    return plain | {
        "workdir": config.workdir or "/",
        "ports": tuple(sorted(port if "/" in port else f"{port}/tcp" for port in config.ports)),
        "volumes": tuple(sorted(volume.rstrip("/") or "/" for volume in config.volumes)),
        "env": {**_without_path(config), "PATH": _path(config)},
        "labels": dict(config.labels),
    }


def _path(config: ImageConfig) -> str:
    return dict(config.env).get("PATH", DEFAULT_PATH)


def _without_path(config: ImageConfig) -> dict[str, str]:
    return {name: value for name, value in config.env if name != "PATH"}


def _package_changes(before: Snapshot, after: Snapshot) -> Iterator[PackageChange]:
    one, other = _components(before), _components(after)
    if before.planned or after.planned:
        one, other = ({key: found[key] for key in found if key[0] == _ARCHIVE} for found in (one, other))
    sizes, new_sizes = _sizes(before), _sizes(after)
    for kind, name in sorted(one.keys() | other.keys()):
        versions = one.get((kind, name), ""), other.get((kind, name), "")
        size, new_size = sizes.get(name, 0), new_sizes.get(name, 0)
        if versions[0] != versions[1] or size != new_size:
            yield PackageChange(
                kind=kind,
                name=name,
                before=versions[0],
                after=versions[1],
                size_before=size,
                size_after=new_size,
            )


def _components(snapshot: Snapshot) -> Mapping[tuple[str, str], str]:
    found: dict[tuple[str, str], list[str]] = {}
    for name, version in snapshot.below.items():
        found[_ARCHIVE, name] = [version]
    for component in snapshot.contents.inventory.components:
        found.setdefault(_key(component), []).append(component.version)
    # One name may be there in several versions: modules of languages, packages of several architectures.
    return {key: ", ".join(sorted(set(versions))) for key, versions in found.items()}


def _key(component: Component) -> tuple[str, str]:
    return component.kind.value, component.name


def _sizes(snapshot: Snapshot) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for path, place in snapshot.contents.places.items():
        if place.package and place.kind is Kind.FILE:
            sizes[place.package] = sizes.get(place.package, 0) + snapshot.files[path].size
    return sizes
