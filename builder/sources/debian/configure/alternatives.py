"""update-alternatives(1): all packages' choices together, in the order in which they are installed."""

from __future__ import annotations

from dataclasses import dataclass, field

from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.files import understood
from builder.sources.debian.configure.shell import Shell
from builder.sources.debian.configure.system import System
from builder.sysroot import Kind, Node

FOLDER = "/etc/alternatives"
_INSTALL = 4
_SLAVE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One candidate. ``slaves``: link, name and target of each."""

    target: str
    priority: int
    package: str
    slaves: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Group:
    """Everything that is registered for one name."""

    link: str
    choices: list[Choice] = field(default_factory=list)

    def add(self, choice: Choice) -> None:
        """Register a choice; a later one of the same target takes its place."""
        self.choices.sort(key=lambda one: one.target)
        same = [number for number, one in enumerate(self.choices) if one.target == choice.target]
        if same:
            self.choices[same[0]] = choice
        else:
            self.choices.append(choice)

    def best(self, system: System, alone: frozenset[str]) -> Choice | None:
        """As in automatic mode: the highest priority, the earlier of two that are equal.

        Packages that are there for single files (``alone``) count only where no other offers anything.
        """
        there = [one for one in self.choices if system.find(one.target) is not None]
        return max(there, key=lambda one: (one.package not in alone, one.priority), default=None)


class Alternatives:
    """The groups by name. ``alone``: packages that are not installed, but there for single files."""

    def __init__(self, alone: frozenset[str] = frozenset()) -> None:
        self._alone = alone
        self.groups: dict[str, Group] = {}

    def command(self, shell: Shell, arguments: list[str]) -> Verdict:
        """``update-alternatives …``: only ``--install`` has a meaning on a fresh root."""
        words = [word for word in arguments if word not in {"--quiet", "--verbose", "--force"}]
        if words[:1] != ["--install"]:
            return words[:1] in (["--remove"], ["--remove-all"]) or (None if words[:1] else False)
        if not understood(shell, arguments) or len(words) < 1 + _INSTALL or not _is_number(words[4]):
            shell.unclear()
            return None
        link, name, target, priority = words[1 : 1 + _INSTALL]
        slaves, rest = _slaves(words[1 + _INSTALL :])
        if rest or "/" in name or not link.startswith("/") or not target.startswith("/"):
            shell.unclear()
            return None
        if shell.system.find(target) is None:
            return False
        group = self.groups.setdefault(name, Group(link))
        group.link = link
        group.add(Choice(target=target, priority=int(priority), package=shell.package, slaves=slaves))
        shell.say(f"offers {target} as {link} (priority {priority})")
        return True

    def lay(self, system: System) -> None:
        """Make the links of every group; each package that offers something for one asks for it."""
        for name, group in sorted(self.groups.items()):
            best = group.best(system, self._alone)
            if best is None:
                continue
            _links(system, group, best, (group.link, name, best.target))
            for link, slave, target in best.slaves:
                if system.find(target) is not None:
                    _links(system, group, best, (link, slave, target))


def _slaves(words: list[str]) -> tuple[tuple[tuple[str, str, str], ...], list[str]]:
    slaves: list[tuple[str, str, str]] = []
    rest = list(words)
    while rest[:1] in (["--slave"], ["--follower"]) and len(rest) > _SLAVE:
        if "/" not in rest[2] and rest[1].startswith("/") and rest[3].startswith("/"):
            slaves.append((rest[1], rest[2], rest[3]))
        rest = rest[1 + _SLAVE :]
    return tuple(slaves), rest


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) < 10  # noqa: PLR2004 (fits 32 bits)


def _links(system: System, group: Group, best: Choice, link: tuple[str, str, str]) -> None:
    path, name, target = link
    detail = f"update-alternatives {name}"
    place = system.place(path, follow=False)
    present = system.get(place)
    if present is not None and present.kind is not Kind.SYMLINK:
        return  # as update-alternatives: a file of a package is not replaced with a link
    for where, leads_to in (
        (system.place(f"{FOLDER}/{name}", follow=False), target),
        (place, f"{FOLDER}/{name}"),
    ):
        node = Node(path=where, kind=Kind.SYMLINK, mode=0o777, target=leads_to, user="root", group="root")
        system.put(node, package=best.package, detail=detail)
        for other in group.choices:
            if path == group.link or any(path == slave[0] for slave in other.slaves):
                system.ask(where, package=other.package, detail=detail)
