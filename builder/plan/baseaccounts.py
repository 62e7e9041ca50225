"""The accounts of a base: they keep their numbers and their lines, whatever is added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from builder.recipe.model import Group, User
from builder.sysroot import Kind, Sysroot, read_content

PASSWD, GROUP = "/etc/passwd", "/etc/group"
_LARGEST = 4 << 20
_PASSWD_FIELDS, _GROUP_FIELDS = 7, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseAccounts:
    """/etc/passwd and /etc/group of a base as they are, and what stands in them, each once."""

    passwd: bytes
    group: bytes
    users: tuple[User, ...]
    groups: tuple[Group, ...]

    def with_users(self, users: Iterable[User]) -> bytes:
        """/etc/passwd with a line for each of ``users`` that is not in it."""
        known = {user.name for user in self.users}
        lines = (
            f"{user.name}:x:{user.uid}:{user.uid if user.gid is None else user.gid}:"
            f"{user.comment}:{user.home}:{user.shell}\n"
            for user in users
            if user.name not in known
        )
        return _ended(self.passwd) + "".join(lines).encode()

    def with_groups(self, groups: Iterable[Group]) -> bytes:
        """/etc/group with those of ``groups`` that are not in it, and their members in those that are."""
        wanted = {group.name: group for group in groups}
        lines = [self._with_members(line, wanted) for line in _ended(self.group).splitlines(keepends=True)]
        known = {group.name for group in self.groups}
        new = (
            f"{group.name}:x:{group.gid}:{','.join(group.members)}\n".encode()
            for group in wanted.values()
            if group.name not in known
        )
        return b"".join((*lines, *new))

    def _with_members(self, line: bytes, wanted: dict[str, Group]) -> bytes:
        fields = line.rstrip(b"\n").split(b":")
        group = wanted.get(fields[0].decode("utf-8", "surrogateescape"))
        if group is None or len(fields) != _GROUP_FIELDS:
            return line
        members = [one for one in fields[3].decode("utf-8", "surrogateescape").split(",") if one]
        more = [one for one in group.members if one not in members]
        if not more:
            return line
        return (
            b":".join((*fields[:3], ",".join([*members, *more]).encode("utf-8", "surrogateescape"))) + b"\n"
        )


def read_accounts(base: Sysroot) -> BaseAccounts | None:
    """The accounts of a base; None when it has no /etc/passwd. Lines that are none are left as they are."""
    passwd, group = _bytes(base, PASSWD), _bytes(base, GROUP)
    if passwd is None:
        return None
    return BaseAccounts(
        passwd=passwd,
        group=group or b"",
        users=tuple(_once(_users(passwd))),
        groups=tuple(_groups_once(_groups(group or b""))),
    )


def _bytes(base: Sysroot, path: str) -> bytes | None:
    node = base.lookup(path).node
    if node is None or node.kind is not Kind.FILE or node.content is None or node.content.size > _LARGEST:
        return None
    return read_content(node.content)


def _fields(text: bytes, count: int) -> Iterator[list[str]]:
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) == count and fields[0] and fields[2].isdecimal():
            yield fields


def _users(passwd: bytes) -> Iterator[User]:
    for name, _, uid, gid, comment, home, shell in _fields(passwd, _PASSWD_FIELDS):
        if gid.isdecimal():
            yield User(name=name, uid=int(uid), gid=int(gid), comment=comment, home=home, shell=shell)


def _groups(group: bytes) -> Iterator[Group]:
    for name, _, gid, members in _fields(group, _GROUP_FIELDS):
        yield Group(name=name, gid=int(gid), members=tuple(one for one in members.split(",") if one))


def _once(users: Iterable[User]) -> Iterator[User]:
    names: set[str] = set()
    numbers: set[int] = set()
    for user in users:
        if user.name not in names and user.uid not in numbers:
            names.add(user.name)
            numbers.add(user.uid)
            yield replace(user, groups=())


def _groups_once(groups: Iterable[Group]) -> Iterator[Group]:
    names: set[str] = set()
    numbers: set[int] = set()
    for group in groups:
        if group.name not in names and group.gid not in numbers:
            names.add(group.name)
            numbers.add(group.gid)
            yield group


def _ended(text: bytes) -> bytes:
    return text + b"\n" if text and not text.endswith(b"\n") else text
