"""/etc/passwd and /etc/group: accounts from the recipe, from configured packages, and owners of their files.

Numbers, in this order: the recipe's; those that Debian or a package fixes; then, for the other names in
sorted order, the first free number from 100 + SHA-256(name) mod 900 on (within 100 to 999): a name has the
same number in every image unless another name came to that number before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from builder.errors import ResolutionError
from builder.plan.baseaccounts import BaseAccounts
from builder.recipe.model import Group, Owner, User
from builder.sources.debian.configure.model import (
    NOTHING,
    Configuration,
    ConfiguredUser,
    static_groups,
    static_users,
)
from builder.sysroot import Node

NOBODY = 65534
_FIRST, _COUNT = 100, 900
"""Debian Policy §9.2.2: 100 to 999 are for system accounts of packages."""
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
    base: BaseAccounts | None = None

    def owner_ids(self, owner: Owner, *, asked_by: str) -> tuple[int, int]:
        """Numbers of an owner as written in a recipe. ResolutionError when a name has no account."""
        return (
            _number(owner.user, self.uids, f"The user {owner.user} of {asked_by}", "users"),
            _number(owner.group, self.gids, f"The group {owner.group} of {asked_by}", "groups"),
        )

    def passwd(self) -> bytes:
        """The file /etc/passwd (passwd(5)), by number; on a base, after its own lines."""
        if self.base is not None:
            return self.base.with_users(self.users)
        lines = (
            f"{user.name}:x:{user.uid}:{self.gid_of(user)}:{user.comment}:{user.home}:{user.shell}\n"
            for user in self.users
        )
        return "".join(lines).encode()

    def group(self) -> bytes:
        """The file /etc/group (group(5)), by number; on a base, after its own lines."""
        if self.base is not None:
            return self.base.with_groups(self.groups)
        return "".join(
            f"{group.name}:x:{group.gid}:{','.join(group.members)}\n" for group in self.groups
        ).encode()

    def gid_of(self, user: User) -> int:
        """The user's primary group."""
        return user.uid if user.gid is None else user.gid


def make_accounts(  # noqa: PLR0913 (each says who is in the image)
    users: Iterable[User],
    groups: Iterable[Group],
    nodes: Iterable[Node],
    *,
    configuration: Configuration = NOTHING,
    present: frozenset[str] = frozenset(),
    asked: frozenset[str] = frozenset(),
    base: BaseAccounts | None = None,
) -> Accounts:
    """Accounts for an image: root and nobody, the recipe's, and every owner of a packaged file.

    ``configuration`` has the accounts that packages add: those of the packages in the image (``present``)
    are written, and whoever owns one of ``nodes`` or is ``asked`` for by name. Those of a ``base`` are there
    already, with the numbers that they have. ResolutionError when two
    accounts want one name or one number, or a user joins a group that is not there.
    """
    own_users, own_groups, all_nodes = list(users), list(groups), list(nodes)
    if base is not None:
        own_users, own_groups = [*base.users, *own_users], [*base.groups, *own_groups]
    added = _Added(own_users, own_groups, all_nodes, configuration)
    added.choose(present, asked)
    all_users = _unique(
        "user",
        [*own_users, User(name="root", uid=0, gid=0, home="/root"), *added.users],
        [User(name="nobody", uid=NOBODY, gid=NOBODY)] if base is None else [],
    )
    wanted = [*own_groups, Group(name="root", gid=0)]
    wanted += [Group(name=user.name, gid=user.uid) for user in all_users if user.gid is None]
    all_groups = _unique(
        "group", [*wanted, *added.groups], [Group(name="nogroup", gid=NOBODY)] if base is None else []
    )
    joined = _join(all_groups, all_users)
    return Accounts(
        users=tuple(sorted(all_users, key=lambda user: user.uid)),
        groups=tuple(sorted(joined, key=lambda group: group.gid)),
        uids={user.name: user.uid for user in all_users},
        gids={group.name: group.gid for group in joined},
        base=base,
    )


class _Added:
    """What an image gets besides the recipe's own accounts."""

    def __init__(
        self, users: list[User], groups: list[Group], nodes: list[Node], configuration: Configuration
    ) -> None:
        self._recipe_users = {user.name: user for user in users}
        self._recipe_groups = {group.name: group.gid for group in groups}
        self._recipe_groups |= {user.name: user.uid for user in users if user.gid is None}
        self._nodes = nodes
        self._users = {user.name: user for user in configuration.users}
        self._groups = {group.name: group for group in configuration.groups}
        self.users = _packaged_users(nodes)
        self.groups = _packaged_groups(nodes)

    def choose(self, present: frozenset[str], asked: frozenset[str]) -> None:
        """Find the accounts and give them numbers."""
        user_names, group_names = self._names(present, asked)
        chosen = [self._users[name] for name in sorted(user_names) if name in self._users]
        group_names |= {user.group for user in chosen if not user.group.isdecimal()}
        group_names |= {one for user in chosen for one in user.groups if self._is_group(one)}
        static = [static_users()[name] for name in sorted(user_names) if name not in self._users]
        by_number = {number: name for name, number in static_groups().items()}
        group_names |= {by_number[user.group] for user in static}
        self.users += [
            User(name=one.name, uid=one.number, gid=one.group, home=one.home, shell=one.shell)
            for one in static
            if one.name not in {user.name for user in self.users} | {"root", "nobody"}
        ]
        packaged = {group.name for group in self.groups}
        names = sorted(group_names - packaged - set(self._recipe_groups) - {"root", "nogroup"})
        self._number(chosen, names)

    def _names(self, present: frozenset[str], asked: frozenset[str]) -> tuple[set[str], set[str]]:
        """Users and groups to write: of packages in the image, of owners, and asked for."""
        users = {name for name, user in self._users.items() if user.package in present}
        groups = {name for name, group in self._groups.items() if group.package in present}
        owners = {node.user for node in self._nodes if not node.uid} | asked
        owning = {node.group for node in self._nodes if not node.gid} | asked
        users |= {name for name in owners if name in self._users or name in static_users()}
        groups |= {name for name in owning if self._is_group(name)}
        packaged = {user.name for user in self.users}
        return users - set(self._recipe_users) - packaged - {"root", "nobody"}, groups

    def _is_group(self, name: str) -> bool:
        return name in self._groups or name in static_groups()

    def _number(self, users: list[ConfiguredUser], groups: list[str]) -> None:
        fixed = {user.name: user.uid for user in users if user.uid is not None}
        fixed_groups = {name: gid for name in groups if (gid := self._fixed_gid(name)) is not None}
        taken = {*self._taken(), *fixed.values(), *fixed_groups.values()}
        free = _free_numbers(
            {user.name for user in users if user.uid is None}
            | {one for one in groups if one not in fixed_groups},
            self._preferred(fixed),
            taken,
        )
        gids = {name: fixed_groups.get(name, free.get(name, 0)) for name in groups}
        self.groups += [Group(name=name, gid=gid) for name, gid in gids.items()]
        known = {
            **{group.name: group.gid for group in self.groups},
            **self._recipe_groups,
            "nogroup": NOBODY,
            "root": 0,
        }
        for user in users:
            uid = free[user.name] if user.uid is None else user.uid
            gid = int(user.group) if user.group.isdecimal() else known[user.group]
            self.users.append(_written(user, uid, gid, known))

    def _fixed_gid(self, name: str) -> int | None:
        group = self._groups.get(name)
        return static_groups().get(name) if group is None else group.gid

    def _preferred(self, fixed: Mapping[str, int]) -> dict[str, int]:
        """Numbers that names already have on the other side: a user's group is numbered as the user."""
        return {**{user.name: user.uid for user in self.users}, **fixed, **self._recipe_groups} | {
            name: user.uid for name, user in self._recipe_users.items()
        }

    def _taken(self) -> Iterator[int]:
        yield from (user.uid for user in (*self._recipe_users.values(), *self.users))
        yield from (group.gid for group in self.groups)
        yield from self._recipe_groups.values()
        yield from static_groups().values()


def _written(user: ConfiguredUser, uid: int, gid: int, known: Mapping[str, int]) -> User:
    return User(
        name=user.name,
        uid=uid,
        gid=gid,
        home=user.home,
        shell=user.shell,
        comment=user.comment,
        groups=tuple(group for group in user.groups if group in known),
    )


def _free_numbers(names: Iterable[str], preferred: Mapping[str, int], taken: set[int]) -> dict[str, int]:
    """A number for every name, in sorted order; ResolutionError when there are none left."""
    free: dict[str, int] = {}
    used = set(taken)
    for name in sorted(names):
        if name in preferred:
            free[name] = preferred[name]
            continue
        first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _COUNT
        numbers = (_FIRST + (first + step) % _COUNT for step in range(_COUNT))
        number = next((one for one in numbers if one not in used), None)
        if number is None:
            raise ResolutionError(
                f"No number from {_FIRST} to {_FIRST + _COUNT - 1} is left for the account {name}",
                hint=f"give it one: [users.{name}] uid = …",
            )
        used.add(number)
        free[name] = number
    return free


def _packaged_users(nodes: Iterable[Node]) -> list[User]:
    owners = {(node.user, node.uid) for node in nodes if node.uid and _NAME.fullmatch(node.user)}
    return [_packaged_user(name, uid) for name, uid in sorted(owners, key=lambda owner: owner[1])]


def _packaged_user(name: str, uid: int) -> User:
    static = static_users().get(name)
    if static is not None and static.number == uid:
        return User(name=name, uid=uid, gid=static.group, home=static.home, shell=static.shell)
    return User(name=name, uid=uid, gid=uid)


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
    return [replace(group, members=tuple(members[group.name])) for group in groups]


def _number(name: str, known: Mapping[str, int], what: str, table: str) -> int:
    if name.isdecimal():
        return int(name)
    if name not in known:
        raise ResolutionError(
            f"{what} has no account in the image", hint=f"add [{table}.{name}] with its number to the recipe"
        )
    return known[name]
