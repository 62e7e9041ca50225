"""What holds for every graph of libraries: the closure's laws, and that nothing outside the root is read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.elf import facts as facts_module
from builder.elf import part
from builder.elf.closure import ElfClosure, Resolver
from builder.elf.facts import ElfFacts
from builder.sysroot import Sysroot
from tests.support.mkelf import GLIBC_X86_64, Spec, loader_bytes, mkelf, sysroot_of

_D = "/lib/x86_64-linux-gnu"
_LOADER = loader_bytes((_D, "/lib"), Spec(soname="ld-linux-x86-64.so.2"))
_NUMBERS = st.integers(0, 6)
_NEEDS = st.lists(_NUMBERS, max_size=4, unique=True).map(tuple)


@dataclass(frozen=True)
class Graph:
    """Programs and libraries by what they need; every library is in a default folder under its SONAME."""

    programs: tuple[tuple[int, ...], ...]
    libraries: dict[int, tuple[int, ...]]
    rpath: str | None = None

    def files(self) -> dict[str, bytes | str]:
        files: dict[str, bytes | str] = {GLIBC_X86_64: _LOADER}
        for number, needs in enumerate(self.programs):
            spec = Spec(interpreter=GLIBC_X86_64, needed=_names(needs), rpath=self.rpath)
            files[f"/bin/p{number}"] = mkelf(spec)
        for library, needs in self.libraries.items():
            name = f"lib{library}.so"
            files[f"{_D}/{name}"] = mkelf(Spec(soname=name, needed=_names(needs), rpath=self.rpath))
        return files

    @property
    def roots(self) -> list[str]:
        return [f"/bin/p{number}" for number in range(len(self.programs))]


def _names(numbers: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"lib{number}.so" for number in numbers)


_GRAPHS = st.builds(
    Graph,
    programs=st.lists(_NEEDS, min_size=1, max_size=3).map(tuple),
    libraries=st.dictionaries(_NUMBERS, _NEEDS, max_size=7),
)


@contextmanager
def _sysroot(files: dict[str, bytes | str]) -> Iterator[Sysroot]:
    with tempfile.TemporaryDirectory() as folder:
        yield sysroot_of(files, Path(folder) / "store")


def _closure(graph: Graph, roots: list[str]) -> ElfClosure:
    with _sysroot(graph.files()) as sysroot:
        return Resolver(sysroot, ElfFacts(None)).closure(roots)


def _edges(closure: ElfClosure) -> set[tuple[str, str, str]]:
    return {(edge.dependent, edge.name, edge.provider) for edge in closure.edges}


def _missing(closure: ElfClosure) -> set[tuple[str, str]]:
    return {(missing.dependent, missing.name) for missing in closure.missing}


@settings(max_examples=60, deadline=None)
@given(_GRAPHS)
def test_every_need_is_an_edge_or_is_missing_and_nothing_else_is_there(graph: Graph) -> None:
    closure = _closure(graph, graph.roots)
    reached = {f"/bin/p{number}": needs for number, needs in enumerate(graph.programs)}
    pending = [number for needs in graph.programs for number in needs]
    while pending:
        number = pending.pop()
        if number in graph.libraries and f"{_D}/lib{number}.so" not in reached:
            reached[f"{_D}/lib{number}.so"] = graph.libraries[number]
            pending += graph.libraries[number]
    needs = {(path, f"lib{number}.so") for path, numbers in reached.items() for number in numbers}
    provided = {(dependent, name) for dependent, name, _ in _edges(closure) if name != GLIBC_X86_64}
    assert provided | _missing(closure) == needs
    assert not provided & _missing(closure)


@settings(max_examples=60, deadline=None)
@given(_GRAPHS, st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_roots_change_nothing(graph: Graph, chance: object) -> None:
    roots = graph.roots * 2
    chance.shuffle(roots)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    first, second = _closure(graph, graph.roots), _closure(graph, roots)
    assert _edges(first) == _edges(second)
    assert _missing(first) == _missing(second)


@settings(max_examples=60, deadline=None)
@given(_GRAPHS, st.integers(0, 8))
def test_a_closure_that_grows_is_the_one_of_all_its_roots(graph: Graph, count: int) -> None:
    with _sysroot(graph.files()) as sysroot:
        growing = Resolver(sysroot, ElfFacts(None)).begin()
        steps = (*growing.grow(graph.roots[:count]), *growing.grow(graph.roots[count:]))
        whole = Resolver(sysroot, ElfFacts(None)).closure(graph.roots)
        assert growing.closure() == whole
        assert {(edge.name, edge.provider) for edge in steps} <= {
            (edge.name, edge.provider) for edge in whole.edges
        }
        assert {edge.provider for edge in steps} == {edge.provider for edge in whole.edges}
        assert growing.grow(graph.roots) == ()


@settings(max_examples=60, deadline=None)
@given(_GRAPHS)
def test_closing_over_what_was_found_finds_no_other_file(graph: Graph) -> None:
    # True where no object has an RPATH: with one, a library by itself searches other folders than beside its
    # program.
    closure = _closure(graph, graph.roots)
    found = {edge.provider for edge in closure.edges}
    again = _closure(graph, [*graph.roots, *sorted(found)])
    assert {edge.provider for edge in again.edges} == found


@settings(max_examples=60, deadline=None)
@given(_GRAPHS, _NUMBERS, _NEEDS)
def test_another_library_takes_no_edge_away(graph: Graph, number: int, needs: tuple[int, ...]) -> None:
    # True for a library whose SONAME is the name of its file, where no object has an RPATH: it may else bring
    # a name into the process before, or from another folder than, the one that had it.
    if number in graph.libraries:
        return
    more = Graph(graph.programs, {**graph.libraries, number: needs})
    before, after = _closure(graph, graph.roots), _closure(more, graph.roots)
    assert _edges(before) <= _edges(after)
    gone = _missing(before) - _missing(after)
    assert {name for _, name in gone} <= {f"lib{number}.so"}


@settings(max_examples=30, deadline=None)
@given(_GRAPHS)
def test_a_file_that_no_path_leads_to_changes_nothing(graph: Graph) -> None:
    stray = {f"/srv/{path.rpartition('/')[2]}": body for path, body in graph.files().items()}
    with _sysroot({**graph.files(), **stray}) as sysroot:
        assert _edges(Resolver(sysroot, ElfFacts(None)).closure(graph.roots)) == _edges(
            _closure(graph, graph.roots)
        )


_TARGETS = st.sampled_from(
    ["/etc/passwd", "../../../../../../etc/passwd", "/", "..", "lib0.so", "/proc/self/exe", "/bin/../..", ""]
)
_PATHS = st.sampled_from(["$ORIGIN/../../..", "/../..", "/proc/self/cwd", "..", ":", "$ORIGIN", "/etc", None])


@settings(max_examples=60, deadline=None)
@given(_GRAPHS, st.dictionaries(_NUMBERS, _TARGETS, max_size=4), _PATHS)
def test_nothing_outside_the_root_is_read(graph: Graph, links: dict[int, str], rpath: str | None) -> None:
    files = Graph(graph.programs, graph.libraries, rpath).files()
    files |= {f"{_D}/lib{number}.so": target for number, target in links.items() if target}
    opened: list[Path] = []

    @contextmanager
    def recorded(store: Path) -> Iterator[int]:
        opened.append(store)
        with part.opened(store) as descriptor:
            yield descriptor

    with _sysroot(files) as sysroot, patch.object(facts_module, "opened", recorded):
        closure = Resolver(sysroot, ElfFacts(None)).closure(graph.roots)
        stores = {node.content.store for node in sysroot if node.content is not None}
        assert set(opened) <= stores
        assert all(sysroot.get(edge.provider) is not None for edge in closure.edges)
