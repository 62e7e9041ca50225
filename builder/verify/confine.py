"""The room in which a test runs: own namespaces, the image as a read-only root, no privileges.

As container engines make it: /dev, /proc, /sys and /tmp; no network but the loopback. Paths of the image are
only looked up after it became the root, so that its links cannot lead out. All raise OSError.
"""

# os and not pathlib, which takes longer to import than all of this to run:
# ruff: noqa: PTH101, PTH102, PTH103, PTH110, PTH112, PTH115, PTH116, PTH120, PTH123, PTH211

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import stat
import struct
from collections.abc import Sequence

from builder.engine import kernel
from builder.verify.task import Folder, Room

HOSTNAME = "rootlet"
MAX_PROCESSES = 2048

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_PROC_HIDDEN = ("acpi", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list")
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_TMPFS_SIZE = "size=512m"
_COPY_BYTES = 1 << 20


def enter_namespaces(room: Room, *, privileged: bool) -> None:
    """Leave the machine's network, processes, names and (without privileges) users for empty ones."""
    flags = kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWPID
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(flags if privileged else flags | kernel.CLONE_NEWUSER)
    if not privileged:
        _write("/proc/self/uid_map", f"{room['uid']} {uid} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{room['gid']} {gid} 1")
    socket.sethostname(HOSTNAME)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    with contextlib.suppress(OSError):  # as engines do: any user may listen on port 80
        _write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter_root(room: Room) -> None:
    """Make the unpacked image the root, read-only, with what engines put over it. Needs a new process 1."""
    os.umask(0)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount(room["root"], room["root"], flags=kernel.MS_BIND)
    nodes = [os.open(f"/dev/{name}", os.O_PATH) for name in _NODES]
    files = [os.open(source, os.O_PATH | os.O_NOFOLLOW) for source, _ in room["files"]]
    old = os.open("/", os.O_PATH | os.O_DIRECTORY)
    os.chdir(room["root"])
    kernel.pivot_into_here()
    _mount_proc()
    _mount_dev(nodes)
    for folder in sorted(room["folders"], key=lambda one: one["path"]):
        _mount_writable(folder, room)
    for descriptor, (_, path) in zip(files, room["files"], strict=True):
        _bind_file(descriptor, path)
    os.makedirs(room["workdir"], 0o755, exist_ok=True)
    os.fchdir(old)
    kernel.detach(".")
    os.chdir("/")
    kernel.seal("/")
    for descriptor in (*nodes, *files, old):
        os.close(descriptor)


def _mount_proc() -> None:
    os.makedirs("/proc", 0o555, exist_ok=True)
    kernel.mount("proc", "/proc", "proc", _QUIET)
    for name in _PROC_READ_ONLY:
        if os.path.lexists(f"/proc/{name}"):
            kernel.bind_read_only(f"/proc/{name}", f"/proc/{name}")
    os.makedirs("/sys", 0o555, exist_ok=True)
    with contextlib.suppress(OSError):  # programs do without; inside containers it may be refused
        kernel.mount("sysfs", "/sys", "sysfs", _QUIET | kernel.MS_RDONLY)
        _hide("/sys/firmware")


def _hide(path: str) -> None:
    if os.path.isdir(path):
        kernel.mount("tmpfs", path, "tmpfs", _QUIET | kernel.MS_RDONLY, "size=0,mode=555")
    elif os.path.lexists(path):
        kernel.mount("/dev/null", path, flags=kernel.MS_BIND)


def _mount_dev(nodes: Sequence[int]) -> None:
    os.makedirs("/dev", 0o755, exist_ok=True)
    kernel.mount("tmpfs", "/dev", "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=755,size=64k")
    for name, descriptor in zip(_NODES, nodes, strict=True):
        _bind(descriptor, f"/dev/{name}")
    for target, name in _DEVICE_LINKS:
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/shm", 0o1777)  # noqa: S108 (the image's own)
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", _QUIET, "mode=1777,size=64m")  # noqa: S108 (as above)
    os.mkdir("/dev/pts")
    with contextlib.suppress(OSError):  # only programs that open terminals of their own miss it
        kernel.mount(
            "devpts",
            "/dev/pts",
            "devpts",
            kernel.MS_NOSUID | kernel.MS_NOEXEC,
            "newinstance,ptmxmode=0666,mode=620",
        )
    for name in _PROC_HIDDEN:
        _hide(f"/proc/{name}")


def _bind(descriptor: int, path: str) -> None:
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    kernel.mount(f"/proc/self/fd/{descriptor}", path, flags=kernel.MS_BIND)


def _bind_file(descriptor: int, path: str) -> None:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    _bind(descriptor, path)
    kernel.seal(path)


def _mount_writable(folder: Folder, room: Room) -> None:
    """A file system in memory over ``folder``, with what the image has there."""
    path = folder["path"]
    if not os.path.isdir(path):
        _make_folder(folder, room)
    found = os.stat(path)
    mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
    if folder["users"]:
        mode, owner = mode | stat.S_IRWXU, (room["uid"], room["gid"])
    options = f"mode={mode:o},uid={owner[0]},gid={owner[1]},{_TMPFS_SIZE}"
    below = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    _copy(f"/proc/self/fd/{below}", path)
    os.close(below)


def _make_folder(folder: Folder, room: Room) -> None:
    path = folder["path"]
    os.makedirs(path, 0o755)
    if path == "/tmp":  # noqa: S108 (the image's own)
        os.chmod(path, 0o1777)  # noqa: S103 (as everywhere)
    elif os.stat(path).st_uid == room["uid"]:
        # With one user number only, what is root's is shown by the missing right to write.
        os.chmod(path, 0o755 if room["uid"] == 0 else 0o555)


def _copy(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            _copy_entry(entry, f"{target}/{entry.name}")


def _copy_entry(entry: os.DirEntry[str], path: str) -> None:
    found = entry.stat(follow_symlinks=False)
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), path)
    elif entry.is_dir():
        os.mkdir(path)
        _copy(entry.path, path)
    else:
        with open(entry.path, "rb") as here, open(path, "xb") as there:
            while chunk := here.read(_COPY_BYTES):
                there.write(chunk)
    os.lchown(path, found.st_uid, found.st_gid)
    if not entry.is_symlink():
        os.chmod(path, stat.S_IMODE(found.st_mode))


def drop_privileges(room: Room, *, privileged: bool) -> None:
    """Become the image's user without any capability, for good, with bounds on what may be used up."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    bound = MAX_PROCESSES if limit == resource.RLIM_INFINITY else min(limit, MAX_PROCESSES)
    resource.setrlimit(resource.RLIMIT_NPROC, (bound, bound))
    os.umask(0o022)
    kernel.empty_bounding_set()
    if privileged:
        os.setgroups(room["groups"])
        os.setresgid(room["gid"], room["gid"], room["gid"])
        os.setresuid(room["uid"], room["uid"], room["uid"])
    kernel.drop_capabilities()
    kernel.allow_no_new_privileges()
    kernel.hide_from_tracing()
    kernel.die_with_parent()
