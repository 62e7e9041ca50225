"""What a plan holds, for people: sizes by package and reason, the largest files, every path and its reason.

Pure: gives a string. Lines are never cut; for a terminal the reasons are wrapped to its width.
"""

from __future__ import annotations

import enum
import heapq
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from builder.plan.model import Entry, ImagePlan, PlannedPackage
from builder.plan.sizes import Share, shares
from builder.progress import human_size
from builder.sources.debian.configure.model import ScriptReport
from builder.sysroot import Kind

_LARGEST = 10
_NARROW = 40
"""Columns of the narrowest terminal that is written for."""
_INDENT = 13
"""Columns before a path: the size and its margins."""
_PATH_COLUMN = 62


class By(enum.Enum):
    """One part of the text. The values are the words of ``rootlet plan --by``."""

    PACKAGE = "package"
    REASON = "reason"
    SIZE = "size"
    PATH = "path"
    SCRIPTS = "scripts"


def render_plan(plan: ImagePlan, *, parts: Iterable[By] = tuple(By), width: int | None = None) -> str:
    """The ``parts`` of a plan in their order, then warnings and hints.

    ``width`` None (no terminal): every path is one line, however long.
    """
    entries = [entry for layer in plan.layers for entry in layer.entries]
    total = sum(entry.size for entry in entries)
    head = f"{plan.platform}  {plan.distribution or '-'}  {human_size(total)} in {len(entries)} paths"
    blocks = [[head, *_base(plan)], *(list(_part(part, plan, entries, width)) for part in parts)]
    blocks.append([line for warning in plan.warnings for line in _wrapped("! ", warning, width)])
    blocks.append([line for hint in plan.hints for line in _wrapped("hint: ", hint, width)])
    return "\n\n".join("\n".join(map(printable, lines)) for lines in blocks if lines) + "\n"


def _base(plan: ImagePlan) -> Iterator[str]:
    base = plan.base
    if base is not None:
        size = human_size(sum(layer.size for layer in base.layers))
        layers = "1 layer" if len(base.layers) == 1 else f"{len(base.layers)} layers"
        yield f"over the base {base.words}: {layers}, {size}, {base.files} files that stay as they are"


def printable(text: str) -> str:
    """``text`` with escapes for what is not printable: no name of a file repaints the terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _part(part: By, plan: ImagePlan, entries: Sequence[Entry], width: int | None) -> Iterator[str]:
    if part is By.PACKAGE:
        return _packages(plan.packages, width)
    if part is By.REASON:
        return _reasons(shares(entries), width)
    if part is By.SIZE:
        return _largest(entries)
    if part is By.SCRIPTS:
        return _scripts(plan.scripts, width)
    return _paths(entries, width)


def _packages(packages: Iterable[PlannedPackage], width: int | None) -> Iterator[str]:
    ordered = sorted(packages, key=lambda package: (-package.size, package.name))
    if not ordered:
        return
    yield "by package"
    names = max(len(package.name) for package in ordered)
    versions = max(len(package.version) for package in ordered)
    for package in ordered:
        size = f"{human_size(package.size):>9} of {human_size(package.installed_size):>9}"
        line = f"  {size}  {package.files:>6,}  {package.name:<{names}}  {package.version:<{versions}}"
        if width is not None and len(line) > width:
            line = f"  {human_size(package.size):>9}  {package.files:>6,}  {package.name} {package.version}"
        yield line.rstrip()


def _reasons(found: Sequence[Share], width: int | None) -> Iterator[str]:
    if found:
        yield "by reason"
    for share in found:
        lines = _wrapped(f"  {human_size(share.size):>9}  {share.files:>6,}  ", share.words, width)
        yield from lines


def _largest(entries: Iterable[Entry]) -> Iterator[str]:
    largest = heapq.nsmallest(_LARGEST, entries, key=lambda entry: (-entry.size, entry.path))
    found = [entry for entry in largest if entry.size]
    if found:
        yield "largest files"
    for entry in found:
        owner = f"  ({entry.package})" if entry.package else ""
        yield f"  {human_size(entry.size):>9}  {entry.path}{owner}"


def _paths(entries: Sequence[Entry], width: int | None) -> Iterator[str]:
    if entries:
        yield "by path"
    for entry in entries:
        size = human_size(entry.size) if entry.kind is Kind.FILE and entry.size else ""
        arrow = f" -> {entry.target}" if entry.target else ""
        left = f"  {size:>9}  {entry.path}{arrow}"
        whole = f"{left:<{_PATH_COLUMN}}  {entry.reason}"
        if width is None or len(whole) <= width:
            yield whole
        else:
            yield left
            yield from _wrapped(" " * (_INDENT + 2), str(entry.reason), width)


def _scripts(reports: Sequence[ScriptReport], width: int | None) -> Iterator[str]:
    if reports:
        yield "maintainer scripts, read and not run"
    for report in reports:
        known, unknown = len(report.recognised), len(report.unrecognised)
        yield f"  {report.package} {report.script}: {known} recognised, {unknown} not recognised"
        for number, text in report.unrecognised:
            yield from _wrapped(f"    line {number}: ", text, width)
        for text in report.not_made:
            yield from _wrapped("    ", text, width)


def _wrapped(start: str, text: str, width: int | None) -> list[str]:
    # A name of a file may hold line ends: it is made printable before it is wrapped.
    words = printable(text)
    if width is None:
        return [start + words]
    return textwrap.wrap(
        words,
        width=max(width, _NARROW),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [start]
