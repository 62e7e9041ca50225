"""What the scripts of the packages one names do below /etc, /run and /var and rootlet did not understand."""

from __future__ import annotations

import re
from collections.abc import Iterable

from builder.recipe.model import Recipe
from builder.sources.debian.configure.model import ScriptReport
from builder.sysroot import Sysroot

_CHANGE = re.compile(
    r"(?:^|[;&|({!]|\b(?:then|do|else|xargs(?: -\S+)*|exec|-exec)\b)\s*"
    r"(?:/usr)?(?:/s?bin/)?(?:chown|chmod|chgrp|cp|install|mkdir|ln|mv)\s"
)
_PATH = re.compile(r"(?:^|[\s\"'=])/(?=[a-z])")
_WRITTEN = re.compile(r"(?:^|[\s\"'=])/(?:etc|run|var)(?:/|\b)")
_SHOWN = 100


def unread_scripts(recipe: Recipe, reports: Iterable[ScriptReport], sysroot: Sysroot) -> tuple[str, ...]:
    """One sentence for each package whose scripts lose something: named, or of the same source."""
    named = set(recipe.named_packages)
    sources = {sysroot.packages[name].source_name for name in named if name in sysroot.packages}
    lost: dict[str, list[tuple[int, str]]] = {}
    for report in reports:
        package = sysroot.packages.get(report.package)
        if package is None or package.alone:
            continue
        if package.name in named or package.source_name in sources:
            lines = [(number, text) for number, text in report.unrecognised if _is_change(text)]
            lost.setdefault(package.name, []).extend(lines)
    return tuple(_sentence(name, lines) for name, lines in sorted(lost.items()) if lines)


def _is_change(line: str) -> bool:
    """Whether it changes owners, modes or files where images have settings and state, as far as it tells."""
    if not _CHANGE.search(line):
        return False
    return bool(_WRITTEN.search(line)) or ("$" in line and not _PATH.search(line))


def _sentence(package: str, lines: list[tuple[int, str]]) -> str:
    number, text = lines[0]
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    count = "one thing" if len(lines) == 1 else f"{len(lines)} things"
    example = "" if len(lines) == 1 else "e.g. "
    return (
        f"the scripts of {package} do {count} that rootlet does not understand, {example}line {number}: "
        f"{shown}; see rootlet plan --by scripts"
    )
