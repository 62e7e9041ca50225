"""A reader of shell programs: text to values, bounded, nothing expanded (POSIX.1-2024, XCU 2.9 and 2.10)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Parameter,
    Pipeline,
    Redirect,
    Sequence,
    Simple,
    Text,
    While,
    Word,
)
from builder.shell.words import ShellSyntaxError, WordReader

MOST_TEXT = 1 << 17
"""Characters of a script that is read; a longer one counts as not understood."""

_REDIRECT = re.compile(r"(\d?)(<<<|<<-|<<|<>|<&|>>|>&|>\||&>>|&>|<(?!\()|>(?!\())")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=", re.ASCII)
_RESERVED = frozenset({"then", "else", "elif", "fi", "do", "done", "esac", "}"})
_SEPARATORS = frozenset({"", "\n", ";", "&", "|", "&&", "||", ")", ";;", ";&", ";;&", "|&"})


def commands_of(script: str) -> Iterator[Command]:
    """The commands of a script one by one. ShellSyntaxError where it stops to be understood."""
    if len(script) > MOST_TEXT:
        raise ShellSyntaxError(1, "the script is too long")
    yield from _Parser(script.replace("\0", " ")).program()


class _Parser(WordReader):
    """Recursive descent over one text."""

    def program(self) -> Iterator[Command]:
        while True:
            self._skip_separators()
            if self._peek() == "":
                return
            command = self._and_or()
            self._end_of_command()
            yield command

    def _inner(self, text: str) -> WordReader:
        return _Parser(text, line=self._line(), depth=self._depth)

    def _whole(self) -> Sequence:
        return Sequence(self._line(), tuple(self.program()))

    def _command_substitution(self) -> Sequence:
        body = self._sequence((")",))
        self._operator(")")
        return body

    # ---- lists -------------------------------------------------------------------------------------

    def _sequence(self, ends: tuple[str, ...]) -> Sequence:
        """Commands up to one of the words or operators ``ends``, which is left unread."""
        self._deeper()
        self._skip_separators()
        line = self._line()
        commands: list[Command] = []
        while True:
            self._skip_separators()
            ahead = self._peek()
            if ahead in ends:
                break
            if ahead == "":
                raise self._error(f"the script ends where {' or '.join(ends)} is expected")
            commands.append(self._and_or())
            self._end_of_command()
        self._depth -= 1
        return Sequence(line, tuple(commands))

    def _end_of_command(self) -> None:
        ahead = self._peek()
        if ahead in {"&", ";", "\n"}:
            self._operator(ahead)
        elif ahead not in _SEPARATORS and ahead not in _RESERVED:
            raise self._error(f"{ahead!r} is not expected")

    def _and_or(self) -> Command:
        line = self._line()
        first = self._pipeline()
        rest: list[tuple[str, Command]] = []
        while (ahead := self._peek()) in {"&&", "||"}:
            self._operator(ahead)
            self._skip_newlines()
            rest.append((ahead, self._pipeline()))
        return AndOr(line, first, tuple(rest)) if rest else first

    def _pipeline(self) -> Command:
        line = self._line()
        negated = False
        while self._peek() == "!":
            self._word()
            negated = not negated
        commands = [self._command()]
        while (ahead := self._peek()) in {"|", "|&"}:
            self._operator(ahead)
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(line, tuple(commands), negated) if negated or len(commands) > 1 else commands[0]

    # ---- commands ----------------------------------------------------------------------------------

    def _command(self) -> Command:
        self._deeper()
        ahead = self._peek()
        compound = {
            "if": self._if,
            "for": self._for,
            "while": self._while,
            "until": self._while,
            "case": self._case,
            "{": self._group,
            "(": self._subshell,
            "function": self._function,
        }.get(ahead)
        command = self._with_redirects(compound()) if compound else self._simple()
        self._depth -= 1
        return command

    def _with_redirects(self, command: Command) -> Command:
        redirects = tuple(self._redirects())
        return Group(command.line, command, redirects) if redirects else command

    def _if(self) -> Command:
        line = self._line()
        branches: list[tuple[Command, Command]] = []
        otherwise = None
        ahead = "if"
        while ahead in {"if", "elif"}:
            self._expect(ahead)
            condition = self._sequence(("then",))
            self._expect("then")
            branches.append((condition, self._sequence(("elif", "else", "fi"))))
            ahead = self._peek()
        if ahead == "else":
            self._expect("else")
            otherwise = self._sequence(("fi",))
        self._expect("fi")
        return If(line, tuple(branches), otherwise)

    def _for(self) -> Command:
        line = self._line()
        self._expect("for")
        name = self._literal(self._word())
        if not _NAME.fullmatch(name):
            raise self._error("for needs a name")
        self._skip_newlines()
        words: list[Word] | None = None
        if self._peek() == "in":
            self._expect("in")
            words = []
            while self._peek() not in {"", ";", "\n", "&", "|", "(", ")"}:
                words.append(self._word())
        self._skip_separators()
        return For(line, name, None if words is None else tuple(words), self._do())

    def _do(self) -> Sequence:
        self._expect("do")
        body = self._sequence(("done",))
        self._expect("done")
        return body

    def _while(self) -> Command:
        line = self._line()
        negated = self._literal(self._word()) == "until"
        condition = self._sequence(("do",))
        return While(line, condition, self._do(), negated)

    def _case(self) -> Command:
        line = self._line()
        self._expect("case")
        word = self._word()
        self._skip_newlines()
        self._expect("in")
        items: list[tuple[tuple[Word, ...], Command]] = []
        while True:
            self._skip_separators()
            if self._peek() == "esac":
                break
            if self._peek() == "(":
                self._operator("(")
            patterns = [self._word()]
            while self._peek() == "|":
                self._operator("|")
                patterns.append(self._word())
            self._operator(")")
            body = self._sequence((";;", ";&", ";;&", "esac"))
            items.append((tuple(patterns), body))
            if self._peek() != "esac":
                self._operator(self._peek())
        self._expect("esac")
        return Case(line, word, tuple(items))

    def _group(self) -> Command:
        line = self._line()
        self._expect("{")
        body = self._sequence(("}",))
        self._expect("}")
        return Group(line, body, ())

    def _subshell(self) -> Command:
        line = self._line()
        self._operator("(")
        body = self._sequence((")",))
        self._operator(")")
        return Group(line, body, (), subshell=True)

    def _function(self) -> Command:
        line = self._line()
        self._expect("function")
        name = self._literal(self._word())
        if self._peek() == "(":
            self._operator("(")
            self._operator(")")
        self._skip_newlines()
        return Function(line, name, self._command())

    def _simple(self) -> Command:
        line = self._line()
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            redirects += self._redirects()
            ahead = self._peek()
            if ahead in _SEPARATORS:
                break
            if ahead == "(":
                return self._definition(line, words)
            if not words and ahead in _RESERVED:
                break
            if not words and ahead == "[[":
                words = self._double_bracket()
                continue
            assignment = None if words else self._assignment()
            if assignment:
                assignments.append(assignment)
            else:
                words.append(self._word())
        if not words and not assignments and not redirects:
            raise self._error(f"{self._peek()!r} is not expected")
        return Simple(line, tuple(assignments), tuple(words), tuple(redirects))

    def _definition(self, line: int, words: list[Word]) -> Command:
        name = self._literal(words[0]) if len(words) == 1 else ""
        if not name:
            raise self._error("'(' is not expected")
        self._operator("(")
        self._operator(")")
        self._skip_newlines()
        return Function(line, name, self._command())

    def _double_bracket(self) -> list[Word]:
        end = self._text.find("]]", self._at)
        if end < 0:
            raise self._error("[[ has no end")
        self._at = end + 2
        return [(Text("[["),)]

    def _assignment(self) -> tuple[str, Word] | None:
        match = _ASSIGNMENT.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        value = self._parts()
        return match[1], ((Parameter(match[1]), *value) if match[2] else value)

    def _redirects(self) -> Iterator[Redirect]:
        self._skip_blank()
        while match := _REDIRECT.match(self._text, self._at):
            self._at = match.end()
            self._skip_blank()
            descriptor = int(match[1]) if match[1] and len(match[1]) == 1 else -1
            target = self._parts()
            if not target:
                raise self._error(f"{match[2]} has no target")
            if match[2] in {"<<", "<<-"}:
                target = self._heredoc(target, tabs=match[2] == "<<-")
            yield Redirect(match[2], descriptor, target)
            self._skip_blank()
