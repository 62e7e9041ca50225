"""Packages made in memory: values as the store gives them, with their bytes in one small file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.sysroot import Content, Kind, Node, Package


@dataclass(frozen=True, kw_only=True)
class Dir:
    """A folder of a package."""

    mode: int = 0o755
    owner: tuple[str, int] = ("root", 0)
    group: tuple[str, int] = ("root", 0)


@dataclass(frozen=True, kw_only=True)
class File:
    """A regular file, or (``hardlink``) another name of one that comes earlier."""

    content: bytes = b""
    mode: int = 0o644
    owner: tuple[str, int] = ("root", 0)
    group: tuple[str, int] = ("root", 0)
    hardlink: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    conffile: bool = False


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


def make_package(
    folder: Path,
    name: str,
    files: Mapping[str, Dir | File | Link],
    *,
    version: str = "1.0-1",
    newest: int = 1_700_000_000,
) -> Package:
    """A package whose bytes are in ``folder / NAME.tar``; every path's folders are added."""
    store = folder / f"{name}.tar"
    nodes: dict[str, Node] = {}
    with store.open("wb") as stream:
        for path, what in sorted(files.items()):
            for parent in _parents(path):
                nodes.setdefault(parent, Node(path=parent, kind=Kind.DIRECTORY, mode=0o755, package=name))
            nodes[path] = _node(path, what, name, store, stream.tell(), nodes)
            if isinstance(what, File) and not what.hardlink:
                stream.write(what.content)
    listed = {path: what for path, what in files.items() if isinstance(what, File) and not what.conffile}
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        source_name=f"{name}-src",
        source_version=version,
        control=f"Package: {name}\nSource: {name}-src\nVersion: {version}\nArchitecture: amd64\n"
        "Maintainer: M <m@test>\n",
        md5sums={path: hashlib.md5(_bytes(what, files)).hexdigest() for path, what in listed.items()},
        conffiles=tuple(path for path, what in files.items() if isinstance(what, File) and what.conffile),
        nodes=tuple(nodes.values()),
        scripts={},
        newest=newest,
    )


def copyright_of(name: str) -> dict[str, File]:
    """The copyright file that every Debian package has."""
    return {f"/usr/share/doc/{name}/copyright": File(content=f"copyright of {name}\n".encode())}


def dump(entries: Iterable[str]) -> str:
    """Lines as one text, for golden comparison."""
    return "".join(f"{line}\n" for line in entries)


def _bytes(what: File, files: Mapping[str, Dir | File | Link]) -> bytes:
    first = files[what.hardlink] if what.hardlink else what
    return first.content if isinstance(first, File) else b""


def _parents(path: str) -> list[str]:
    names = path.split("/")[1:-1]
    return ["/" + "/".join(names[: count + 1]) for count in range(len(names))]


def _node(
    path: str, what: Dir | File | Link, package: str, store: Path, offset: int, nodes: Mapping[str, Node]
) -> Node:
    if isinstance(what, Link):
        return Node(path=path, kind=Kind.SYMLINK, mode=0o777, target=what.target, package=package)
    user, uid = what.owner
    group, gid = what.group
    if isinstance(what, Dir):
        return Node(
            path=path,
            kind=Kind.DIRECTORY,
            mode=what.mode,
            uid=uid,
            gid=gid,
            user=user,
            group=group,
            package=package,
        )
    digest = hashlib.sha256(what.content).hexdigest()
    content = Content(store=store, offset=offset, size=len(what.content), sha256=digest)
    return Node(
        path=path,
        kind=Kind.FILE,
        mode=what.mode,
        uid=uid,
        gid=gid,
        user=user,
        group=group,
        content=nodes[what.hardlink].content if what.hardlink else content,
        hardlink=what.hardlink,
        xattrs=what.xattrs,
        package=package,
    )
