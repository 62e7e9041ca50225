"""The stage that fetches the locked packages, proves each by its checksum and unpacks it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from builder.containerfile.origins import Origin
from builder.containerfile.quote import path_form, shell_word
from builder.containerfile.script import Command
from builder.errors import ResolutionError
from builder.lock import LockedPackage
from builder.sysroot import Package

DEBS, PACKAGES = "/debs", "/packages"
_USUAL = re.compile(r"[A-Za-z0-9.+~_-]+\.deb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A locked package and its file's name in :data:`DEBS`; ``alone`` when it takes an ADD of its own."""

    locked: LockedPackage
    file: str
    alone: bool


def origins(packages: Iterable[Package], locked: Mapping[str, LockedPackage]) -> Mapping[str, Origin]:
    """Where each package lies once it is unpacked, by name."""
    return {
        package.name: Origin(
            folder=f"{PACKAGES}/{package.name}",
            words=_words(package, locked[package.name]),
            nodes=package.nodes,
        )
        for package in packages
        if package.name in locked
    }


def fetched(locked: Iterable[LockedPackage]) -> tuple[Fetched, ...]:
    """The packages' files. Builders name a file after its address, which some addresses are not fit for.

    ResolutionError for an address that no builder can fetch.
    """
    names: set[str] = set()
    found = []
    for package in locked:
        if not package.url.startswith(("http://", "https://")):
            raise ResolutionError(
                f"{package.name} comes from {package.url}, which no builder of Dockerfiles can fetch",
                hint="name a mirror that others reach: --mirror http://…/debian",
            )
        name = unquote(urlsplit(package.url).path).rpartition("/")[2]
        usual = bool(_USUAL.fullmatch(name)) and name in package.url and name not in names
        file = name if usual else f"{package.name}_{package.sha256[:16]}.deb"
        names.add(file)
        found.append(Fetched(locked=package, file=file, alone=not usual))
    return tuple(found)


def additions(files: Sequence[Fetched]) -> tuple[tuple[str, ...], ...]:
    """Lines of each ADD: one layer for all the packages whose file names are usual."""
    together = [_address(one.locked.url) for one in files if not one.alone]
    lines = [_add([*together, f"{DEBS}/"])] if together else []
    lines += [_add([_address(one.locked.url), f"{DEBS}/{one.file}"]) for one in files if one.alone]
    return tuple(lines)


def unpacking(files: Sequence[Fetched]) -> tuple[Command, ...]:
    """Prove every file by its checksum, then unpack it; no maintainer script is run."""
    unpack = tuple(
        Command(start=f"dpkg-deb -x {shell_word(one.file)} {shell_word(f'{PACKAGES}/{one.locked.name}')}")
        for one in files
    )
    return (*proof(files), Command(start=f"mkdir {PACKAGES} /image"), *unpack)


def proof(files: Sequence[Fetched]) -> tuple[Command, ...]:
    """Compare the checksum of every file in :data:`DEBS`."""
    sums = tuple(f"'{one.locked.sha256}  {one.file}'" for one in files)
    if not files:
        return ()
    return (
        Command(start="printf '%s\\n'", words=sums, end="> /SHA256SUMS"),
        Command(start=f"env -C {DEBS} sha256sum --check --strict --quiet /SHA256SUMS"),
    )


def _add(words: Sequence[str]) -> tuple[str, ...]:
    quoted = [path_form([word])[1:-1] for word in words]
    lines = [f"     {word}, \\" for word in quoted[:-1]] + [f"     {quoted[-1]}]"]
    return (f"ADD [{lines[0].strip()}", *lines[1:])


def _address(url: str) -> str:
    """An address in which builders expand nothing."""
    return url.replace("$", "%24").replace("\\", "%5C")


def _words(package: Package, locked: LockedPackage) -> str:
    source = f"{locked.source_name} {locked.source_version}"
    asked = "named by the recipe" if locked.requested else f"wanted by {locked.wanted_by}"
    return f"{package.name} {package.version} (source {source}): {asked}"
