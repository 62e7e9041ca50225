"""sysusers.d(5): users and groups that packages declare."""

from __future__ import annotations

import re
import shlex

from builder.sources.debian.configure.model import NOLOGIN, ConfiguredUser
from builder.sources.debian.configure.people import add_group, add_user, join
from builder.sources.debian.configure.shell import Shell

FOLDER = "/usr/lib/sysusers.d"
_SPECIFIERS = {"%%": "%", "%t": "/run", "%S": "/var/lib", "%C": "/var/cache", "%L": "/var/log"}
_SPECIFIER = re.compile("%.")
_TYPE = re.compile(r"([ugmr])!?")


def apply_sysusers(shell: Shell, text: str) -> None:
    """Do what one file says; ``shell`` has the package and takes the report by line of ``text``.

    Groups come before users and members after both, as systemd-sysusers sorts them.
    """
    rows = [(number, _words(row)) for number, row in enumerate(text.split("\n"), 1)]
    for kind in "gum":
        for number, words in rows:
            if words and words[0][:1] == kind:
                shell.line = number
                _apply(shell, words[0][0], words[1:])
    for number, words in rows:
        if words is None or (words and not _TYPE.fullmatch(words[0])):
            shell.unclear(number)


def _words(row: str) -> list[str] | None:
    """Fields of a line; empty for a comment, None for what is none."""
    if not row.strip() or row.lstrip().startswith("#"):
        return []
    try:
        words = shlex.split(row)
    except ValueError:
        return None
    expanded = [_SPECIFIER.sub(lambda match: _SPECIFIERS.get(match[0], "\n"), word) for word in words]
    return None if any("\n" in word for word in expanded) else expanded


def _apply(shell: Shell, kind: str, words: list[str]) -> None:
    name, number, comment, home, login, *_ = [*words, *["-"] * 5]
    if kind == "g":
        add_group(shell, name, number)
    elif kind == "m":
        if not shell.system.has_group(number):
            add_group(shell, number)
        join(shell, name, [number])
    else:
        uid, colon, group = number.partition(":")
        own = not colon
        if own and uid.isdecimal():
            add_group(shell, name, uid)
        user = ConfiguredUser(
            name=name,
            uid=int(uid) if uid.isdecimal() and len(uid) < 10 else None,  # noqa: PLR2004 (fits 32 bits)
            group=group or name,
            home="/" if home == "-" else home,
            shell=NOLOGIN if login == "-" else login,
            comment="" if comment == "-" else comment,
            package=shell.package,
        )
        add_user(shell, user, own_group=own)
