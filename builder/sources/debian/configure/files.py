"""Commands that make, copy, move and own files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.modes import new_mode, owner_words, with_owner
from builder.sources.debian.configure.options import Arguments, read_arguments
from builder.sources.debian.configure.shell import Handler, Shell
from builder.sources.debian.configure.system import parents
from builder.sysroot import Kind, Node

_FOLDER_MODE = 0o755
_FILE_MODE = 0o644


def understood(shell: Shell, arguments: list[str]) -> bool:
    """Whether every argument is known; the line is reported when not."""
    if any(UNKNOWN in word for word in arguments):
        shell.unclear()
        return False
    return True


def make_folder(
    shell: Shell, path: str, detail: str, *, mode: int = _FOLDER_MODE, deep: bool = True
) -> Verdict:
    """``mkdir``; ``deep``: with the folders above, and no error where it is there already."""
    if not shell.system.knows(path):
        shell.unclear()
        return None
    place = shell.system.place(path, follow=True)
    node = shell.system.get(place)
    if node is not None:
        shell.system.ask(place, package=shell.package, detail=detail)
        return deep and node.kind is Kind.DIRECTORY
    for parent in parents(place):
        if shell.system.get(parent) is None:
            if not deep:
                return False
            _put_folder(shell, parent, _FOLDER_MODE, detail)
    _put_folder(shell, place, mode, detail)
    shell.say(f"makes the folder {path}")
    return True


def _put_folder(shell: Shell, place: str, mode: int, detail: str) -> None:
    node = Node(path=place, kind=Kind.DIRECTORY, mode=mode, user="root", group="root")
    shell.system.put(node, package=shell.package, detail=detail)


def _mkdir(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("m", "mode"))
    if not understood(shell, arguments):
        return None
    sample = Node(path="/", kind=Kind.DIRECTORY, mode=_FOLDER_MODE)
    default = 0o777 & ~shell.umask
    mode = new_mode(read.value("m", "mode"), sample) if read.has("m", "mode") else default
    status: Verdict = True
    for path in read.operands:
        made = make_folder(
            shell, path, "mkdir", mode=default if mode is None else mode, deep=read.has("p", "parents")
        )
        status = made if not made else status
    return status


def _install(shell: Shell, arguments: list[str]) -> Verdict:
    values = ("m", "mode", "o", "owner", "g", "group", "t", "target-directory", "S", "suffix")
    read = read_arguments(arguments, values)
    if not understood(shell, arguments):
        return None
    if read.has("d", "directory"):
        made = [make_folder(shell, path, "install -d") for path in read.operands]
        targets = read.operands
        status: Verdict = all(made)
    else:
        targets = _installed(shell, read)
        status = bool(targets)
    owners = f"{read.value('o', 'owner', default='root')}:{read.value('g', 'group', default='root')}"
    for path in targets:
        _own(shell, path, owners, "install")
        _set_mode(shell, path, read.value("m", "mode", default="755"), "install")
    return status


def _installed(shell: Shell, read: Arguments) -> tuple[str, ...]:
    sources, target = read.operands[:-1], read.operands[-1] if read.operands else ""
    if read.has("t", "target-directory"):
        sources, target = read.operands, read.value("t", "target-directory")
    if read.has("D") and not read.has("t", "target-directory"):
        make_folder(shell, target.rpartition("/")[0] or "/", "install -D")
    return tuple(name for source in sources if (name := copy_file(shell, source, target, "install")))


def copy_file(shell: Shell, source: str, target: str, detail: str) -> str:
    """Copy one file to a path, or into a folder; its path there, "" (and a report) when it cannot be."""
    system = shell.system
    node = Node(path="/dev/null", kind=Kind.FILE, mode=_FILE_MODE) if source == "/dev/null" else None
    if node is None and system.knows(source):
        node = system.find(source)
    if node is None or node.kind is not Kind.FILE or not system.knows(target):
        shell.unclear()
        return ""
    folder = system.find(target)
    if folder is not None and folder.kind is Kind.DIRECTORY:
        target = f"{target.rstrip('/')}/{source.rpartition('/')[2]}"
    place = system.place(target, follow=True)
    # A copy is the copying user's, and keeps no set-id bits.
    copy = replace(node, path=place, user="root", group="root", uid=0, gid=0, mode=node.mode & 0o777)
    system.copy_content(node.path, place)
    system.put(copy, package=shell.package, detail=detail)
    if not source.startswith("/tmp/"):  # noqa: S108 (a path inside the root)
        shell.say(f"copies {source} to {target}")
    return target


def _cp(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("t", "target-directory", "S", "suffix"))
    if not understood(shell, arguments) or len(read.operands) < 2:  # noqa: PLR2004 (what and where)
        return None
    *sources, target = read.operands
    status = True
    for source in sources:
        node = shell.system.find(source)
        if (
            node is not None
            and node.kind is Kind.DIRECTORY
            and read.has("r", "R", "a", "recursive", "archive")
        ):
            _copy_folder(shell, node.path, target, keep=read.has("a", "p", "archive"))
        elif read.has("n", "no-clobber") and shell.system.find(target) is not None:
            continue
        else:
            status = bool(copy_file(shell, source, target, "cp")) and status
    return status


def _copy_folder(shell: Shell, source: str, target: str, *, keep: bool) -> None:
    system = shell.system
    if system.find(target) is not None:
        target = f"{target.rstrip('/')}/{source.rpartition('/')[2]}"
    copy_tree(shell, source, system.place(target, follow=True), "cp", keep=keep)


def copy_tree(shell: Shell, source: str, target: str, detail: str, *, keep: bool = False) -> None:
    """Copy a file or folder with everything below it, from one canonical place to another."""
    system = shell.system
    first = system.get(source)
    for node in ([first] if first is not None else []) + list(system.below(source)):
        place = f"{target}{node.path[len(source) :]}"
        copy = replace(node, path=place)
        if not keep:
            copy = replace(copy, user="root", group="root", uid=0, gid=0)
        system.copy_content(node.path, place)
        system.put(copy, package=shell.package, detail=detail)
    shell.say(f"copies {source} to {target}")


def _mv(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("t", "target-directory", "S", "suffix"))
    if not understood(shell, arguments) or len(read.operands) != 2:  # noqa: PLR2004 (from and to)
        shell.unclear()
        return None
    system = shell.system
    source, target = read.operands
    node = system.find(source, follow=False) if system.knows(source) and system.knows(target) else None
    if node is None or node.kind is Kind.DIRECTORY:
        return False if node is None and system.knows(source) else _unclear(shell)
    folder = system.find(target)
    if folder is not None and folder.kind is Kind.DIRECTORY and not read.has("T"):
        target = f"{target.rstrip('/')}/{source.rpartition('/')[2]}"
    place = system.place(target, follow=False)
    system.copy_content(node.path, place)
    system.put(replace(node, path=place), package=shell.package, detail="mv")
    system.remove(node.path)
    shell.say(f"moves {source} to {target}")
    return True


def _unclear(shell: Shell) -> Verdict:
    shell.unclear()
    return None


def _rm(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments)
    if not understood(shell, arguments):
        return None
    for path in read.operands:
        if shell.system.knows(path):
            place = shell.system.place(path, follow=False)
            node = shell.system.get(place)
            if node is not None and (node.kind is not Kind.DIRECTORY or read.has("r", "R", "recursive")):
                shell.system.remove(place)
                shell.say(f"removes {path}")
    return True


def _rmdir(shell: Shell, arguments: list[str]) -> Verdict:
    if not understood(shell, arguments):
        return None
    status = True
    for path in read_arguments(arguments).operands:
        place = shell.system.place(path, follow=False)
        node = shell.system.get(place) if shell.system.knows(path) else None
        if node is None or node.kind is not Kind.DIRECTORY or any(shell.system.below(place)):
            status = False
        else:
            shell.system.remove(place)
    return status


def _ln(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("t", "target-directory", "S", "suffix"))
    if not understood(shell, arguments) or not 1 <= len(read.operands) <= 2 or not read.has("s", "symbolic"):  # noqa: PLR2004 (target and link)
        return _unclear(shell)
    target, link = (*read.operands, ".")[:2]
    if link == "." and not shell.system.knows(link):
        return _unclear(shell)
    system = shell.system
    present = system.find(link, follow=not read.has("n", "T", "no-dereference", "no-target-directory"))
    if present is not None and present.kind is Kind.DIRECTORY and not read.has("T", "no-target-directory"):
        link = f"{link.rstrip('/')}/{target.rpartition('/')[2]}"
    place = system.place(link, follow=False)
    if not system.knows(link) or (system.get(place) is not None and not read.has("f", "force")):
        return False
    if read.has("r", "relative"):
        target = relative_target(target, place)
    node = Node(path=place, kind=Kind.SYMLINK, mode=0o777, target=target, user="root", group="root")
    system.put(node, package=shell.package, detail="ln -s")
    shell.say(f"links {link} to {target}")
    return True


def relative_target(target: str, place: str) -> str:
    """What a link at ``place`` says to lead to ``target``, without the root."""
    there, here = target.strip("/").split("/"), place.strip("/").split("/")[:-1]
    common = 0
    while common < min(len(there) - 1, len(here)) and there[common] == here[common]:
        common += 1
    return "/".join([".."] * (len(here) - common) + there[common:])


def _touch(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("d", "date", "r", "reference", "t"))
    if not understood(shell, arguments):
        return None
    for path in read.operands:
        place = shell.system.place(path, follow=True)
        if shell.system.knows(path) and shell.system.get(place) is None:
            shell.system.write(place, "", package=shell.package, detail="touch", mode=0o666 & ~shell.umask)
            shell.say(f"makes the empty file {path}")
    return True


# ---- owners and modes ------------------------------------------------------------------------------


def _chown(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("reference", "from"))
    if not understood(shell, arguments) or not read.operands or read.has("reference"):
        return _unclear(shell)
    owners, *paths = read.operands
    return _each(shell, paths, read, lambda path: _own(shell, path, owners, f"chown {owners}"))


def _chgrp(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("reference",))
    if not understood(shell, arguments) or not read.operands or read.has("reference"):
        return _unclear(shell)
    group, *paths = read.operands
    return _each(shell, paths, read, lambda path: _own(shell, path, f":{group}", f"chgrp {group}"))


def _chmod(shell: Shell, arguments: list[str]) -> Verdict:
    modes = [word for word in arguments if word[:1] == "-" and word[1:2] and word[1] in "rwxst"]
    read = read_arguments([word for word in arguments if word not in modes], ("reference",))
    operands = [*modes[:1], *read.operands]
    if not understood(shell, arguments) or len(operands) < 2 or read.has("reference"):  # noqa: PLR2004 (mode and path)
        return _unclear(shell)
    mode, *paths = operands
    return _each(shell, paths, read, lambda path: _set_mode(shell, path, mode, f"chmod {mode}"))


def _each(shell: Shell, paths: list[str], read: Arguments, change: Callable[[str], Verdict]) -> Verdict:
    status: Verdict = True
    for path in paths:
        if read.has("h", "no-dereference") and shell.system.is_link(path):
            continue  # the owner of a link has no meaning
        done = change(path)
        status = done if not done else status
        if done and read.has("R", "recursive"):
            place = shell.system.place(path, follow=True)
            for node in list(shell.system.below(place)):
                if node.kind is not Kind.SYMLINK:
                    change(node.path)
    return status


def _own(shell: Shell, path: str, owners: str, detail: str) -> Verdict:
    words = owner_words(owners)
    node = shell.system.find(path) if shell.system.knows(path) else None
    if words is None or node is None:
        return False if words is not None and shell.system.knows(path) else _unclear(shell)
    user, group, own_group = words
    if (user is not None and not user.isdecimal() and not shell.system.has_user(user)) or (
        group is not None and not group.isdecimal() and not shell.system.has_group(group)
    ):
        shell.unclear()
        return False
    shell.system.mention(shell.package, user, group)
    if own_group and user in shell.system.users:
        group = shell.system.users[user].group
    changed = with_owner(node, _name(user), _name(group))
    change_node(shell, node, changed, detail)
    return True


def _name(owner: str | None) -> str | None:
    return "root" if owner == "0" else owner


def _set_mode(shell: Shell, path: str, mode: str, detail: str) -> Verdict:
    node = shell.system.find(path) if shell.system.knows(path) else None
    if node is None:
        return False if shell.system.knows(path) else _unclear(shell)
    number = new_mode(mode, node)
    if number is None:
        return _unclear(shell)
    change_node(shell, node, replace(node, mode=number), detail)
    return True


def change_node(shell: Shell, before: Node, after: Node, detail: str) -> None:
    """Give a node other owners or another mode, and say so when that makes a difference."""
    same = (before.mode, before.user or str(before.uid), before.group or str(before.gid)) == (
        after.mode,
        after.user or str(after.uid),
        after.group or str(after.gid),
    )
    if not same:
        shell.system.change(after, package=shell.package, detail=detail)
        if not after.path.startswith("/tmp/"):  # noqa: S108 (a path inside the root)
            shell.say(f"{detail} {after.path}")


def _statoverride(shell: Shell, arguments: list[str]) -> Verdict:
    """``dpkg-statoverride``: on a fresh root nothing is overridden."""
    read = read_arguments(arguments)
    if not understood(shell, arguments):
        return None
    if read.has("list"):
        return any(path in shell.system.overrides for path in read.operands)
    if not read.has("add") or len(read.operands) != 4:  # noqa: PLR2004 (user, group, mode, path)
        return read.has("remove") or _unclear(shell)
    user, group, mode, path = read.operands
    shell.system.overrides.add(path)
    if not read.has("update"):
        return True
    if shell.system.find(path) is None:
        return True
    owned = _own(shell, path, f"{user.lstrip('#')}:{group.lstrip('#')}", "dpkg-statoverride")
    return owned and _set_mode(shell, path, mode, "dpkg-statoverride")


def _ucf(shell: Shell, arguments: list[str]) -> Verdict:
    """``ucf``: the maintainer's version becomes the configuration file of a fresh root."""
    values = ("sum-file", "src-dir", "debconf-template", "state-dir")
    read = read_arguments(arguments, values)
    if read.has("p", "purge"):
        return True
    if not understood(shell, arguments) or len(read.operands) != 2:  # noqa: PLR2004 (from and to)
        return _unclear(shell)
    source, target = read.operands
    if shell.system.find(target) is not None:
        return True
    if shell.system.find(target.rpartition("/")[0] or "/") is None:
        make_folder(shell, target.rpartition("/")[0], "ucf")
    return bool(copy_file(shell, source, target, "ucf"))


FILE_COMMANDS: dict[str, Handler] = {
    "mkdir": _mkdir,
    "install": _install,
    "cp": _cp,
    "mv": _mv,
    "rm": _rm,
    "rmdir": _rmdir,
    "ln": _ln,
    "touch": _touch,
    "chown": _chown,
    "chgrp": _chgrp,
    "chmod": _chmod,
    "dpkg-statoverride": _statoverride,
    "ucf": _ucf,
}
