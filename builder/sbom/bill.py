"""What a bill of materials says, whatever its format."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from builder.inventory.model import Component, Distribution, Inventory
from builder.oci import Digest, Platform

_NAMESPACE = uuid.UUID("a9c4f3b2-6d0e-5f7a-8b1c-2e3d4f5a6b7c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One image of one platform, or a folder, and what is in it.

    ``digest`` is that of the image's manifest, None for what has none. ``created`` is the time in the image's
    configuration, never that of the clock: equal images have equal bills. ``depends`` maps the purl of a
    component to those of the components whose files it needs, as far as that is known.
    """

    name: str
    version: str
    digest: Digest | None
    platform: Platform | None
    created: dt.datetime
    distribution: Distribution | None
    components: tuple[Component, ...]
    depends: Mapping[str, tuple[str, ...]]
    tool_version: str

    @property
    def purl(self) -> str:
        """The image as a package URL ("pkg:oci/redis@sha256:…?arch=amd64"), "" for what has no digest."""
        if self.digest is None:
            return ""
        short = self.name.rpartition("/")[2].lower()
        qualifiers = [f"arch={quote(self.platform.architecture)}"] if self.platform is not None else []
        if "/" in self.name:
            qualifiers.append(f"repository_url={quote(self.name, safe='/.:')}")
        tail = f"?{'&'.join(qualifiers)}" if qualifiers else ""
        return f"pkg:oci/{quote(short)}@{quote(str(self.digest), safe='')}{tail}"

    @property
    def serial(self) -> uuid.UUID:
        """A name for this very bill, made of what it says."""
        words = [self.name, self.version, str(self.digest), str(self.platform), str(self.created)]
        words += [f"{one.purl} {one.evidence}" for one in self.components]
        return uuid.uuid5(_NAMESPACE, hashlib.sha256("\n".join(words).encode(errors="replace")).hexdigest())

    def references(self) -> Iterator[tuple[str, Component]]:
        """Each component with a name of its own inside the bill: its purl, numbered where two share one."""
        seen: dict[str, int] = {}
        for one in self.components:
            count = seen[one.purl] = seen.get(one.purl, 0) + 1
            yield (one.purl if count == 1 else f"{one.purl}#{count}"), one


def components_of(inventory: Inventory) -> tuple[Component, ...]:
    """The components that a bill lists: all but what a development folder wants for development only."""
    return tuple(one for one in inventory.components if not one.development)


def needed_packages(
    edges: Iterable[tuple[str, str]], components: Iterable[Component]
) -> Mapping[str, tuple[str, ...]]:
    """Edges between packages, by name, as edges between components, by purl; in order, each once."""
    purls = {one.name: one.purl for one in components if one.kind.is_system}
    found: dict[str, dict[str, None]] = {}
    for dependent, provider in sorted(set(edges)):
        if dependent != provider and dependent in purls and provider in purls:
            found.setdefault(purls[dependent], {})[purls[provider]] = None
    return {purl: tuple(others) for purl, others in found.items()}
