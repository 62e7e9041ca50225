"""A Dockerfile judged by every check."""

from __future__ import annotations

from builder.lint import bases, commands, copies, packages, settings
from builder.lint.dockerfile import Dockerfile, parse_dockerfile
from builder.lint.model import LintReport, Remark, Rule, in_order
from builder.lint.subject import Subject

CHECKS = (*bases.CHECKS, *packages.CHECKS, *commands.CHECKS, *copies.CHECKS, *settings.CHECKS)
RULES: tuple[Rule, ...] = (*bases.RULES, *packages.RULES, *commands.RULES, *copies.RULES, *settings.RULES)
"""Every rule for Dockerfiles."""


def lint_dockerfile(text: str, file: str, *, has_ignore_file: bool) -> LintReport:
    """Read ``text`` and say what is wrong with it. BuildError where it is no Dockerfile."""
    dockerfile = parse_dockerfile(text, file)
    subject = Subject(dockerfile=dockerfile, has_ignore_file=has_ignore_file)
    found = (one for check in CHECKS for one in check(subject) if not _is_ignored(one, dockerfile))
    return LintReport(file=file, kind="Dockerfile", remarks=in_order(found))


def _is_ignored(one: Remark, dockerfile: Dockerfile) -> bool:
    names = {one.rule.id, *(name.lower() for name in one.rule.also)}
    starts = [line for line in dockerfile.ignores if line <= one.line]
    if not starts:
        return False
    start = max(starts)
    return _same_instruction(start, one.line, dockerfile) and not names.isdisjoint(dockerfile.ignores[start])


def _same_instruction(start: int, line: int, dockerfile: Dockerfile) -> bool:
    lines = [one.line for one in dockerfile.arguments]
    for stage in dockerfile.stages:
        lines += [stage.start.line, *(one.line for one in stage.instructions)]
    return not any(start < other <= line for other in lines)
