"""The keys of ``[scan]``: what the scan of the finished image must find, or not find."""

from __future__ import annotations

from builder.recipe import formats
from builder.recipe.keys import LOCAL_PATH
from builder.recipe.model import Scanner, Severity, Unscannable
from builder.recipe.shapes import Day, Flag, Key, ListOf, Number, Table, Text

JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
"""Why an image is not affected, in the words of OpenVEX."""

IGNORE = Table(
    title="[[scan.ignore]]",
    about="A finding that does not fail the build.",
    keys=(
        Key(
            name="id",
            shape=Text(expected="the id of a finding, as CVE-2024-1", pattern=r"[A-Za-z0-9][A-Za-z0-9:._-]*"),
            about="id of the finding",
            required=True,
        ),
        Key(
            name="package",
            shape=Text(rule=formats.plain),
            about="the package in which it is ignored",
            default="",
            otherwise="any package",
        ),
        Key(name="reason", shape=Text(rule=formats.plain), about="why it does no harm", required=True),
        Key(name="expires", shape=Day(), about="last day on which it is ignored", otherwise="never"),
        Key(
            name="justification",
            shape=Text(choices=JUSTIFICATIONS),
            about="OpenVEX's word for why the image is not affected at all",
            default="",
        ),
    ),
)

LIMITS = Table(
    title="[scan.limits]",
    about="How many findings of a severity are allowed; those that are waived do not count.",
    conditional=False,
    keys=tuple(
        Key(
            name=one.name.lower(),
            shape=Number(low=0, high=1_000_000),
            about=f"most findings of the severity {one.name.lower()}",
            otherwise="any number",
        )
        for one in reversed(Severity)
    ),
)

SCAN = Table(
    title="[scan]",
    about="What the scan of the finished image must find, or not find, for the image to get its name.",
    keys=(
        Key(
            name="fail_on",
            shape=Text(choices=(*(one.name.lower() for one in Severity), "none")),
            about="least severity of a finding that fails the build; `none`: findings are only reported",
            default=Severity.HIGH.name.lower(),
        ),
        Key(
            name="only_fixed",
            shape=Flag(),
            about="only findings for which the distribution has a fixed version fail",
            default=False,
        ),
        Key(
            name="scanner",
            shape=Text(choices=tuple(one.value for one in Scanner)),
            about="who finds vulnerabilities: rootlet, or trivy or grype of this machine with their own data",
            default="builtin",
        ),
        Key(
            name="unscannable",
            shape=Text(choices=tuple(one.value for one in Unscannable)),
            about="what to do when part of the image cannot be judged",
            default=Unscannable.FAIL.value,
        ),
        Key(
            name="max_database_age",
            shape=Text(expected='an age such as "7d" or "12h", or "any"', pattern=formats.AGE),
            about="how old the vulnerability data may be",
            default="7d",
        ),
        Key(name="ignore", shape=ListOf(of=IGNORE), about="findings that do not fail the build", default=()),
        Key(
            name="limits",
            shape=LIMITS,
            about="how many findings of a severity are allowed, as `{ high = 0, medium = 10 }`",
        ),
        Key(
            name="vex",
            shape=ListOf(of=LOCAL_PATH),
            about="OpenVEX documents: what they say is not affected, or fixed, does not count",
            default=(),
        ),
    ),
)
