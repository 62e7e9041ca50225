"""What keeps a machine from running tests in a sandbox, and the line that mends it."""

from __future__ import annotations

import errno
import re
from pathlib import Path

PROC = Path("/proc")

_NEEDED = (0, 1, 3, 6, 7, 8, 12, 21)
"""CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID, SETPCAP, NET_ADMIN, SYS_ADMIN (capabilities(7))."""
_ALL_USERS = 65536
_UNTESTED = "--no-test builds it untested"


def may_use_real_users(proc: Path = PROC) -> bool:
    """Say whether this process may become any user of an image and make namespaces: root, as a rule."""
    try:
        status = (proc / "self/status").read_text(encoding="utf-8", errors="replace")
        rows = (proc / "self/uid_map").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    held = int(found[1], 16) if found else 0
    users = sum(int(row.split()[2]) for row in rows)
    return all(held >> number & 1 for number in _NEEDED) and users >= _ALL_USERS


def mend(number: int, *, privileged: bool, proc: Path = PROC) -> str:
    """Give the hint for the errno ``number`` with which the kernel refused the sandbox."""
    if number == errno.ENOSPC and not privileged:
        return _sysctl("user.max_user_namespaces=15000", "allows no user namespaces")
    if not privileged and _read(proc, "user/max_user_namespaces") == "0":
        return _sysctl("user.max_user_namespaces=15000", "allows no user namespaces")
    if not privileged and _read(proc, "kernel/unprivileged_userns_clone") == "0":
        return _sysctl("kernel.unprivileged_userns_clone=1", "allows only root to make user namespaces")
    if not privileged and _read(proc, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return _sysctl(
            "kernel.apparmor_restrict_unprivileged_userns=0", "restricts user namespaces by AppArmor"
        )
    if number in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        return (
            "this looks like a container that forbids namespaces: start it with --privileged, or with "
            "--cap-add=SYS_ADMIN,NET_ADMIN --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined "
            f"and (Podman) --security-opt unmask=ALL or (Docker) systempaths=unconfined; {_UNTESTED}"
        )
    return f"see whether `unshare --user --map-root-user --net --pid --fork true` works; {_UNTESTED}"


def _sysctl(setting: str, why: str) -> str:
    return f"this kernel {why}: sudo sysctl -w {setting}; {_UNTESTED}"


def _read(proc: Path, name: str) -> str:
    try:
        return (proc / "sys" / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
