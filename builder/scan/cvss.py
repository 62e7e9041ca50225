"""CVSS vectors of every version to base scores, and scores to severities.

Versions 2.0 (https://www.first.org/cvss/v2/guide, section 3.2.1) and 3.x
(https://www.first.org/cvss/v3.1/specification-document, section 7.1) are here, 4.0 is in
:mod:`builder.scan.cvss4`.
"""

from __future__ import annotations

import functools

from builder.recipe.model import Severity

_WEIGHTS: dict[str, dict[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0.0, "C": 1.0},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES_CHANGED = {"N": 0.85, "L": 0.68, "H": 0.5}
_WEIGHTS_V2: dict[str, dict[str, float]] = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": {"N": 0.0, "P": 0.275, "C": 0.66},
    "I": {"N": 0.0, "P": 0.275, "C": 0.66},
    "A": {"N": 0.0, "P": 0.275, "C": 0.66},
}
_LONGEST = 300
"""Letters of a vector; one of version 4.0 with every metric has 190."""


@functools.lru_cache(maxsize=16384)
def base_score(vector: str) -> float | None:
    """Give the score (0.0 to 10.0) of a vector of any version; None when it is not a whole one.

    The metrics that count are the base ones, in version 4.0 also the threat and environmental ones.
    """
    if len(vector) > _LONGEST:
        return None
    head, _, rest = vector.partition("/")
    text = rest if head.startswith("CVSS:") else vector.strip("()")
    metrics = dict(part.partition(":")[::2] for part in text.split("/"))
    if head == "CVSS:4.0":
        from builder.scan.cvss4 import score_v4  # noqa: PLC0415 (few records have one)

        return score_v4(metrics)
    if head in {"CVSS:3.0", "CVSS:3.1"}:
        return _score_v3(metrics)
    return _score_v2(metrics) if head == "CVSS:2.0" or text == vector.strip("()") else None


def severity_of(vector: str, score: float) -> Severity:
    """Give the rating of a score: version 2.0 knows no CRITICAL."""
    severity = severity_of_score(score)
    return severity if vector.startswith(("CVSS:3", "CVSS:4")) else min(severity, Severity.HIGH)


def severity_of_score(score: float) -> Severity:
    """Give the qualitative rating of a score (section 5); 0.0, "none", is negligible."""
    steps = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
    return next((severity for least, severity in steps if score >= least), Severity.NEGLIGIBLE)


def _weighed(metrics: dict[str, str], weights: dict[str, dict[str, float]]) -> dict[str, float] | None:
    if any(metrics.get(name) not in values for name, values in weights.items()):
        return None
    return {name: values[metrics[name]] for name, values in weights.items()}


def _score_v2(metrics: dict[str, str]) -> float | None:
    weight = _weighed(metrics, _WEIGHTS_V2)
    if weight is None:
        return None
    impact = 10.41 * (1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"]))
    if not impact:
        return 0.0
    exploitability = 20 * weight["AV"] * weight["AC"] * weight["Au"]
    return round((0.6 * impact + 0.4 * exploitability - 1.5) * 1.176 + 1e-9, 1)


def _score_v3(metrics: dict[str, str]) -> float | None:
    weight = _weighed(metrics, _WEIGHTS)
    if weight is None:
        return None
    changed = metrics["S"] == "C"
    if changed:
        weight["PR"] = _PRIVILEGES_CHANGED[metrics["PR"]]
    base = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 if changed else 6.42 * base
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weight["AV"] * weight["AC"] * weight["PR"] * weight["UI"]
    return _round_up(min((1.08 if changed else 1.0) * (impact + exploitability), 10.0))


def _round_up(value: float) -> float:
    # Appendix A: integers, so that 4.000000000000001 does not become 4.1.
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
