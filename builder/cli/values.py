"""Types of option values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # the model of recipes is a tenth of a command that finds nothing to do
    from builder.recipe.model import Severity

_AGE = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[hd])")
_SECONDS = {"h": 3600, "d": 86400}


class _Age(click.ParamType[int | None]):
    """``7d``, ``12h``, or ``any`` for no limit (None)."""

    name = "age"

    def convert(
        self, value: int | str | None, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value is None or isinstance(value, int):
            return value
        if value == "any":
            return None
        match = _AGE.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is no age; expected 7d, 12h or any", param, ctx)
        return int(match["count"]) * _SECONDS[match["unit"]]


class _Severity(click.ParamType["Severity | None"]):
    """A severity by name, or ``none`` for findings that never fail (None)."""

    name = "severity"

    def convert(
        self, value: Severity | str | None, param: click.Parameter | None, ctx: click.Context | None
    ) -> Severity | None:
        from builder.recipe.model import Severity  # noqa: PLC0415 (see above)

        if value is None or isinstance(value, Severity):
            return value
        if value == "none":
            return None
        try:
            return Severity[value.upper()]
        except KeyError:
            names = ", ".join(severity.name.lower() for severity in Severity)
            self.fail(f"{value!r} is no severity; expected {names} or none", param, ctx)


AS_WRITTEN = -1
"""An age that was not given: what the recipe says holds."""
AGE = _Age()
SEVERITY = _Severity()
