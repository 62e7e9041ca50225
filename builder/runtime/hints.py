"""Plug-in folders that a shipped binary names, that exist, and that are left out: said, never added.

Measured over 42 applications: folders so named hold six of ten plug-ins that a program opens, but one of ten
of them is really opened. That is good enough for a hint, and not for a rule. Names of libraries without a
folder are right in one of forty cases and are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from builder.elf.facts import ElfFacts
from builder.elf.object import ElfError
from builder.runtime.closure import Needed
from builder.sysroot import Kind, Node, Sysroot

LOADERS = frozenset(
    {
        "dlopen",
        "dlmopen",
        "lt_dlopen",
        "lt_dlopenext",
        "lt_dlopenadvise",
        "g_module_open",
        "g_module_open_full",
    }
)
"""Functions that load a shared object by name: only who imports one has plug-ins."""

_COMMON = frozenset(
    {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share", "/usr/libexec"}
)


def plugin_hints(needed: Mapping[str, Needed], sysroot: Sysroot, facts: ElfFacts) -> Iterator[str]:
    """One sentence for each left-out file or folder of shared objects, with the line to add."""
    said: set[str] = set()
    for item in list(needed.values()):
        if item.node.kind is not Kind.FILE or not _loads(item.node, facts):
            continue
        for named in sorted(facts.named_paths(item.node)):
            found = sysroot.lookup(named)
            if found.node is None or found.path in said or found.path in _COMMON:
                continue
            said.add(found.path)
            left_out = _left_out(found.node, needed, sysroot, lambda node: _is_library(node, facts))
            if left_out:
                yield _sentence(item.node.path, found.node, left_out)


def _loads(node: Node, facts: ElfFacts) -> bool:
    return _is_elf(node, facts) and not LOADERS.isdisjoint(facts.imports(node))


def _is_elf(node: Node, facts: ElfFacts) -> bool:
    try:
        return facts.of(node) is not None
    except ElfError:
        return False


def _is_library(node: Node, facts: ElfFacts) -> bool:
    return node.kind is Kind.FILE and ".so" in node.path and _is_elf(node, facts)


def _left_out(
    node: Node, needed: Mapping[str, Needed], sysroot: Sysroot, is_library: Callable[[Node], bool]
) -> tuple[Node, ...]:
    """The libraries at ``node`` or directly in it; none where the image has one of them already."""
    if node.kind is Kind.FILE:
        return (node,) if node.path not in needed and is_library(node) else ()
    if node.path.count("/") < 4 and node.path.endswith("-linux-gnu"):  # noqa: PLR2004 (/usr/lib/TRIPLET)
        return ()
    children = (sysroot.get(f"{node.path}/{name}") for name in sysroot.children(node.path))
    libraries = tuple(child for child in children if child is not None and is_library(child))
    return () if any(library.path in needed for library in libraries) else libraries


def _sentence(program: str, node: Node, libraries: tuple[Node, ...]) -> str:
    packages = ", ".join(sorted({library.package for library in libraries if library.package}))
    what = "a shared object" if node.kind is Kind.FILE else f"{len(libraries)} shared objects"
    owner = f" of {packages}" if packages else ""
    pattern = node.path if node.kind is Kind.FILE else f"{node.path}/**"
    return f'{program} names {node.path} ({what}{owner}), which is left out; to take it: keep = ["{pattern}"]'
