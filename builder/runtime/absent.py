"""Which missing libraries matter: not what a host brings later, nor what only a rule's module wants."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping

from builder.elf.closure import ElfClosure, MissingLibrary, missing_message
from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from builder.recipe.model import Missing
from builder.runtime.optional import suggested
from builder.sysroot import Sysroot

_MOST_NAMED = 3


def judge_missing(
    elf: ElfClosure, unnamed: Container[str], sysroot: Sysroot, facts: ElfFacts
) -> tuple[dict[str, MissingLibrary], list[str]]:
    """Sentences about libraries without which something does not work, and about those it may do without.

    Of the first each has what is missing. ``unnamed`` are the paths that no package named by the recipe
    brings, but a rule or a package of the same source: a module's package does not depend on all that the
    module can use. What a package only suggests, its plug-ins may do without too.
    """
    # A plug-in's library is often loaded by its host program beforehand: the name is in the image then.
    provided = {edge.name for edge in elf.edges}
    absent: dict[str, MissingLibrary] = {}
    dispensable: dict[str, set[str]] = {}
    offered = suggested(elf.missing, sysroot)
    # Not every library is in a package of its name, but this package has put such libraries there.
    owners = {_owner(path, sysroot) for path in offered}
    offers: dict[str, set[str]] = {}
    for missing in elf.missing:
        root = root_of(missing)
        is_plugin = _is_plugin(root, sysroot, facts)
        is_optional = root in unnamed or _owner(root, sysroot) in owners
        if missing.optional or (is_plugin and missing.name in provided):
            continue
        if is_plugin and root in offered:
            offers[root] = offered[root]
        elif is_plugin and is_optional:
            dispensable.setdefault(missing.dependent, set()).add(missing.name)
        else:
            absent[missing_message(missing)] = missing
    words = (
        f"{dependent} needs {', '.join(sorted(names))}, which nothing provides: what loads it at run time "
        "must do without"
        for dependent, names in sorted(dispensable.items())
    )
    return dict(sorted(absent.items())), [*_offer_words(offers, sysroot), *words]


def _offer_words(offers: Mapping[str, set[str]], sysroot: Sysroot) -> Iterator[str]:
    """One sentence for each package of which plug-ins lack a library; they may be a hundred."""
    by_owner: dict[str, list[str]] = {}
    for path in offers:
        by_owner.setdefault(_owner(path, sysroot), []).append(path)
    for owner, paths in sorted(by_owner.items()):
        packages = sorted(set().union(*(offers[path] for path in paths)))
        named = ", ".join(sorted(paths)[:_MOST_NAMED])
        more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
        yield (
            f"{named}{more} cannot be loaded: {owner} only suggests the packages of their libraries; to have "
            f"them: packages = {json.dumps(packages)}"
        )


def _owner(path: str, sysroot: Sysroot) -> str:
    node = sysroot.get(path)
    return node.package if node is not None else ""


def root_of(missing: MissingLibrary) -> str:
    """The path from which on the library is wanted: without that nothing is missing."""
    return missing.chain[0] if missing.chain else missing.dependent


def refuse(absent: Iterable[str], policy: Missing, dependents: Iterable[str] = ()) -> list[str]:
    """The sentences as warnings where the recipe allows it; ResolutionError where it does not.

    ``dependents`` may be left out of the image; if there is only one, the hint says how.
    """
    messages = list(absent)
    if messages and policy is Missing.ERROR:
        paths = sorted(set(dependents))
        drop = f" (drop = {json.dumps(paths)} under [runtime])" if len(paths) == 1 else ""
        raise ResolutionError(
            "Libraries are missing:\n" + "\n".join(f"  {message}" for message in messages),
            hint=f"name the package that ships them, drop the dependent{drop}, "
            'or say missing = "warn" under [runtime]',
        )
    return messages


def _is_plugin(path: str, sysroot: Sysroot, facts: ElfFacts) -> bool:
    node = sysroot.get(path)
    elf = facts.of(node) if node is not None else None
    return elf is not None and elf.interpreter is None
