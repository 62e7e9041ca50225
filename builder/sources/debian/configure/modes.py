"""Modes and owners as chmod(1) and chown(1) write them."""

from __future__ import annotations

import re
from dataclasses import replace

from builder.sysroot import Kind, Node

_OCTAL = re.compile(r"[0-7]{1,5}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*)")
_READ, _WRITE, _EXECUTE = 4, 2, 1
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SET_IDS = {"u": 0o4000, "g": 0o2000, "o": 0}
_STICKY = 0o1000
ALL_BITS = 0o7777


def new_mode(text: str, node: Node) -> int | None:
    """The mode of ``node`` after ``chmod text``; None when that is not understood."""
    if _OCTAL.fullmatch(text):
        number = int(text, 8) & ALL_BITS
        keeps = node.kind is Kind.DIRECTORY and len(text) < 5  # noqa: PLR2004 (chmod(1): such modes keep setgid of folders)
        return number | (node.mode & 0o6000) if keeps else number
    mode = node.mode
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            return None
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        for action in _ACTION.finditer(match[2]):
            mode = _apply(mode, who, action[1], action[2], folder=node.kind is Kind.DIRECTORY)
    return mode


def _apply(mode: int, who: str, operator: str, letters: str, *, folder: bool) -> int:
    bits = 0
    execute = "x" in letters or ("X" in letters and (folder or mode & 0o111))
    each = (_READ * ("r" in letters)) | (_WRITE * ("w" in letters)) | (_EXECUTE * bool(execute))
    mask = 0
    for one in who:
        bits |= each << _SHIFTS[one]
        mask |= 7 << _SHIFTS[one]
        bits |= _SET_IDS[one] if "s" in letters else 0
    bits |= _STICKY if "t" in letters else 0
    if operator == "-":
        return mode & ~bits
    return (mode & ~mask if operator == "=" else mode) | bits


def with_owner(node: Node, user: str | None, group: str | None) -> Node:
    """``node`` with other owners, by name; None keeps one. Programs lose set-id bits, as in chown(2)."""
    present_user = node.user or str(node.uid)
    present_group = node.group or str(node.gid)
    mode = node.mode & ~0o6000 if node.kind is Kind.FILE else node.mode
    return replace(node, user=user or present_user, group=group or present_group, uid=0, gid=0, mode=mode)


def owner_words(text: str) -> tuple[str | None, str | None, bool] | None:
    """``user[:[group]]`` of chown(1): user, group, whether the group is the user's own; or None."""
    user, colon, group = text.partition(":")
    if not colon and "." in text:
        user, colon, group = text.partition(".")
    if not user and not group:
        return None
    return user or None, group or None, bool(colon and not group)
