"""What is kept of a tree of files while it streams by."""

from __future__ import annotations

from dataclasses import dataclass, field

from zlib_ng import zlib_ng

from builder.inventory.found import Found

STATUS = "/var/lib/dpkg/status"
STATUS_D = "/var/lib/dpkg/status.d/"
INFO = "/var/lib/dpkg/info/"
DIVERSIONS = "/var/lib/dpkg/diversions"
LISTS = (".list", ".md5sums")
OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
DEBIAN_VERSION = "/etc/debian_version"
_KEPT = frozenset({DEBIAN_VERSION, *OS_RELEASE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a reader said of the file at ``path`` in ``layer`` (None outside of images).

    ``lock`` marks lock files: they count in the source folder of an application only.
    """

    path: str
    layer: int | None
    found: Found
    lock: bool = False


@dataclass(slots=True)
class Tree:
    """Paths and what was read of them.

    ``regular`` has each regular file with the number of the system package that owns it (0 for none, filled
    in when all is read), ``links`` the symbolic links of the top folder, ``kept`` and ``lists`` dpkg's
    database.
    """

    regular: dict[str, int] = field(default_factory=dict)
    elf: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    lists: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    """Of the paths in ``kept`` and ``lists``, in an image."""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def forget(self, path: str) -> None:
        """Take a path out: a later entry of the stream takes its place."""
        if path in self.regular:
            del self.regular[path]
            self.elf.discard(path)
            for kept in (self.kept, self.lists, self.layers, self.answers):
                kept.pop(path, None)
        else:
            self.links.pop(path, None)


def is_kept(path: str) -> bool:
    """Whether ``path`` says which distribution the tree is."""
    return path in _KEPT


def pack_list(payload: bytes) -> bytes:
    """Pack a file list: a tree of thousands of packages has as many of them."""
    return zlib_ng.compress(payload, 1)


def list_text(packed: bytes) -> str:
    """Give the text of a packed file list."""
    return zlib_ng.decompress(packed).decode(errors="surrogateescape")
