"""Which registry and which repository a reference means."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from builder.errors import ResolutionError
from builder.oci import ImageReference

DOCKER_HUB = "docker.io"
_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_HOST = "registry-1.docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository: ``registry`` as people write it ("docker.io"), ``path`` as the registry knows it."""

    registry: str
    path: str

    @property
    def host(self) -> str:
        """The server that is asked, with its port where one is written."""
        return _HUB_HOST if self.registry == DOCKER_HUB else self.registry

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


def locate(reference: ImageReference) -> Repository:
    """The repository of a whole name. ResolutionError for a name without a registry: nothing is guessed."""
    if not reference.registry:
        path = reference.repository if "/" in reference.repository else f"{_OFFICIAL}{reference.repository}"
        raise ResolutionError(
            f"{reference} names no registry",
            hint=f"write the whole name, as {DOCKER_HUB}/{path}",
        )
    if reference.registry.lower() in _HUB_NAMES:
        official = "" if "/" in reference.repository else _OFFICIAL
        return Repository(registry=DOCKER_HUB, path=f"{official}{reference.repository}")
    return Repository(registry=reference.registry, path=reference.repository)


def is_loopback(host: str) -> bool:
    """Whether ``host`` (with or without a port) is this machine, so that nobody is between it and us."""
    name = host.rpartition(":")[0] or host
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
