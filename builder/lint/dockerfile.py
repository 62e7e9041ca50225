"""A Dockerfile as values: instructions with their lines, joined into stages; only ARGs in FROM are expanded.

https://docs.docker.com/reference/dockerfile/: parser directives, escape, comments, here-documents, exec form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.errors import BuildError

MAX_TEXT = 1 << 20
"""Characters; a Dockerfile is written by people or by generators, and these stay far below."""

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=\s*(\S.*?)\s*$", re.IGNORECASE)
_COMMENT = re.compile(r"\s*#")
_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)(?:\s+(.*))?$", re.DOTALL)
_FLAG = re.compile(r"--([a-z][a-z0-9-]*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})", re.ASCII)
_TAKES_HEREDOC = frozenset({"RUN", "COPY", "ADD"})
KNOWN = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction. ``line`` is its first line, from 1; ``text`` its arguments, flags taken off.

    Line ends inside ``text`` are kept, comments between continued lines are blank, so that a line of ``text``
    is a line of the file. ``words`` is the exec form (a JSON array), or None. ``heredocs`` are the bodies.
    """

    name: str
    line: int
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] | None = None
    heredocs: tuple[str, ...] = ()

    def flag(self, name: str) -> str | None:
        """The value of ``--name``, or None."""
        return next((value for key, value in self.flags if key == name), None)

    def arguments(self) -> tuple[str, ...]:
        """The arguments as words: of the exec form, or split at blanks, quotes taken off."""
        if self.words is not None:
            return self.words
        plain = re.sub(r"\\\n", " ", self.text)
        return tuple(one.strip("\"'") for one in re.findall(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+", plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One FROM with what follows it. ``image`` has the ARGs before the first FROM filled in."""

    number: int
    name: str
    image: str
    start: Instruction
    instructions: tuple[Instruction, ...]

    def all_of(self, *names: str) -> tuple[Instruction, ...]:
        """The instructions of these names, in order; those of ONBUILD are not among them."""
        return tuple(one for one in self.instructions if one.name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A whole file. ``arguments`` are the ARGs before the first FROM; ``ignores``: rule names by line."""

    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    ignores: Mapping[int, frozenset[str]]

    @property
    def final(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]

    def base_stage(self, stage: Stage) -> Stage | None:
        """The stage that ``stage`` starts from, where it is one of this file and not an image."""
        earlier = self.stages[: stage.number]
        return next((one for one in reversed(earlier) if one.name and one.name == stage.image.lower()), None)

    def lineage(self, stage: Stage) -> tuple[Stage, ...]:
        """``stage`` and the stages that it starts from, the nearest first."""
        found = [stage]
        while (base := self.base_stage(found[-1])) is not None:
            found.append(base)
        return tuple(found)


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is one: Dockerfile, Containerfile, Dockerfile.web, web.dockerfile."""
    lower = name.lower()
    plain = ("dockerfile", "containerfile")
    return lower.startswith(plain) or lower.endswith(tuple(f".{one}" for one in plain))


def parse_dockerfile(text: str, file: str) -> Dockerfile:
    """Read a Dockerfile. BuildError with the line where it is none."""
    if len(text) > MAX_TEXT:
        raise BuildError(f"{file} is no Dockerfile: it has more than {MAX_TEXT} characters")
    if "\0" in text:
        raise BuildError(f"{file} is no Dockerfile: it is not text")
    reader = _Reader(text, file)
    instructions = tuple(reader.instructions())
    first = next((at for at, one in enumerate(instructions) if one.name == "FROM"), None)
    if first is None:
        raise BuildError(
            f"{file} is no Dockerfile: it has no FROM", hint="every Dockerfile starts FROM an image"
        )
    early = next((one for one in instructions[:first] if one.name != "ARG"), None)
    if early is not None:
        raise BuildError(f"{file}:{early.line}: {early.name} stands before the first FROM; only ARG may")
    arguments = instructions[:first]
    return Dockerfile(
        arguments=arguments,
        stages=tuple(_stages(instructions[first:], _defaults(arguments), file)),
        ignores=reader.ignores,
    )


_IGNORE = re.compile(r"\s*#\s*(?:rootlet|hadolint)\s+ignore\s*=\s*([\w, -]+?)\s*$")


class _Reader:
    """Lines of one file, joined into instructions."""

    def __init__(self, text: str, file: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._file = file
        self._escape = "\\"
        self.ignores: dict[int, frozenset[str]] = {}

    def instructions(self) -> Iterator[Instruction]:
        at = self._directives()
        pending: frozenset[str] = frozenset()
        while at < len(self._lines):
            line = self._lines[at]
            ignore = _IGNORE.match(line)
            if ignore is not None:
                pending |= {one.strip().lower() for one in ignore[1].split(",")}
            if not line.strip() or _COMMENT.match(line):
                at += 1
                continue
            start = at
            joined, at = self._joined(at)
            instruction, at = self._instruction(joined, start, at)
            if pending:
                self.ignores[instruction.line] = pending
                pending = frozenset()
            yield instruction

    def _directives(self) -> int:
        at = 0
        while at < len(self._lines) and (match := _DIRECTIVE.match(self._lines[at])):
            if match[1].lower() == "escape" and match[2] in {"`", "\\"}:
                self._escape = match[2]
            at += 1
        return at

    def _joined(self, at: int) -> tuple[str, int]:
        """The text of an instruction whose lines are continued, and the number of the line behind it."""
        pieces: list[str] = []
        while at < len(self._lines):
            line = self._lines[at]
            at += 1
            if pieces and (_COMMENT.match(line) or not line.strip()):
                pieces.append("\\\n")
                continue
            body = line.rstrip()
            if not body.endswith(self._escape):
                pieces.append(line)
                break
            pieces.append(f"{body[: -len(self._escape)]}\\\n")
        return "".join(pieces).removesuffix("\\\n"), at

    def _instruction(self, joined: str, start: int, at: int) -> tuple[Instruction, int]:
        match = _INSTRUCTION.match(joined)
        name = match[1].upper() if match else ""
        if match is None or name not in KNOWN:
            word = joined.strip().partition(" ")[0][:40]
            raise BuildError(f"{self._file}:{start + 1}: {word!a} is no instruction of a Dockerfile")
        flags, text, skipped = _flags(match[2] or "")
        heredocs: list[str] = []
        if name in _TAKES_HEREDOC:
            for dash, _, mark in _HEREDOC.findall(text):
                body, at = self._heredoc(mark, bool(dash), at, start)
                heredocs.append(body)
        return Instruction(
            name=name,
            line=start + 1 + skipped,
            text=text,
            flags=flags,
            words=_exec_form(text),
            heredocs=tuple(heredocs),
        ), at

    def _heredoc(self, mark: str, dash: bool, at: int, start: int) -> tuple[str, int]:
        body: list[str] = []
        while at < len(self._lines):
            line = self._lines[at]
            at += 1
            if (line.lstrip("\t") if dash else line) == mark:
                return "\n".join(body), at
            body.append(line)
        raise BuildError(
            f"{self._file}:{start + 1}: the text that {mark} should end goes to the end of the file"
        )


def _flags(text: str) -> tuple[tuple[tuple[str, str], ...], str, int]:
    """Flags, what is behind them, and how many lines they take."""
    flags: list[tuple[str, str]] = []
    at = 0
    while True:
        blank = re.compile(r"(?:[ \t]|\\\n)*").match(text, at)
        at = blank.end() if blank else at
        match = _FLAG.match(text, at)
        if match is None:
            return tuple(flags), text[at:], text.count("\n", 0, at)
        flags.append((match[1], (match[2] or "").strip("\"'")))
        at = match.end()


def _exec_form(text: str) -> tuple[str, ...] | None:
    plain = text.replace("\\\n", " ").strip()
    if not plain.startswith("["):
        return None
    try:
        words = json.loads(plain)
    except (ValueError, RecursionError):
        return None
    if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
        return None
    return tuple(words)


def _defaults(arguments: tuple[Instruction, ...]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for one in arguments:
        for word in one.arguments():
            name, equals, value = word.partition("=")
            values[name] = expand(value.strip("\"'"), values) if equals else ""
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """``text`` with ``$NAME``, ``${NAME}``, ``${NAME:-word}`` and ``${NAME:+word}`` filled in."""

    def value(match: re.Match[str]) -> str:
        known = values.get(match[1] or match[2], "")
        operator, word = match[3] or "", match[4] or ""
        if operator.endswith("-"):
            return known or word
        if operator.endswith("+"):
            return word if known else ""
        return known

    return _VARIABLE.sub(value, text)


def _stages(instructions: tuple[Instruction, ...], values: Mapping[str, str], file: str) -> Iterator[Stage]:
    starts = [at for at, one in enumerate(instructions) if one.name == "FROM"]
    for number, at in enumerate(starts):
        start = instructions[at]
        end = starts[number + 1] if number + 1 < len(starts) else len(instructions)
        words = start.arguments()
        if not words or (len(words) > 1 and (len(words) != 3 or words[1].lower() != "as")):  # noqa: PLR2004
            raise BuildError(f"{file}:{start.line}: FROM takes an image, and perhaps AS and a name")
        yield Stage(
            number=number,
            name=words[2].lower() if len(words) > 1 else "",
            image=expand(words[0], values),
            start=start,
            instructions=instructions[at + 1 : end],
        )
