"""Which missing libraries matter: not what a host brings later, nor what only a rule's module wants."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable

from builder.elf.closure import ElfClosure, MissingLibrary, missing_message
from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from builder.recipe.model import Missing
from builder.sysroot import Sysroot


def judge_missing(
    elf: ElfClosure, unnamed: Container[str], sysroot: Sysroot, facts: ElfFacts
) -> tuple[dict[str, MissingLibrary], list[str]]:
    """Sentences about libraries without which something does not work, and about those it may do without.

    Of the first each has what is missing.
    ``unnamed`` are the paths that no package named by the recipe brings, but a rule or a package of the same
    source: a module's package does not depend on all that the module can use.
    """
    # A plug-in's library is often loaded by its host program beforehand: the name is in the image then.
    provided = {edge.name for edge in elf.edges}
    absent: dict[str, MissingLibrary] = {}
    dispensable: dict[str, set[str]] = {}
    for missing in elf.missing:
        root = root_of(missing)
        is_plugin = _is_plugin(root, sysroot, facts)
        if missing.optional or (is_plugin and missing.name in provided):
            continue
        if is_plugin and root in unnamed:
            dispensable.setdefault(missing.dependent, set()).add(missing.name)
        else:
            absent[missing_message(missing)] = missing
    return dict(sorted(absent.items())), [
        f"{dependent} needs {', '.join(sorted(names))}, which nothing provides: what loads it at run time "
        "must do without"
        for dependent, names in sorted(dispensable.items())
    ]


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
