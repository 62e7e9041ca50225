"""What ldconfig does: which folders it reads (ld.so.conf) and under which names it lists their files."""

from __future__ import annotations

from builder.errors import BuildError
from builder.sysroot import Kind, Node, Sysroot, read_content

LD_SO_CONF = "/etc/ld.so.conf"
_MAX_DEPTH = 8
_MAX_SIZE = 1 << 16
_MAX_STARS = 4
_MAX_FILES = 256


def cache_folders(sysroot: Sysroot) -> tuple[str, ...]:
    """Read which folders /etc/ld.so.conf and its includes name, in ldconfig's order; no default ones.

    Files that are missing, too long or too deeply included are passed over, as ldconfig does.
    """
    folders: dict[str, None] = {}
    _read(sysroot, LD_SO_CONF, folders, set(), 0)
    return tuple(folders)


def _read(sysroot: Sysroot, path: str, folders: dict[str, None], seen: set[str], depth: int) -> None:
    found = sysroot.lookup(path)
    if found.path in seen or depth > _MAX_DEPTH or len(seen) >= _MAX_FILES:
        return
    seen.add(found.path)
    for line in _text(found.node).splitlines():
        words = line.partition("#")[0].strip()
        keyword, *patterns = words.split() or [""]
        if keyword == "include":
            for pattern in patterns:
                for included in _included(sysroot, pattern, path):
                    _read(sysroot, included, folders, seen, depth + 1)
        elif words.startswith("/"):
            folders[_folder(words)] = None


def _folder(words: str) -> str:
    # "DIR=TYPE" is an old form that ldconfig still takes; the type means nothing now.
    return words.partition("=")[0].rstrip().rstrip("/") or "/"


def _text(node: Node | None) -> str:
    if node is None or node.content is None or node.content.size > _MAX_SIZE:
        return ""
    try:
        return read_content(node.content).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise BuildError(
            f"{node.path} could not be read from {node.content.store}: {error.strerror}",
            hint="run the build again; rootlet fetches what is missing",
        ) from error


def _included(sysroot: Sysroot, pattern: str, path: str) -> tuple[str, ...]:
    if not pattern.startswith("/"):
        pattern = f"{path.rpartition('/')[0]}/{pattern}"
    pattern = pattern.replace("**", "*")
    if pattern.count("*") > _MAX_STARS:
        return ()
    return tuple(sorted(node.path for node in sysroot.glob(pattern)))


def is_library_name(name: str) -> bool:
    """Whether ldconfig looks at a file of this name at all (glibc: elf/ldconfig.c, _dl_is_dso)."""
    return ".so" in name and name.startswith(("lib", "ld-", "ld.so.", "ld64.so."))


def listed_name(name: str, soname: str | None, *, is_link: bool) -> str:
    """Give the name under which ldconfig lists the file ``name``: its SONAME, or its own name without one.

    A symbolic link that serves the compiler, ``libx.so`` for the SONAME ``libx.so.1``, keeps its own name
    (glibc: elf/ldconfig.c, search_dir).
    """
    if soname is None:
        return name
    return name if is_link and name.endswith(".so") and soname.startswith(name) else soname


def listed(sysroot: Sysroot, path: str, soname: str | None) -> str:
    """:func:`listed_name` for ``path`` (its folder canonical) as it stands in ``sysroot``."""
    node = sysroot.get(path)
    is_link = node is not None and node.kind is Kind.SYMLINK
    return listed_name(path.rpartition("/")[2], soname, is_link=is_link)
