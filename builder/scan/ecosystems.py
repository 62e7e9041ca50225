"""What rootlet matches: OSV's ecosystems, and which of them speaks of an installed package.

An OSV record names an ecosystem with a suffix where releases differ ("Debian:13", "Ubuntu:24.04:LTS"). Each
ecosystem here turns that suffix into the release that os-release(5) of such a system gives.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from builder.inventory.model import Component, ComponentKind, Distribution
from builder.versions.schemes import Scheme, scheme


class By(enum.Enum):
    """Which name of an installed package the records of an ecosystem use."""

    NAME = enum.auto()
    """The package's own."""
    SOURCE = enum.auto()
    """That of its source package or origin (rules D1, A1)."""
    EITHER = enum.auto()
    """Its own, or that of its source: records of these distributions name the one or the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecosystem:
    """One of OSV's ecosystems.

    ``order`` is a name of :mod:`builder.versions.schemes`. ``system``: a distribution, whose records say
    everything in their ranges (their lists of versions only repeat them). ``release`` gives the release for
    the suffix of a record's ecosystem, None for one that no image can be told to be. ``fold`` gives
    the one spelling of a package's name.
    """

    name: str
    order: str
    by: By = By.NAME
    system: bool = False
    release: Callable[[str], str | None] = str
    fold: Callable[[str], str] = str

    @property
    def scheme(self) -> Scheme:
        """Its version order."""
        return scheme(self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to look an installed package up: the names it may have there, each with the version to compare.

    ``releases``: every release whose records count; () where the ecosystem has none.
    """

    ecosystem: Ecosystem
    releases: tuple[str, ...]
    names: tuple[tuple[str, str], ...]


_RUNS = re.compile(r"[-_.]+")
_UBUNTU = re.compile(r"(Pro:)?([0-9]+\.[0-9]+)(?::LTS)?")
_RHEL = re.compile(r"enterprise_linux:([0-9]+)(?:\.[0-9]+)?(?:::.*)?")
_SLE = re.compile(r"Linux Enterprise (?!Micro)[A-Za-z ]+?([0-9]+)(?: SP([0-9]+))?(?:-[A-Z]+)?")
_MICRO = re.compile(r"(?:Linux Enterprise|Leap) Micro ([0-9]+\.[0-9]+)")


def _ubuntu(suffix: str) -> str | None:
    match = _UBUNTU.fullmatch(suffix)
    return f"{match[1] or ''}{match[2]}" if match else None


def _red_hat(suffix: str) -> str | None:
    match = _RHEL.fullmatch(suffix)
    return match[1] if match else None


def _suse(suffix: str) -> str | None:
    micro = _MICRO.fullmatch(suffix)
    if micro is not None:
        return f"micro-{micro[1]}"
    match = _SLE.fullmatch(suffix)
    return None if match is None else match[1] + (f".{match[2]}" if match[2] else "")


def _opensuse(suffix: str) -> str | None:
    micro = _MICRO.fullmatch(suffix)
    return f"micro-{micro[1]}" if micro is not None else suffix.removeprefix("Leap ").lower()


def _python_name(name: str) -> str:
    return _RUNS.sub("-", name).lower()  # PEP 503


_SYSTEMS = (
    Ecosystem(name="Debian", order="dpkg", by=By.SOURCE, system=True),
    Ecosystem(name="Ubuntu", order="dpkg", by=By.SOURCE, system=True, release=_ubuntu),
    Ecosystem(name="Alpine", order="apk", by=By.SOURCE, system=True),
    Ecosystem(name="Wolfi", order="apk", by=By.SOURCE, system=True),
    Ecosystem(name="Chainguard", order="apk", by=By.SOURCE, system=True),
    Ecosystem(name="MinimOS", order="apk", by=By.SOURCE, system=True),
    Ecosystem(name="AlmaLinux", order="rpm", system=True),
    Ecosystem(name="Red Hat", order="rpm", system=True, release=_red_hat),
    Ecosystem(name="Rocky Linux", order="rpm", by=By.EITHER, system=True),
    Ecosystem(name="SUSE", order="rpm", by=By.EITHER, system=True, release=_suse),
    Ecosystem(name="openSUSE", order="rpm", by=By.EITHER, system=True, release=_opensuse),
    Ecosystem(name="Azure Linux", order="rpm", by=By.EITHER, system=True),
    Ecosystem(name="Mageia", order="rpm", by=By.EITHER, system=True),
)
_LANGUAGES = (
    Ecosystem(name="PyPI", order="pep440", fold=_python_name),
    Ecosystem(name="npm", order="semver"),
    Ecosystem(name="Go", order="go"),
    Ecosystem(name="crates.io", order="semver"),
    Ecosystem(name="Maven", order="maven"),
    Ecosystem(name="RubyGems", order="rubygems"),
    Ecosystem(name="Packagist", order="packagist", fold=str.lower),
    Ecosystem(name="NuGet", order="nuget", fold=str.lower),
)
ECOSYSTEMS: Mapping[str, Ecosystem] = {one.name: one for one in (*_SYSTEMS, *_LANGUAGES)}
"""Everything that rootlet matches, by OSV's name."""
LANGUAGES: tuple[str, ...] = tuple(one.name for one in _LANGUAGES)

_OF_KIND: Mapping[ComponentKind, str] = {
    ComponentKind.PYTHON: "PyPI",
    ComponentKind.NPM: "npm",
    ComponentKind.GO: "Go",
    ComponentKind.RUST: "crates.io",
    ComponentKind.JAVA: "Maven",
    ComponentKind.RUBY: "RubyGems",
    ComponentKind.PHP: "Packagist",
    ComponentKind.DOTNET: "NuGet",
}


_ORDERS: Mapping[ComponentKind, str] = {
    ComponentKind.DEB: "dpkg",
    ComponentKind.APK: "apk",
    ComponentKind.RPM: "rpm",
}


def _major(version: str) -> str:
    return version.partition(".")[0]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _alpine(version: str) -> str:
    # "3.22.0_alpha20250108" is edge on its way to 3.22: no release has its data.
    return "edge" if "_" in version else f"v{_minor(version)}"


_DISTRIBUTIONS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "debian": ("Debian", _major),
    "ubuntu": ("Ubuntu", _minor),
    "alpine": ("Alpine", _alpine),
    "wolfi": ("Wolfi", lambda _: ""),
    "chainguard": ("Chainguard", lambda _: ""),
    "minimos": ("MinimOS", lambda _: ""),
    "almalinux": ("AlmaLinux", _major),
    "rhel": ("Red Hat", _major),
    "rocky": ("Rocky Linux", _major),
    "sles": ("SUSE", str),
    "sled": ("SUSE", str),
    "sle-micro": ("SUSE", lambda version: f"micro-{version}"),
    "sl-micro": ("SUSE", lambda version: f"micro-{version}"),
    "opensuse-leap": ("openSUSE", str),
    "opensuse-leap-micro": ("openSUSE", lambda version: f"micro-{version}"),
    "opensuse-tumbleweed": ("openSUSE", lambda _: "tumbleweed"),
    "azurelinux": ("Azure Linux", _major),
    "mariner": ("Azure Linux", _major),
    "mageia": ("Mageia", str),
}
"""os-release ID → ecosystem and its release.

A derivative has versions of its own: it is not matched as its parent.
"""


def ecosystem_of(distribution: Distribution) -> tuple[Ecosystem, str] | None:
    """Give whose data speaks of a distribution, and the release there; None when nobody's does (rule D4)."""
    found = _DISTRIBUTIONS.get(distribution.id)
    if found is None:
        return None
    name, release_of = found
    return ECOSYSTEMS[name], release_of(distribution.version)


def target_of(component: Component, distribution: Distribution | None) -> Target | None:
    """Say where to look a component up; None when no data can speak of it."""
    if not component.kind.is_system:
        name = _OF_KIND.get(component.kind)
        if name is None:
            return None
        language = ECOSYSTEMS[name]
        return Target(
            ecosystem=language,
            releases=(),
            names=((language.fold(component.name), component.version),),
        )
    found = ecosystem_of(distribution) if distribution is not None else None
    if found is None:
        return None
    ecosystem, release = found
    if ecosystem.order != _ORDERS[component.kind]:
        return None
    own = (component.name, component.version)
    source = (component.source_name, component.source_version)
    names = {By.NAME: (own,), By.SOURCE: (source,), By.EITHER: (own, source)}[ecosystem.by]
    releases = (release, f"Pro:{release}") if ecosystem.name == "Ubuntu" else (release,)
    return Target(ecosystem=ecosystem, releases=releases, names=tuple(dict.fromkeys(names)))
