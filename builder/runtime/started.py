"""Scripts on the way: which ones the image starts, what interprets them, what no package has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from builder.reason import ReasonKind
from builder.runtime.closure import Needed
from builder.runtime.scripts import Shebang, lacking_words
from builder.sysroot import Lookup, Node

_WORTH_A_HINT = 4 << 20
"""Bytes that an interpreter's packages must bring before somebody wants to hear of it."""
_MOST_NAMED = 3


class Scripts:
    """The scripts of one image that grows. ``needed`` is what the image has so far, with its reasons.

    ``find`` gives the file that a program's path or bare name means. ``interpreters`` are the canonical paths
    of program and script interpreters.
    """

    def __init__(self, needed: Mapping[str, Needed], find: Callable[[str], Lookup | None]) -> None:
        self._needed = needed
        self._find = find
        self._started_paths: set[str] = set()
        self._package = ""
        self._for: dict[str, list[str]] = {}
        self._lacking: dict[str, list[str]] = {}
        self.interpreters: dict[str, None] = {}
        self._started: list[tuple[Node, str]] = []
        self._told = (0, 0)
        self.unstarted = ""
        """Why the image's own start cannot work; "" where it can."""

    def arrive(self, node: Node) -> None:
        """Take note of a new path: the entry point is started, and so is what a started script runs."""
        reason = self._needed[node.path].reason
        follows = reason.kind in (ReasonKind.RULE, ReasonKind.LINK_TARGET)
        if reason.subject in self._started_paths if follows else reason.kind is ReasonKind.ENTRYPOINT:
            self._started_paths.add(node.path)

    def is_read_by_one(self, node: Node) -> bool:
        """Whether a started script reads this file as part of itself; it counts as started then."""
        if node.path in self._started_paths and node.path.endswith(".sh"):
            self._started.append((node, "sh"))
            return True
        return False

    def programs(self, node: Node, script: Shebang) -> Iterator[Lookup]:
        """Give the files that the script at ``node`` is run by; what is in no package is remembered."""
        named = [name for name in (script.interpreter, script.program) if name]
        if self._is_run(node):
            # Only for what is started for certain is env worth a package of its own.
            is_certain = node.path in self._started_paths
            self._started += ((node, name) for name in (named if is_certain else named[-1:]))
        lacking = ""
        for program in named:
            found = self._find(program)
            if found is None:
                lacking = program  # of env and the program that it starts, the latter
            else:
                self.interpreters[found.path] = None
                self._for.setdefault(found.path, []).append(node.path)
                yield found
        if lacking:
            self._lack(node, lacking)

    def news(self) -> tuple[list[str], list[tuple[Node, str]]]:
        """Give the new interpreters, and new scripts that the image starts, each with what it names."""
        interpreters, started = self._told
        self._told = (len(self.interpreters), len(self._started))
        return list(self.interpreters)[interpreters:], self._started[started:]

    def warnings(self) -> Iterator[str]:
        """One sentence for each interpreter that the image lacks."""
        return lacking_words(self._lacking)

    def hints(self) -> Iterator[str]:
        """One sentence for each large interpreter that is there for a few payload scripts alone."""
        for path, scripts in self._for.items():
            item = self._needed.get(path)
            if item is None or item.reason.kind is not ReasonKind.SHEBANG or not self._are_payload(scripts):
                continue
            size = self._size_of(item.node)
            if size >= _WORTH_A_HINT and len(scripts) <= _MOST_NAMED:
                words = ", ".join(f'"{script}"' for script in scripts)
                yield (
                    f"{path} ({size / 1e6:.0f} MB with its modules) is there for the sake of these scripts "
                    f"alone; to do without: drop = [{words}]"
                )

    def _are_payload(self, scripts: Iterable[str]) -> bool:
        kinds = (ReasonKind.PAYLOAD, ReasonKind.SAME_SOURCE)
        reasons = (self._needed[script].reason for script in scripts)
        return all(reason.kind in kinds for reason in reasons)

    def _size_of(self, interpreter: Node) -> int:
        """Bytes that the image has of the interpreter's own packages: perl, perl-base, perl-modules-5.40."""
        family = interpreter.package.partition("-")[0]
        nodes = (item.node for item in self._needed.values())
        return sum(
            node.content.size
            for node in nodes
            if node.content is not None and family and node.package.partition("-")[0].endswith(family)
        )

    def _lack(self, node: Node, program: str) -> None:
        why = self._needed[node.path].reason.kind
        if why is ReasonKind.ENTRYPOINT and not self.unstarted:
            self.unstarted = (
                f"{program}, the interpreter of {node.path} that the image starts, is in no package"
            )
        # A rule takes folders of modules whole: nobody asked for the programs among them.
        if why is not ReasonKind.RULE:
            self._lacking.setdefault(program, []).append(node.path)

    def _is_run(self, node: Node) -> bool:
        """Whether a script is started, or may be by one that is: they often call each other by variables."""
        if self._needed[node.path].reason.kind is ReasonKind.ENTRYPOINT:
            self._package = node.package
        return node.path in self._started_paths or bool(node.package and node.package == self._package)
