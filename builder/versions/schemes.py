"""Every version order by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from builder.dpkg import version as dpkg
from builder.versions import apk, go, maven, nuget, packagist, pep440, rpm, rubygems, semver


@dataclass(frozen=True, slots=True)
class Scheme:
    """One order. ``key`` raises ValueError for a text that ``valid`` refuses; keys of one scheme compare."""

    name: str
    valid: Callable[[str], bool]
    key: Callable[[str], Any]


def _dpkg_key(text: str) -> Any:
    if not dpkg.is_version(text):
        raise ValueError(f"{text[:40]!r} is no version of dpkg")
    return dpkg.version_key(text)


DPKG = Scheme("dpkg", dpkg.is_version, _dpkg_key)
RPM = Scheme("rpm", rpm.is_version, rpm.version_key)
APK = Scheme("apk", apk.is_version, apk.version_key)
PEP440 = Scheme("pep440", pep440.is_version, pep440.version_key)
SEMVER = Scheme("semver", semver.is_version, semver.version_key)
GO = Scheme("go", go.is_version, go.version_key)
MAVEN = Scheme("maven", maven.is_version, maven.version_key)
RUBYGEMS = Scheme("rubygems", rubygems.is_version, rubygems.version_key)
NUGET = Scheme("nuget", nuget.is_version, nuget.version_key)
PACKAGIST = Scheme("packagist", packagist.is_version, packagist.version_key)

SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme for scheme in (DPKG, RPM, APK, PEP440, SEMVER, GO, MAVEN, RUBYGEMS, NUGET, PACKAGIST)
}
