"""Follows a maintainer script as it would go on a fresh root, without running it.

Conditions that can be decided are decided; where one cannot, no branch is taken and its line is reported. The
commands themselves are in the tables of language.py and commands.py.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping

from builder.shell.commands import first_word
from builder.shell.parse import commands_of
from builder.shell.syntax import (
    UNKNOWN,
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Sequence,
    Simple,
    While,
)
from builder.shell.words import ShellSyntaxError
from builder.sources.debian.configure.conditions import Verdict, negated
from builder.sources.debian.configure.expand import (
    Scope,
    expand_fields,
    expand_pattern,
    expand_text,
    matches,
)
from builder.sources.debian.configure.flow import Exit, Findings, Leave, Return
from builder.sources.debian.configure.redirect import redirected
from builder.sources.debian.configure.system import System, TooMuchError
from builder.sources.debian.configure.walk import assigned_names, has_effect

MOST_STEPS = 20_000
_MOST_CALLS = 24
_MOST_OUTPUT = 1 << 16
_MOST_REPORTED = 200
_PURE = frozenset({"[", "test", "true", "false", ":"})

SHELLS = re.compile(r"#!\s*/(?:usr/)?bin/(?:ba|da)?sh\b")
"""How a shell script starts."""

Handler = Callable[["Shell", list[str]], Verdict]


class Shell:
    """One run of one script. ``handlers`` has the commands that are understood, by name."""

    def __init__(
        self,
        system: System,
        package: str,
        script: str,
        *,
        arguments: tuple[str, ...],
        handlers: Mapping[str, Handler],
    ) -> None:
        self.system = system
        self.package = package
        self.variables: dict[str, str] = {
            "DPKG_MAINTSCRIPT_PACKAGE": package,
            "0": f"{package}.script",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        self.functions: dict[str, Command] = {}
        self.arguments = list(arguments)
        self.handlers = handlers
        self.input: str = ""
        self.findings = Findings()
        self.answers: dict[str, str] | None = None
        """What debconf would answer; None when the questions are not known."""
        self.umask = 0o022
        self.line = 1
        self.status: Verdict = True
        self._script = script
        self._output: list[str] | None = None
        self._written = 0
        self._outside = 0
        """Line that a file of the packages is read for; 0 in the script itself."""
        self._borrowed: set[str] = set()
        """Functions that such files define."""
        self._steps = 0
        self._calls = 0

    # ---- what commands use -------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        """Say what the script does."""
        self.findings.recognised[sentence] = None

    def miss(self, what: str) -> None:
        """Say what the script would generate and the image lacks."""
        self.findings.not_made[what] = None

    def write(self, text: str) -> None:
        """Standard output."""
        self._written += len(text)
        if self._output is not None and self._written <= _MOST_OUTPUT:
            self._output.append(text)

    def unclear(self, line: int | None = None) -> None:
        """Report the line of the present command as not recognised."""
        number = self._outside or (self.line if line is None else line)
        lines = self._script.split("\n", number)
        text = lines[number - 1].strip() if len(lines) >= number else ""
        if len(self.findings.unrecognised) < _MOST_REPORTED:
            self.findings.unrecognised.setdefault(number, text[:200])

    def call(self, name: str, arguments: list[str]) -> Verdict:
        """Run a command by name; None, and a report, when nothing is known about it."""
        if name in self.functions:
            return self._call_function(name, arguments)
        handler = self.handlers.get(name) or self.handlers.get(name.rpartition("/")[2])
        if handler is None and name.startswith("/") and SHELLS.match(self.system.read(name)):
            return self.helper(name, arguments)
        verdict = handler(self, arguments) if handler is not None else None
        if verdict is None and handler is None:
            self.system.mention(self.package, *filter(self.system.has_user, arguments))
            self.write(UNKNOWN)
            self.unclear()
        return verdict

    def include(self, path: str) -> Verdict:
        """``. path``: follow a file of the packages here; None, and a report, when it is not known."""
        text = self.system.read(path) if self.system.knows(path) else UNKNOWN
        if text == UNKNOWN or self._calls >= _MOST_CALLS:
            self.unclear()
            return None
        outside, self._outside = self._outside, self._outside or self.line
        known = set(self.functions)
        self._calls += 1
        status: Verdict = True
        try:
            for command in commands_of(text):
                status = self.execute(command)
        except ShellSyntaxError:
            self.unclear()
            status = None
        except Return as end:
            status = end.status
        finally:
            self._outside = outside
            self._borrowed |= set(self.functions) - known
            self._calls -= 1
        return status

    def helper(self, path: str, arguments: list[str]) -> Verdict:
        """A program that is a shell script of the packages: followed as one of its own."""
        before = (self.variables, self.arguments, self.functions)
        folder = self.system.folder
        self.variables, self.arguments, self.functions = dict(self.variables), arguments, {}
        try:
            return self.include(path)
        except Exit:
            return self.status
        finally:
            self.variables, self.arguments, self.functions = before
            self.system.folder = folder

    # ---- running -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Follow the whole script. Nothing is raised for a script that is not understood: it is reported."""
        self.system.folder = ""
        try:
            for command in commands_of(self._script):
                self.execute(command)
        except ShellSyntaxError as error:
            self.unclear(error.line)
        except (TooMuchError, RecursionError):
            self.unclear()
        except (Exit, Return, Leave):
            pass

    def execute(self, command: Command) -> Verdict:
        """Follow one command; its status, None when that is not known."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooMuchError("the script does not come to an end")
        self.line = command.line
        self.status = self._dispatch(command)
        self.variables["?"] = UNKNOWN if self.status is None else "01"[not self.status]
        return self.status

    def _dispatch(self, command: Command) -> Verdict:  # noqa: C901, PLR0911 (one line for each kind of command)
        match command:
            case Simple():
                return self._simple(command)
            case Sequence():
                return self._sequence(command)
            case AndOr():
                return self._and_or(command)
            case If():
                return self._if(command)
            case Pipeline():
                return self._pipeline(command)
            case For():
                return self._for(command)
            case While():
                return self._while(command)
            case Case():
                return self._case(command)
            case Group():
                return redirected(self, command.redirects, lambda: self._group(command))
            case Function():
                self.functions[command.name] = command.body
                return True

    def _sequence(self, command: Sequence) -> Verdict:
        status: Verdict = True
        for one in command.commands:
            status = self.execute(one)
        return status

    def _and_or(self, command: AndOr) -> Verdict:
        status = self.execute(command.first)
        for operator, one in command.rest:
            if status is None and first_word(one) in _PURE:
                # Unknown and false is false; unknown or true is true.
                decided = self.execute(one)
                status = decided if decided is (operator == "||") else None
            elif status is None:
                self._skip(one)
            elif status is (operator == "&&"):
                status = self.execute(one)
        return status

    def _if(self, command: If) -> Verdict:
        for number, (condition, body) in enumerate(command.branches):
            status = self.execute(condition)
            if status:
                return self.execute(body)
            if status is None:
                rest = command.branches[number:]
                self._skip(*(part for branch in rest for part in branch[1:]), command.otherwise)
                return None
        return self.execute(command.otherwise) if command.otherwise is not None else True

    def _skip(self, *commands: Command | None) -> None:
        """Pass over what may or may not be done; report it when it would have mattered."""
        for command in commands:
            if command is None:
                continue
            for name in assigned_names(command):
                self.variables[name] = UNKNOWN
            if has_effect(command, self.functions):
                self.unclear(command.line)

    def _pipeline(self, command: Pipeline) -> Verdict:
        before = self.input
        status: Verdict = True
        for number, one in enumerate(command.commands):
            if number < len(command.commands) - 1:
                status, output = self._capture(one)
                self.input = output
            else:
                status = self._contained(one) if number else self.execute(one)
        self.input = before
        return negated(status) if command.negated else status

    def _contained(self, command: Command) -> Verdict:
        """A command of a pipeline or subshell: its variables and its exit stay inside."""
        variables, arguments, umask = dict(self.variables), list(self.arguments), self.umask
        folder = self.system.folder
        try:
            return self.execute(command)
        except (Exit, Return) as end:
            return end.status if isinstance(end, Return) else self.status
        finally:
            self.variables, self.arguments, self.umask = variables, arguments, umask
            self.system.folder = folder

    def _capture(self, command: Command) -> tuple[Verdict, str]:
        with self.capturing() as captured:
            status = self._contained(command)
        return status, "".join(captured)

    @contextlib.contextmanager
    def capturing(self) -> Iterator[list[str]]:
        """Collect what is written meanwhile."""
        outside, self._output = self._output, []
        before, self._written = self._written, 0
        try:
            yield self._output
        finally:
            self._output, self._written = outside, before

    def _substitute(self, command: Command) -> str:
        line = self.line
        self.status, output = self._capture(command)
        self.line = line
        return output.rstrip("\n")

    def _group(self, command: Group) -> Verdict:
        return self._contained(command.body) if command.subshell else self.execute(command.body)

    def _for(self, command: For) -> Verdict:
        values = list(self.arguments) if command.words is None else expand_fields(command.words, self.scope())
        if any(value == UNKNOWN for value in values):
            self._skip(command.body)
            return None
        status: Verdict = True
        for value in values:
            self.variables[command.name] = value
            try:
                status = self.execute(command.body)
            except Leave as leave:
                if not self._goes_on(leave):
                    break
        return status

    @staticmethod
    def _goes_on(leave: Leave) -> bool:
        if leave.levels > 1:
            raise Leave(leave.levels - 1, again=leave.again)
        return leave.again

    def _while(self, command: While) -> Verdict:
        while True:
            status = self.execute(command.condition)
            status = negated(status) if command.negated else status
            if status is None:
                self._skip(command.body)
                return None
            if not status:
                return True
            try:
                self.execute(command.body)
            except Leave as leave:
                if not self._goes_on(leave):
                    return True

    def _case(self, command: Case) -> Verdict:
        scope = self.scope()
        text = expand_text(command.word, scope)
        for patterns, body in command.items:
            verdicts = [matches(text, expand_pattern(pattern, scope)) for pattern in patterns]
            if True in verdicts:
                return self.execute(body)
            if None in verdicts:
                self._skip(*(one for _, one in command.items))
                return None
        return True

    # ---- simple commands ---------------------------------------------------------------------------

    def scope(self) -> Scope:
        """What words are expanded with here."""
        return Scope(
            variables=self.variables,
            arguments=self.arguments,
            assign=self.variables.__setitem__,
            substitute=self._substitute,
            glob=self.system.glob,
        )

    def _simple(self, command: Simple) -> Verdict:
        scope = self.scope()
        self.status = True
        for name, word in command.assignments:
            self.variables[name] = expand_text(word, scope)
        if not command.words:
            status = self.status
            return redirected(self, command.redirects, lambda: status) if command.redirects else status
        fields = expand_fields(command.words, scope)
        if not fields:
            return self.status
        if command.redirects:
            return redirected(self, command.redirects, lambda: self._run(fields, command.line))
        return self._run(fields, command.line)

    def _run(self, fields: list[str], line: int) -> Verdict:
        self.line = line
        if UNKNOWN in fields[0]:
            self.write(UNKNOWN)
            self.unclear(line)
            return None
        return self.call(fields[0], fields[1:])

    def _call_function(self, name: str, arguments: list[str]) -> Verdict:
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise TooMuchError("functions call each other without end")
        before, self.arguments = self.arguments, arguments
        outside, self._outside = self._outside, self._outside or (self.line if name in self._borrowed else 0)
        try:
            return self.execute(self.functions[name])
        except Return as end:
            return end.status
        finally:
            self.arguments, self._outside = before, outside
            self._calls -= 1
