"""The image that an image starts from: its layers stay as they are, and only what it lacks is added.

Its packages count as installed: where an archive has one of them too, the base's version is used, unless the
recipe names the package. Its accounts, configuration and files are taken as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from builder.errors import ResolutionError
from builder.inventory.osrelease import parse_os_release
from builder.lock import Lock
from builder.oci import (
    ANNOTATION_BASE_DIGEST,
    ANNOTATION_BASE_NAME,
    Descriptor,
    Digest,
    ImageConfig,
    ImageReference,
)
from builder.stored.blobs import Section
from builder.stored.config import ConfigFile
from builder.sysroot import Node, Package, Sysroot, read_content

_SYSTEM = "base-files"
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLayer:
    """A layer of the base, where its blob lies. ``descriptor`` None: it is a plain tar, never a blob yet.

    ``size`` is that of its tar in bytes; ``files`` counts regular files and hard links, ``entries`` all.
    """

    section: Section
    descriptor: Descriptor | None
    diff_id: Digest
    size: int
    files: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An image to start from.

    ``reference`` is its name in a registry, None elsewhere. ``digest`` is that of its manifest, None for
    images that have none. ``key`` changes with everything of it that an image takes over; after
    ``fresh_until`` (unix time) its name may lead to another image.
    """

    words: str
    reference: ImageReference | None
    digest: Digest | None
    config: ConfigFile
    layers: tuple[BaseLayer, ...]
    tree: Sysroot
    key: str
    fresh_until: float

    @property
    def created(self) -> int:
        """When it was made, in seconds since the epoch; 0 where it does not say."""
        try:
            moment = dt.datetime.fromisoformat(self.config.created)
        except ValueError:
            return 0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return max(int(moment.timestamp()), 0)

    def annotations(self) -> tuple[tuple[str, str], ...]:
        """What an image says of its base (annotations.md, "Pre-Defined Annotation Keys")."""
        found = []
        if self.digest is not None:
            found.append((ANNOTATION_BASE_DIGEST, str(self.digest)))
        if self.reference is not None:
            tag = self.reference.tag or ("" if self.reference.digest else "latest")
            name = f"{self.reference.name}:{tag}" if tag else self.reference.name
            found.append((ANNOTATION_BASE_NAME, name))
        return tuple(found)


# ---- configuration ---------------------------------------------------------------------------------------


def over_base(config: ImageConfig, base: ImageConfig) -> ImageConfig:
    """``config`` laid over that of the base, as Dockerfiles do: a new entrypoint ends the base's cmd."""
    env = dict(base.env) | dict(config.env)
    return ImageConfig(
        entrypoint=config.entrypoint or base.entrypoint,
        cmd=config.cmd or (() if config.entrypoint else base.cmd),
        env=tuple(env.items()),
        user=config.user or base.user,
        workdir=config.workdir or base.workdir,
        ports=tuple(sorted({*base.ports, *config.ports})),
        volumes=tuple(sorted({*base.volumes, *config.volumes})),
        labels=tuple(sorted((dict(base.labels) | dict(config.labels)).items())),
        stop_signal=config.stop_signal or base.stop_signal,
        healthcheck=config.healthcheck or base.healthcheck,
    )


# ---- packages --------------------------------------------------------------------------------------------


def beside_base(packages: Iterable[Package], locked: Lock, base: Base) -> tuple[Package, ...]:
    """What the archives bring beside a base: whole packages that it lacks or that the recipe names.

    Of the others, which the base has, come the files that it lacks, where the version is the same.
    ResolutionError when the base is of another distribution than the packages.
    """
    named = {one.name for one in locked.packages if one.requested}
    all_packages = tuple(packages)
    _check_distribution(all_packages, base)
    kept = []
    for package in all_packages:
        present = base.tree.packages.get(package.name)
        if package.name in named or (present is None and not _is_system(package, base)):
            kept.append(package)
        elif present is not None and present.version == package.version:
            missing = tuple(node for node in package.nodes if base.tree.lookup_exact(node.path) is None)
            kept.append(replace(package, nodes=missing, scripts={}))
    return tuple(kept)


def _is_system(package: Package, base: Base) -> bool:
    """Whether the package says what system this is, which the base has said."""
    return package.name == _SYSTEM and bool(_system(base.tree))


def outdated(locked: Lock, base: Base) -> tuple[str, ...]:
    """Packages that the base has in another version than the archive, as "name (base's, not archive's)"."""
    found = []
    for one in locked.packages:
        present = base.tree.packages.get(one.name)
        if present is not None and present.version != one.version and not one.requested:
            found.append(f"{one.name} ({present.version}, not {one.version})")
    return tuple(found)


def _check_distribution(packages: Iterable[Package], base: Base) -> None:
    has = _system(base.tree)
    system = next((package for package in packages if package.name == _SYSTEM), None)
    brings = _system(Sysroot(system.nodes)) if system is not None else {}
    if not has or not brings:
        return
    one, other = ((system.get("ID", ""), system.get("VERSION_ID", "")) for system in (has, brings))
    if one != other:
        raise ResolutionError(
            f"The base {base.words} is {has.get('PRETTY_NAME', one[0])}, and the packages are of "
            f"{brings.get('PRETTY_NAME', other[0])}: their libraries and records do not fit together",
            hint="take packages of the base's release (suite), or another base",
        )


def _system(tree: Sysroot) -> dict[str, str]:
    for path in _OS_RELEASE:
        node: Node | None = tree.lookup(path).node
        if node is not None and node.content is not None and node.content.size < 1 << 16:
            return parse_os_release(read_content(node.content).decode(errors="replace"))
    return {}
