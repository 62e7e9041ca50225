"""A fresh root while packages are being configured: the packages' tree, and what changes in it.

Nothing here touches the machine: paths are those of the tree, and bytes are copied by reference.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.model import (
    Asked,
    ConfiguredGroup,
    ConfiguredUser,
    Diversion,
    Made,
    static_groups,
    static_users,
)
from builder.sysroot import MAX_LINKS, Kind, Node, Sysroot, read_content

MOST_TEXT = 1 << 18
"""Bytes of a file that a script may read or write."""
_MOST_MADE = 20_000
_TEMPORARY = "/tmp/.rootlet-"  # noqa: S108 (a name inside the root, never in the image)
_NOT_OURS = ("/dev", "/proc", "/sys")
_STANDARD_LINKS = {"/var/run": "/run", "/var/lock": "/run/lock"}
"""Debian makes these when a system is installed; scripts go through them."""
_STANDARD_FOLDERS = frozenset({"/", "/run", "/run/lock", "/tmp", "/var/tmp", "/root", *_NOT_OURS})  # noqa: S108 (as above)


_STATE = ("/var/lib/dpkg/", "/var/lib/ucf/")
"""What tools of the package system keep for themselves."""
_ACCOUNT_FILES = frozenset(
    f"/etc/{name}{end}"
    for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
    for end in ("", "-")
)
"""These are made of the accounts themselves."""


class TooMuchError(ValueError):
    """A script makes more than any honest one."""


class System:
    """Files, users and groups. Paths are given as written; links are followed as the kernel would."""

    def __init__(self, tree: Sysroot) -> None:
        self._tree = tree
        self._made: dict[str, Made] = {}
        self._removed: set[str] = set()
        self._temporary = 0
        self.contents: dict[str, bytes] = {}
        self.unclear: set[str] = set()
        """Paths with content that is not known."""
        self.users: dict[str, ConfiguredUser] = {}
        self.groups: dict[str, ConfiguredGroup] = {}
        self.overrides: set[str] = set()
        self.diversions: list[Diversion] = []
        self.speakers: dict[str, set[str]] = {}
        """User or group → packages that speak of it."""
        self._asked: dict[str, dict[str, str]] = {}
        self.folder = ""
        """Where the present script stands (an absolute path); "" when that is not known."""
        self.deferred: list[Callable[[], bool]] = []
        """What is done once every package is configured."""

    # ---- looking -----------------------------------------------------------------------------------

    def get(self, place: str) -> Node | None:
        """The node at a canonical place; links are not followed."""
        made = self._made.get(place)
        if made is not None:
            return made.node
        if place in self._removed:
            return None
        node = self._tree.get(place)
        if node is None and place in _STANDARD_LINKS:
            return Node(path=place, kind=Kind.SYMLINK, mode=0o777, target=_STANDARD_LINKS[place])
        if node is None and place in _STANDARD_FOLDERS:
            return Node(path=place, kind=Kind.DIRECTORY, mode=0o755)
        return node

    def place(self, path: str, *, follow: bool) -> str:
        """Where ``path`` really is; ``follow`` says whether its last name is followed when it is a link."""
        pending = [name for name in self._absolute(path).split("/") if name][::-1]
        here = ""
        crossed = 0
        while pending:
            name = pending.pop()
            if name == ".":
                continue
            if name == "..":
                here = here.rpartition("/")[0]
                continue
            node = self.get(f"{here}/{name}")
            if node is None or node.kind is not Kind.SYMLINK or not (pending or follow):
                here = f"{here}/{name}"
                continue
            crossed += 1
            if crossed > MAX_LINKS:
                break
            here = "" if node.target.startswith("/") else here
            pending += node.target.split("/")[::-1]
            pending = [part for part in pending if part]
        return here or "/"

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") or not self.folder else f"{self.folder}/{path}"

    def find(self, path: str, *, follow: bool = True) -> Node | None:
        """The node that ``path`` leads to."""
        return self.get(self.place(path, follow=follow))

    def is_link(self, path: str) -> bool:
        """Whether the path itself is a link."""
        node = self.find(path, follow=False) if self.knows(path) else None
        return node is not None and node.kind is Kind.SYMLINK

    def knows(self, path: str) -> bool:
        """Whether it can be said if ``path`` is there: not of the kernel's own files, nor of half a path."""
        path = self._absolute(path) if path else ""
        return UNKNOWN not in path and path.startswith("/") and not path.startswith(_NOT_OURS)

    def below(self, place: str) -> Iterator[Node]:
        """Every node below a folder, those of the tree first."""
        prefix = f"{place.rstrip('/')}/"
        for node in self._tree.below(place):
            if node.path not in self._removed and node.path not in self._made:
                yield node
        yield from [one.node for path, one in self._made.items() if path.startswith(prefix)]

    def glob(self, pattern: str) -> list[str]:
        """Paths that match a shell pattern, sorted."""
        if not pattern.startswith("/"):
            if not self.folder:
                return []
            dot = "./" * pattern.startswith("./")
            folder = f"{self.folder.rstrip('/')}/"
            found = self.glob(folder + pattern.removeprefix("./"))
            return [dot + path[len(folder) :] for path in found]
        fixed = pattern[: min(pattern.find(letter) % (1 << 30) for letter in "*?[")].rpartition("/")[0]
        folder = self.place(fixed or "/", follow=True)
        start = len(folder.rstrip("/"))
        names = (f"{fixed}{node.path[start:]}" for node in self.below(folder))
        wanted = pattern.split("/")
        return sorted(name for name in names if _matches(name.split("/"), wanted))

    def read(self, path: str) -> str:
        """The text of a file; UNKNOWN for one that is not there, too long or of unclear content."""
        node = self.find(path)
        if node is None or node.kind is not Kind.FILE or node.path in self.unclear:
            return UNKNOWN
        if node.content is not None:
            return UNKNOWN if node.content.size > MOST_TEXT else _text(read_content(node.content))
        return _text(self.contents.get(node.path, b""))

    # ---- changing ----------------------------------------------------------------------------------

    def put(self, node: Node, *, package: str, detail: str) -> None:
        """Place a node that ``package`` makes. TooMuchError when there are too many."""
        self._check_size()
        changed = node.path not in self._made and node.path not in _STANDARD_FOLDERS
        before = self._tree.get(node.path) if changed else None
        # What the archive ships stays its owner's: only mode and owner are changed then.
        changed = before is not None and replace(before, mode=0, user="", group="", uid=0, gid=0) == replace(
            node, mode=0, user="", group="", uid=0, gid=0
        )
        if not changed:
            node = replace(node, package=package, hardlink="", xattrs=())
        self._made[node.path] = Made(node=node, package=package, detail=detail, changed=changed)
        self._removed.discard(node.path)

    def write(self, place: str, text: str, *, package: str, detail: str, mode: int = 0o644) -> bool:
        """Put a file with known text at a canonical place; False when the text has unknown parts."""
        node = self.get(place)
        mode = node.mode if node is not None and node.kind is Kind.FILE else mode
        user, group = (node.user, node.group) if node is not None else ("root", "root")
        self.put(
            Node(path=place, kind=Kind.FILE, mode=mode, user=user, group=group),
            package=package,
            detail=detail,
        )
        self.contents[place] = text.encode("utf-8", "surrogateescape")[:MOST_TEXT]
        if UNKNOWN in text or len(text) > MOST_TEXT:
            self.unclear.add(place)
            return False
        self.unclear.discard(place)
        return True

    def change(self, node: Node, *, package: str, detail: str) -> None:
        """Give a node that is there another mode or owner."""
        present = self._made.get(node.path)
        if present is None:
            self.put(node, package=package, detail=detail)
        else:
            self._made[node.path] = replace(present, node=node)

    def ask(self, place: str, *, package: str, detail: str) -> None:
        """Note that a package, too, wants what another one has at a canonical place."""
        node = self.get(place)
        if node is not None and node.package != package:
            self._asked.setdefault(place, {}).setdefault(package, detail)

    def copy_content(self, source: str, target: str) -> None:
        """Say that the file made at ``target`` has the bytes of the one at ``source`` (canonical places)."""
        self.contents.pop(target, None)
        self.unclear.discard(target)
        if source in self.contents:
            self.contents[target] = self.contents[source]
        if source in self.unclear:
            self.unclear.add(target)

    def remove(self, place: str) -> None:
        """Take a canonical place away, with everything below it."""
        for node in list(self.below(place)):
            self._forget(node.path)
        self._forget(place)

    def _forget(self, place: str) -> None:
        self._made.pop(place, None)
        self.contents.pop(place, None)
        self.unclear.discard(place)
        if self._tree.get(place) is not None:
            self._removed.add(place)

    def temporary(self) -> str:
        """A path for mktemp; nothing below it ever reaches the image."""
        self._temporary += 1
        return f"{_TEMPORARY}{self._temporary}"

    def _check_size(self) -> None:
        if len(self._made) > _MOST_MADE:
            raise TooMuchError("the scripts make too many files")

    # ---- accounts ----------------------------------------------------------------------------------

    def has_user(self, name: str) -> bool:
        """Whether the root has this user."""
        return name in self.users or name in static_users()

    def has_group(self, name: str) -> bool:
        """Whether the root has this group."""
        return name in self.groups or name in static_groups()

    def mention(self, package: str, *accounts: str | None) -> None:
        """Note that a package speaks of users or groups."""
        for account in filter(None, accounts):
            self.speakers.setdefault(account, set()).add(package)

    # ---- the result --------------------------------------------------------------------------------

    def made(self) -> tuple[Made, ...]:
        """What configuring made, by path, without what is temporary or unclear."""
        kept = (one for path, one in sorted(self._made.items()) if self._is_real(path))
        return tuple(kept)

    def _is_real(self, path: str) -> bool:
        return path not in self.unclear and not path.startswith(_TEMPORARY) and not self._is_outside(path)

    @staticmethod
    def _is_outside(path: str) -> bool:
        return (
            path in _STANDARD_FOLDERS
            or path in _ACCOUNT_FILES
            or path.startswith((*(f"{top}/" for top in _NOT_OURS), *_STATE))
        )

    def asked(self) -> tuple[Asked, ...]:
        """Folders and links that packages ask for besides the one that brings them."""
        return tuple(
            Asked(path=path, package=package, detail=detail)
            for path, packages in sorted(self._asked.items())
            for package, detail in sorted(packages.items())
            if path not in self._removed and self._is_real(path)
        )

    def removed(self) -> frozenset[str]:
        """Paths of packages that are gone."""
        return frozenset(self._removed)

    def known_contents(self) -> dict[str, bytes]:
        """Bytes of the made files that are no copies of packaged ones."""
        return {
            path: self.contents.get(path, b"")
            for path, one in self._made.items()
            if one.node.kind is Kind.FILE and one.node.content is None and self._is_real(path)
        }


def parents(path: str) -> Iterable[str]:
    """The folders above ``path``, the outermost first."""
    names = path.split("/")[1:-1]
    return ["/" + "/".join(names[: count + 1]) for count in range(len(names))]


def _matches(names: list[str], wanted: list[str]) -> bool:
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))


def _text(content: bytes) -> str:
    text = content.decode("utf-8", "surrogateescape")
    return UNKNOWN if UNKNOWN in text else text
