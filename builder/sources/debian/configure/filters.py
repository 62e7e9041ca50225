"""Small filters of text, and questions about the root: what stands in pipelines and conditions."""

from __future__ import annotations

import re

from builder.dpkg.version import compare, is_version
from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.model import static_groups, static_users
from builder.sources.debian.configure.options import read_arguments
from builder.sources.debian.configure.shell import Handler, Shell
from builder.sysroot import Kind

_EDGES = len(r"\b\b")
_OWNER_TEST = re.compile(r"test -([OG]) (/[^\s&|;]+)")
_OWNER_TESTS = re.compile(r"\s*test -[OG] /[^\s&|;]+(?:\s*&&\s*test -[OG] /[^\s&|;]+)*\s*")
_NO_ANSWER = """
uname hostname date ls wc sort uniq tail awk dpkg-query md5sum sha256sum cksum ucfq ps ss
logname whoami runlevel du
systemd-detect-virt ischroot mountpoint netstat ip df expr seq yes debconf-show realpath"""
"""Programs that only say something, which is not known."""


def unknown(shell: Shell, _: list[str]) -> Verdict:
    """A command that changes nothing and whose answer is not known."""
    shell.write(UNKNOWN)
    return None


# ---- filters ---------------------------------------------------------------------------------------


def _no_process(_: Shell, __: list[str]) -> Verdict:
    """Nothing runs on a fresh root."""
    return False


def _cut(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("d", "f", "b", "c", "delimiter", "fields"))
    number = read.value("f", "fields")
    delimiter = read.value("d", "delimiter", default="\t")
    if not number.isdecimal() or len(delimiter) != 1 or read.operands:
        return unknown(shell, [])
    index = int(number[:4]) - 1
    for line in shell.input.splitlines():
        fields = line.split(delimiter)
        whole = UNKNOWN in line and len(fields) == 1
        shell.write(f"{UNKNOWN if whole else (fields[index] if 0 <= index < len(fields) else '')}\n")
    return True


def _grep(shell: Shell, arguments: list[str]) -> Verdict:
    """Only a plain word is looked for."""
    read = read_arguments(arguments, ("e", "f", "m", "A", "B", "C"))
    words = [read.options["e"]] if "e" in read.options else list(read.operands[:1])
    files = read.operands[len(read.operands) - len(read.operands[len(words) - ("e" in read.options) :]) :]
    text = "".join(map(shell.system.read, files)) if files else shell.input
    pattern = words[0] if words else UNKNOWN
    if len(pattern) > _EDGES and pattern.startswith("\\b") and pattern.endswith("\\b"):
        return _grep_word(shell, pattern[2:-2], text, quiet=read.has("q", "quiet", "silent"))
    plain = pattern.replace("-", "").replace("_", "").replace("/", "").isalnum() or read.has("F")
    if UNKNOWN in text or UNKNOWN in pattern or not plain or read.has("v", "f"):
        return unknown(shell, [])
    lines = text.splitlines()
    hits = [line for line in lines if (line == pattern if read.has("x") else pattern in line)]
    if read.has("w"):
        hits = [line for line in hits if pattern in line.replace(",", " ").replace(":", " ").split()]
    if not read.has("q", "quiet", "silent"):
        shell.write("".join(f"{line}\n" for line in hits))
    return bool(hits)


def _grep_word(shell: Shell, word: str, text: str, *, quiet: bool) -> Verdict:
    if UNKNOWN in text or UNKNOWN in word or not word.replace("_", "").isalnum():
        return unknown(shell, [])
    hits = [line for line in text.splitlines() if re.search(rf"\b{word}\b", line)]
    if not quiet:
        shell.write("".join(f"{line}\n" for line in hits))
    return bool(hits)


_ANCHORED = re.compile(r"s(?P<mark>[/|,#])\^(?P<start>(?:\\\(|[A-Za-z0-9_-])+)[^\n]*(?P=mark)p")
"""``s/^word…/…/p``; what follows the word is not read."""


_LITERAL = re.compile(r"s(?P<mark>[/|,#])(?P<word>[A-Za-z0-9_ -]+)(?P=mark)[^\n]*(?P=mark)[gI i]*")
"""``s/word/…/``: nothing happens where the word does not stand."""


def _changes_nothing(shell: Shell, arguments: list[str]) -> bool:
    """Whether ``sed -i`` replaces words that its files do not have, as scripts do for old versions."""
    read = read_arguments(arguments, ("e", "expression"))
    commands = [
        one
        for one, before in zip(arguments, ("", *arguments), strict=False)
        if before in {"-e", "--expression"}
    ]
    files = [one for one in read.operands if one not in commands]
    if not read.has("i", "in-place") or not commands or not files:
        return False
    matches = [_LITERAL.fullmatch(command) for command in commands]
    text = "".join(map(shell.system.read, files)).lower()
    return UNKNOWN not in text and all(match and match["word"].lower() not in text for match in matches)


def _same(shell: Shell, arguments: list[str]) -> Verdict:
    """``cmp``, ``diff``: whether two files are the same; false too where one is not there."""
    read = read_arguments(arguments, ())
    if len(read.operands) != 2 or not all(map(shell.system.knows, read.operands)):  # noqa: PLR2004 (files)
        return unknown(shell, [])
    if None in map(shell.system.find, read.operands):
        return False
    texts = [shell.system.read(path) for path in read.operands]
    if UNKNOWN in "".join(texts):
        return unknown(shell, [])
    if texts[0] != texts[1] and not read.has("s", "silent", "quiet"):
        shell.write(UNKNOWN)
    return texts[0] == texts[1]


def _sed(shell: Shell, arguments: list[str]) -> Verdict:
    """``sed -n "s/^word…/…/p"`` says nothing when no line starts so; the rest is not known, but see above."""
    if _changes_nothing(shell, arguments):
        return True
    match = _ANCHORED.fullmatch(arguments[1]) if len(arguments) == 2 and arguments[0] == "-n" else None  # noqa: PLR2004 (-n and one command)
    if match is not None and UNKNOWN not in shell.input:
        # The last letter may be repeated, or not be there at all, by what follows it.
        start = match["start"].replace("\\(", "")[:-1]
        if start and not any(line.startswith(start) for line in shell.input.splitlines()):
            return True
    shell.unclear()
    return unknown(shell, [])


def _basename(shell: Shell, arguments: list[str]) -> Verdict:
    path, suffix = (*arguments, "", "")[:2]
    name = path.rstrip("/").rpartition("/")[2]
    cut = name.removesuffix(suffix) or name
    shell.write(f"{UNKNOWN if UNKNOWN in path else cut}\n")
    return True


def _dirname(shell: Shell, arguments: list[str]) -> Verdict:
    path = (*arguments, "")[0].rstrip("/")
    folder = path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")
    shell.write(f"{UNKNOWN if UNKNOWN in path else folder}\n")
    return True


def _tr(shell: Shell, arguments: list[str]) -> Verdict:
    if len(arguments) == 2 and arguments[0] == "-d" and len(arguments[1]) == 1:  # noqa: PLR2004 (option and letter)
        shell.write(shell.input.replace(arguments[1], ""))
    elif len(arguments) == 2 and len(arguments[0]) == len(arguments[1]) == 1:  # noqa: PLR2004 (two letters)
        shell.write(shell.input.replace(arguments[0], arguments[1]))
    else:
        return unknown(shell, [])
    return True


def _head(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("n", "c"))
    count = read.value("n", default="1" if read.has("1") else "10")
    if read.operands or not count.isdecimal():
        return unknown(shell, [])
    shell.write("".join(shell.input.splitlines(keepends=True)[: int(count[:6])]))
    return True


def _readlink(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments)
    path = (*read.operands, "")[0]
    if not shell.system.knows(path):
        return unknown(shell, [])
    if read.options:
        shell.write(shell.system.place(path, follow=True) + "\n")
        return True
    node = shell.system.find(path, follow=False)
    if node is None or node.kind is not Kind.SYMLINK:
        return False
    shell.write(node.target + "\n")
    return True


def _mktemp(shell: Shell, arguments: list[str]) -> Verdict:
    path = shell.system.temporary()
    if not read_arguments(arguments, ("p", "t", "tmpdir", "suffix")).has("d", "directory"):
        shell.system.write(path, "", package=shell.package, detail="mktemp")
    shell.write(f"{path}\n")
    return True


# ---- questions -------------------------------------------------------------------------------------


def _getent(shell: Shell, arguments: list[str]) -> Verdict:
    database, name = (*[word for word in arguments if not word.startswith("-")], "", "")[:2]
    if database not in {"passwd", "group"} or not name or UNKNOWN in name:
        return unknown(shell, [])
    known = shell.system.has_user(name) if database == "passwd" else shell.system.has_group(name)
    if known:
        shell.write(_account_line(shell, database, name) + "\n")
    return known


def _account_line(shell: Shell, database: str, name: str) -> str:
    if database == "group":
        number = static_groups().get(name)
        return f"{name}:x:{UNKNOWN if number is None else number}:{UNKNOWN}"
    user = shell.system.users.get(name)
    if user is not None:
        return f"{name}:x:{UNKNOWN}:{UNKNOWN}:{user.comment}:{user.home}:{user.shell}"
    static = static_users()[name]
    return f"{name}:x:{static.number}:{static.group}:{name}:{static.home}:{static.shell}"


def _id(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments)
    if not read.operands or any(UNKNOWN in word for word in arguments):
        return unknown(shell, [])
    name = read.operands[0]
    if not shell.system.has_user(name):
        return False
    user = shell.system.users.get(name)
    names = user is not None and "n" in read.options
    shell.write(f"{' '.join((user.group, *user.groups))}\n" if names and user is not None else UNKNOWN)
    return True


def _dpkg(shell: Shell, arguments: list[str]) -> Verdict:
    if arguments[:1] == ["--compare-versions"] and len(arguments) == 4:  # noqa: PLR2004 (two versions and a relation)
        return _compare_versions(arguments[1], arguments[2], arguments[3])
    if arguments[:1] == ["--print-architecture"]:
        shell.write(shell.variables.get("DPKG_MAINTSCRIPT_ARCH", UNKNOWN) + "\n")
        return True
    if arguments[:1] in (["-L"], ["--listfiles"], ["-s"], ["-S"]):
        return unknown(shell, [])
    shell.unclear()
    return unknown(shell, [])


def _compare_versions(one: str, relation: str, other: str) -> Verdict:
    """dpkg(1): an empty version is earlier than any, or with "-nl" later."""
    word, _, later = relation.partition("-")
    words = {"<<": "lt", "<=": "le", "<": "le", "=": "eq", ">=": "ge", ">>": "gt", ">": "ge"}
    word = words.get(word, word)
    if UNKNOWN in one or UNKNOWN in other or word not in {"lt", "le", "eq", "ne", "ge", "gt"}:
        return None
    if not one or not other:
        order = (bool(one) - bool(other)) * (-1 if later == "nl" else 1)
    elif is_version(one) and is_version(other):
        order = compare(one, other)
    else:
        return None
    return {
        "lt": order < 0,
        "le": order <= 0,
        "eq": order == 0,
        "ne": order != 0,
        "ge": order >= 0,
        "gt": order > 0,
    }[word]


def _su(shell: Shell, arguments: list[str]) -> Verdict:
    """``su USER -c "test -O PATH && test -G PATH"``: whose a path is; anything else is not known."""
    read = read_arguments(arguments, ("s", "c", "g", "shell", "command"))
    command = read.value("c", "command")
    tests = _OWNER_TEST.findall(command)
    if _OWNER_TESTS.fullmatch(command) and read.operands[:1] and UNKNOWN not in "".join(arguments):
        nodes = [(kind, shell.system.find(path)) for kind, path in tests]
        owner = read.operands[0] if read.operands[0] != "-" else (*read.operands, "", "")[1]
        return all(
            node is not None and owner == (node.user if kind == "O" else node.group) for kind, node in nodes
        )
    shell.unclear()
    return unknown(shell, [])


def _stat(shell: Shell, arguments: list[str]) -> Verdict:
    read = read_arguments(arguments, ("c", "format", "printf"))
    path = (*read.operands, "")[0]
    node = shell.system.find(path) if shell.system.knows(path) else None
    if node is None:
        return False if shell.system.knows(path) else unknown(shell, [])
    words = {
        "%a": f"{node.mode:o}",
        "%u": "0" if node.user in {"", "root"} and not node.uid else UNKNOWN,
        "%g": "0" if node.group in {"", "root"} and not node.gid else UNKNOWN,
        "%U": node.user or UNKNOWN,
        "%G": node.group or UNKNOWN,
    }
    shell.write(words.get(read.value("c", "format"), UNKNOWN) + "\n")
    return True


FILTER_COMMANDS: dict[str, Handler] = {
    **dict.fromkeys(_NO_ANSWER.split(), unknown),
    "cut": _cut,
    "pidof": _no_process,
    "pgrep": _no_process,
    "grep": _grep,
    "sed": _sed,
    "cmp": _same,
    "diff": _same,
    "fgrep": _grep,
    "egrep": _grep,
    "basename": _basename,
    "dirname": _dirname,
    "tr": _tr,
    "head": _head,
    "readlink": _readlink,
    "mktemp": _mktemp,
    "tempfile": _mktemp,
    "getent": _getent,
    "id": _id,
    "dpkg": _dpkg,
    "su": _su,
    "runuser": _su,
    "stat": _stat,
}
