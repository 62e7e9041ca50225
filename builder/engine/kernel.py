"""The few calls of Linux that Python lacks: namespaces, mounts, capabilities, process control.

Read by processes of rootlet that must start fast (the tests' sandbox, the rooms of build stages): only ctypes
and the standard library's core.
Every call raises OSError with the errno of the kernel.
See mount(2), pivot_root(2), unshare(2), prctl(2), capset(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2

CLONE_NEWNS = 0x20000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_KEPT_FLAGS = (
    (os.ST_NOSUID, MS_NOSUID),
    (os.ST_NODEV, MS_NODEV),
    (os.ST_NOEXEC, MS_NOEXEC),
    (os.ST_NOATIME, 1 << 10),
    (os.ST_NODIRATIME, 1 << 11),
    (os.ST_RELATIME, 1 << 21),
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Leave the namespaces of ``flags`` for new ones; a new process namespace is for children."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount; the OSError names the target. Paths may hold surrogate escapes."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode() or None
    )
    _check(result, f"mount of {target}")


def bind_read_only(source: str, target: str) -> None:
    """Show ``source`` at ``target``, not writable, with the restrictions that its file system has."""
    mount(source, target, flags=MS_BIND)
    seal(target)


def seal(target: str) -> None:
    """Make the mount at ``target`` read-only. In a user namespace the kernel refuses to loosen the rest."""
    found = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in _KEPT_FLAGS if found & bit)
    mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept)


def detach(target: str) -> None:
    """Take a mount and all below it out of this mount namespace."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"umount of {target}")


def pivot_into_here() -> None:
    """Make the current folder (a mount point) the root; the old root lies on top of it, at the same place."""
    _check(_libc.pivot_root(b".", b"."), "pivot_root")


def die_with_parent() -> None:
    """Have this process killed when its parent ends. A change of user takes this back: call it after."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def hide_from_tracing() -> None:
    """Keep processes of the same user from attaching to this one."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")


def allow_no_new_privileges() -> None:
    """Make setuid bits and file capabilities without effect, for good."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def empty_bounding_set() -> None:
    """Take every capability from all programs that will be executed, whoever they run as."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(_LAST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            if ctypes.get_errno() == errno.EINVAL:
                break  # the kernel knows no more of them
            _check(-1, "prctl")


def drop_capabilities() -> None:
    """Take every capability from this process."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(header, nothing), "capset")
