"""The bill of an image that exists, whoever made it, or of a root folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder import __version__
from builder.oci import Digest, Platform
from builder.plan.contents import Contents
from builder.reason import ReasonKind
from builder.sbom.bill import Bill, components_of, needed_packages
from builder.stored.read import StoredImage

_EDGES = frozenset(
    {ReasonKind.NEEDED, ReasonKind.INTERPRETER, ReasonKind.SHEBANG, ReasonKind.DLOPEN, ReasonKind.RULE}
)
"""Reasons that lead from one file to another that needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a bill says of its subject beside what is in it; as :class:`builder.sbom.bill.Bill`."""

    name: str
    version: str = ""
    digest: Digest | None = None
    platform: Platform | None = None
    created: dt.datetime


def identity_of(image: StoredImage, *, name: str, version: str) -> Identity:
    """The identity of an image as it lies; its time is the one in its configuration."""
    return Identity(
        name=name,
        version=version,
        digest=image.manifest.digest if image.manifest is not None else None,
        platform=image.config.platform,
        created=_moment(image.config.created),
    )


def identity_of_folder(folder: Path, created: dt.datetime) -> Identity:
    """The identity of a root folder, which has nothing but its name."""
    return Identity(name=folder.resolve().name or "root", created=created)


def bill_of(contents: Contents, identity: Identity) -> Bill:
    """What is in an image. Which package needs which is known where the image carries its reasons."""
    components = components_of(contents.inventory)
    return Bill(
        name=identity.name,
        version=identity.version,
        digest=identity.digest,
        platform=identity.platform,
        created=identity.created,
        distribution=contents.inventory.distribution,
        components=components,
        depends=needed_packages(_edges(contents), components),
        tool_version=__version__,
    )


def _edges(contents: Contents) -> Iterator[tuple[str, str]]:
    """Packages of files that need a file, each with the package of that file."""
    for place in contents.places.values():
        reason = place.reason
        if reason is not None and reason.kind in _EDGES and place.package:
            dependent = contents.places.get(reason.subject)
            if dependent is not None and dependent.package:
                yield dependent.package, place.package


def _moment(text: str) -> dt.datetime:
    """The time of a configuration; 1970 where it says none or something that is no time."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return dt.datetime.fromtimestamp(0, dt.UTC)
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
