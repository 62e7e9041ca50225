"""What the recipe names: the roots of the closure, each with its reason and the links crossed to reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Recipe
from builder.runtime.companions import companions, parts
from builder.runtime.payload import is_payload
from builder.sources.local import LocalFiles
from builder.sysroot import Kind, Lookup, Node, Sysroot, glob_pattern

PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where a program without a slash is looked for when the image sets no PATH."""

_BASE_FILES = (
    *("/etc/os-release", "/usr/lib/os-release", "/etc/debian_version"),
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
)
"""What says which distribution this is, and the links that every program of it expects."""


_WRITTEN = ("/run/", "/var/")
"""Folders below these are for what programs write: no program needs another package's folder elsewhere."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A node to include, why, and the symbolic links that lead to it."""

    node: Node
    reason: Reason
    links: tuple[Node, ...] = ()


def wishes(recipe: Recipe, sysroot: Sysroot, local: LocalFiles, facts: ElfFacts) -> Iterator[Wish]:
    """Everything that the recipe asks for. ResolutionError for what is not in ``sysroot``."""
    dropped = dropper(recipe.runtime.drop)
    yield from _start(recipe, sysroot)  # first: no reason says more than that the image starts it
    yield from _configured(recipe, sysroot, local, dropped)
    yield from _payloads(recipe, sysroot, facts, dropped)
    for node, origin in local.installed:
        yield Wish(node, Reason(ReasonKind.INSTALL, origin))
    for node in local.files:
        yield Wish(node, Reason(ReasonKind.RECIPE, "[[file]]"))
    yield from _kept(recipe, sysroot, dropped)
    yield from _libraries(recipe, sysroot)
    yield from _base(sysroot)


def find_program(name: str, recipe: Recipe, sysroot: Sysroot) -> Lookup | None:
    """The regular file that ``name`` starts: a path, or a bare name looked up along the image's PATH."""
    environment = dict(recipe.config.env)
    folders = environment["PATH"].split(":") if "PATH" in environment else PATH
    paths = (name,) if "/" in name else tuple(f"{folder}/{name}" for folder in folders)
    hits = (sysroot.lookup(path, base=recipe.config.workdir or "/") for path in paths)
    return next((hit for hit in hits if hit.node is not None and hit.node.kind is Kind.FILE), None)


def dropper(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Give the question whether a path matches one of ``patterns``."""
    matchers = tuple(glob_pattern(pattern).fullmatch for pattern in patterns)
    return lambda path: any(matches(path) for matches in matchers)


def _payloads(
    recipe: Recipe, sysroot: Sysroot, facts: ElfFacts, dropped: Callable[[str], bool]
) -> Iterator[Wish]:
    named = list(recipe.named_packages)
    for name in named:
        yield from _payload(name, Reason(ReasonKind.PAYLOAD, name), sysroot, dropped)
    for name, sibling in _same_source(named, sysroot):
        yield from _payload(name, Reason(ReasonKind.SAME_SOURCE, sibling, name), sysroot, dropped)
    for name, whole in parts(named, sysroot):
        yield from _payload(name, Reason(ReasonKind.RULE, whole, f"its part {name}"), sysroot, dropped)
    for name in named:
        yield from _settings(name, sysroot, dropped)
    for node, reason in companions(named, sysroot, facts):
        if not dropped(node.path):
            yield Wish(node, reason)


def _configured(
    recipe: Recipe, sysroot: Sysroot, local: LocalFiles, dropped: Callable[[str], bool]
) -> Iterator[Wish]:
    """What configuring makes for the named packages, those of their source, and accounts they speak of."""
    named = list(recipe.named_packages)
    wanted = {*named, *(name for name, _ in _same_source(named, sysroot))}
    accounts = _accounts(recipe, local, wanted)
    own = {node.path for node in local.nodes()}
    for one in local.configured.made:
        node = one.node
        is_own = one.package in wanted and not one.changed
        is_shared = node.kind is Kind.DIRECTORY and not accounts.isdisjoint((node.user, node.group))
        if (is_own or is_shared) and node.path not in own and _is_wanted(node, one.detail, sysroot, dropped):
            yield Wish(node, Reason(ReasonKind.CONFIGURED, one.package, one.detail))
    for asked in local.configured.asked:
        there = sysroot.get(asked.path) if asked.package in wanted and asked.path not in own else None
        if (
            there is not None
            and (there.kind is Kind.SYMLINK or there.path.startswith(_WRITTEN))
            and _is_wanted(there, asked.detail, sysroot, dropped)
        ):
            yield Wish(there, Reason(ReasonKind.CONFIGURED, asked.package, asked.detail))


def _accounts(recipe: Recipe, local: LocalFiles, wanted: set[str]) -> set[str]:
    """Users and groups that packages add and that the wanted ones, or the recipe, speak of."""
    speakers = local.configured.speakers
    said = {*recipe.config.user.split(":"), *(user.name for user in recipe.users)}
    said |= {name for node in local.nodes() for name in (node.user, node.group)}
    return {name for name, packages in speakers.items() if name in said or not wanted.isdisjoint(packages)}


def _is_wanted(node: Node, detail: str, sysroot: Sysroot, dropped: Callable[[str], bool]) -> bool:
    """Whether something that configuring made goes into the image: a link does where its target does."""
    if not is_payload(node.path) or dropped(node.path):
        return False
    if node.kind is not Kind.SYMLINK:
        return True
    found = sysroot.lookup(node.path)
    is_lost = found.node is None and detail.startswith("update-alternatives")
    return is_payload(found.path) and not dropped(found.path) and not is_lost


def _payload(name: str, reason: Reason, sysroot: Sysroot, dropped: Callable[[str], bool]) -> Iterator[Wish]:
    for node in _package_nodes(name, sysroot):
        if is_payload(node.path) and not dropped(node.path):
            yield Wish(node, reason)


def _same_source(named: list[str], sysroot: Sysroot) -> Iterator[tuple[str, str]]:
    """Dependencies that were built from the source of a named package: one program in several packages."""
    sources: dict[tuple[str, str], str] = {}
    for name in named:
        package = sysroot.packages[name]
        sources.setdefault((package.source_name, package.source_version), name)
    for package in sysroot.own_packages.values():
        sibling = sources.get((package.source_name, package.source_version))
        if sibling is not None and package.name not in named and not package.alone:
            yield package.name, sibling


def _settings(name: str, sysroot: Sysroot, dropped: Callable[[str], bool]) -> Iterator[Wish]:
    """/etc/NAME, whichever package ships files there."""
    folder = sysroot.get(f"/etc/{name}")
    if folder is not None:
        for node in (folder, *sysroot.below(folder.path)):
            if node.package and not dropped(node.path):
                yield Wish(node, Reason(ReasonKind.SETTINGS, name))


def _package_nodes(name: str, sysroot: Sysroot) -> Iterator[Node]:
    folders: dict[str, str] = {}
    for packaged in sysroot.packages[name].nodes:
        folder, _, last = packaged.path.rpartition("/")
        if folder not in folders:  # where the folder is after /usr was merged
            folders[folder] = sysroot.lookup(folder or "/").path.rstrip("/")
        node = sysroot.get(f"{folders[folder]}/{last}")
        if node is not None:
            yield node


def _start(recipe: Recipe, sysroot: Sysroot) -> Iterator[Wish]:
    config = recipe.config
    key = "entrypoint" if config.entrypoint else "cmd"
    for name in (config.entrypoint or config.cmd)[:1]:
        found = find_program(name, recipe, sysroot)
        if found is None or found.node is None:
            raise ResolutionError(
                f"{name}, the {key} of the image, is in no package of the recipe{_nearest(name, sysroot)}",
                hint="name the package that ships it in packages, or correct the path",
            )
        if not found.node.mode & 0o111:
            raise ResolutionError(
                f"{name}, the {key} of the image, cannot be started: {found.path} is not executable",
                hint='set mode = "0755" where it is installed',
            )
        yield Wish(found.node, Reason(ReasonKind.ENTRYPOINT, key), found.links)


def _nearest(path: str, sysroot: Sysroot) -> str:
    import difflib  # noqa: PLC0415 (only for an error)

    programs = {
        node.path.rpartition("/")[2]: node.path
        for node in sysroot
        if node.mode & 0o111 and node.kind is not Kind.DIRECTORY
    }
    close = difflib.get_close_matches(path.rpartition("/")[2], programs, n=3, cutoff=0.75)
    return f" (nearest: {', '.join(programs[name] for name in close)})" if close else ""


def _base(sysroot: Sysroot) -> Iterator[Wish]:
    for path in _BASE_FILES:
        node = sysroot.get(path)
        if node is not None and node.kind is not Kind.DIRECTORY:
            yield Wish(node, Reason(ReasonKind.SYSTEM, path))


def _kept(recipe: Recipe, sysroot: Sysroot, dropped: Callable[[str], bool]) -> Iterator[Wish]:
    for pattern in recipe.runtime.keep:
        matches = sysroot.glob(pattern)
        if not matches:
            raise ResolutionError(
                f"keep = {pattern!r} matches no file of the recipe's packages and their dependencies",
                hint="correct the pattern (** crosses folders, * does not) or name the package",
            )
        for node in matches:
            if not dropped(node.path):
                yield Wish(node, Reason(ReasonKind.KEEP, pattern))


def _libraries(recipe: Recipe, sysroot: Sysroot) -> Iterator[Wish]:
    if not recipe.runtime.libraries:
        return
    folders = _library_folders(sysroot)
    for name in recipe.runtime.libraries:
        hits = (sysroot.lookup(f"{folder}/{name}") for folder in folders)
        found = next((hit for hit in hits if hit.node is not None), None)
        if found is None or found.node is None:
            raise ResolutionError(
                f"{name}, named by runtime.libraries, is in none of {', '.join(folders)}",
                hint="name the package that ships it in packages",
            )
        yield Wish(found.node, Reason(ReasonKind.LIBRARY, name), found.links)


def _library_folders(sysroot: Sysroot) -> tuple[str, ...]:
    """Where the C library is: every library folder of a distribution has a name like its folder's."""
    # The places are asked one by one: below the packages there may be a whole machine.
    tops = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/libx32", "/lib", "/lib64")
    folders = (
        folder for top in tops for folder in (top, *(f"{top}/{name}" for name in sysroot.children(top)))
    )
    found = {
        folder
        for folder in folders
        if any(sysroot.get(f"{folder}/{name}") is not None for name in ("libc.so.6", "libc.so"))
    }
    return (*sorted(found), *(folder for folder in ("/usr/local/lib", "/usr/lib") if folder not in found))
