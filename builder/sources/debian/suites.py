"""Which suites of which mirrors a source means. Pure.

A Debian suite comes with two companions: ``SUITE-updates`` on the same mirror and ``SUITE-security`` on the
security mirror.

Addresses, the first that applies:

* ``snapshot = "20261101T000000Z"`` with ``mirror = "http://snapshot.test"``: ``mirror`` is the root of a
  snapshot service, and the archives are ``<mirror>/archive/debian/<stamp>`` and
  ``<mirror>/archive/debian-security/<stamp>``;
* ``mirror`` of the recipe; the security mirror is ``security_mirror``, else ``mirror`` + "-security";
* the machine's own apt sources, completed likewise.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from builder.errors import MachineError, ResolutionError
from builder.oci import Platform
from builder.recipe.source_model import DebianSource
from builder.sources.debian.apt_sources import Mirrors

_ARCHITECTURES = {
    ("amd64", ""): "amd64",
    ("arm64", ""): "arm64",
    ("arm64", "v8"): "arm64",
    ("arm", ""): "armhf",
    ("arm", "v7"): "armhf",
    ("arm", "v6"): "armel",
    ("arm", "v5"): "armel",
    ("386", ""): "i386",
    ("ppc64le", ""): "ppc64el",
    ("s390x", ""): "s390x",
    ("riscv64", ""): "riscv64",
    ("loong64", ""): "loong64",
    ("mips64le", ""): "mips64el",
}
_ALONE = frozenset({"sid", "unstable", "experimental", "rc-buggy"})


class Role(enum.Enum):
    """What a suite is to the one the recipe names."""

    MAIN = "main"
    UPDATES = "updates"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of a mirror. It is not known yet whether it exists."""

    role: Role
    mirror: str
    name: str

    @property
    def folder(self) -> str:
        """The address of its release file's folder."""
        return f"{self.mirror}/dists/{self.name}"


def debian_architecture(platform: Platform) -> str:
    """Debian's name of a platform; ResolutionError where it has none."""
    name = _ARCHITECTURES.get((platform.architecture, platform.variant))
    if platform.os != "linux" or name is None:
        raise ResolutionError(
            f"Debian has no packages for {platform}",
            hint="one of " + ", ".join(sorted({f"linux/{one}" for one, _ in _ARCHITECTURES})),
        )
    return name


def suites_of(source: DebianSource, mirrors: Mirrors | None) -> tuple[Suite, ...]:
    """List the suite of a source and its companions; MachineError when no mirror is known."""
    main, security = _addresses(source, mirrors)
    found = [Suite(Role.MAIN, main, source.suite)]
    if source.suite not in _ALONE:
        found.append(Suite(Role.UPDATES, main, f"{source.suite}-updates"))
        if source.security:
            found.append(Suite(Role.SECURITY, security, f"{source.suite}-security"))
    return tuple(found)


def _addresses(source: DebianSource, mirrors: Mirrors | None) -> tuple[str, str]:
    mirror = source.mirror.rstrip("/")
    if source.snapshot:
        if not mirror:
            raise MachineError(
                "The recipe names a snapshot and no mirror that keeps snapshots",
                hint='give the snapshot service\'s root: mirror = "…" in the recipe, or --mirror',
            )
        archive = f"{mirror}/archive/debian"
        return f"{archive}/{source.snapshot}", f"{archive}-security/{source.snapshot}"
    if mirror:
        return mirror, source.security_mirror.rstrip("/") or f"{mirror}-security"
    if mirrors is None:
        raise MachineError(
            "No Debian mirror is known: this machine has no apt sources of Debian's archive",
            hint='give mirror = "…" in the recipe, or --mirror',
        )
    return mirrors.main, source.security_mirror.rstrip("/") or mirrors.security or f"{mirrors.main}-security"
