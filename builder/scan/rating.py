"""How bad a vulnerability is: the best word that a record has for a package (rule D9).

In this order: the distribution's own word for its package, the word of whoever reviewed the record
(GitHub, the vendor of an erratum), the score of the record's CVSS vector (of the newest version of CVSS), and
UNKNOWN, which is a level of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.recipe.model import Severity
from builder.scan.cvss import base_score, severity_of
from builder.scan.record import Affected, Record, Score, Specific

_URGENCY: Mapping[str, Severity] = {
    "unimportant": Severity.LOW,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
}
"""Debian's words."""
_PRIORITY: Mapping[str, Severity] = {
    "negligible": Severity.NEGLIGIBLE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
"""Ubuntu's words."""
_WORDS: Mapping[str, Severity] = {
    "NONE": Severity.NEGLIGIBLE,
    "NEGLIGIBLE": Severity.NEGLIGIBLE,
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "IMPORTANT": Severity.HIGH,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
"""GitHub's and the vendors' words."""
_ERRATUM = re.compile(r"(Low|Moderate|Important|Critical): ")
_NEWEST = ("CVSS:4", "CVSS:3.1", "CVSS:3.0")


@dataclass(frozen=True, slots=True)
class Rating:
    """A severity, and the CVSS vector of the record if it has one ("" when not) with its score."""

    severity: Severity
    vector: str = ""
    score: float | None = None


UNRATED = Rating(Severity.UNKNOWN)
_MALWARE = Rating(Severity.CRITICAL)


def rate_record(record: Record) -> Rating:
    """What the record says of every package that has no word of its own."""
    if record.id.startswith("MAL-"):
        return _MALWARE  # whoever has such a package runs somebody else's program
    return _rated(_word(record), _vector(record.severity))


def rate(affected: Affected, whole: Rating) -> Rating:
    """What it says of one package; ``whole`` is that of the record."""
    own = _own_word(affected)
    if affected.severity:
        rated = _rated(own or _priority(affected.severity), _vector(affected.severity))
        return whole if rated is UNRATED else rated
    return Rating(own, whole.vector, whole.score) if own else whole


def _rated(word: Severity, vector: str) -> Rating:
    score = base_score(vector) if vector else None
    if score is None:
        return Rating(word) if word else UNRATED
    return Rating(word or severity_of(vector, score), vector, score)


def _own_word(affected: Affected) -> Severity:
    specific = affected.ecosystem_specific
    if specific is not None:
        if isinstance(specific.urgency, str):
            return _URGENCY.get(specific.urgency.rstrip("*"), Severity.UNKNOWN)
        if isinstance(specific.ubuntu_priority, str):
            return _PRIORITY.get(specific.ubuntu_priority.lower(), Severity.UNKNOWN)
    return _said(affected.database_specific)


def _word(record: Record) -> Severity:
    erratum = _ERRATUM.match(record.summary or "")
    if erratum is not None:
        return _WORDS[erratum[1].upper()]
    return _said(record.database_specific) or _priority(record.severity)


def _said(specific: Specific | None) -> Severity:
    if specific is None or not isinstance(specific.severity, str):
        return Severity.UNKNOWN
    return _WORDS.get(specific.severity.upper(), Severity.UNKNOWN)


def _priority(scores: Iterable[Score] | None) -> Severity:
    found = (_PRIORITY.get(one.score.lower()) for one in scores or () if one.type == "Ubuntu")
    return next((severity for severity in found if severity), Severity.UNKNOWN)


def _vector(scores: Iterable[Score] | None) -> str:
    """The vector of the newest version of CVSS that can be scored; "" when there is none."""
    vectors = [one.score for one in scores or () if one.type.startswith("CVSS")]
    whole = [vector for vector in vectors if base_score(vector) is not None]
    for start in _NEWEST:
        for vector in whole:
            if vector.startswith(start):
                return vector
    return whole[0] if whole else ""
