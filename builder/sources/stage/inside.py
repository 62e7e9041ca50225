"""Work on a container's files that needs its owners' numbers: lay files, look what changed, take it along.

Run in the room of a stage, with an isolated Python, where the container's files are mounted. The tree may be
hostile: paths are only followed after it became the root, so that no link leads out; what is read
from outside is opened through a descriptor of the old root.
"""

# os and not pathlib, which takes longer to import than most of this to run:
# ruff: noqa: PTH101, PTH113, PTH114, PTH103, PTH108, PTH112, PTH115, PTH118
# ruff: noqa: PTH120, PTH123, PTH211

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, TypedDict

CHUNK = 1 << 20
_FILE, _FOLDER, _LINK = "f", "d", "l"
_CAPABILITY = "security.capability"
_SKIPPED = frozenset({"/dev", "/proc", "/sys"})
"""Folders of the machine: what a stage leaves there is nobody's."""
_STUBS = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"})
"""Files that buildah makes, empty, to lay the machine's own over them while a command runs."""


class Laid(TypedDict):
    """One path to lay. ``content``: file of the machine, offset, size, SHA-256 in hex or ""."""

    kind: str
    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    target: str
    content: list[Any]
    xattrs: list[list[str]]


class Found(TypedDict):
    """One path as the container has it now. ``offset`` in the pack; -1 where the bytes are not there."""

    kind: str
    path: str
    mode: int
    uid: int
    gid: int
    size: int
    sha256: str
    offset: int
    target: str
    hardlink: str
    xattrs: list[list[str]]


def main() -> None:
    """Read a job as JSON, do it, write what came of it as JSON."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    outside = os.open("/", os.O_PATH | os.O_DIRECTORY)
    pack = os.open(job["pack"], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644) if job.get("pack") else -1
    signs = _signs(job.get("signs", {}))
    os.umask(0o022)
    leaks = _leaks_outside(job)
    os.chroot(job["root"])
    os.chdir("/")
    if job["do"] == "lay":
        _lay_all(job["nodes"], outside)
        answer: dict[str, Any] = {}
    elif job["do"] == "sign":
        answer = {"signs": {path: _sign(status) for path, status in _walk(frozenset(job["skipped"]))}}
    else:
        answer = _Taking(job, signs, pack).take()
        answer["leaks"] += leaks
    sys.stdout.write(json.dumps(answer, ensure_ascii=True))
    sys.stdout.flush()


def _signs(given: Any) -> dict[str, list[int]]:
    """The list itself, or the file in which it was kept after a line with its checksum."""
    if not isinstance(given, str):
        return dict(given)
    with open(given, "rb") as stream:
        digest, _, body = stream.read().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise OSError(5, "the list of a stage's files is damaged", given)
    found: dict[str, list[int]] = json.loads(body)
    return found


def _lay_all(nodes: list[Laid], outside: int) -> None:
    stores: dict[str, int] = {}
    folders: dict[str, Laid] = {}
    for node in nodes:
        if node["kind"] == _FOLDER:
            if _make_folder(node["path"]):
                folders[node["path"]] = node
            continue
        parent = os.path.dirname(node["path"])
        if not os.path.isdir(_raw(parent)):
            os.makedirs(_raw(parent), 0o755)
        _clear(node["path"])
        if node["kind"] == _LINK:
            os.symlink(_raw(node["target"]), _raw(node["path"]))
            os.chown(_raw(node["path"]), node["uid"], node["gid"], follow_symlinks=False)
        elif node["target"]:
            os.link(_raw(node["target"]), _raw(node["path"]), follow_symlinks=False)
        else:
            _lay_file(node, stores, outside)
    # Last, and the deepest first: files made in a folder would change its time.
    for path in sorted(folders, reverse=True):
        node = folders[path]
        os.chown(_raw(path), node["uid"], node["gid"])
        os.chmod(_raw(path), node["mode"])
        os.utime(_raw(path), (node["mtime"], node["mtime"]))


def _make_folder(path: str) -> bool:
    """Make a folder where there is none (a link to one counts); True when it was made."""
    raw = _raw(path)
    if os.path.isdir(raw):
        return path == "/"
    _clear(path)
    os.makedirs(raw, 0o755)
    return True


def _clear(path: str) -> None:
    raw = _raw(path)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(raw).st_mode):
            raise IsADirectoryError(21, "a folder is in the place of the file to lay", path)
        os.unlink(raw)


def _lay_file(node: Laid, stores: dict[str, int], outside: int) -> None:
    store, offset, size, sha256 = node["content"]
    if store not in stores:
        if len(stores) > 200:  # noqa: PLR2004 (files open at a time)
            for descriptor in stores.values():
                os.close(descriptor)
            stores.clear()
        outside_name = _raw(store.lstrip("/"))
        stores[store] = os.open(outside_name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=outside)
    target = os.open(_raw(node["path"]), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        digest, left = hashlib.sha256(), size
        while left:
            chunk = os.pread(stores[store], min(left, CHUNK), offset + size - left)
            if not chunk:
                break
            digest.update(chunk)
            _write_all(target, chunk)
            left -= len(chunk)
        if left or (sha256 and digest.hexdigest() != sha256):
            raise OSError(5, f"the bytes at {offset} are not the ones that were stored", store)
        os.fchown(target, node["uid"], node["gid"])
        os.fchmod(target, node["mode"])
        for name, value in node["xattrs"]:
            os.setxattr(target, name, base64.b64decode(value))
        os.utime(target, (node["mtime"], node["mtime"]))
    finally:
        os.close(target)


def _write_all(target: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(target, rest) :]


def _walk(skipped: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below the root, sorted in each folder; folders that are skipped are not entered."""
    pending = [""]
    while pending:
        folder = pending.pop()
        deeper: list[str] = []
        with os.scandir(_raw(folder or "/")) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{folder}/{os.fsdecode(entry.name)}"
            status = entry.stat(follow_symlinks=False)
            if path in skipped or path in _SKIPPED:
                continue
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                deeper.append(path)
        pending += reversed(deeper)


def _sign(status: os.stat_result) -> list[int]:
    """What no program can forge: the kernel sets the change time whenever anything of a file changes."""
    return [status.st_ctime_ns, status.st_size, status.st_mode]


def _leaks_outside(job: dict[str, Any]) -> list[str]:
    """Remove files of persistent folders that hold a secret; their paths."""
    secrets = [base64.b64decode(text) for text in job.get("secrets", ())]
    found = []
    for folder in job.get("kept", ()) if secrets else ():
        for parent, _, names in os.walk(_raw(folder)):
            for name in names:
                path = os.path.join(parent, name)
                if os.path.isfile(path) and not os.path.islink(path) and _holds(path, secrets):
                    os.unlink(path)
                    found.append(os.fsdecode(path))
    return found


def _holds(path: bytes, secrets: list[bytes]) -> bool:
    tail, longest = b"", max(map(len, secrets))
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            window = tail + chunk
            if any(secret in window for secret in secrets):
                return True
            tail = window[-(longest - 1) :] if longest > 1 else b""
    return False


class _Taking:
    """Finds what differs from a base; copies the bytes of changed files, one after the other, to a pack."""

    def __init__(self, job: dict[str, Any], signs: dict[str, list[int]], pack: int) -> None:
        self._signs: dict[str, list[int]] = signs
        self._known: dict[str, list[Any]] = job["known"]
        self._skipped = frozenset(job["skipped"])
        self._secrets = [base64.b64decode(text) for text in job["secrets"]]
        self._longest = max(map(len, self._secrets), default=0)
        self._pack = pack
        self._end = 0
        self._links: dict[tuple[int, int], str] = {}
        self._stored: dict[str, int] = {}
        self._leaks: list[str] = []

    def take(self) -> dict[str, Any]:
        """Changed paths, paths that are gone, and paths in which a secret was found."""
        changed: list[Found] = []
        seen: set[str] = set()
        for path, status in _walk(self._skipped):
            seen.add(path)
            sign = self._signs.get(path)
            if sign is not None and sign == _sign(status):
                continue
            found = self._look(path, status)
            if found is not None:
                changed.append(found)
        gone = sorted(path for path in self._signs if path not in seen)
        if self._pack >= 0:
            os.ftruncate(self._pack, self._end)  # what was found to be known already lies behind the end
            os.fsync(self._pack)
        return {"changed": changed, "gone": gone, "leaks": sorted(self._leaks), "size": self._end}

    def _look(self, path: str, status: os.stat_result) -> Found | None:
        found = Found(
            kind=_LINK,
            path=path,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=0,
            sha256="",
            offset=-1,
            target="",
            hardlink="",
            xattrs=[],
        )
        if stat.S_ISLNK(status.st_mode):
            found["target"] = os.fsdecode(os.readlink(_raw(path)))
            return found
        if stat.S_ISDIR(status.st_mode):
            found["kind"] = _FOLDER
            return found
        if not stat.S_ISREG(status.st_mode):
            return None  # devices, sockets and pipes have no place in an image
        if status.st_size == 0 and path in _STUBS and path not in self._known:
            return None
        found["kind"] = _FILE
        self._take_file(found, status)
        return found

    def _take_file(self, found: Found, status: os.stat_result) -> None:
        first = self._links.setdefault((status.st_dev, status.st_ino), found["path"])
        if first != found["path"] and status.st_nlink > 1:
            found["hardlink"] = first
        descriptor = os.open(_raw(found["path"]), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):
                value = os.getxattr(descriptor, _CAPABILITY)
                found["xattrs"] = [[_CAPABILITY, base64.b64encode(value).decode()]]
            size, sha256 = self._copy(descriptor, found["path"])
        finally:
            os.close(descriptor)
        found["size"], found["sha256"] = size, sha256
        known = self._known.get(found["path"])
        if self._pack < 0 or (known is not None and known == [size, sha256]):
            self._end -= size  # the base has these very bytes
        elif sha256 in self._stored:
            self._end -= size
            found["offset"] = self._stored[sha256]
        else:
            found["offset"] = self._stored[sha256] = self._end - size

    def _copy(self, descriptor: int, path: str) -> tuple[int, str]:
        digest, size, tail = hashlib.sha256(), 0, b""
        while chunk := os.read(descriptor, CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if self._secrets:
                window = tail + chunk
                if any(secret in window for secret in self._secrets) and path not in self._leaks:
                    self._leaks.append(path)
                tail = window[-(self._longest - 1) :] if self._longest > 1 else b""
            if self._pack >= 0:
                rest, place = memoryview(chunk), self._end
                while rest:
                    written = os.pwrite(self._pack, rest, place)
                    rest, place = rest[written:], place + written
            self._end += len(chunk)
        return size, digest.hexdigest()


def _raw(path: str) -> bytes:
    return os.fsencode(path)
