"""Relations between packages: Depends, Conflicts, Provides and their like (Debian Policy §7.1). Pure."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from builder.dpkg.version import compare

_RELATION = re.compile(
    r"\s*(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"\s*(?:\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\))?"
    r"\s*(?:\[[^\]]*\])?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Relation:
    """One package with an optional condition: ``name:architecture (operator version)``."""

    name: str
    operator: str = ""
    version: str = ""
    architecture: str = ""

    def accepts(self, version: str) -> bool:
        """Whether a package of ``version`` meets the condition."""
        if not self.operator:
            return True
        order = compare(version, self.version)
        # "<" and ">" are old spellings of "<=" and ">=" (Policy §7.1).
        return {
            "<<": order < 0,
            "<": order <= 0,
            "<=": order <= 0,
            "=": order == 0,
            ">=": order >= 0,
            ">": order >= 0,
            ">>": order > 0,
        }[self.operator]

    def __str__(self) -> str:
        name = f"{self.name}:{self.architecture}" if self.architecture else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name


@functools.lru_cache(maxsize=16384)
def parse_alternatives(text: str) -> tuple[tuple[Relation, ...], ...]:
    """Read ``a (>= 1) | b, c``: clauses that all must hold, each a tuple of alternatives.

    ValueError names the part that has another form.
    """
    clauses = (clause.strip() for clause in text.split(","))
    return tuple(tuple(_relation(part) for part in clause.split("|")) for clause in clauses if clause)


def parse_relations(text: str) -> tuple[Relation, ...]:
    """Read a list without alternatives, as Conflicts and Provides are."""
    return tuple(relation for clause in parse_alternatives(text) for relation in clause)


def _relation(text: str) -> Relation:
    match = _RELATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a relation between packages: {text.strip()[:80]!r}")
    return Relation(
        match["name"], match["operator"] or "", match["version"] or "", match["architecture"] or ""
    )
