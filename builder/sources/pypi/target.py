"""What wheels are chosen for: the image's processor, Python and C library; never those of this machine.

PEP 425 tags, PEP 600 (manylinux) and PEP 656 (musllinux), PEP 508 markers; :mod:`packaging` makes them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.tags import Tag, compatible_tags, cpython_tags

from builder.errors import ResolutionError
from builder.oci import Platform
from builder.recipe.source_model import PythonSource

_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i686",
    "arm": "armv7l",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loong64": "loongarch64",
    "mips64le": "mips64",
}
_OLDEST = {"x86_64": 5, "i686": 5}
"""The oldest glibc 2.N that manylinux wheels of a processor may ask for; 17 for the others."""
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PYTHON = re.compile(r"python(3\.[0-9]+)(?:-minimal)?")
_USUAL_LIBC = "glibc-2.41"
"""Where no package says. What needs a newer one is refused by the link check of the finished plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The Python of an image. ``python`` is "3.13", ``full`` its whole version, ``libc`` as "glibc-2.41"."""

    machine: str
    python: str
    full: str
    libc: str

    @property
    def minor(self) -> int:
        """The second number of the version."""
        return int(self.python.partition(".")[2])

    def environment(self, extra: str = "") -> Mapping[str, str]:
        """Every variable of markers (PEP 508), so that none of this machine's is used."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full,
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": extra,
        }

    def holds(self, marker: Marker | None, extras: Iterable[str] = ()) -> bool:
        """Whether ``marker`` is true of the image, for one of ``extras`` or without any."""
        if marker is None:
            return True
        try:
            return any(marker.evaluate(dict(self.environment(extra))) for extra in ("", *extras))
        except (UndefinedComparison, UndefinedEnvironmentName, ValueError) as error:
            raise ResolutionError(f"the marker {str(marker)[:200]!r} cannot be judged: {error}") from error

    def ranks(self) -> Mapping[Tag, int]:
        """Tag → how far down the list it is: 0 is the best."""
        return _ranks(self)


@functools.lru_cache(maxsize=8)
def _ranks(target: Target) -> Mapping[Tag, int]:
    platforms = (*_platforms(target), f"linux_{target.machine}")
    version = (3, target.minor)
    interpreter = f"cp3{target.minor}"
    tags = (
        *cpython_tags(version, [interpreter], platforms),
        *compatible_tags(version, interpreter, platforms),
    )
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _platforms(target: Target) -> Iterator[str]:
    name, _, version = target.libc.partition("-")
    major, minor = (int(number) for number in version.split("."))
    if name == "musl":
        for number in range(minor, -1, -1):
            yield f"musllinux_{major}_{number}_{target.machine}"
        return
    for number in range(minor, _OLDEST.get(target.machine, 17) - 1, -1):
        yield f"manylinux_{major}_{number}_{target.machine}"
        if number in _LEGACY:
            yield f"{_LEGACY[number]}_{target.machine}"


def target_of(source: PythonSource, platform: Platform, versions: Mapping[str, str]) -> Target:
    """The target of ``source``: what it says itself, else what the image's Debian packages are.

    ``versions``: package → version.

    ResolutionError when neither says which Python it is.
    """
    python = source.python or _python_of(versions, source.name)
    full = _upstream(versions.get(f"python{python}-minimal", versions.get(f"python{python}", "")))
    machine = _MACHINES.get(platform.architecture, platform.architecture)
    if (platform.architecture, platform.variant) in {("arm", "v5"), ("arm", "v6")}:
        machine = f"arm{platform.variant}l"
    return Target(
        machine=machine,
        python=python,
        full=full if full.startswith(f"{python}.") else f"{python}.0",
        libc=source.libc or _libc_of(versions),
    )


def _python_of(versions: Mapping[str, str], source: str) -> str:
    found = sorted({match[1] for name in versions if (match := _PYTHON.fullmatch(name))})
    if len(found) == 1:
        return found[0]
    why = f"has Python {' and '.join(found)}" if found else "has no package of Python"
    raise ResolutionError(
        f"The source {source} needs to know which Python its wheels are for, and the recipe {why}",
        hint='name python3-minimal in packages, or say python = "3.13" in the source',
    )


def _libc_of(versions: Mapping[str, str]) -> str:
    match = re.match(r"2\.[0-9]+", _upstream(versions.get("libc6", "")))
    return f"glibc-{match[0]}" if match else _USUAL_LIBC


def _upstream(version: str) -> str:
    match = re.match(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)", version)
    return match[1] if match else ""
