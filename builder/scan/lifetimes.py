"""Until when Debian's releases get security updates: afterwards new holes are no longer recorded (rule D10).

The days are the ends of the long-term support that Debian itself gives.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from builder.inventory.model import Distribution

_END: Mapping[tuple[str, str], dt.date] = {
    ("debian", "8"): dt.date(2020, 6, 30),
    ("debian", "9"): dt.date(2022, 6, 30),
    ("debian", "10"): dt.date(2024, 6, 30),
    ("debian", "11"): dt.date(2026, 8, 31),
    ("debian", "12"): dt.date(2028, 6, 30),
    ("debian", "13"): dt.date(2030, 6, 30),
}


def end_of_support(distribution: Distribution) -> dt.date | None:
    """Give the last day of security support; None for a release that this table does not know."""
    return _END.get((distribution.id, distribution.version.partition(".")[0]))
