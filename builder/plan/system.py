"""What every image has besides its packages: accounts, name service, folders that programs expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from builder.oci import ImageConfig
from builder.plan.accounts import Accounts
from builder.plan.model import Entry
from builder.reason import Reason, ReasonKind
from builder.recipe.model import User
from builder.sysroot import Kind

_NSSWITCH = b"""passwd: files
group: files
shadow: files
gshadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
"""

_FOLDERS = (
    ("/dev", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/run/lock", 0o1777),
    ("/sys", 0o555),
    ("/tmp", 0o1777),  # noqa: S108 (a path inside the image)
    ("/var/tmp", 0o1777),  # noqa: S108 (as above)
)
_LINKS = (("/var/lock", "/run/lock"), ("/var/run", "/run"))
"""Debian makes these when a system is installed, not in a package."""


def system_entries(accounts: Accounts, *, nsswitch: bool) -> Iterator[Entry]:
    """Accounts and standard folders; ``nsswitch`` says whether the C library reads nsswitch.conf."""
    yield _file("/etc/passwd", accounts.passwd(), Reason(ReasonKind.ACCOUNTS))
    yield _file("/etc/group", accounts.group(), Reason(ReasonKind.ACCOUNTS))
    if nsswitch:
        yield _file("/etc/nsswitch.conf", _NSSWITCH, Reason(ReasonKind.SYSTEM, "name service"))
    for path, mode in _FOLDERS:
        yield Entry(path=path, kind=Kind.DIRECTORY, mode=mode, reason=Reason(ReasonKind.SYSTEM, path))
    for path, target in _LINKS:
        reason = Reason(ReasonKind.SYSTEM, path)
        yield Entry(path=path, kind=Kind.SYMLINK, mode=0o777, target=target, reason=reason)


def start_folders(config: ImageConfig, users: Iterable[User], accounts: Accounts) -> Iterator[Entry]:
    """Folders that the configuration names: work folder, volumes, homes of the recipe's users."""
    for key, path in (("workdir", config.workdir), *(("volumes", volume) for volume in config.volumes)):
        if path not in ("", "/"):
            yield Entry(path=path, kind=Kind.DIRECTORY, mode=0o755, reason=Reason(ReasonKind.RECIPE, key))
    for user in users:
        if user.home not in ("/", "/nonexistent"):
            yield Entry(
                path=user.home,
                kind=Kind.DIRECTORY,
                mode=0o755,
                uid=user.uid,
                gid=accounts.gid_of(user),
                reason=Reason(ReasonKind.RECIPE, f"users.{user.name}.home"),
            )


def missing_parents(entries: Mapping[str, Entry]) -> list[Entry]:
    """Folders above ``entries`` that nothing else brings."""
    made: dict[str, Entry] = {}
    for path in entries:
        parent = path.rpartition("/")[0]
        while parent and parent not in entries and parent not in made:
            reason = Reason(ReasonKind.PARENT, path)
            made[parent] = Entry(path=parent, kind=Kind.DIRECTORY, mode=0o755, reason=reason)
            parent = parent.rpartition("/")[0]
    return list(made.values())


def _file(path: str, content: bytes, reason: Reason) -> Entry:
    return Entry(path=path, kind=Kind.FILE, mode=0o644, content=content, reason=reason)
