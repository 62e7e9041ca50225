"""/etc/passwd and /etc/group: who is in them, and which wishes exclude each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import ResolutionError
from builder.plan.accounts import NOBODY, make_accounts
from builder.recipe.model import Group, Owner, User
from builder.sources.debian.configure.model import Configuration, ConfiguredGroup, ConfiguredUser
from builder.sysroot import Kind, Node

ROOT = "root:x:0:0::/root:/usr/sbin/nologin\n"
LAST = "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"


def owned(user: str = "", uid: int = 0, group: str = "", gid: int = 0) -> Node:
    return Node(path="/x", kind=Kind.FILE, mode=0o644, user=user, uid=uid, group=group, gid=gid, package="p")


def test_every_image_has_root_and_nobody() -> None:
    accounts = make_accounts((), (), ())
    assert accounts.passwd().decode() == ROOT + LAST
    assert accounts.group() == b"root:x:0:\nnogroup:x:65534:\n"


def test_a_user_brings_a_group_and_joins_others() -> None:
    users = [User(name="app", uid=7, groups=("adm", "app")), User(name="bob", uid=8, gid=4)]
    groups = [Group(name="adm", gid=4, members=("bob", "app"))]
    accounts = make_accounts(users, groups, ())
    assert accounts.group() == b"root:x:0:\nadm:x:4:bob,app\napp:x:7:app\nnogroup:x:65534:\n"
    assert "bob:x:8:4:" in accounts.passwd().decode()
    assert accounts.owner_ids(Owner(user="bob", group="adm"), asked_by="t") == (8, 4)
    assert accounts.owner_ids(Owner(user="0", group="123"), asked_by="t") == (0, 123)


def test_the_recipes_own_root_is_taken_as_it_is_written() -> None:
    root = User(name="root", uid=0, home="/home/root", shell="/bin/sh", comment="me")  # noqa: S604 (a login shell)
    accounts = make_accounts([root], [Group(name="root", gid=0, members=("app",))], ())
    assert accounts.passwd().decode() == "root:x:0:0:me:/home/root:/bin/sh\n" + LAST
    assert accounts.group().startswith(b"root:x:0:app\n")


@pytest.mark.parametrize(
    "user", [User(name="nobody", uid=99), User(name="none", uid=NOBODY)], ids=["by name", "by number"]
)
def test_the_recipes_own_nobody_takes_the_place_of_ours(user: User) -> None:
    accounts = make_accounts([user], (), ())
    assert [one.name for one in accounts.users] == ["root", user.name]


def test_owners_of_packaged_files_get_accounts() -> None:
    nodes = [owned("redis", 101, "adm", 4), owned("redis", 101), owned("root", 0), owned("", 5, "", 6)]
    accounts = make_accounts((), (), nodes)
    assert [(user.name, user.uid) for user in accounts.users] == [
        ("root", 0),
        ("redis", 101),
        ("nobody", NOBODY),
    ]
    assert [(group.name, group.gid) for group in accounts.groups] == [
        ("root", 0),
        ("adm", 4),
        ("nogroup", NOBODY),
    ]


def test_a_packaged_owner_that_the_recipe_knows_too_is_one_account() -> None:
    user = User(name="redis", uid=101, home="/var/lib/redis")
    accounts = make_accounts([user], (), [owned("redis", 101, "redis", 101)])
    assert accounts.users[1] == user


CONFLICTS: dict[str, tuple[list[User], list[Group], list[Node], str]] = {
    "two users with one number": (
        [User(name="a", uid=5), User(name="b", uid=5)],
        [],
        [],
        r"user b \(5\) and the user a \(5\)",
    ),
    "one user with two numbers": (
        [User(name="a", uid=5), User(name="a", uid=6)],
        [],
        [],
        r"user a \(6\) and the user a \(5\)",
    ),
    "another root": ([User(name="toor", uid=0)], [], [], r"user root \(0\) and the user toor \(0\)"),
    "root with another number": (
        [User(name="root", uid=1)],
        [],
        [],
        r"user root \(0\) and the user root \(1\)",
    ),
    "two groups with one number": (
        [],
        [Group(name="a", gid=5), Group(name="b", gid=5)],
        [],
        r"group b \(5\) and the group a \(5\)",
    ),
    "a user's own group against one of the recipe": (
        [User(name="app", uid=5)],
        [Group(name="shop", gid=5)],
        [],
        r"group app \(5\) and the group shop \(5\)",
    ),
    "the recipe against a package": (
        [User(name="app", uid=101)],
        [],
        [owned("redis", 101)],
        r"user redis \(101\) and the user app \(101\)",
    ),
    "a package that says root is somebody": ([], [], [owned("root", 7)], r"user root \(7\)"),
    "a user that joins a group that is not there": (
        [User(name="a", uid=5, groups=("wheel",))],
        [],
        [],
        "joins the group wheel",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_accounts_that_exclude_each_other(case: str) -> None:
    users, groups, nodes, words = CONFLICTS[case]
    with pytest.raises(ResolutionError, match=words) as caught:
        make_accounts(users, groups, nodes)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["evil:x:0:0::/:/bin/sh\nfoo", "a:b", "a b", "a\0", "", "-a", "é", "\udcff"])
def test_an_owner_whose_name_is_none_gets_no_line_of_its_own(text: str) -> None:
    accounts = make_accounts((), (), [owned(text, 7, text, 7)])
    assert accounts.passwd().decode() == ROOT + LAST
    assert accounts.group() == b"root:x:0:\nnogroup:x:65534:\n"


def test_a_name_without_an_account_is_an_error_with_the_key_that_mends_it() -> None:
    with pytest.raises(ResolutionError, match="The group shop of /etc/x has no account") as caught:
        make_accounts((), (), ()).owner_ids(Owner(user="root", group="shop"), asked_by="/etc/x")
    assert "[groups.shop]" in str(caught.value.hint)


def adds(
    *users: ConfiguredUser, groups: tuple[str, ...] = (), package: str = "p", gid: int | None = None
) -> Configuration:
    names = (*groups, *(user.group for user in users if user.group == user.name))
    return Configuration(
        users=users,
        groups=tuple(ConfiguredGroup(name=name, gid=gid, package=package) for name in names),
    )


REDIS = ConfiguredUser(name="redis", group="redis", home="/var/lib/redis", comment="R", package="p")
PRESENT = frozenset({"p"})


def test_users_of_packages_in_the_image_are_written_with_a_number_of_their_name() -> None:
    accounts = make_accounts((), (), (), configuration=adds(REDIS), present=PRESENT)
    assert accounts.passwd().decode() == ROOT + "redis:x:857:857:R:/var/lib/redis:/usr/sbin/nologin\n" + LAST
    assert accounts.group() == b"root:x:0:\nredis:x:857:\nnogroup:x:65534:\n"


def test_users_of_other_packages_are_written_when_asked_for_or_owning() -> None:
    def names(*nodes: Node, asked: frozenset[str] = frozenset()) -> list[str]:
        accounts = make_accounts((), (), nodes, configuration=adds(REDIS), asked=asked)
        return [user.name for user in accounts.users]

    assert names() == ["root", "nobody"]
    assert names(asked=frozenset({"redis"})) == ["root", "redis", "nobody"]
    assert names(owned("redis")) == ["root", "redis", "nobody"]
    assert names(owned("", 0, "redis")) == ["root", "nobody"]


def test_numbers_do_not_depend_on_other_names_unless_they_meet() -> None:
    users = [replace(REDIS, name=f"u{number}", group=f"u{number}") for number in range(40)]
    alone = {
        user.name: make_accounts((), (), (), configuration=adds(user), present=PRESENT).uids[user.name]
        for user in users
    }
    together = make_accounts((), (), (), configuration=adds(*users), present=PRESENT)
    moved = [name for name, uid in together.uids.items() if alone.get(name, uid) != uid]
    assert len(moved) <= len(alone) - len(set(alone.values()))
    assert len(set(together.uids.values())) == len(together.uids)
    assert all(together.gids[name] == uid for name, uid in together.uids.items() if name != "nobody")
    again = make_accounts((), (), (), configuration=adds(*reversed(users)), present=PRESENT)
    assert (again.uids, again.gids) == (together.uids, together.gids)


def test_the_recipes_own_accounts_win_by_name_and_their_numbers_are_free_for_nobody_else() -> None:
    own = User(name="redis", uid=999, home="/data")
    accounts = make_accounts([own], (), (), configuration=adds(REDIS), present=PRESENT)
    assert accounts.uids["redis"] == accounts.gids["redis"] == 999
    assert accounts.users[1] == own
    taken = make_accounts([User(name="app", uid=857)], (), (), configuration=adds(REDIS), present=PRESENT)
    assert (taken.uids["redis"], taken.gids["redis"]) == (858, 858)
    group = make_accounts((), [Group(name="redis", gid=70)], (), configuration=adds(REDIS), present=PRESENT)
    assert (group.gids["redis"], group.uids["redis"]) == (70, 70)


def test_fixed_numbers_and_groups_of_debian() -> None:
    user = replace(REDIS, uid=600, group="adm", groups=("mail", "lost", "extra"))
    accounts = make_accounts(
        (), (), (), configuration=adds(user, groups=("extra",), gid=700), present=PRESENT
    )
    assert "redis:x:600:4:" in accounts.passwd().decode()
    assert accounts.group() == b"root:x:0:\nadm:x:4:\nmail:x:8:redis\nextra:x:700:redis\nnogroup:x:65534:\n"


def test_static_accounts_are_known_when_something_names_them() -> None:
    accounts = make_accounts((), (), (), asked=frozenset({"www-data"}))
    assert "www-data:x:33:33::/var/www:/usr/sbin/nologin\n" in accounts.passwd().decode()
    assert "www-data:x:33:\n" in accounts.group().decode()
    packaged = make_accounts((), (), [owned("man", 6, "man", 12)])
    assert "man:x:6:12::/var/cache/man:" in packaged.passwd().decode()
    assert packaged.gids["man"] == 12


def test_when_no_number_is_left_it_is_said() -> None:
    users = [replace(REDIS, name=f"u{number}", group="nogroup") for number in range(901)]
    with pytest.raises(ResolutionError, match="No number from 100 to 999 is left"):
        make_accounts((), (), (), configuration=adds(*users), present=PRESENT)


NAMES = st.sampled_from(["root", "a", "b", "c", "nobody", "nogroup"])
IDS = st.sampled_from([0, 1, 2, 3, NOBODY])
USERS = st.builds(
    User, name=NAMES, uid=IDS, gid=st.none() | IDS, groups=st.lists(NAMES, max_size=2).map(tuple)
)
GROUPS = st.builds(Group, name=NAMES, gid=IDS, members=st.lists(NAMES, max_size=2).map(tuple))
NODES = st.builds(owned, NAMES, IDS, NAMES, IDS)


@given(st.lists(USERS, max_size=3), st.lists(GROUPS, max_size=3), st.lists(NODES, max_size=3))
def test_names_and_numbers_are_unique(users: list[User], groups: list[Group], nodes: list[Node]) -> None:
    try:
        accounts = make_accounts(users, groups, nodes)
    except ResolutionError:
        return
    lines = accounts.passwd().decode().splitlines()
    assert (
        len({line.split(":")[0] for line in lines})
        == len({line.split(":")[2] for line in lines})
        == len(lines)
    )
    lines = accounts.group().decode().splitlines()
    assert (
        len({line.split(":")[0] for line in lines})
        == len({line.split(":")[2] for line in lines})
        == len(lines)
    )
    assert {user.name for user in users} <= {user.name for user in accounts.users}
    assert all(accounts.uids[user.name] == user.uid for user in users)
