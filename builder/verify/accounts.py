"""Who a container runs as: the image's user looked up in its own passwd and group, as engines do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_ID = 2**32 - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Numbers of a user. ``groups`` are the supplementary ones; ``home`` is "/" where nothing is known."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def identity(user: str, passwd: bytes, group: bytes) -> Identity:
    """Look up ``user`` or ``user:group``, names or numbers; "" is root.

    A number needs no account; its group is then 0. ValueError, in words, for a name without account.
    """
    name, colon, group_name = (user or "0").partition(":")
    row = next((row for row in _rows(passwd, 7) if name in (row[0], row[2])), None)
    if row is None and not name.isdecimal():
        raise ValueError(f"the user {name} is not in the image's /etc/passwd")
    uid, gid = (_number(name), 0) if row is None else (_number(row[2]), _number(row[3]))
    groups: tuple[int, ...] = ()
    if colon:
        gid = _group(group_name, group)
    elif row is not None:
        groups = tuple(_supplementary(row[0], group))
    return Identity(uid=uid, gid=gid, groups=groups, home=(row[5] if row is not None else "") or "/")


def _rows(file: bytes, fields: int) -> Iterator[list[str]]:
    for line in file.decode(errors="replace").splitlines():
        row = line.split(":")
        if len(row) >= fields:
            yield row


def _group(name: str, group: bytes) -> int:
    row = next((row for row in _rows(group, 4) if name in (row[0], row[2])), None)
    if row is None and not name.isdecimal():
        raise ValueError(f"the group {name} is not in the image's /etc/group")
    return _number(name if row is None else row[2])


def _supplementary(name: str, group: bytes) -> Iterator[int]:
    for row in _rows(group, 4):
        if name in row[3].split(","):
            yield _number(row[2])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text[:11]) > MAX_ID:
        raise ValueError(f"{text[:40]!a} is no number of an account")
    return int(text)
