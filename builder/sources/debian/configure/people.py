"""Commands that add users and groups: adduser(8), useradd(8) and their like."""

from __future__ import annotations

import re
from dataclasses import replace

from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.files import make_folder, understood
from builder.sources.debian.configure.model import NO_HOME, NOLOGIN, ConfiguredGroup, ConfiguredUser
from builder.sources.debian.configure.modes import with_owner
from builder.sources.debian.configure.options import Arguments, read_arguments
from builder.sources.debian.configure.shell import Handler, Shell

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""A name that may stand in passwd(5)."""
_ADDUSER_VALUES = (
    *(
        "home",
        "shell",
        "gecos",
        "comment",
        "ingroup",
        "uid",
        "gid",
        "firstuid",
        "lastuid",
        "firstgid",
        "lastgid",
    ),
    *("conf", "c"),
)
_USERADD_VALUES = (
    *(
        "b",
        "base-dir",
        "c",
        "comment",
        "d",
        "home-dir",
        "e",
        "expiredate",
        "f",
        "inactive",
        "g",
        "gid",
        "G",
        "groups",
    ),
    *("k", "skel", "K", "key", "p", "password", "R", "root", "P", "prefix", "s", "shell", "u", "uid", "Z"),
)


def add_group(shell: Shell, name: str, number: str = "") -> Verdict:
    """Add a group unless it is there; False, and a report, for what is no name."""
    if not NAME.fullmatch(name):
        shell.unclear()
        return False
    shell.system.mention(shell.package, name)
    if not shell.system.has_group(name):
        gid = int(number) if number.isdecimal() and len(number) < 10 else None  # noqa: PLR2004 (fits 32 bits)
        shell.system.groups[name] = ConfiguredGroup(name=name, gid=gid, package=shell.package)
        shell.say(f"adds the group {name}")
    return True


def add_user(shell: Shell, user: ConfiguredUser, *, own_group: bool = False) -> Verdict:
    """Add a user unless it is there."""
    text = f"{user.home}{user.shell}{user.comment}"
    if not NAME.fullmatch(user.name) or "\n" in text or ":" in text:
        shell.unclear()
        return False
    shell.system.mention(shell.package, user.name)
    if shell.system.has_user(user.name):
        return True
    if own_group:
        add_group(shell, user.name)
    elif not user.group.isdecimal() and not shell.system.has_group(user.group):
        shell.unclear()
        return False
    shell.system.users[user.name] = user
    shell.say(f"adds the user {user.name}")
    return True


def join(shell: Shell, user: str, groups: list[str]) -> Verdict:
    """Make a user a member of groups; those that are not there are left out."""
    known = [group for group in groups if shell.system.has_group(group)]
    if user not in shell.system.users or len(known) < len(groups):
        if not shell.system.has_user(user) or len(known) < len(groups):
            shell.unclear()
            return False
        shell.unclear()  # a member that Debian itself defines: its account is not written anew
        return None
    shell.system.mention(shell.package, user, *known)
    present = shell.system.users[user]
    more = tuple(group for group in dict.fromkeys((*present.groups, *known)) if group != present.group)
    shell.system.users[user] = replace(present, groups=more)
    shell.say(f"makes {user} a member of {', '.join(known)}")
    return True


def _adduser(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, _ADDUSER_VALUES)
    if not understood(shell, arguments):
        return None
    if len(read.operands) == 2:  # noqa: PLR2004 (user and group)
        return join(shell, read.operands[0], [read.operands[1]])
    if len(read.operands) != 1 or not read.has("system"):
        shell.unclear()
        return None
    (name,) = read.operands
    known = shell.system.has_user(name)
    own = read.has("group") and not read.has("ingroup", "gid")
    user = ConfiguredUser(
        name=name,
        uid=_number(read.value("uid")),
        group=name if own else _group_of(shell, read),
        home=read.value("home", default=NO_HOME),
        shell=read.value("shell", default=NOLOGIN),
        comment=read.value("gecos", "comment").rstrip(","),
        package=shell.package,
    )
    added = add_user(shell, user, own_group=own)
    if added and not known and user.home != NO_HOME and not read.has("no-create-home"):
        _make_home(shell, user)
    return added


def _make_home(shell: Shell, user: ConfiguredUser) -> None:
    if shell.system.find(user.home) is not None or not shell.system.knows(user.home):
        return
    make_folder(shell, user.home, f"adduser {user.name}")
    node = shell.system.find(user.home)
    if node is not None:
        owned = with_owner(node, user.name, user.group)
        shell.system.change(owned, package=shell.package, detail=f"adduser {user.name}")


def _group_of(shell: Shell, read: Arguments) -> str:
    """``--ingroup NAME`` or ``--gid NUMBER``; else nogroup, adduser's default for system users."""
    number = read.value("gid")
    named = (group.name for group in shell.system.groups.values() if str(group.gid) == number)
    return read.value("ingroup") or (next(named, number) if number else "nogroup")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 (fits 32 bits)


def _addgroup(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, _ADDUSER_VALUES)
    if not understood(shell, arguments):
        return None
    if len(read.operands) == 2:  # noqa: PLR2004 (user and group)
        return join(shell, read.operands[0], [read.operands[1]])
    if len(read.operands) != 1:
        shell.unclear()
        return None
    return add_group(shell, read.operands[0], read.value("gid"))


def _useradd(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, _USERADD_VALUES)
    if not understood(shell, arguments) or len(read.operands) != 1:
        shell.unclear()
        return None
    (name,) = read.operands
    group = read.value("g", "gid")
    own = not group and not read.has("N", "no-user-group")
    user = ConfiguredUser(
        name=name,
        uid=_number(read.value("u", "uid")),
        group=group or (name if own else "users"),
        home=read.value("d", "home-dir", "home", default=f"/home/{name}"),
        shell=read.value("s", "shell", default="/bin/sh"),
        comment=read.value("c", "comment"),
        package=shell.package,
    )
    added = add_user(shell, user, own_group=own)
    groups = [one for one in read.value("G", "groups").split(",") if one]
    if added and groups:
        join(shell, name, groups)
    if added and read.has("m", "create-home"):
        _make_home(shell, user)
    return added


def _groupadd(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("g", "gid", "K", "key", "p", "password", "R", "root", "P", "prefix"))
    if not understood(shell, arguments) or len(read.operands) != 1:
        shell.unclear()
        return None
    return add_group(shell, read.operands[0], read.value("g", "gid"))


def _usermod(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, (*_USERADD_VALUES, "home", "l", "login"))
    if not understood(shell, arguments) or len(read.operands) != 1:
        shell.unclear()
        return None
    (name,) = read.operands
    user = shell.system.users.get(name)
    if read.has("G", "groups") and read.has("a", "append"):
        return join(shell, name, [one for one in read.value("G", "groups").split(",") if one])
    if user is None or not set(read.options) <= {"d", "home", "s", "shell", "c", "comment", "g", "gid"}:
        shell.unclear()
        return None
    changed = replace(
        user,
        home=read.value("d", "home", default=user.home),
        shell=read.value("s", "shell", default=user.shell),
        comment=read.value("c", "comment", default=user.comment),
        group=read.value("g", "gid", default=user.group),
    )
    del shell.system.users[name]
    return add_user(shell, changed)


def _gpasswd(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("a", "add", "d", "delete"))
    if not understood(shell, arguments) or len(read.operands) != 1 or not read.has("a", "add"):
        shell.unclear()
        return None
    return join(shell, read.value("a", "add"), [read.operands[0]])


PEOPLE_COMMANDS: dict[str, Handler] = {
    "adduser": _adduser,
    "addgroup": _addgroup,
    "useradd": _useradd,
    "groupadd": _groupadd,
    "usermod": _usermod,
    "gpasswd": _gpasswd,
}
