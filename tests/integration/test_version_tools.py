"""Every version order beside the ecosystem's own tool, on thousands of generated pairs."""

from __future__ import annotations

import pytest

from builder.versions.schemes import scheme as scheme_of
from tests.support.version_tools import JUDGES, pairs_of

pytestmark = [pytest.mark.tools]


@pytest.mark.parametrize("scheme", JUDGES)
def test_the_order_is_the_tools_own(scheme: str) -> None:
    pairs = pairs_of(scheme, 300 if scheme == "dpkg" else 5000, seed=7)
    key = scheme_of(scheme).key
    ours = [(key(one) > key(other)) - (key(one) < key(other)) for one, other in pairs]
    theirs = JUDGES[scheme](pairs)
    wrong = [case for case in zip(pairs, ours, theirs, strict=True) if case[1] != case[2]]
    assert wrong == []
    assert min(theirs.count(sign) for sign in (-1, 0, 1)) > len(pairs) // 30
