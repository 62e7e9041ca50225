"""What ``rootlet why`` adds to a reason: the sentence of the rule behind it."""

from __future__ import annotations

import pytest

from builder.reason import Reason, ReasonKind
from builder.report.why import rule_words
from builder.runtime.rulebook import shipped_rules

ABOUT = {rule.name: rule.about for rule in shipped_rules()}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        pytest.param(
            Reason(ReasonKind.RULE, "/usr/bin/x", "openssl-modules"), ABOUT["openssl-modules"], id="a rule"
        ),
        pytest.param(
            Reason(ReasonKind.FEATURE, "certificates"), ABOUT["certificates"], id="a feature by its own name"
        ),
        pytest.param(
            Reason(ReasonKind.FEATURE, "timezones", "time-zones"), ABOUT["time-zones"], id="a feature's rule"
        ),
        pytest.param(Reason(ReasonKind.RULE, "/usr/bin/x", "of-another-version"), "", id="an unknown rule"),
        pytest.param(Reason(ReasonKind.NEEDED, "/usr/bin/x", "certificates"), "", id="no rule at all"),
        pytest.param(None, "", id="no reason"),
    ],
)
def test_the_words_of_a_rule(reason: Reason | None, words: str) -> None:
    assert rule_words(reason) == words
