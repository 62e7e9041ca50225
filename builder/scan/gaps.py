"""What of a tree could not be judged, each in a sentence. Pure. Rules D4, X1 and the limits of the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from builder.inventory.model import Component, ComponentKind, Inventory
from builder.scan.ecosystems import Target, ecosystem_of
from builder.scan.model import DatabaseMeta

_CLOCK_SKEW = 86400
_SHOWN = 5

Metas = Mapping[str, tuple[DatabaseMeta, ...]]
"""Ecosystem → where its data comes from; () for none."""
Targets = Mapping[Component, Target | None]


def tree_gaps(inventory: Inventory) -> tuple[str, ...]:
    """What is odd about the tree itself."""
    gaps = [*inventory.notes]
    if not inventory.files:
        gaps.append("the tree holds no file at all")
    if inventory.elf_files and not inventory.components:
        gaps.append(f"no package is recorded, but there are {_counted(inventory.elf_files, 'ELF file')}")
    elif inventory.unowned_elf:
        count = _counted(len(inventory.unowned_elf), "ELF file")
        gaps.append(f"no package owns {count}: {_some(inventory.unowned_elf)}")
    return tuple(gaps)


def data_gaps(inventory: Inventory, targets: Targets, metas: Metas, now: dt.datetime) -> tuple[str, ...]:
    """Where the data says nothing of what is installed."""
    used = {target.ecosystem.name: None for target in targets.values() if target is not None}
    languages = [name for name in used if not metas.get(name) and name not in _system(inventory)]
    return (
        *_distribution_gaps(inventory, targets, metas),
        *(_no_data(name, targets) for name in languages),
        *_outsiders(targets),
        *(gap for name in used for gap in _age_gaps(metas.get(name, ()), now)),
        *(gap for name in used for gap in _partial_gaps(name, targets, metas.get(name, ()))),
    )


def incomparable(pairs: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    """Say which packages have a version that cannot be compared (package, version, advisory)."""
    by_package: dict[tuple[str, str], list[str]] = {}
    for package, version, identity in pairs:
        by_package.setdefault((package, version), []).append(identity)
    return tuple(
        f"the version of {package} {version} cannot be compared with what {_some(sorted(set(ids)))} says"
        for (package, version), ids in sorted(by_package.items())
    )


def _system(inventory: Inventory) -> tuple[str, ...]:
    found = ecosystem_of(inventory.distribution) if inventory.distribution is not None else None
    return (found[0].name,) if found is not None else ()


def _distribution_gaps(inventory: Inventory, targets: Targets, metas: Metas) -> tuple[str, ...]:
    distribution = inventory.distribution
    systems = [component for component in inventory.components if component.kind.is_system]
    if distribution is None:
        wanting = systems or (inventory.elf_files and not inventory.components)
        return ("no distribution: neither os-release nor debian_version says which",) if wanting else ()
    found = ecosystem_of(distribution)
    here = metas.get(found[0].name, ()) if found is not None else ()
    if not here or found is None:
        return (f"there is no vulnerability data for {distribution}",)
    gaps = []
    if not any(found[1] in meta.releases for meta in here):
        gaps.append(f"the vulnerability data of {here[0].source} says nothing of {distribution}")
    strange = sorted(one.name for one in systems if targets[one] is None)
    if strange:
        count = _counted(len(strange), "package")
        gaps.append(f"{count} of another system than {distribution} could not be judged: {_some(strange)}")
    return tuple(gaps)


def _no_data(ecosystem: str, targets: Targets) -> str:
    names = sorted(
        one.name
        for one, target in targets.items()
        if target is not None and target.ecosystem.name == ecosystem
    )
    count = _counted(len(names), "package")
    return f"there is no vulnerability data for {ecosystem}, so {count} could not be judged: {_some(names)}"


def _outsiders(targets: Targets) -> tuple[str, ...]:
    """Programs that are known by what they say of themselves: no data of packages speaks of them."""
    kinds = ComponentKind.GENERIC
    names = sorted(
        f"{one.name} {one.version}".strip()
        for one, target in targets.items()
        if one.kind is kinds and target is None
    )
    if not names:
        return ()
    return (f"no vulnerability data speaks of {_counted(len(names), 'program')}: {_some(names)}",)


def _age_gaps(metas: Iterable[DatabaseMeta], now: dt.datetime) -> tuple[str, ...]:
    return tuple(
        f"the vulnerability data is dated in the future ({meta.date:%Y-%m-%d}): its age is unknown"
        for meta in metas
        if (now - meta.date).total_seconds() < -_CLOCK_SKEW
    )


def _partial_gaps(ecosystem: str, targets: Targets, metas: tuple[DatabaseMeta, ...]) -> tuple[str, ...]:
    covered: set[str] = set()
    for meta in metas:
        if meta.coverage is None:
            return ()
        covered |= meta.coverage
    if not metas:
        return ()
    outside = sorted(
        {
            target.names[-1][0]
            for target in targets.values()
            if target is not None
            and target.ecosystem.name == ecosystem
            and not any(name in covered for name, _ in target.names)
        }
    )
    if not outside:
        return ()
    noun = "source package" if metas[0].ecosystem == "Debian" else "package"
    count = _counted(len(outside), noun)
    return (f"the vulnerability data is a partial cut without {count}: {_some(outside)}",)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
