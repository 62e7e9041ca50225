"""tmpfiles.d(5): folders, files, links and owners as systemd-tmpfiles --create makes them.

Lines for a booting system (``!``), ages, devices, attributes and removals have no meaning in an image.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from builder.sources.debian.configure.files import change_node, copy_tree, make_folder
from builder.sources.debian.configure.modes import ALL_BITS
from builder.sources.debian.configure.shell import Shell
from builder.sysroot import Kind, Node

FOLDER = "/usr/lib/tmpfiles.d"
_TYPE = re.compile(r"([a-zA-Z])([-!+=~^?$]*)")
_SPECIFIER = re.compile(r"%(.)")
_SPECIFIERS = {
    "%": "%",
    "t": "/run",
    "S": "/var/lib",
    "C": "/var/cache",
    "L": "/var/log",
    "T": "/tmp",  # noqa: S108 (a path inside the root)
    "V": "/var/tmp",  # noqa: S108 (as above)
    "h": "/root",
    "u": "root",
    "g": "root",
    "U": "0",
    "G": "0",
}
_FOLDERS = frozenset("dDvqQ")
_WITHOUT_MEANING = frozenset("wxXrRpcbatThHA")
_FIELDS = 7
_MODE = re.compile(r"[:~]*([0-7]{3,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    kind: str
    modifiers: str
    path: str
    mode: int | None
    user: str
    group: str
    argument: str

    @property
    def again(self) -> bool:
        """``+``: what is there is replaced."""
        return "+" in self.modifiers


def apply_tmpfiles(shell: Shell, text: str) -> None:
    """Do what one file says; ``shell`` has the package and takes the report by line of ``text``."""
    for number, row in enumerate(text.split("\n"), 1):
        if row.strip() and not row.lstrip().startswith("#"):
            shell.line = number
            line = _read(row)
            if line is None:
                shell.unclear(number)
            elif "!" not in line.modifiers and "^" not in line.modifiers:
                _apply(shell, line)


def _read(row: str) -> _Line | None:
    try:
        words = shlex.split(row, comments=False)
    except ValueError:
        return None
    kind = _TYPE.fullmatch(words[0]) if words else None
    if kind is None or len(words) < 2:  # noqa: PLR2004 (type and path)
        return None
    if kind[1] in _WITHOUT_MEANING or "!" in kind[2]:
        return _Line(kind=kind[1], modifiers=kind[2], path="/", mode=None, user="", group="", argument="")
    # The argument is the rest of the line, with its spaces.
    argument = row.split(None, _FIELDS - 1)[-1].strip() if len(words) >= _FIELDS else "-"
    _, path, mode, user, group, *_ = [*words, "-", "-", "-", "-"]
    expanded = _expand(path)
    known = (_expand(argument), _expand(user), _expand(group))
    if expanded is None or None in known or not expanded.startswith("/"):
        return None
    bits = _MODE.fullmatch(mode)
    return _Line(
        kind=kind[1],
        modifiers=kind[2],
        path=expanded.rstrip("/") or "/",
        mode=int(bits[1], 8) & ALL_BITS if bits else None,
        user=_plain(known[1]),
        group=_plain(known[2]),
        argument=_plain(known[0]),
    )


def _plain(text: str | None) -> str:
    return "" if text in {None, "-"} else str(text).lstrip(":")


def _expand(text: str) -> str | None:
    """``text`` with its specifiers; None when one depends on the machine."""
    if any(letter not in _SPECIFIERS for letter in _SPECIFIER.findall(text)):
        return None
    return _SPECIFIER.sub(lambda match: _SPECIFIERS[match[1]], text)


def _apply(shell: Shell, line: _Line) -> None:
    if line.kind in _FOLDERS:
        make_folder(shell, line.path, "tmpfiles.d")
        _own(shell, line, line.path)
    elif line.kind in {"f", "F"}:
        _file(shell, line)
    elif line.kind == "L":
        _link(shell, line)
    elif line.kind == "C":
        _copy(shell, line)
    elif line.kind in {"e", "z", "Z", "m"}:
        for path in shell.system.glob(line.path) if re.search(r"[*?\[]", line.path) else [line.path]:
            _own(shell, line, path)
            if line.kind == "Z":
                for node in list(shell.system.below(shell.system.place(path, follow=True))):
                    _own(shell, line, node.path)
    elif line.kind not in _WITHOUT_MEANING:
        shell.unclear()


def _own(shell: Shell, line: _Line, path: str) -> None:
    node = shell.system.find(path)
    if node is None or node.kind is Kind.SYMLINK:
        return
    if (line.user and not line.user.isdecimal() and not shell.system.has_user(line.user)) or (
        line.group and not line.group.isdecimal() and not shell.system.has_group(line.group)
    ):
        shell.unclear()
        return
    shell.system.mention(shell.package, line.user, line.group)
    creates = line.kind in _FOLDERS | {"f", "F"}
    user, group, mode = line.user, line.group, line.mode
    if creates and mode is None:
        mode = 0o755 if node.kind is Kind.DIRECTORY else 0o644
    change_node(shell, node, _owned(node, user, group, mode), "tmpfiles.d")


def _owned(node: Node, user: str, group: str, mode: int | None) -> Node:
    return replace(
        node,
        user=user or node.user or str(node.uid),
        group=group or node.group or str(node.gid),
        uid=0,
        gid=0,
        mode=node.mode if mode is None else mode,
    )


def _file(shell: Shell, line: _Line) -> None:
    system = shell.system
    place = system.place(line.path, follow=True)
    if system.get(place) is None or line.again or line.kind == "F":
        make_folder(shell, line.path.rpartition("/")[0] or "/", "tmpfiles.d")
        system.write(place, _escapes(line.argument), package=shell.package, detail="tmpfiles.d")
        shell.say(f"makes the file {line.path}")
    _own(shell, line, line.path)


def _escapes(text: str) -> str:
    plain = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda match: plain[match[0]], text)


def _link(shell: Shell, line: _Line) -> None:
    system = shell.system
    target = line.argument or f"/usr/share/factory{line.path}"
    place = system.place(line.path, follow=False)
    lost = "?" in line.modifiers and system.find(_absolute(target, line.path)) is None
    if lost or (system.get(place) is not None and not line.again):
        return
    make_folder(shell, line.path.rpartition("/")[0] or "/", "tmpfiles.d")
    node = Node(path=place, kind=Kind.SYMLINK, mode=0o777, target=target, user="root", group="root")
    system.put(node, package=shell.package, detail="tmpfiles.d")
    shell.say(f"links {line.path} to {target}")


def _absolute(target: str, link: str) -> str:
    return target if target.startswith("/") else f"{link.rpartition('/')[0]}/{target}"


def _copy(shell: Shell, line: _Line) -> None:
    system = shell.system
    source = system.find(line.argument or f"/usr/share/factory{line.path}")
    target = system.place(line.path, follow=True)
    if source is None or (system.get(target) is not None and not line.again):
        return
    copy_tree(shell, source.path, target, "tmpfiles.d")
    _own(shell, line, line.path)
