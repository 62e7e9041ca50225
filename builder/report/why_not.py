"""Why paths are not in an image, for people (text) and for programs (JSON). Pure: both give a string."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from builder.plan.absence import Absence, Cause, quoted
from builder.report.scan import clean

_FEW = 20
"""Paths of one pattern that are named one by one for each cause."""


def render_why_not(subject: str, absences: Iterable[Absence]) -> str:
    """One block a path: why it is not there, and what would add it."""
    blocks = [clean(subject), *("\n".join(_lines(absence)) for absence in absences)]
    return "\n\n".join(blocks) + "\n"


def render_pattern(subject: str, pattern: str, absences: Sequence[Absence]) -> str:
    """What a pattern matches and is not there, by cause and package, with what would add it."""
    groups: dict[tuple[Cause, str], list[Absence]] = {}
    for absence in absences:
        groups.setdefault((absence.cause, absence.package), []).append(absence)
    lines = [
        clean(subject),
        "",
        f"{clean(pattern)} matches {len(absences):,} paths that are not in the image",
    ]
    for (cause, package), found in groups.items():
        lines += ["", f"{clean(package)}: {cause.value}: {clean(found[0].words)}"]
        lines += [f"  {clean(one.path)}" for one in found[:_FEW]]
        lines += [f"  and {len(found) - _FEW:,} more"] if len(found) > _FEW else []
    lines += ["", "  add  [runtime]", f"       keep = [{clean(quoted(pattern))}]"]
    return "\n".join(lines) + "\n"


def why_not_json(subject: str, absences: Iterable[Absence]) -> str:
    """Give one JSON object on one line.

    ``schema``: 1; ``subject``; ``paths``: of each ``path``, ``cause`` (of
    :class:`builder.plan.absence.Cause`), ``words``, ``add`` (TOML or ""), ``near`` (paths), ``package``.
    """
    paths = [
        {
            "path": one.path,
            "cause": one.cause.value,
            "words": one.words,
            "add": one.add,
            "near": one.near,
            "package": one.package,
        }
        for one in absences
    ]
    return json.dumps({"schema": 1, "subject": subject, "paths": paths}) + "\n"


def _lines(absence: Absence) -> Iterator[str]:
    yield clean(absence.path)
    yield f"  {clean(absence.words)}"
    if absence.near:
        yield f"  nearest: {clean(', '.join(absence.near))}"
    for number, line in enumerate(absence.add.split("\n") if absence.add else ()):
        yield f"  {'add' if number == 0 else '   '}  {clean(line)}"
