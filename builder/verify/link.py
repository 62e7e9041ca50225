"""Do the objects of an image fit together? What ``ldd -r`` finds by running ld.so, found without running it.

For every program of the image, in the loader's own scope: each version that an object requires (DT_VERNEED)
is defined by the file that it names, and each symbol that is not weak has a definition that glibc accepts
(elf/dl-version.c, elf/dl-lookup.c; 2.30 and later) or musl (ldso/dynlink.c, which knows no versions). A
shared object that no program is linked with is a plug-in: its host may define symbols without versions, so of
these nothing is said, and versions of files that its own libraries do not load are left to the host too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from builder.elf.closure import Resolver
from builder.elf.facts import ElfFacts
from builder.elf.object import ElfError, ElfObject
from builder.elf.scope import Scope
from builder.elf.symbols import ElfSymbols
from builder.sysroot import Node, Sysroot
from builder.verify.linkwords import no_versions, not_loaded, undefined, version_missing

_MOST_SYMBOLS = 5
"""Undefined symbols of one object that are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkProblem:
    """An object that would not start, or stop in its first call. ``program`` is the root of the process.

    ``dependent`` needs ``name``, a version or a symbol (with "@VERSION" where it asks for one); ``plugin``:
    the root is a shared object that some program loads by name.
    """

    program: str
    dependent: str
    name: str
    plugin: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """What a check found: problems, and warnings for a person. Empty when all fits together."""

    problems: tuple[LinkProblem, ...] = ()
    warnings: tuple[str, ...] = ()


def check_links(
    image: Sysroot,
    facts: ElfFacts,
    *,
    library_path: tuple[str, ...] = (),
    cache: bytes | None = None,
    only: frozenset[str] | None = None,
) -> LinkReport:
    """Check every program and plug-in of ``image``, or those at the paths ``only``. Nothing is executed.

    ``cache`` are the bytes of the image's /etc/ld.so.cache, None to search as if ldconfig had just run;
    ``library_path`` is LD_LIBRARY_PATH. A library that is missing altogether is not told again (see
    ``Resolver.closure``), and the symbols of its process are not judged. Raises BuildError when bytes cannot
    be read.
    """
    check = _Check(image, facts, Resolver(image, facts, library_path=library_path, cache=cache))
    looked_at = image if only is None else (node for node in image if node.path in only)
    objects = [(node, elf) for node, elf in facts.elf_nodes(looked_at) if elf.dynamic]
    programs = check.places(
        (node.path for node, elf in objects if elf.interpreter is not None), plugins=False
    )
    loaded = {path for place in programs for path in place.objects}
    plugins = (node.path for node, elf in objects if elf.is_library and node.path not in loaded)
    check.judge((*programs, *check.places(plugins, plugins=True)))
    return LinkReport(problems=tuple(check.problems.values()), warnings=tuple(check.warnings))


@dataclass(frozen=True, slots=True)
class _Place:
    """The process that is looked at."""

    scope: Scope
    is_program: bool
    is_musl: bool

    @property
    def objects(self) -> tuple[str, ...]:
        return (self.scope.root, *self.scope.libraries)


class _Check:
    """One check: what was found, and what is known to be answered by which files."""

    def __init__(self, image: Sysroot, facts: ElfFacts, resolver: Resolver) -> None:
        self._image = image
        self._facts = facts
        self._resolver = resolver
        self._proved: dict[str, frozenset[str]] = {}
        self._files: dict[str, tuple[ElfSymbols | None, ElfObject | None]] = {}
        self._given: dict[str, frozenset[bytes]] = {}
        self._names: frozenset[bytes] = frozenset()
        self.problems: dict[tuple[str, str], LinkProblem] = {}
        self.warnings: dict[str, None] = {}

    def places(self, roots: Iterable[str], *, plugins: bool) -> tuple[_Place, ...]:
        """Give the processes that start with the programs ``roots``, or (``plugins``) load these by name."""
        scopes = ((root, self._resolver.scope(root)) for root in roots)
        return tuple(_place(scope, plugins=plugins) for _, scope in scopes if scope is not None)

    def judge(self, places: Collection[_Place]) -> None:
        """Check every object of the processes of programs, and what plug-ins ask of their own libraries."""
        paths = {path for place in places for path in place.objects}
        symbols = [found for path in paths if (found := self._file(path)[0]) is not None]
        self._names = frozenset(key.partition(b"@")[0] for found in symbols for key in found.wanted)
        self._given.clear()
        for place in places:
            present = frozenset(place.objects)
            for path in place.objects if place.is_program else (place.scope.root,):
                if not self._proved.get(path, _UNPROVED) <= present:
                    self._object(path, place)

    def _object(self, path: str, place: _Place) -> None:
        symbols, elf = self._file(path)
        if symbols is None:
            return
        used: set[str] = set()
        bad = set() if place.is_musl else set(self._versions(path, symbols, place, used))
        complete = not any(not missing.optional for missing in place.scope.missing)
        rest = symbols.wanted
        if place.is_musl:
            rest = frozenset(key.partition(b"@")[0] for key in rest)
        if not place.is_program:
            rest = self._own(rest, symbols, place)
        rest = self._answered(rest, self._order(elf, place), used)
        if rest and complete:
            rest = frozenset(key for key in rest if key.partition(b"@")[2] not in bad)
            self._tell_undefined(path, rest, place)
        if not rest and not bad:
            self._proved[path] = frozenset(used)

    def _versions(self, path: str, symbols: ElfSymbols, place: _Place, used: set[str]) -> Iterator[bytes]:
        """Judge DT_VERNEED; give the versions that are not there."""
        for need in symbols.needs:
            provider = self._provider(need.file, place)
            if provider is None:
                if place.is_program and not need.weak and not self._is_missing(need.file, place):
                    self._tell(path, need.version, not_loaded(path, need.version, need.file), place)
                continue
            used.add(provider)
            found = self._file(provider)[0]
            defines = found.defines if found is not None else ()
            if not defines:
                self.warnings[no_versions(path, provider)] = None
            elif need.version not in defines and not need.weak:
                message = version_missing(path, need.version, provider, defines)
                self._tell(path, need.version, message, place)
                yield need.version.encode("utf-8", "surrogateescape")

    def _own(self, keys: frozenset[bytes], symbols: ElfSymbols, place: _Place) -> frozenset[bytes]:
        """Leave out what the host of a plug-in may define: no version, or a file that is not loaded here."""
        loaded = {
            need.version.encode("utf-8", "surrogateescape")
            for need in symbols.needs
            if self._provider(need.file, place) is not None
        }
        return frozenset(key for key in keys if key.partition(b"@")[2] in loaded)

    def _provider(self, file: str, place: _Place) -> str | None:
        if file in place.scope.names:
            return place.scope.names[file]
        for path in place.objects:
            elf = self._file(path)[1]
            if elf is not None and elf.soname == file:
                return path
        return None

    @staticmethod
    def _is_missing(file: str, place: _Place) -> bool:
        return any(missing.name == file for missing in place.scope.missing)

    def _order(self, elf: ElfObject | None, place: _Place) -> Iterable[str]:
        # Any definition in the scope will do, and most are in the object's own libraries.
        needed = elf.needed if elf is not None else ()
        direct = [place.scope.names[name] for name in needed if name in place.scope.names]
        return dict.fromkeys((*direct, *place.objects))

    def _answered(self, keys: frozenset[bytes], order: Iterable[str], used: set[str]) -> frozenset[bytes]:
        """Give the keys that no file of ``order`` answers; the files that do go to ``used``."""
        rest = keys
        for path in order:
            if not rest:
                return rest
            left = rest - self._answers(path)
            if len(left) < len(rest):
                used.add(path)
                rest = left
        return frozenset(key for key in rest if not self._by_name(key, order, used)) if rest else rest

    def _by_name(self, key: bytes, order: Iterable[str], used: set[str]) -> bool:
        """Whether a definition without a version answers a reference to one."""
        name, mark, _ = key.partition(b"@")
        for path in order if mark else ():
            symbols = self._file(path)[0]
            versioned = symbols is not None and symbols.versioned
            if (name + mark if versioned else name) in self._answers(path):
                used.add(path)
                return True
        return False

    def _answers(self, path: str) -> frozenset[bytes]:
        """Give the keys that the file at ``path`` answers, of all that anybody here asks for."""
        known = self._given.get(path)
        if known is None:
            symbols = self._file(path)[0]
            try:
                known = symbols.given(self._names) if symbols is not None else frozenset()
            except ElfError as error:
                self._warn(path, error)
                known = frozenset()
            self._given[path] = known
        return known

    def _tell_undefined(self, path: str, keys: frozenset[bytes], place: _Place) -> None:
        names = sorted(key.decode("utf-8", "surrogateescape") for key in keys)
        told = names[:_MOST_SYMBOLS]
        for number, name in enumerate(told, start=1):
            more = len(names) - len(told) if number == len(told) else 0
            self._tell(path, name, undefined(name, path, place.objects, more=more), place)

    def _tell(self, dependent: str, name: str, message: str, place: _Place) -> None:
        root = place.scope.root
        if dependent != root:
            message += f" (in the process of {root})"
        problem = LinkProblem(
            program=root, dependent=dependent, name=name, plugin=not place.is_program, message=message
        )
        self.problems.setdefault((dependent, name), problem)

    def _file(self, path: str) -> tuple[ElfSymbols | None, ElfObject | None]:
        known = self._files.get(path)
        if known is None:
            node = self._image.get(path)
            known = self._files[path] = (None, None) if node is None else self._read(node)
        return known

    def _read(self, node: Node) -> tuple[ElfSymbols | None, ElfObject | None]:
        try:
            return self._facts.symbols(node), self._facts.of(node)
        except ElfError as error:
            self._warn(node.path, error)
            return None, None

    def _warn(self, path: str, error: ElfError) -> None:
        self.warnings[f"The symbols of {path} are not checked: {error.reason}"] = None


def _place(scope: Scope, *, plugins: bool) -> _Place:
    loader = (scope.interpreter or "").rpartition("/")[2]
    is_musl = loader.startswith("ld-musl-") or any(name.startswith("libc.musl-") for name in scope.names)
    return _Place(scope, not plugins, is_musl)


_UNPROVED = frozenset({""})
