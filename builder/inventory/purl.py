"""Package URLs (https://github.com/package-url/purl-spec): one name for a package in every tool's output."""

from __future__ import annotations

import urllib.parse

from builder.inventory.dpkg import StatusEntry
from builder.inventory.model import Distribution


def deb_purl(package: StatusEntry, distribution: Distribution | None) -> str:
    """Name a Debian binary package; ``upstream`` is the source where it differs, as syft writes it.

    The epoch stays in the version ("1:1.3"), and ``distro`` is ``id-version`` of os-release.
    """
    source = package.source
    qualifiers = [("arch", package.architecture)]
    if distribution is not None:
        qualifiers.append(("distro", str(distribution)))
    if source.version != package.version:
        qualifiers.append(("upstream", f"{source.name}@{source.version}"))
    elif source.name != package.name:
        qualifiers.append(("upstream", source.name))
    namespace = distribution.id if distribution is not None else "debian"
    text = f"pkg:deb/{_quote(namespace)}/{_quote(package.name)}@{_quote(package.version)}"
    return text + "?" + "&".join(f"{key}={_quote(value)}" for key, value in qualifiers if value)


def _quote(text: str) -> str:
    # ":" is never encoded in a purl; "~" is unreserved.
    return urllib.parse.quote(text, safe=":~", errors="surrogateescape")
