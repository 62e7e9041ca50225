"""The packages of a distribution's own databases: dpkg's, apk's and rpm's, each with its file lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.inventory.dpkg import Status, StatusEntry, parse_list, parse_md5sums, parse_status
from builder.inventory.found import Package, unpacked
from builder.inventory.model import ComponentKind
from builder.inventory.tree import INFO, LISTS, STATUS, STATUS_D, Tree, list_text

_OPTIONAL = "/opt/"
"""No distribution's own package puts files there (Filesystem Hierarchy Standard, "/opt")."""
_OTHER_MAKERS = re.compile(
    r"(?:^|@(?:[\w-]{1,40}\.){0,4})(?:docker|nvidia|google|microsoft|github|hashicorp|nodesource|elastic"
    r"|grafana|influxdata|mongodb|oracle|gitlab|datadog|newrelic|adoptium|temurin|azul|amazon|corretto"
    r"|bitnami|percona|mariadb|nginx|redis|rabbitmq|cloudflare|tailscale|kubernetes|jenkins|cloudera|splunk"
    r"|fluent|treasuredata|timber|yarnpkg)\b",
    re.IGNORECASE,
)
"""How maintainers of packages that are no distribution's call themselves, or where they write from."""
_RPM_MAKERS = re.compile(
    r"red ?hat|centos|alma|rocky|oracle america|fedora|suse|amazon|microsoft|vmware|photon|cloudlinux"
    r"|scientific linux|openeuler|anolis|miracle|circle linux|euro ?linux",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackage:
    """An installed package, the paths it was read from, and its file lists, packed, by their format.

    ``vendored`` says that the distribution itself made it, as far as its record tells.
    """

    package: Package
    evidence: tuple[str, ...]
    layer: int | None
    lists: tuple[tuple[str, bytes], ...]
    vendored: bool

    def paths(self) -> Iterator[str]:
        """Give what its file lists name, as packaged; lists may name a path twice."""
        for form, packed in self.lists:
            if form == ".list":
                yield from parse_list(list_text(packed))
            elif form == ".md5sums":
                yield from parse_md5sums(list_text(packed))
            else:
                yield from unpacked(packed)

    def is_vendored(self, path: str) -> bool:
        """Whether the distribution's own data answers for what lies at ``path`` of this package (P1)."""
        return self.vendored and not path.startswith(_OPTIONAL)


def system_packages(tree: Tree) -> tuple[tuple[SystemPackage, ...], list[str]]:
    """Give every installed package once, in a fixed order, and what could not be read of the databases."""
    statuses = {path: parse_status(tree.kept[path], path=path) for path in _status_files(tree)}
    notes = [note for status in statuses.values() for note in status.notes]
    found = _merged([*_debian(tree, statuses), *_answered(tree, notes)])
    return tuple(sorted(found, key=lambda one: (one.package.name, one.package.version, one.evidence))), notes


def _status_files(tree: Tree) -> list[str]:
    inside = (path for path in tree.kept if path.startswith(STATUS_D) and not path.endswith(LISTS))
    return sorted({*inside, *({STATUS} & tree.kept.keys())})


def _debian(tree: Tree, statuses: dict[str, Status]) -> Iterator[SystemPackage]:
    for path, status in statuses.items():
        for entry in status.entries:
            lists = _file_lists(tree, path, entry)
            layers = [tree.layers[place] for place in (path, *lists) if place in tree.layers]
            yield SystemPackage(
                package=_debian_package(entry),
                evidence=(path, *lists),
                layer=min(layers, default=None),
                lists=tuple((place[place.rfind(".") :], tree.lists[place]) for place in lists),
                vendored=_OTHER_MAKERS.search(entry.maintainer) is None,
            )


def _debian_package(entry: StatusEntry) -> Package:
    return Package(
        kind=ComponentKind.DEB,
        name=entry.name,
        version=entry.version,
        architecture=entry.architecture,
        source_name=entry.source.name,
        source_version=entry.source.version,
    )


def _file_lists(tree: Tree, status: str, entry: StatusEntry) -> tuple[str, ...]:
    stems = [f"{INFO}{entry.name}:{entry.architecture}", f"{INFO}{entry.name}"]
    stems = stems if status == STATUS else [status, *stems]
    return tuple(stem + suffix for stem in stems for suffix in LISTS if stem + suffix in tree.lists)


def _answered(tree: Tree, notes: list[str]) -> Iterator[SystemPackage]:
    """The packages of apk's and rpm's databases, which readers gave with their files."""
    for path, answers in tree.answers.items():
        for answer in answers:
            if answer.found.owned:
                notes += (f"{path}: {note}" for note in answer.found.notes)
            for package, owned in zip(answer.found.packages, answer.found.owned, strict=False):
                yield SystemPackage(
                    package=package,
                    evidence=(path,),
                    layer=answer.layer,
                    lists=(("", owned),),
                    vendored=package.kind is not ComponentKind.RPM
                    or bool(_RPM_MAKERS.search(package.vendor)),
                )


def _merged(installed: Iterable[SystemPackage]) -> list[SystemPackage]:
    # status and status.d may both name a package: it is one component with two places of evidence.
    found: dict[Package, SystemPackage] = {}
    for one in installed:
        seen = found.get(one.package)
        if seen is not None:
            layers = [layer for layer in (seen.layer, one.layer) if layer is not None]
            one = SystemPackage(  # noqa: PLW2901 (both of them)
                package=one.package,
                evidence=tuple(dict.fromkeys((*seen.evidence, *one.evidence))),
                layer=min(layers, default=None),
                lists=(*seen.lists, *one.lists),
                vendored=seen.vendored and one.vendored,
            )
        found[one.package] = one
    return list(found.values())
