"""Where musl's loader looks for a shared object inside a sysroot (musl: ldso/dynlink.c)."""

from __future__ import annotations

from collections.abc import Iterator

from builder.elf.loader import Loader
from builder.elf.object import ElfObject
from builder.elf.search import MAX_NAME, Answer, Found, Loaded, Outcome, Place, Refused, Tree, join, too_many
from builder.elf.tokens import folder_of, folders_of, musl_expand
from builder.sysroot import Lookup, Node

_MAX_LOOKED = 1_000_000
"""Look-ups of one search, which remembers none. A distribution's files come to some ten for each."""
_MAX_FOLDERS = 4096
"""Folders of one search path. The longest real ones have some ten."""
_MUSL_RESERVED = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.")


class MuslSearch:
    """The rules of musl's loader: first hit wins, no cache, RPATH and RUNPATH alike and inherited."""

    matches_program = False
    loads_filters = False
    reserves_names = True

    def __init__(
        self, tree: Tree, loader: Loader, target: tuple[int, int, bool], library_path: tuple[str, ...]
    ) -> None:
        self._tree = tree
        self._loader = loader
        self._target = target
        self._environment = (Place("LD_LIBRARY_PATH", library_path),) if library_path else ()
        self._looked = 0
        self._default = Place("default folder", loader.folders)

    def describe(self, node: Node) -> ElfObject | str:
        """Read what a file says, or why no loader can use it."""
        return self._tree.describe(node)

    def is_loader(self, name: str) -> bool:
        """Know the names that musl's libc holds in itself, and the loader's own path."""
        return name.startswith(_MUSL_RESERVED) or name == self._loader.name

    def expand(self, name: str, requester: Loaded) -> str:
        """Nothing: musl knows tokens in search paths only."""
        del requester
        return name

    def admit(self, found: Found, parent: Loaded | None) -> Loaded:
        """Make an object; in one object RUNPATH wins over RPATH, and either counts for all it loads."""
        inherited = parent.inherited if parent is not None else ()
        tag = "RPATH" if found.elf.runpath is None else "RUNPATH"
        text = found.elf.rpath if found.elf.runpath is None else found.elf.runpath
        expanded = musl_expand(text, folder_of(found.opened)) if text else None
        if expanded:
            if expanded.count(":") + expanded.count("\n") >= _MAX_FOLDERS:
                raise too_many("libraries", found.path)
            parts = folders_of(part for part in expanded.replace("\n", ":").split(":") if part)
            inherited = (Place(tag, self._tree.known(parts, tag, found.path)), *inherited)
        return Loaded(found, parent, inherited, (*self._environment, *inherited))

    def names(self, loaded: Loaded, asked: str) -> tuple[str, ...]:
        """Give the last name of the path, for objects that were searched for; no SONAME, not the program."""
        return (loaded.found.opened.rpartition("/")[2],) if asked and "/" not in asked else ()

    def find(self, name: str, requester: Loaded) -> Answer:
        """LD_LIBRARY_PATH, the search paths of the object and its ancestors, then the path file's folders."""
        if "/" in name:
            if not name.startswith("/"):
                self._tree.known(folders_of([name]), "DT_NEEDED", requester.found.path)
                return Answer(None)
            return Answer(self._judge(name, self._tree.sysroot.lookup(name), "path"))
        if not name or len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
            return Answer(None)
        for label, folder in self._every(requester):
            self._looked += 1
            if self._looked > _MAX_LOOKED:
                raise too_many(name, requester.found.path)
            found = self._tree.file(folder, name)
            outcome = None if found is None else self._judge(join(folder, name), found, f"{label} {folder}")
            if outcome is not None:
                return Answer(outcome)
        return Answer(None)

    def searched(self, requester: Loaded) -> tuple[str, ...]:
        """Folders in the order of :meth:`find`."""
        return tuple(dict.fromkeys(folder for _, folder in self._every(requester)))

    def _every(self, requester: Loaded) -> Iterator[tuple[str, str]]:
        for place in (*requester.places, self._default):
            for folder in place.folders:
                yield place.label, folder

    def _judge(self, opened: str, found: Lookup, rule: str) -> Outcome:
        if found.node is None:
            return Refused(opened, "its symbolic links loop") if found.loop else None
        elf = self._tree.describe(found.node)
        if isinstance(elf, str):
            return Refused(opened, elf)
        # musl checks neither class nor machine: it would map the file and the program would crash.
        if elf.target != self._target:
            return Refused(opened, "it is made for another machine")
        return Found(opened, found.path, found.node, elf, found.links, rule)
