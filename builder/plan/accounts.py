"""/etc/passwd and /etc/group: accounts from the recipe, and those that the packages' files need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from builder.errors import ResolutionError
from builder.recipe.model import Group, Owner, User
from builder.sysroot import Node

NOBODY = 65534
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""A name that may stand in passwd(5); a package's archive could say anything, and only its numbers count."""

_Account = TypeVar("_Account", User, Group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Users and groups of one image. Names and numbers are unique."""

    users: tuple[User, ...]
    groups: tuple[Group, ...]
    uids: Mapping[str, int] = field(repr=False)
    gids: Mapping[str, int] = field(repr=False)

    def owner_ids(self, owner: Owner, *, asked_by: str) -> tuple[int, int]:
        """Numbers of an owner as written in a recipe. ResolutionError when a name has no account."""
        return (
            _number(owner.user, self.uids, f"The user {owner.user} of {asked_by}", "users"),
            _number(owner.group, self.gids, f"The group {owner.group} of {asked_by}", "groups"),
        )

    def passwd(self) -> bytes:
        """The file /etc/passwd (passwd(5)), by number."""
        lines = (
            f"{user.name}:x:{user.uid}:{self.gid_of(user)}:{user.comment}:{user.home}:{user.shell}\n"
            for user in self.users
        )
        return "".join(lines).encode()

    def group(self) -> bytes:
        """The file /etc/group (group(5)), by number."""
        return "".join(
            f"{group.name}:x:{group.gid}:{','.join(group.members)}\n" for group in self.groups
        ).encode()

    def gid_of(self, user: User) -> int:
        """The user's primary group."""
        return user.uid if user.gid is None else user.gid


def make_accounts(users: Iterable[User], groups: Iterable[Group], nodes: Iterable[Node]) -> Accounts:
    """Accounts for an image: root and nobody, the recipe's, and every owner of a packaged file.

    ResolutionError when two accounts want one name or one number, or a user joins a group that is not there.
    """
    all_users = _unique(
        "user",
        [*users, User(name="root", uid=0, gid=0, home="/root"), *_packaged_users(nodes := list(nodes))],
        [User(name="nobody", uid=NOBODY, gid=NOBODY)],
    )
    wanted = [*groups, Group(name="root", gid=0)]
    wanted += [Group(name=user.name, gid=user.uid) for user in all_users if user.gid is None]
    all_groups = _unique("group", [*wanted, *_packaged_groups(nodes)], [Group(name="nogroup", gid=NOBODY)])
    joined = _join(all_groups, all_users)
    return Accounts(
        users=tuple(sorted(all_users, key=lambda user: user.uid)),
        groups=tuple(sorted(joined, key=lambda group: group.gid)),
        uids={user.name: user.uid for user in all_users},
        gids={group.name: group.gid for group in joined},
    )


def _packaged_users(nodes: Iterable[Node]) -> list[User]:
    owners = {(node.user, node.uid) for node in nodes if node.uid and _NAME.fullmatch(node.user)}
    return [User(name=name, uid=uid, gid=uid) for name, uid in sorted(owners, key=lambda owner: owner[1])]


def _packaged_groups(nodes: Iterable[Node]) -> list[Group]:
    owners = {(node.group, node.gid) for node in nodes if node.gid and _NAME.fullmatch(node.group)}
    return [Group(name=name, gid=gid) for name, gid in sorted(owners, key=lambda owner: owner[1])]


def _account_number(account: User | Group) -> int:
    return account.uid if isinstance(account, User) else account.gid


def _unique(word: str, accounts: list[_Account], optional: list[_Account]) -> list[_Account]:
    names: dict[str, int] = {}
    numbers: dict[int, str] = {}
    kept: list[_Account] = []
    for account in accounts + [one for one in optional if not _taken(one, accounts)]:
        number = _account_number(account)
        if names.get(account.name) == number:
            continue
        if account.name in names or number in numbers:
            other = f"{numbers.get(number, account.name)} ({names.get(account.name, number)})"
            raise ResolutionError(
                f"The {word} {account.name} ({number}) and the {word} {other} exclude each other",
                hint=f"give the {word} in the recipe another name or number",
            )
        names[account.name] = number
        numbers[number] = account.name
        kept.append(account)
    return kept


def _taken(account: User | Group, accounts: Iterable[User | Group]) -> bool:
    number = _account_number(account)
    return any(other.name == account.name or _account_number(other) == number for other in accounts)


def _join(groups: list[Group], users: list[User]) -> list[Group]:
    members: dict[str, list[str]] = {group.name: list(group.members) for group in groups}
    for user in users:
        for name in user.groups:
            if name not in members:
                raise ResolutionError(
                    f"The user {user.name} joins the group {name}, which the image does not have",
                    hint=f"add [groups.{name}] with its gid to the recipe",
                )
            if user.name not in members[name]:
                members[name].append(user.name)
    return [Group(name=group.name, gid=group.gid, members=tuple(members[group.name])) for group in groups]


def _number(name: str, known: Mapping[str, int], what: str, table: str) -> int:
    if name.isdecimal():
        return int(name)
    if name not in known:
        raise ResolutionError(
            f"{what} has no account in the image", hint=f"add [{table}.{name}] with its number to the recipe"
        )
    return known[name]
