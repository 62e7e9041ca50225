"""Commands of the shell itself, and debconf (debconf-devel(7))."""

from __future__ import annotations

import re

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.conditions import Verdict, judge
from builder.sources.debian.configure.filters import FILTER_COMMANDS, unknown
from builder.sources.debian.configure.flow import Exit, Leave, Return
from builder.sources.debian.configure.shell import Handler, Shell
from builder.sysroot import Kind

_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_PRESENT = frozenset({"systemd-tmpfiles", "systemd-sysusers"})
"""What these read is applied whether or not the programs are among the packages."""
_CONFMODULES = (
    "/usr/share/debconf/confmodule",
    "/usr/share/debconf/confmodule.sh",
    "/usr/share/apache2/apache2-maintscript-helper",
    "/usr/share/php/php-maintscript-helper",
    "/usr/lib/php/php-maintscript-helper",
)
"""Files of functions that are in the tables of commands here."""
_MOST_SHIFT = 1000
_DEBCONF = """
version input go stop fset subst title beginblock endblock capb purge register unregister reset settitle
progress info clear data
"""


def _true(_: Shell, __: list[str]) -> Verdict:
    return True


def _false(_: Shell, __: list[str]) -> Verdict:
    return False


def _exit(shell: Shell, arguments: list[str]) -> Verdict:
    if arguments:
        shell.status = _status(arguments[0])
    if shell.status is False:
        shell.unclear()  # installing does not fail: something before was misunderstood
    raise Exit


def _return(shell: Shell, arguments: list[str]) -> Verdict:
    raise Return(_status(arguments[0]) if arguments else shell.status)


def _status(text: str) -> Verdict:
    return None if UNKNOWN in text else text == "0"


def _leave(*, again: bool) -> Handler:
    def leave(_: Shell, arguments: list[str]) -> Verdict:
        levels = int(arguments[0]) if arguments and arguments[0].isdecimal() else 1
        raise Leave(max(1, min(levels, 50)), again=again)

    return leave


def _shift(shell: Shell, arguments: list[str]) -> Verdict:
    count = int(arguments[0]) if arguments and arguments[0].isdecimal() else 1
    if count > len(shell.arguments):
        return False
    del shell.arguments[: min(count, _MOST_SHIFT)]
    return True


def _set(shell: Shell, arguments: list[str]) -> Verdict:
    if "--" in arguments:
        shell.arguments = arguments[arguments.index("--") + 1 :]
    return True


def _declare(shell: Shell, arguments: list[str]) -> Verdict:
    for word in arguments:
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            shell.variables[name] = value
    return True


def _local(shell: Shell, arguments: list[str]) -> Verdict:
    for word in arguments:
        if word.isidentifier():
            shell.variables[word] = ""
    return _declare(shell, arguments)


def _unset(shell: Shell, arguments: list[str]) -> Verdict:
    for name in arguments:
        shell.variables.pop(name, None)
    return True


def _umask(shell: Shell, arguments: list[str]) -> Verdict:
    if len(arguments) == 1 and re.fullmatch("[0-7]{1,4}", arguments[0]):
        shell.umask = int(arguments[0], 8)
        return True
    return None if arguments else True


def _cd(shell: Shell, arguments: list[str]) -> Verdict:
    """``cd DIR``; after one that is not understood, relative paths are not known."""
    paths = [word for word in arguments if word not in {"-P", "-L", "--"}]
    system = shell.system
    node = system.find(paths[0]) if len(paths) == 1 and paths[0] != "-" and system.knows(paths[0]) else None
    there = node is not None and node.kind is Kind.DIRECTORY
    known = len(paths) == 1 and paths[0] != "-" and system.knows(paths[0])
    system.folder = node.path if node is not None and there else ""
    return there if known else True


def _test(shell: Shell, arguments: list[str]) -> Verdict:
    return judge(arguments, shell.system)


def _bracket(shell: Shell, arguments: list[str]) -> Verdict:
    return judge(arguments[:-1], shell.system) if arguments[-1:] == ["]"] else None


def _echo(shell: Shell, arguments: list[str]) -> Verdict:
    words = arguments
    end = "\n"
    while words and words[0] in {"-n", "-e", "-E", "-ne", "-en"}:
        end = "" if "n" in words[0] else end
        words = words[1:]
    text = " ".join(words)
    shell.write((UNKNOWN if "\\" in text else text) + end)
    return True


def _printf(shell: Shell, arguments: list[str]) -> Verdict:
    simple = {"%s": "", "%s\n": "\n", "%s\\n": "\n"}
    if arguments and arguments[0] in simple:
        shell.write("".join(f"{word}{simple[arguments[0]]}" for word in arguments[1:] or [""]))
    elif arguments and "%" not in arguments[0] and "\\" not in arguments[0]:
        shell.write(arguments[0])
    else:
        shell.write(UNKNOWN)
    return True


def _cat(shell: Shell, arguments: list[str]) -> Verdict:
    for path in [word for word in arguments if word == "-" or not word.startswith("-")] or ["-"]:
        shell.write(shell.input if path == "-" else shell.system.read(path))
    return True


def _source(shell: Shell, arguments: list[str]) -> Verdict:
    if arguments and arguments[0] in _CONFMODULES:
        return True
    return shell.include(arguments[0]) if arguments else False


def _command(shell: Shell, arguments: list[str]) -> Verdict:
    if arguments[:1] in (["-v"], ["-V"]):
        return _which(shell, arguments[1:])
    return shell.call(arguments[0], arguments[1:]) if arguments else True


def _which(shell: Shell, arguments: list[str]) -> Verdict:
    names = [word for word in arguments if not word.startswith("-")]
    found = [_program(shell, name) for name in names]
    for path in found:
        shell.write(f"{path}\n" if path else "")
    return bool(found) and all(found)


def _program(shell: Shell, name: str) -> str:
    if name in _PRESENT:
        return f"/usr/bin/{name}"
    if name in shell.functions or name in SHELL_COMMANDS:
        return name
    paths = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in _PATH]
    for path in paths:
        node = shell.system.find(path)
        if node is not None and node.kind is Kind.FILE:
            return path
    return ""


def _run_rest(shell: Shell, arguments: list[str]) -> Verdict:
    """``env A=b COMMAND``, ``exec COMMAND``."""
    words = list(arguments)
    while words and ("=" in words[0] or words[0].startswith("-")):
        words.pop(0)
    return shell.call(words[0], words[1:]) if words else True


def _read(shell: Shell, arguments: list[str]) -> Verdict:
    names = [word for word in arguments if not word.startswith("-")]
    if UNKNOWN in shell.input:
        for name in names:
            shell.variables[name] = UNKNOWN
        return None
    line, newline, shell.input = shell.input.partition("\n")
    if not line and not newline:
        return False
    values = line.split(None, max(0, len(names) - 1))
    for number, name in enumerate(names):
        shell.variables[name] = values[number].strip() if number < len(values) else ""
    return True


def _db_get(shell: Shell, arguments: list[str]) -> Verdict:
    question = (*arguments, "")[0]
    shell.variables["RET"] = UNKNOWN if shell.answers is None else shell.answers.get(question, "")
    return True


def _db_set(shell: Shell, arguments: list[str]) -> Verdict:
    if shell.answers is not None and len(arguments) > 1:
        shell.answers[arguments[0]] = arguments[1]
    return True


def _db_metaget(shell: Shell, arguments: list[str]) -> Verdict:
    question, kind = (*arguments, "", "")[:2]
    known = shell.answers is not None and kind in {"choices", "choices-c"}
    answers = shell.answers or {}
    shell.variables["RET"] = answers.get(f"{question} choices", "") if known else UNKNOWN
    return f"{question} choices" in answers if known else None


def _db_other(shell: Shell, _: list[str]) -> Verdict:
    shell.variables["RET"] = UNKNOWN
    return True


def _debconf() -> dict[str, Handler]:
    table: dict[str, Handler] = {f"db_{name}": _true for name in _DEBCONF.split()}
    return table | {"db_get": _db_get, "db_set": _db_set, "db_fget": _db_other, "db_metaget": _db_metaget}


SHELL_COMMANDS: dict[str, Handler] = {
    ":": _true,
    "true": _true,
    "false": _false,
    "exit": _exit,
    "return": _return,
    "break": _leave(again=False),
    "continue": _leave(again=True),
    "shift": _shift,
    "set": _set,
    "export": _declare,
    "readonly": _declare,
    "declare": _declare,
    "typeset": _declare,
    "local": _local,
    "unset": _unset,
    "umask": _umask,
    "cd": _cd,
    "trap": _true,
    "wait": _true,
    "sleep": _true,
    "sync": _true,
    "alias": _true,
    "logger": _true,
    "test": _test,
    "[": _bracket,
    "[[": unknown,
    "echo": _echo,
    "printf": _printf,
    "cat": _cat,
    ".": _source,
    "source": _source,
    "command": _command,
    "which": _which,
    "type": _which,
    "exec": _run_rest,
    "env": _run_rest,
    "nice": _run_rest,
    "read": _read,
    **FILTER_COMMANDS,
    **_debconf(),
}
