"""Which findings count: by severity, by number, and those that are known to be exploited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.recipe.model import ScanPolicy
from builder.scan.model import Finding

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Crowd:
    """More findings of one severity than are allowed, and the sentence about them."""

    findings: tuple[Finding, ...]
    reason: str


def counts(finding: Finding, policy: ScanPolicy) -> bool:
    """Whether a finding by itself stops the image."""
    if finding.ignored is not None:
        return False
    if finding.kev:
        return True
    if finding.known or policy.fail_on is None or finding.severity < policy.fail_on:
        return False
    return bool(finding.fixed) or not policy.only_fixed


def over_limits(findings: Iterable[Finding], policy: ScanPolicy) -> Iterator[Crowd]:
    """Severities with more findings than ``limits`` allow; known and waived ones do not count."""
    counted = [one for one in findings if one.ignored is None and not one.known]
    for severity, limit in policy.limits:
        crowd = tuple(
            one for one in counted if one.severity is severity and (one.fixed or not policy.only_fixed)
        )
        if len(crowd) > limit:
            word = severity.name.lower()
            reason = f"{_many(len(crowd))} of the severity {word}; limits allow {limit}: {_listed(crowd)}"
            yield Crowd(crowd, reason)


def over_reasons(over: tuple[Finding, ...], policy: ScanPolicy) -> tuple[str, ...]:
    """Sentences about the findings that stop the image."""
    exploited = [one for one in over if one.kev]
    others = [one for one in over if not one.kev]
    reasons = []
    if exploited:
        reasons.append(
            f"{_many(len(_pairs(exploited)))} known to be exploited (CISA KEV): {_listed(exploited)}"
        )
    if others and policy.fail_on is not None:
        number = len(_pairs(others))
        verb = "finding is" if number == 1 else "findings are"
        limit = policy.fail_on.name.lower()
        reasons.append(f'{number} {verb} at or above fail_on = "{limit}": {_listed(others)}')
    return tuple(reasons)


def _many(number: int) -> str:
    return "1 finding" if number == 1 else f"{number} findings"


def _pairs(findings: Iterable[Finding]) -> list[str]:
    return list(dict.fromkeys(f"{one.id} in {one.package} {one.version}" for one in findings))


def _listed(findings: Iterable[Finding]) -> str:
    pairs = _pairs(findings)
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return f"{', '.join(pairs[:_SHOWN])}{more}"
