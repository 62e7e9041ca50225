"""ImagePlan: what will be in the image, as pure data that goes to JSON and back.

It knows every path, owner and reason; it does not know digests of layers or whether the image is safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.oci import Digest, ImageConfig, ImageReference, Platform
from builder.reason import Reason
from builder.sysroot import Content, Kind

if TYPE_CHECKING:  # whoever reads a finished image's plan needs neither registries nor maintainer scripts
    from builder.sources.base import BaseLayer
    from builder.sources.debian.configure.model import ScriptReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of a layer. ``content`` is bytes made by rootlet, or where the bytes are in the store.

    ``hardlink`` names the entry (of the same layer, sorted before this one) whose bytes this one shares; then
    ``content`` is None. ``package`` owns the path, "" where rootlet or the recipe made it.
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    content: Content | bytes | None = None
    target: str = ""
    hardlink: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    package: str = ""
    reason: Reason

    @property
    def size(self) -> int:
        """Bytes of the file itself: 0 for folders, links and second names."""
        if isinstance(self.content, bytes):
            return len(self.content)
        return self.content.size if self.content is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Entries sorted by path (as bytes), parents before children, each path once."""

    entries: tuple[Entry, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPackage:
    """A package that gives the image at least one file."""

    name: str
    version: str
    architecture: str
    source_name: str
    source_version: str
    files: int
    size: int
    """Bytes of its files in the image."""
    installed_size: int
    """Bytes of all the package's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBase:
    """What an image starts from. ``history``: what the base says of how it was made, as JSON texts.

    ``reference`` is its name in a registry, ``digest`` that of its manifest, None where there is none.
    ``files``: regular files of the base that a container of the image still sees. ``config`` is the base's
    own, over which the image's is laid already.
    """

    words: str
    layers: tuple[BaseLayer, ...]
    history: tuple[str, ...]
    files: int
    config: ImageConfig
    reference: ImageReference | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """The whole image. ``created`` (seconds since the epoch) is the time of every entry and of the image."""

    platform: Platform
    config: ImageConfig
    annotations: tuple[tuple[str, str], ...]
    layers: tuple[Layer, ...]
    packages: tuple[PlannedPackage, ...]
    created: int
    distribution: str
    """``ID-VERSION_ID`` of os-release, as "debian-13"; "" without a distribution."""
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    """What the recipe might want besides, each with the line to add."""
    scripts: tuple[ScriptReport, ...] = ()
    """What was read of the maintainer scripts of the packages that are in the image."""
    base: PlannedBase | None = None
    """Lies below ``layers``, which hold only what it lacks; None for an image from scratch."""
