"""Write tests/data/versions anew: what the ecosystems' own tools say of pairs of versions.

python -m tests.oracle.versions
"""

from __future__ import annotations

from pathlib import Path

from tests.support.version_tools import JUDGES, pairs_of

TABLES = Path(__file__).parent.parent / "data/versions"
_PAIRS = 120
_SIGNS = {-1: "<", 0: "=", 1: ">"}


def main() -> None:
    for scheme, judge in JUDGES.items():
        pairs = pairs_of(scheme, _PAIRS, seed=20261127)
        judged = zip(pairs, judge(pairs), strict=True)
        lines = (f"{one} {_SIGNS[sign]} {other}\n" for (one, other), sign in judged)
        (TABLES / f"{scheme}.txt").write_text("".join(sorted(set(lines))))


if __name__ == "__main__":
    main()
