"""Values of a configuration: what maintainer scripts, sysusers.d and tmpfiles.d would add to a fresh root."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.sysroot import Node

NOLOGIN = "/usr/sbin/nologin"
NO_HOME = "/nonexistent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredUser:
    """A user that a package adds. ``uid`` None: any free number.

    ``group`` names the primary group (a number as text where only that is known); ``groups`` are more.
    """

    name: str
    uid: int | None = None
    group: str
    home: str = NO_HOME
    shell: str = NOLOGIN
    comment: str = ""
    groups: tuple[str, ...] = ()
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredGroup:
    """A group that a package adds. ``gid`` None: any free number."""

    name: str
    gid: int | None = None
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A path that configuring ``package`` makes or changes; ``detail`` says by what ("chown redis").

    ``node`` names its owners in ``user`` and ``group`` (their numbers are not known yet) and keeps the
    package that ships the path, or the one that makes it. ``changed``: only mode or owner differ from what is
    shipped.
    """

    node: Node
    package: str
    detail: str
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A folder or link that configuring ``package`` would make too (by ``detail``): another one has it."""

    path: str
    package: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversion:
    """``dpkg-divert``: what any package but ``package`` ships at ``path`` goes to ``to`` instead."""

    package: str
    path: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptReport:
    """One maintainer script (or settings file) as it was read.

    ``recognised``: sentences about what it does; ``not_made``: what it would generate and the image lacks;
    ``unrecognised``: line number (from 1) and text of each command that was not understood.
    """

    package: str
    script: str
    recognised: tuple[str, ...] = ()
    not_made: tuple[str, ...] = ()
    unrecognised: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What all packages together come to on a fresh root.

    ``made`` is to be laid over the tree; ``contents`` has the bytes of its files without ``content``.
    ``asked`` are folders and links of other packages; ``removed``: paths of packages that are taken away.
    ``speakers``: user or group that configuring adds → packages whose scripts, settings or units name it.
    Scripts without a finding are left out.
    """

    made: tuple[Made, ...] = ()
    asked: tuple[Asked, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    users: tuple[ConfiguredUser, ...] = ()
    groups: tuple[ConfiguredGroup, ...] = ()
    speakers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scripts: tuple[ScriptReport, ...] = ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What is laid over the tree."""
        return tuple(one.node for one in self.made)


NOTHING = Configuration()
"""No package was configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticAccount:
    """An account or group with a number that Debian fixes (Debian Policy §9.2.2, base-passwd)."""

    name: str
    number: int
    group: int = 0
    home: str = ""
    shell: str = NOLOGIN


_USERS = """
root 0 0 /root /bin/bash
daemon 1 1 /usr/sbin
bin 2 2 /bin
sys 3 3 /dev
sync 4 65534 /bin /bin/sync
games 5 60 /usr/games
man 6 12 /var/cache/man
lp 7 7 /var/spool/lpd
mail 8 8 /var/mail
news 9 9 /var/spool/news
uucp 10 10 /var/spool/uucp
proxy 13 13 /bin
www-data 33 33 /var/www
backup 34 34 /var/backups
list 38 38 /var/list
irc 39 39 /run/ircd
_apt 42 65534 /nonexistent
nobody 65534 65534 /nonexistent
"""

_GROUPS = """
root 0 daemon 1 bin 2 sys 3 adm 4 tty 5 disk 6 lp 7 mail 8 news 9 uucp 10 man 12 proxy 13 kmem 15 dialout 20
fax 21 voice 22 cdrom 24 floppy 25 tape 26 sudo 27 audio 29 dip 30 www-data 33 backup 34 operator 37 list 38
irc 39 src 40 shadow 42 utmp 43 video 44 sasl 45 plugdev 46 staff 50 games 60 users 100 nogroup 65534
"""


@functools.cache
def static_users() -> Mapping[str, StaticAccount]:
    """Users that every Debian system has."""
    rows = (line.split() for line in _USERS.strip().splitlines())
    return {
        row[0]: StaticAccount(
            name=row[0], number=int(row[1]), group=int(row[2]), home=row[3], shell="".join(row[4:]) or NOLOGIN
        )
        for row in rows
    }


@functools.cache
def static_groups() -> Mapping[str, int]:
    """Groups that every Debian system has, with their numbers."""
    words = _GROUPS.split()
    return {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}
