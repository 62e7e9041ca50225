"""Until when releases of distributions get security updates: later holes are no longer recorded (D10).

The days are those that the distributions themselves give, without what is sold: for Debian the end of its
long-term support, for Ubuntu that of standard support.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping

from builder.inventory.model import Distribution

_ENDS = """
debian  7 2018-05-31, 8 2020-06-30, 9 2022-06-30, 10 2024-06-30, 11 2026-08-31, 12 2028-06-30, 13 2030-06-30
ubuntu  14.04 2019-04-25, 16.04 2021-04-30, 18.04 2023-05-31, 20.04 2025-05-31, 22.04 2027-05-31
ubuntu  24.04 2029-05-31, 23.04 2024-01-25, 23.10 2024-07-11, 24.10 2025-07-10, 25.04 2026-01-15
alpine  3.9 2020-11-01, 3.10 2021-05-01, 3.11 2021-11-01, 3.12 2022-05-01, 3.13 2022-11-01, 3.14 2023-05-01
alpine  3.15 2023-11-01, 3.16 2024-05-23, 3.17 2024-11-22, 3.18 2025-05-09, 3.19 2025-11-01, 3.20 2026-04-01
alpine  3.21 2026-11-01, 3.22 2027-05-01
almalinux  8 2029-03-01, 9 2032-05-31, 10 2035-05-31
rocky  8 2029-05-31, 9 2032-05-31, 10 2035-05-31
rhel  6 2020-11-30, 7 2024-06-30, 8 2029-05-31, 9 2032-05-31, 10 2035-05-31
centos  6 2020-11-30, 7 2024-06-30, 8 2021-12-31
sles  12.5 2024-10-31, 15 2019-12-31, 15.1 2021-01-31, 15.2 2021-12-31, 15.3 2022-12-31, 15.4 2023-12-31
sles  15.5 2024-12-31, 15.6 2025-12-31, 15.7 2031-07-31
opensuse-leap  15.3 2022-12-31, 15.4 2023-12-07, 15.5 2024-12-31, 15.6 2026-04-30
mariner  1.0 2023-07-31, 2.0 2025-07-31
"""


@functools.cache
def _table() -> Mapping[tuple[str, str], str]:
    found = {}
    for line in _ENDS.strip().splitlines():
        name, _, ends = line.partition("  ")
        for end in ends.split(", "):
            release, _, day = end.partition(" ")
            found[name, release] = day
    return found


def end_of_support(distribution: Distribution) -> dt.date | None:
    """Give the last day of security support; None for a release that this table does not know.

    A point release ("12.5" of Debian) is the release itself.
    """
    known = _table()
    parts = distribution.version.split(".")
    names = ((distribution.id, ".".join(parts[:count])) for count in range(len(parts), 0, -1))
    return next((dt.date.fromisoformat(known[name]) for name in names if name in known), None)
