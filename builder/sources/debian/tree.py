"""Unpacked packages laid into one tree, as Debian's installer and dpkg would.

/usr is merged: /bin, /sbin, /lib and the like are links into /usr wherever a package has them, and what
packages ship there is moved. What a package diverts (dpkg-divert(1)) is where the diversion puts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from builder.dpkg.control import paragraphs
from builder.sources.debian.relations import Relation, parse_relations
from builder.sysroot import MAX_LINKS, Kind, Node, Package, Sysroot

_MERGED = tuple(f"/{name}" for name in ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"))
_FIRST = "base-files"
_ALIAS = ".usr-is-merged"
"""Diversions to such names only keep the second name of a path apart while /usr is being merged."""


def merged_tree(packages: Iterable[Package]) -> Sysroot:
    """Lay packages into one tree. Nodes move; ``Package.nodes`` and ``md5sums`` keep the packaged paths.

    ResolutionError when two packages bring different things to one path and neither Replaces the other.
    """
    # The first package to bring a folder decides its mode; base-files has the ones with special modes.
    ordered = sorted(packages, key=lambda package: (package.name != _FIRST, package.name))
    folders = _Folders(ordered)
    replaces = {package.name: _replaces(package) for package in ordered}
    versions = {package.name: package.version for package in ordered}
    diverted = _diversions(ordered)
    placed: dict[str, Node] = {link.path: link for link in folders.merged}
    for package in ordered:
        for node in package.nodes:
            moved = folders.move(diverted(node) if diverted else node)
            if moved is not None and _wins(moved, placed.get(moved.path), replaces, versions):
                placed[moved.path] = moved
            elif moved is not None and not _yields(moved, placed[moved.path], replaces, versions):
                # Sysroot compares the two, and refuses them when they differ.
                Sysroot((placed[moved.path], moved))
    return Sysroot(placed.values(), ordered)


def _diverts(script: str) -> bool:
    if "dpkg-divert" not in script:
        return False
    lines = script.replace("\\\n", " ").split("\n")
    return any("dpkg-divert" in line and "--add" in line and _ALIAS not in line for line in lines)


def _diversions(packages: Iterable[Package]) -> Callable[[Node], Node] | None:
    """What puts a packaged node where another package diverts it; None when nothing is diverted."""
    divert = [package for package in packages if _diverts(package.scripts.get("preinst", ""))]
    if not divert:
        return None
    from builder.sources.debian.configure.run import diversions  # noqa: PLC0415 (a reader of shell; rarely needed)

    places = {one.path: one for one in diversions(divert) if not one.to.endswith(_ALIAS)}

    def place(path: str, package: str) -> str:
        diversion = places.get(path)
        return path if diversion is None or diversion.package == package else diversion.to

    def move(node: Node) -> Node:
        path = place(node.path, node.package)
        first = place(node.hardlink, node.package)
        if path == node.path and first == node.hardlink:
            return node
        return replace(node, path=path, hardlink=first)

    return move


class _Folders:
    """Where folders really are, with every link of the tree followed."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._places: dict[str, str] = {"": ""}
        self._links, shipped = _links(packages)
        self._folders = {self._place(folder) for folder in shipped}
        self.merged = tuple(node for path, node in self._links.items() if path in _MERGED)

    def move(self, node: Node) -> Node | None:
        """Return the node where it belongs; None for a folder where the tree has a link to one."""
        parent, _, name = node.path.rpartition("/")
        place = f"{self._place(parent)}/{name}"
        if node.kind is Kind.DIRECTORY and place in self._links and self._leads_to_folder(place):
            return None
        hardlink = node.hardlink
        if hardlink:
            first_parent, _, first = hardlink.rpartition("/")
            hardlink = f"{self._place(first_parent)}/{first}"
        if place == node.path and hardlink == node.hardlink:
            return node
        return replace(node, path=place, hardlink=hardlink)

    def _leads_to_folder(self, link: str) -> bool:
        end = self._place(link)
        return link in _MERGED or (end != link and end in self._folders)

    def _place(self, folder: str) -> str:
        if folder not in self._places:
            self._places[folder] = self._follow(folder)
        return self._places[folder]

    def _follow(self, folder: str) -> str:
        pending = folder.split("/")[:0:-1]
        here, crossed = "", 0
        while pending:
            name = pending.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                here = here.rpartition("/")[0]
                continue
            link = self._links.get(f"{here}/{name}")
            if link is None:
                here = f"{here}/{name}"
                continue
            crossed += 1
            if crossed > MAX_LINKS:
                return folder
            if link.target.startswith("/"):
                here = ""
            pending += link.target.split("/")[::-1]
        return here


def _links(packages: Iterable[Package]) -> tuple[dict[str, Node], set[str]]:
    """Collect links, those that merge /usr and those that packages ship, and the paths of folders."""
    shipped: dict[str, Node] = {}
    folders: set[str] = set()
    tops: dict[str, str] = {}
    for package in packages:
        for node in package.nodes:
            top = "/" + node.path.split("/", 2)[1]
            if top in _MERGED:
                tops.setdefault(top, package.name)
            if node.kind is Kind.SYMLINK:
                shipped.setdefault(node.path, node)
            elif node.kind is Kind.DIRECTORY:
                folders.add(node.path)
    merged = {
        top: shipped.get(top) or Node(path=top, kind=Kind.SYMLINK, mode=0o777, target=f"usr{top}")
        for top in sorted(tops)
    }
    return {**shipped, **merged}, folders


def _wins(
    node: Node,
    present: Node | None,
    replaces: Mapping[str, tuple[Relation, ...]],
    versions: Mapping[str, str],
) -> bool:
    """Whether ``node`` takes the place of what is there."""
    if present is None:
        return True
    if present.package == node.package:
        # /bin/x and /usr/bin/x of one package: the file, not the link that led to it before /usr was merged.
        return node.kind is not Kind.SYMLINK
    return node.kind is not Kind.DIRECTORY and _replaced(present, node, replaces, versions)


def _yields(
    node: Node, present: Node, replaces: Mapping[str, tuple[Relation, ...]], versions: Mapping[str, str]
) -> bool:
    """Whether ``node`` gives way to what is there."""
    return (
        node.kind is present.kind is Kind.DIRECTORY
        or present.package == node.package
        or _replaced(node, present, replaces, versions)
    )


def _replaced(
    old: Node, new: Node, replaces: Mapping[str, tuple[Relation, ...]], versions: Mapping[str, str]
) -> bool:
    return any(
        relation.name == old.package and relation.accepts(versions[old.package])
        for relation in replaces.get(new.package, ())
        if old.package in versions
    )


def _replaces(package: Package) -> tuple[Relation, ...]:
    try:
        fields = next(_paragraphs(package.control), {})
        return parse_relations(fields.get("Replaces", ""))
    except ValueError:
        return ()


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    if "\nReplaces:" in text:
        yield from paragraphs(text)
