"""Where glibc's ld.so looks for a shared object inside a sysroot (glibc: elf/dl-load.c, elf/dl-cache.c)."""

from __future__ import annotations

from builder.elf.ldcache import LD_SO_CACHE, CacheEntry, library_flags
from builder.elf.ldconf import is_library_name, listed
from builder.elf.loader import Loader
from builder.elf.object import DF_1_NODEFLIB, ELFOSABI_GNU, ELFOSABI_NONE, ET_DYN, ET_EXEC, ElfObject
from builder.elf.search import MAX_NAME, Answer, Found, Loaded, Outcome, Place, Refused, Tree, join, too_many
from builder.elf.tokens import Tokens, folder_of, folders_of
from builder.sysroot import Lookup, Node

_MAX_LOOKED = 300_000
"""Names in folders that are looked for. Five thousand files of a distribution come to three thousand."""
_MAX_FOLDERS = 4096
"""Folders of one search path. The longest real ones have some ten."""

_STOP = Refused("", "its symbolic links loop")
"""A loop of links ends the search along one path, not the whole search (ELOOP in open_path)."""


class GlibcSearch:
    """The rules of glibc's ld.so for one loader and one target (machine, class, byte order)."""

    matches_program = True
    loads_filters = True
    reserves_names = False

    def __init__(
        self, tree: Tree, loader: Loader, target: tuple[int, int, bool], library_path: tuple[str, ...]
    ) -> None:
        self._tree = tree
        self._loader = loader
        self._target = target
        self._environment = (Place("LD_LIBRARY_PATH", library_path),) if library_path else ()
        first = tree.cache_folders if tree.index is None else (LD_SO_CACHE,) if tree.index else ()
        self._cached = tuple(dict.fromkeys((*first, *loader.folders)))
        self._system: dict[tuple[str, bool], Answer] = {}
        self._looked: dict[tuple[str, str, str], Answer] = {}
        self._paths: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._hwcaps: dict[str, tuple[str, ...]] = {}

    def describe(self, node: Node) -> ElfObject | str:
        """Read what a file says, or why no loader can use it."""
        return self._tree.describe(node)

    def is_loader(self, name: str) -> bool:
        """Never by name alone: the loader is loaded under its path and its SONAME."""
        del name
        return False

    def expand(self, name: str, requester: Loaded) -> str:
        """Replace the tokens: DT_NEEDED may hold them too."""
        return self._tokens(requester.found.opened).expand(name) if "$" in name else name

    def admit(self, found: Found, parent: Loaded | None) -> Loaded:
        """Make an object: DT_RPATH counts for all it loads, DT_RUNPATH for itself, and hides its DT_RPATH."""
        elf = found.elf
        inherited = parent.inherited if parent is not None else ()
        if elf.runpath is not None:
            own = self._place("RUNPATH", elf.runpath, found)
            return Loaded(found, parent, inherited, (*self._environment, *own))
        if elf.rpath:
            inherited = (*self._place("RPATH", elf.rpath, found), *inherited)
        return Loaded(found, parent, inherited, (*inherited, *self._environment))

    def names(self, loaded: Loaded, asked: str) -> tuple[str, ...]:
        """Give the path it was opened by, the name asked for, and its SONAME, the program's own included."""
        soname = loaded.found.elf.soname
        names = (loaded.found.opened, asked) if asked else (loaded.found.opened,)
        return (*names, soname) if soname and soname != asked else names

    def find(self, name: str, requester: Loaded) -> Answer:
        """RPATH chain or RUNPATH with LD_LIBRARY_PATH, then the cache, then the default folders."""
        if "/" in name:
            return Answer(self._exact(name, requester))
        if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
            return Answer(None)
        if len(self._looked) > _MAX_LOOKED:
            raise too_many(name, requester.found.path)
        variants: tuple[Found, ...] = ()
        for place in requester.places:
            answer = self._along(place, name)
            variants += answer.variants
            if answer.outcome is not None:
                return Answer(answer.outcome, variants)
        system = self._from_system(name, requester.found.elf)
        return Answer(system.outcome, variants + system.variants) if variants else system

    def searched(self, requester: Loaded) -> tuple[str, ...]:
        """Folders in the order of :meth:`find`."""
        own = [folder for place in requester.places for folder in place.folders]
        return tuple(dict.fromkeys((*own, *self._cached)))

    def _tokens(self, opened: str) -> Tokens:
        return Tokens(origin=folder_of(opened), lib=self._loader.lib, platform=self._loader.platform)

    def _place(self, tag: str, text: str, found: Found) -> tuple[Place, ...]:
        if not text:
            return ()
        key = (tag, text, found.opened)
        folders = self._paths.get(key)
        if folders is None:
            tokens = self._tokens(found.opened)
            if text.count(":") >= _MAX_FOLDERS:
                raise too_many("libraries", found.path)
            parts = folders_of(tokens.expand(part) for part in text.split(":"))
            folders = self._paths[key] = self._tree.known(parts, tag, found.path)
        return (Place(tag, folders),)

    def _exact(self, name: str, requester: Loaded) -> Outcome:
        if not name.startswith("/"):
            self._tree.known(folders_of([name]), "DT_NEEDED", requester.found.path)
            return None
        found = self._tree.sysroot.lookup(name)
        return None if found.node is None else self._judge(name, found, "path")

    def _along(self, place: Place, name: str) -> Answer:
        variants: tuple[Found, ...] = ()
        for folder in place.folders:
            answer = self._look(place.label, folder, name)
            variants += answer.variants
            if answer.outcome is _STOP:
                break
            if answer.outcome is not None:
                return Answer(answer.outcome, variants)
        return Answer(None, variants)

    def _look(self, label: str, folder: str, name: str) -> Answer:
        key = (label, folder, name)
        answer = self._looked.get(key)
        if answer is None:
            # A folder that is a loop of links does not exist; a file that is one ends the search.
            there = self._tree.folder(folder).node is not None
            found = self._tree.file(folder, name) if there else None
            outcome = None if found is None else self._judge(join(folder, name), found, f"{label} {folder}")
            answer = self._looked[key] = Answer(outcome, self._variants(folder, name))
        return answer

    def _judge(self, opened: str, found: Lookup, rule: str) -> Outcome:
        # What open_verify skips (another class or machine) and what it gives up on (anything else).
        if found.node is None:
            return _STOP if found.loop else None
        elf = self._tree.describe(found.node)
        if isinstance(elf, str):
            return Refused(opened, elf)
        foreign = elf.target != self._target
        if elf.elf_class == self._target[1] and elf.os_abi not in (ELFOSABI_NONE, ELFOSABI_GNU):
            return Refused(opened, f"its OS ABI ({elf.os_abi}) is not that of Linux")
        if not foreign and elf.type not in (ET_DYN, ET_EXEC):
            return Refused(opened, "it is not a shared object")
        return None if foreign else Found(opened, found.path, found.node, elf, found.links, rule)

    def _from_system(self, name: str, requester: ElfObject) -> Answer:
        no_default = bool(requester.flags_1 & DF_1_NODEFLIB)
        answer = self._system.get((name, no_default))
        if answer is None:
            if self._tree.index is None:
                answer = self._from_cache(name, no_default=no_default)
            else:
                answer = self._from_index(self._tree.index.get(name, ()), requester)
            if answer.outcome is None and not no_default:
                default = self._along(Place("default folder", self._loader.folders), name)
                answer = Answer(default.outcome, answer.variants + default.variants)
            self._system[name, no_default] = answer
        return answer

    def _from_cache(self, name: str, *, no_default: bool) -> Answer:
        if not is_library_name(name):
            return Answer(None)
        variants: tuple[Found, ...] = ()
        for folder in self._cached:
            label = "default folder" if folder in self._loader.folders else "ld.so.conf folder"
            answer = self._look(label, folder, name)
            variants += answer.variants
            found = answer.outcome
            if not isinstance(found, Found) or not self._is_listed(folder, name, found.elf):
                continue
            if no_default and found.opened.startswith(
                tuple(f"{default}/" for default in self._loader.folders)
            ):
                break
            return Answer(found, variants)
        return Answer(None, variants)

    def _from_index(self, entries: tuple[CacheEntry, ...], requester: ElfObject) -> Answer:
        # As _dl_load_cache_lookup: the first entry for every processor; a stale one is no answer.
        if not entries:
            return Answer(None)
        flags = library_flags(requester)
        fitting = [entry for entry in entries if entry.flags == flags and self._is_allowed(entry, requester)]
        plain = next((entry for entry in fitting if not entry.hwcap), None)
        outcome = None if plain is None else self._indexed(plain.path, LD_SO_CACHE)
        better = (
            self._indexed(entry.path, f"glibc-hwcaps folder {folder_of(entry.path)}")
            for level in self._loader.hwcaps
            for entry in fitting
            if entry.hwcap == level
        )
        return Answer(outcome, tuple(variant for variant in better if isinstance(variant, Found)))

    def _is_allowed(self, entry: CacheEntry, requester: ElfObject) -> bool:
        default = tuple(f"{folder}/" for folder in self._loader.folders)
        return not requester.flags_1 & DF_1_NODEFLIB or not entry.path.startswith(default)

    def _indexed(self, path: str, rule: str) -> Outcome:
        found = self._tree.sysroot.lookup(path)
        return None if found.node is None else self._judge(path, found, rule)

    def _is_listed(self, folder: str, name: str, elf: ElfObject) -> bool:
        if elf.soname == name:
            return True
        return listed(self._tree.sysroot, join(self._tree.folder(folder).path, name), elf.soname) == name

    def _variants(self, folder: str, name: str) -> tuple[Found, ...]:
        levels = self._hwcaps.get(folder)
        if levels is None:
            base = join(folder, "glibc-hwcaps")
            present = self._tree.sysroot.children(self._tree.folder(base).path)
            levels = tuple(join(base, level) for level in self._loader.hwcaps if level in present)
            self._hwcaps[folder] = levels
        outcomes = [self._variant(level, name) for level in levels]
        return tuple(outcome for outcome in outcomes if isinstance(outcome, Found))

    def _variant(self, folder: str, name: str) -> Outcome:
        found = self._tree.file(folder, name)
        return (
            None if found is None else self._judge(join(folder, name), found, f"glibc-hwcaps folder {folder}")
        )
