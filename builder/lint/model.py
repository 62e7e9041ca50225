"""What is said of a Dockerfile or a recipe, and the rules that say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from builder.recipe.model import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One mistake. ``also`` are the names that other linters give it, which ignore comments may use too."""

    id: str
    severity: Severity
    title: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A rule's words about one place, and how to mend it. ``line`` counts from 1, 0 for none."""

    rule: Rule
    line: int
    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """Everything said about one file, in the order of its lines. ``file`` is how the author calls it."""

    file: str
    kind: str
    """"Dockerfile" or "recipe"."""
    remarks: tuple[Remark, ...]


def in_order(remarks: Iterable[Remark]) -> tuple[Remark, ...]:
    """Each once, by line; on one line the worst first."""
    return tuple(sorted(dict.fromkeys(remarks), key=lambda one: (one.line, -one.rule.severity, one.rule.id)))
