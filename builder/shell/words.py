"""Words and tokens of shell programs: quoting, parameters, here-documents (POSIX.1-2024, XCU 2.2 to 2.7)."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left

from builder.shell.syntax import Parameter, Part, Sequence, Substitution, Text, Word

_MOST_DEPTH = 40
_MOST_PARTS = 4096
_BLANK = re.compile(r"(?:[ \t\r]|\\\n)+|(?<![^\s;&|()])#[^\n]*")
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[|&;()\n]")
_PLAIN = re.compile(r"[^\s'\"\\$`|&;<>()]+")
_QUOTED_PLAIN = re.compile(r"[^\"\\$`]+")
_DOCUMENT_PLAIN = re.compile(r"[^\\$`]+")
_BRACED_PLAIN = re.compile(r"[^\"'\\$`}]+")
_QUOTED_BRACED_PLAIN = re.compile(r"[^\"\\$`}]+")
_PARAMETER = re.compile(r"[A-Za-z_]\w*|[0-9@*#?$!-]", re.ASCII)
_BRACE_NAME = re.compile(r"[A-Za-z_]\w*|[0-9]+|[@*#?$!-]", re.ASCII)
_BRACE_OPERATOR = re.compile(r":?[-=+?]|##?|%%?")
_EMPTY = Text("", quoted=True)


class ShellSyntaxError(ValueError):
    """Text that is not understood as a shell program, at ``line``."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class WordReader(ABC):
    """One text, and where the next token of it starts. ``line`` is the number of its first line."""

    def __init__(self, text: str, *, line: int = 1, depth: int = 0) -> None:
        self._text = text
        self._at = 0
        self._first_line = line
        self._depth = depth
        self._peeked_at, self._peeked = -1, ""
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._resume: dict[int, int] = {}
        """Newline → where reading goes on, past the here-documents that start behind it."""

    @abstractmethod
    def _command_substitution(self) -> Sequence:
        """Read ``…)``."""

    @abstractmethod
    def _inner(self, text: str) -> WordReader:
        """A reader of a text that stands inside this one, at the present line."""

    @abstractmethod
    def _whole(self) -> Sequence:
        """Everything as one sequence."""

    # ---- tokens ------------------------------------------------------------------------------------

    def _line(self) -> int:
        return self._first_line + bisect_left(self._newlines, self._at)

    def _error(self, message: str) -> ShellSyntaxError:
        return ShellSyntaxError(self._line(), message)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise self._error("commands are nested too deeply")

    def _skip_blank(self) -> None:
        while match := _BLANK.match(self._text, self._at):
            self._at = match.end()

    def _peek(self) -> str:
        """The operator or the plain start of the word that comes next; "" at the end."""
        if self._at != self._peeked_at:
            self._skip_blank()
            self._peeked_at, self._peeked = self._at, self._token()
        return self._peeked

    def _token(self) -> str:
        if self._at >= len(self._text):
            return ""
        if match := _OPERATOR.match(self._text, self._at):
            return match[0]
        if match := _PLAIN.match(self._text, self._at):
            end = match.end()
            whole = end >= len(self._text) or self._text[end] not in "'\"\\$`"
            return match[0] if whole else "\0word"
        return "\0word"

    def _operator(self, operator: str) -> None:
        if self._peek() != operator:
            raise self._error(f"{operator!r} is expected")
        if operator == "\n" and self._at in self._resume:
            self._at = self._resume[self._at]
        else:
            self._at += len(operator)

    def _skip_newlines(self) -> None:
        while self._peek() == "\n":
            self._operator("\n")

    def _skip_separators(self) -> None:
        while (token := self._peek()) in {"\n", ";", "&"}:
            self._operator(token)

    def _expect(self, word: str) -> None:
        if self._peek() != word:
            raise self._error(f"{word!r} is expected")
        self._at += len(word)

    # ---- words -------------------------------------------------------------------------------------

    def _word(self) -> Word:
        self._skip_blank()
        word = self._parts()
        if not word:
            raise self._error("a word is expected")
        return word

    @staticmethod
    def _literal(word: Word) -> str:
        return word[0].text if len(word) == 1 and isinstance(word[0], Text) else ""

    def _parts(self) -> Word:
        parts: list[Part] = []
        while self._at < len(self._text):
            if match := _PLAIN.match(self._text, self._at):
                self._at = match.end()
                parts.append(Text(match[0]))
                continue
            letter = self._text[self._at]
            if letter not in "'\"\\$`":
                break
            parts += self._special(letter, quoted=False)
            if len(parts) > _MOST_PARTS:
                raise self._error("a word is too long")
        return tuple(parts)

    def _special(self, letter: str, *, quoted: bool) -> list[Part]:
        if letter == "'":
            return [self._single_quoted()]
        if letter == '"':
            return self._double_quoted()
        if letter == "\\":
            return self._escaped(quoted=quoted)
        if letter == "`":
            return [self._backquoted(quoted=quoted)]
        return [self._dollar(quoted=quoted)]

    def _single_quoted(self) -> Part:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise self._error("a quote has no end")
        text, self._at = self._text[self._at + 1 : end], end + 1
        return Text(text, quoted=True)

    def _double_quoted(self) -> list[Part]:
        self._at += 1
        parts = self._quoted_until('"', _QUOTED_PLAIN)
        self._at += 1
        return parts or [_EMPTY]

    def _quoted_until(self, end: str, plain: re.Pattern[str]) -> list[Part]:
        """Parts up to the letter ``end`` ("" for the end of the text), which stays unread."""
        parts: list[Part] = []
        while True:
            if self._at >= len(self._text):
                if not end:
                    return parts
                raise self._error("a quote has no end")
            letter = self._text[self._at]
            if letter == end:
                return parts
            if match := plain.match(self._text, self._at):
                self._at = match.end()
                parts.append(Text(match[0], quoted=True))
            else:
                parts += self._special(letter, quoted=True)

    def _escaped(self, *, quoted: bool) -> list[Part]:
        letter = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if letter == "\n":
            return []
        if quoted and letter not in {"$", "`", '"', "\\"}:
            return [Text(f"\\{letter}", quoted=True)]
        return [Text(letter, quoted=True)]

    def _backquoted(self, *, quoted: bool) -> Part:
        match = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL).match(self._text, self._at)
        if match is None:
            raise self._error("a backquote has no end")
        self._deeper()
        inner = self._inner(re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", match[1]))
        body = inner._whole()  # noqa: SLF001 (a reader of the same kind)
        self._depth -= 1
        self._at = match.end()
        return Substitution(body, quoted)

    def _dollar(self, *, quoted: bool) -> Part:
        text, at = self._text, self._at
        if text.startswith("$((", at):
            return self._arithmetic(quoted=quoted)
        if text.startswith("$(", at):
            self._at += 2
            self._deeper()
            body = self._command_substitution()
            self._depth -= 1
            return Substitution(body, quoted)
        if text.startswith("${", at):
            return self._braced(quoted=quoted)
        match = _PARAMETER.match(text, at + 1)
        self._at = match.end() if match else at + 1
        return Parameter(match[0], quoted=quoted) if match else Text("$", quoted)

    def _arithmetic(self, *, quoted: bool) -> Part:
        depth = 0
        for match in re.compile(r"[()]").finditer(self._text, self._at):
            depth += 1 if match[0] == "(" else -1
            if depth == 0:
                self._at = match.end()
                return Substitution(None, quoted)
        raise self._error("$(( has no end")

    def _braced(self, *, quoted: bool) -> Part:
        text = self._text
        self._at += 2
        if text.startswith("#", self._at) and not text.startswith("#}", self._at):
            name = self._brace_name(self._at + 1)
            operator = "#length"
        else:
            name = self._brace_name(self._at)
            match = _BRACE_OPERATOR.match(text, self._at)
            operator = match[0] if match else ("" if text.startswith("}", self._at) else "other")
            self._at = match.end() if match else self._at
        self._deeper()
        argument = self._brace_argument(quoted=quoted)
        self._depth -= 1
        return Parameter(name, operator, argument, quoted)

    def _brace_name(self, at: int) -> str:
        match = _BRACE_NAME.match(self._text, at)
        if match is None:
            raise self._error("${ needs a name")
        self._at = match.end()
        return match[0]

    def _brace_argument(self, *, quoted: bool) -> Word:
        if quoted:
            parts = self._quoted_until("}", _QUOTED_BRACED_PLAIN)
            self._at += 1
            return tuple(parts)
        parts = []
        while True:
            if self._at >= len(self._text):
                raise self._error("${ has no end")
            letter = self._text[self._at]
            if letter == "}":
                self._at += 1
                return tuple(parts)
            if match := _BRACED_PLAIN.match(self._text, self._at):
                self._at = match.end()
                parts.append(Text(match[0]))
            else:
                parts += self._special(letter, quoted=False)

    # ---- here-documents ----------------------------------------------------------------------------

    def _heredoc(self, word: Word, *, tabs: bool) -> Word:
        """The document that starts behind this line; the reader skips it when it comes there."""
        delimiter = "".join(part.text for part in word if isinstance(part, Text))
        newline = self._text.find("\n", self._at)
        if newline < 0:
            raise self._error(f"the here-document {delimiter} has no end")
        at = self._resume.get(newline, newline + 1)
        body: list[str] = []
        while True:
            if at >= len(self._text):
                raise self._error(f"the here-document {delimiter} has no end")
            end = self._text.find("\n", at)
            end = len(self._text) if end < 0 else end
            line = self._text[at:end].lstrip("\t") if tabs else self._text[at:end]
            at = end + 1
            if line == delimiter:
                break
            body.append(f"{line}\n")
        self._resume[newline] = min(at, len(self._text))
        text = "".join(body)
        if any(part.quoted for part in word):
            return (Text(text, quoted=True),)
        return tuple(self._inner(text)._quoted_until("", _DOCUMENT_PLAIN))  # noqa: SLF001 (as above)
