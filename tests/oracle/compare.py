"""rootlet's closures beside the real loader's: same libraries, same order, same missing names."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from builder.elf.closure import Resolver
from builder.elf.facts import ElfFacts
from builder.elf.loader import Flavour, loader_of
from builder.elf.object import ET_DYN, ET_EXEC, ElfError, ElfObject
from builder.elf.scope import Scope
from builder.sources.folder import FolderSysroot
from builder.sysroot import Kind
from tests.oracle.judge import Judge, Verdict

_SHOWN = 200
EXPLAINED = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A file that a loader can judge, and what rootlet says of it."""

    path: str
    flavour: Flavour
    loader: str
    scope: Scope


@dataclass(kw_only=True)
class Figures:
    """What came out. ``passed``: reason → how many files no loader of the root can judge."""

    compared: int = 0
    libraries: int = 0
    missing: int = 0
    disagreements: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    passed: dict[str, int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """One line."""
        agreed = self.compared - len(self.disagreements) - len(self.explained)
        share = 100 * agreed / self.compared if self.compared else 0.0
        passed = ", ".join(f"{count} {reason}" for reason, count in sorted(self.passed.items()))
        return (
            f"{self.compared} files compared, {self.libraries} libraries, {self.missing} missing names: "
            f"{share:.3f} % agree, {len(self.explained)} differ and are explained, "
            f"{len(self.disagreements)} differ" + (f"; not compared: {passed}" if passed else "")
        )


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A difference that is understood: files by pattern, names that differ, and why."""

    files: str
    names: frozenset[str]
    reason: str


def read_explained(file: Path = EXPLAINED) -> tuple[Explained, ...]:
    """The committed list."""
    entries = tomllib.loads(file.read_text()).get("explained", [])
    return tuple(
        Explained(files=entry["files"], names=frozenset(entry["names"]), reason=entry["reason"])
        for entry in entries
    )


def compare(
    folder: Path, paths: Iterable[str], *, emulator: Path | None = None, flavour: Flavour | None = None
) -> Figures:
    """Compare every file of ``paths`` (inside ``folder``), those of one ``flavour`` only if it is given."""
    figures = Figures()
    explained = read_explained()
    questions = _questions(folder, paths, flavour, figures)
    sysroot = FolderSysroot(folder)
    for question, told in zip(questions, _ask_all(folder, emulator, questions), strict=True):
        figures.compared += 1
        figures.libraries += len(question.scope.libraries)
        figures.missing += len(question.scope.missing)
        names = _differences(question, told, sysroot)
        if not names:
            continue
        line = f"{question.path}: {'; '.join(names)}" + (f" ({told.error[:_SHOWN]})" if told.error else "")
        known = any(fnmatchcase(question.path, one.files) and set(names) <= one.names for one in explained)
        (figures.explained if known else figures.disagreements).append(line)
    return figures


def _questions(
    folder: Path, paths: Iterable[str], flavour: Flavour | None, figures: Figures
) -> tuple[Question, ...]:
    sysroot = FolderSysroot(folder)
    facts = ElfFacts(None)
    resolver = Resolver(sysroot, facts, installed_cache=True)
    found: list[Question] = []
    for path in paths:
        try:
            question = _question(path, sysroot, facts, resolver)
        except _PassedError as reason:
            figures.passed[str(reason)] = figures.passed.get(str(reason), 0) + 1
            continue
        if flavour in (None, question.flavour):
            found.append(question)
    return tuple(found)


class _PassedError(Exception):
    """No loader of the root can judge this file; the message says why."""


def _question(path: str, sysroot: FolderSysroot, facts: ElfFacts, resolver: Resolver) -> Question:
    elf = _object(path, sysroot, facts)
    loader = loader_of(elf, sysroot)
    scope = resolver.scope(path)
    target = facts.of(loader.node) if loader.node is not None else None
    if target is None or scope is None or target.target != elf.target:
        raise _PassedError("for a loader that is not there")
    if loader.path == scope.root:
        raise _PassedError("loaders")
    return Question(path=scope.root, flavour=loader.flavour, loader=loader.path, scope=scope)


def _object(path: str, sysroot: FolderSysroot, facts: ElfFacts) -> ElfObject:
    node = sysroot.lookup(path).node
    if node is None or node.kind is not Kind.FILE:
        raise _PassedError("not there")
    try:
        elf = facts.of(node)
    except ElfError:
        raise _PassedError("damaged") from None
    if elf is None:
        raise _PassedError("no ELF files")
    if not elf.dynamic or elf.type not in (ET_DYN, ET_EXEC):
        raise _PassedError("without a dynamic section")
    return elf


def _ask_all(folder: Path, emulator: Path | None, questions: Sequence[Question]) -> list[Verdict]:
    local = threading.local()
    judges: list[Judge] = []

    def start() -> None:
        local.judge = Judge(folder, emulator)
        judges.append(local.judge)

    def ask(question: Question) -> Verdict:
        judge: Judge = local.judge
        if question.flavour is Flavour.MUSL:
            return judge.musl(question.loader, question.path)
        return judge.glibc(question.loader, question.path)

    with ThreadPoolExecutor(2, initializer=start) as pool:
        told = list(pool.map(ask, questions))
    for judge in judges:
        judge.__exit__(None, None, None)
    return told


def _differences(question: Question, told: Verdict, sysroot: FolderSysroot) -> list[str]:
    # The loader itself is printed whether it is needed by name or not.
    beside = {question.loader, question.path}
    opened = [sysroot.lookup(path).path for path in told.opened]
    theirs = [path for path in dict.fromkeys(opened) if path not in beside]
    ours = [path for path in question.scope.libraries if path not in beside]
    found = [f"+{path}" for path in ours if path not in theirs]
    found += [f"-{path}" for path in theirs if path not in ours]
    if told.fatal:
        stops = {missing.name for missing in question.scope.missing if missing.reason}
        return [] if told.fatal.rpartition("/")[2] in {name.rpartition("/")[2] for name in stops} else found
    if not found and ours != theirs:
        found.append("order")
    # Whether a trace tells of a missing DT_AUXILIARY depends on who asks; the program starts without it.
    optional = {missing.name for missing in question.scope.missing if missing.optional}
    names = {missing.name for missing in question.scope.missing} - optional
    theirs_missing = set(told.missing) - optional
    found += [f"not found here: {name}" for name in sorted(names - theirs_missing)]
    found += [f"not found there: {name}" for name in sorted(theirs_missing - names)]
    # musl goes on to relocate, and fails for a plug-in whose host program is not there.
    if question.flavour is Flavour.GLIBC and not told.opened and not told.missing and told.status:
        found.append(f"status {told.status}")
    return found
