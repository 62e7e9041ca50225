"""systemd.exec(5): folders that services ask systemd for, with the owner and mode that they run with.

Nothing makes them when a container starts. What depends on an instance (``%i`` of a template), or belongs to
a user that systemd invents (``DynamicUser=``), cannot be known and is reported.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from builder.sources.debian.configure.files import change_node, make_folder, relative_target
from builder.sources.debian.configure.model import static_groups, static_users
from builder.sources.debian.configure.modes import ALL_BITS, with_owner
from builder.sources.debian.configure.shell import Shell
from builder.sysroot import Kind, Node, Sysroot

FOLDER = "/usr/lib/systemd/system"
_NAME = re.compile(re.escape(FOLDER) + r"/([^/]+\.(?:service|socket))(?:\.d/[^/]+\.conf)?")
_SECTIONS = frozenset({"[Service]", "[Socket]"})
_CONFIGURATION = "ConfigurationDirectory"
_FOLDERS = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    _CONFIGURATION: "/etc",
}
_KEYS = frozenset({*_FOLDERS, *(f"{key}Mode" for key in _FOLDERS), "User", "Group", "DynamicUser"})
_YES = frozenset({"1", "yes", "y", "true", "t", "on"})
_SPECIFIER = re.compile("%(.?)")
_MODE = re.compile("[0-7]{1,5}")
_DEFAULT_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit that a package ships: its name, and its file with those that add to it (``NAME.d/*.conf``)."""

    name: str
    package: str
    files: tuple[str, ...]


@dataclass(slots=True)
class _Settings:
    """What counts of one unit. ``folders``: key, line number and value of each line."""

    folders: list[tuple[str, int, str]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def mode(self, key: str) -> int:
        text = self.values.get(f"{key}Mode", "")
        return int(text, 8) & ALL_BITS if _MODE.fullmatch(text) else _DEFAULT_MODE


def units_of(tree: Sysroot) -> dict[str, list[Unit]]:
    """The services and sockets of every package, by package and name."""
    files: dict[str, list[Node]] = {}
    for node in tree:
        if node.path.startswith(FOLDER) and node.kind is Kind.FILE and (match := _NAME.fullmatch(node.path)):
            files.setdefault(match[1], []).append(node)
    found: dict[str, list[Unit]] = {}
    for name, nodes in sorted(files.items()):
        main = next((node for node in nodes if node.path == f"{FOLDER}/{name}"), None)
        if main is not None:  # what only adds to a unit starts nothing
            paths = sorted(node.path for node in nodes if node is not main)
            unit = Unit(name=name, package=main.package, files=(main.path, *paths))
            found.setdefault(unit.package, []).append(unit)
    return found


def apply_unit(shell: Shell, unit: Unit, text: str, *, enabled: bool) -> None:
    """Make the folders of one unit; ``shell`` has the package and takes the report by line of ``text``.

    ``enabled``: it starts by itself, so folders that are there already get its owner and mode.
    """
    settings = _read(text)
    owner = _owner(shell, settings) if settings.folders else None
    for key, number, value in settings.folders:
        shell.line = number
        new = _Folders(shell=shell, unit=unit, key=key, mode=settings.mode(key), enabled=enabled)
        for word in _words(unit, value):
            if owner is None or word is None or not new.make(word, owner):
                shell.unclear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folders:
    """What one line of a unit asks for; ``key`` says below which folder."""

    shell: Shell
    unit: Unit
    key: str
    mode: int
    enabled: bool

    def make(self, word: str, owner: tuple[str, str]) -> bool:
        """Make ``NAME`` or ``NAME:LINK``, owned by ``owner``; False for what is none."""
        name, _, rest = word.partition(":")
        link = rest.partition(":")[0]
        if not (_is_inside(name) and (not link or _is_inside(link))):
            return False
        path = f"{_FOLDERS[self.key]}/{name}"
        is_new = self.shell.system.find(path) is None
        is_settings = self.key == _CONFIGURATION  # a service may not own what it is told by
        if make_folder(self.shell, path, self.unit.name) and (is_new or (self.enabled and not is_settings)):
            _give(self.shell, path, self.unit.name, ("root", "root") if is_settings else owner, self.mode)
        if link:
            _link(self.shell, f"{_FOLDERS[self.key]}/{link}", path, self.unit.name)
        return True


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))


def _give(shell: Shell, path: str, detail: str, owner: tuple[str, str], mode: int) -> None:
    """Owner and mode of a folder; where the owner was another, of everything below it too."""
    node = shell.system.find(path)
    if node is None or node.kind is not Kind.DIRECTORY:
        return
    before = (node.user or str(node.uid), node.group or str(node.gid))
    change_node(shell, node, replace(with_owner(node, *owner), mode=mode), detail)
    if before not in {owner, tuple("0" if name == "root" else name for name in owner)}:
        for below in list(shell.system.below(node.path)):
            if below.kind is not Kind.SYMLINK:
                change_node(shell, below, with_owner(below, *owner), detail)
    for name in owner:
        shell.system.mention(shell.package, name)


def _link(shell: Shell, link: str, path: str, detail: str) -> None:
    place = shell.system.place(link, follow=False)
    if shell.system.get(place) is None:
        make_folder(shell, link.rpartition("/")[0], detail)
        target = relative_target(path, place)
        node = Node(path=place, kind=Kind.SYMLINK, mode=0o777, target=target, user="root", group="root")
        shell.system.put(node, package=shell.package, detail=detail)
        shell.say(f"links {link} to {target}")


# ---- reading ---------------------------------------------------------------------------------------


def _read(text: str) -> _Settings:
    """The lines of a unit that count; an empty value takes back what was said before."""
    settings = _Settings()
    section = ""
    for number, line in _lines(text):
        if line.startswith("["):
            section = line
            continue
        key, _, value = (part.strip() for part in line.partition("="))
        if section not in _SECTIONS or key not in _KEYS:
            continue
        if key not in _FOLDERS:
            settings.values[key] = value
        elif value:
            settings.folders.append((key, number, value))
        else:
            settings.folders = [one for one in settings.folders if one[0] != key]
    return settings


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: those that end in a backslash joined, no comments (systemd.syntax(7))."""
    start = 0
    parts: list[str] = []
    for number, row in enumerate(text.split("\n"), 1):
        line = row.strip()
        if line[:1] in {"#", ";"} or not (line or parts):
            continue  # a comment does not end a line that goes on
        start = start if parts else number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield start, " ".join(parts).strip()
            parts = []


def _words(unit: Unit, value: str) -> Iterable[str | None]:
    """Words of a value, expanded; None for one that depends on the instance or is not understood."""
    try:
        words = shlex.split(value)
    except ValueError:
        return [None]
    return [_expand(unit, word) for word in words]


def _expand(unit: Unit, word: str) -> str | None:
    name = unit.name.rpartition(".")[0]
    known = {"%": "%", "p": name.partition("@")[0], "j": name.partition("@")[0].rpartition("-")[2]}
    if not name.endswith("@"):
        known |= {"n": unit.name, "N": name, "i": "", "I": ""}
    if any(letter not in known for letter in _SPECIFIER.findall(word)):
        return None
    return _SPECIFIER.sub(lambda match: known[match[1]], word)


def _owner(shell: Shell, settings: _Settings) -> tuple[str, str] | None:
    """User and group that the service runs as; None when they are nobody who is known."""
    system = shell.system
    user = settings.values.get("User") or "root"
    dynamic = settings.values.get("DynamicUser", "").lower() in _YES
    if dynamic and not settings.values.get("User"):
        return None
    if not (system.has_user(user) or (user.isdecimal() and not dynamic)):
        return None
    group = settings.values.get("Group") or _group_of(shell, user)
    return (user, group) if group.isdecimal() or system.has_group(group) else None


def _group_of(shell: Shell, user: str) -> str:
    if user in shell.system.users:
        return shell.system.users[user].group
    static = static_users().get(user)
    if static is None:
        return "root"  # of a number nothing is known; systemd would ask the system's own list
    return next(name for name, number in static_groups().items() if number == static.group)
