"""Failed smoke tests as a person reads them: what ran, what came instead, how to look again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from builder.recipe.model import SmokeTest
from builder.verify.task import Outcome, Program

UNTESTED = "oci:untested"
"""Where the hint has the image written that failed."""

_LINES = 12
_FIRST = 4
"""Of more lines than that the first and, for the rest of them, the last are shown."""
_WIDTH = 240
_CAUSE = re.compile(
    r"error while loading shared libraries|[Ee]rror loading shared library|[Ee]rror relocating"
    r"|symbol lookup error|version `[^']*' not found|cannot open shared object file"
    r"|(?:ModuleNotFound|Import)Error:|^Exception in thread|java\.lang\.\w+(?:Error|Exception)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed test. ``runs_as`` is the user in numbers; ``image`` ends the command that looks again."""

    test: SmokeTest
    command: tuple[str, ...]
    runs_as: str
    outcome: Outcome
    image: str

    def text(self) -> str:
        """Write it in a few lines, indented by two."""
        return "\n".join(f"  {line}" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        place = f" ({self.test.place})" if self.test.place else ""
        yield f"test {self.test.name}{place}"
        yield f"  ran:      {_one_line(shlex.join(self.command))}" + (
            f" as {self.runs_as}" if self.runs_as else ""
        )
        programs = self.outcome["programs"]
        for program in programs[1:]:
            yield f"  beside:   {_one_line(shlex.join(program['argv']))}"
        for expected, came in self.outcome["failures"]:
            yield f"  expected: {_one_line(expected)}"
            yield f"  came:     {_one_line(came)}"
        cause = _cause(programs)
        if cause:
            yield f"  cause:    {cause}"
        for number, program in enumerate(programs):
            yield from _outputs(program, "" if len(programs) == 1 else (" of the service", " beside")[number])
        yield f"  again:    {again(self.test, self.image)}"


def _cause(programs: list[Program]) -> str:
    """The line in which the dynamic linker or an interpreter says what it does not find."""
    for program in reversed(programs):
        for line in f"{program['stderr']}\n{program['stdout']}".splitlines():
            if _CAUSE.search(line):
                return _one_line(line.strip())
    return ""


def _outputs(program: Program, whose: str) -> Iterator[str]:
    for name in ("stdout", "stderr"):
        lines = (program["stdout"] if name == "stdout" else program["stderr"]).rstrip().splitlines()
        if lines:
            yield f"  {name}{whose}:"
            yield from (f"    {line}" for line in _shortened(lines))


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _LINES:
        return [f"| {_one_line(line)}" for line in lines]
    more = len(lines) - _LINES
    middle = f"… {more} line{'s' * (more > 1)} more"
    first, last = lines[:_FIRST], lines[_FIRST - _LINES :]
    return [*(f"| {_one_line(line)}" for line in first), middle, *(f"| {_one_line(line)}" for line in last)]


def _one_line(text: str) -> str:
    shown = _printable(text)
    return shown if len(shown) <= _WIDTH else f"{shown[:_WIDTH]}…"


def _printable(text: str) -> str:
    """What an image's program wrote can neither repaint the terminal nor start a line of its own."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def again(test: SmokeTest, image: str) -> str:
    """Write the command that starts the same in an engine, as close as one line can come."""
    words = ["podman", "run", "--rm", "--init", "--read-only", "--network=none", "--cap-drop=all"]
    words += [f"--tmpfs={path}" for path in test.writable]
    words += [f"--env={name}={value}" for name, value in test.env]
    words += [f"--user={test.user}"] if test.user else []
    words += [f"--workdir={test.workdir}"] if test.workdir else []
    words += [f"--entrypoint={test.run[0]}"] if test.run else []
    return _printable(shlex.join([*words, image, *test.run[1:]]))
