"""Checks of what a container gets to know and who it is: ENV, ARG, LABEL, USER, CMD, EXPOSE."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.dockerfile import Instruction
from builder.lint.model import Remark, Rule
from builder.lint.secrets import is_secret_name, secret_form
from builder.lint.subject import Check, Subject, remark
from builder.recipe.model import Severity

SECRET = Rule(id="secret-in-setting", severity=Severity.CRITICAL, title="a secret is part of the image")
SECRET_ARG = Rule(id="secret-build-argument", severity=Severity.HIGH, title="a secret is a build argument")
SECRET_RUN = Rule(id="secret-in-command", severity=Severity.CRITICAL, title="a secret stands in a command")
ROOT = Rule(id="root", severity=Severity.MEDIUM, title="the program runs as root", also=("DL3002",))
OVERRIDDEN = Rule(
    id="setting-twice",
    severity=Severity.LOW,
    title="only the last one counts",
    also=("DL3012", "DL4003", "DL4004"),
)
SHELL_FORM = Rule(
    id="shell-form",
    severity=Severity.LOW,
    title="a shell stands between engine and program",
    also=("DL3025",),
)
PORT = Rule(
    id="port",
    severity=Severity.LOW,
    title="a port that is none, or that nobody should reach",
    also=("DL3011",),
)
OUTDATED = Rule(
    id="maintainer", severity=Severity.NEGLIGIBLE, title="MAINTAINER is deprecated", also=("DL4000",)
)
LONG_ID = Rule(
    id="useradd-log", severity=Severity.LOW, title="useradd writes a huge sparse file", also=("DL3046",)
)

_MOST_SHOWN = 12


def _pairs(one: Instruction) -> Iterator[tuple[str, str]]:
    """Names and values of ENV, ARG and LABEL, the old form ``ENV name value`` too."""
    words = one.arguments()
    if one.name == "ENV" and words and "=" not in words[0]:
        yield words[0], " ".join(words[1:])
        return
    for word in words:
        name, equals, value = word.partition("=")
        yield name, value.strip("\"'") if equals else ""


def secrets(subject: Subject) -> Iterator[Remark]:
    """Settings and build arguments are in the image's history, for everybody who pulls it."""
    for stage in subject.dockerfile.stages:
        for one in stage.all_of("ENV", "LABEL", "ARG"):
            for name, value in _pairs(one):
                yield from _secret(one, name, value)
    for one in subject.dockerfile.arguments:
        for name, value in _pairs(one):
            yield from _secret(one, name, value)


def _secret(one: Instruction, name: str, value: str) -> Iterator[Remark]:
    form = secret_form(value)
    named = is_secret_name(name) and one.name != "LABEL"
    fix = "give it when the container starts, or mount it while building: RUN --mount=type=secret"
    if form or (named and value and not value.startswith("$")):
        words = form or "a secret by its name"
        yield remark(
            SECRET, one.line, f"{one.name} {name} is {words}, in the image for everybody who pulls it", fix
        )
    elif named and one.name == "ARG":
        yield remark(
            SECRET_ARG,
            one.line,
            f"the build argument {name} stays in the image's history",
            "use RUN --mount=type=secret",
        )


def commands(subject: Subject) -> Iterator[Remark]:
    """A command is part of the history too."""
    for run in subject.runs:
        for text in (run.instruction.text, *run.instruction.heredocs):
            form = secret_form(text)
            if form:
                yield remark(
                    SECRET_RUN,
                    run.instruction.line,
                    f"the command carries {form}, in the image's history",
                    "use RUN --mount=type=secret",
                )
                break


def root(subject: Subject) -> Iterator[Remark]:
    """Who runs: the last USER of the image's own stages."""
    users = [
        one for stage in reversed(subject.image_stages) for one in stage.all_of("USER") if one.text.strip()
    ]
    user = users[-1].text.strip().partition(":")[0] if users else ""
    base = subject.image_stages[-1].image
    if not users and ("nonroot" in base or "$" in base):
        return
    if user in {"", "root", "0"}:
        starts = subject.dockerfile.final.all_of("ENTRYPOINT", "CMD")
        line = users[-1].line if users else (starts[-1] if starts else subject.dockerfile.final.start).line
        said = f"USER {user}" if user else "there is no USER"
        yield remark(ROOT, line, f"{said}: the program runs as root", "add USER with an account of its own")


def twice(subject: Subject) -> Iterator[Remark]:
    """Of these the last one counts."""
    for stage in subject.dockerfile.stages:
        for name in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            for one in stage.all_of(name)[:-1]:
                yield remark(
                    OVERRIDDEN, one.line, f"a later {name} takes the place of this one", "take it out"
                )


def shell_form(subject: Subject) -> Iterator[Remark]:
    """The shell is process 1: it does not pass the stop signal on."""
    for one in subject.dockerfile.final.all_of("CMD", "ENTRYPOINT"):
        text = one.text.strip()
        if one.words is None and text and not text.startswith("exec "):
            words = ", ".join(f'"{word}"' for word in one.arguments()[:_MOST_SHOWN])
            yield remark(
                SHELL_FORM,
                one.line,
                f"{one.name} in shell form: the stop signal goes to the shell, not to the program",
                f"write {one.name} [{words}]",
            )


def ports(subject: Subject) -> Iterator[Remark]:
    """Ports from 1 to 65535; 22 is the door of SSH."""
    for stage in subject.image_stages:
        for one in stage.all_of("EXPOSE"):
            for word in one.arguments():
                number = word.partition("/")[0]
                if re.fullmatch(r"\d+", number) and not 1 <= int(number[:9]) <= 65535:  # noqa: PLR2004 (TCP's last port)
                    yield remark(PORT, one.line, f"{word} is no port", "ports go from 1 to 65535")
                elif number == "22":
                    yield remark(
                        PORT, one.line, "port 22 is for SSH", "enter containers with the engine's exec"
                    )


def outdated(subject: Subject) -> Iterator[Remark]:
    """A label has taken its place."""
    for stage in subject.dockerfile.stages:
        for one in stage.all_of("MAINTAINER"):
            yield remark(
                OUTDATED, one.line, "MAINTAINER is deprecated", 'LABEL org.opencontainers.image.authors="…"'
            )


def long_ids(subject: Subject) -> Iterator[Remark]:
    """/var/log/lastlog grows to the number of the user."""
    for run in subject.runs:
        for one in run.programs if subject.in_image(run) else ():
            numbers = [int(word) for word in one.words if re.fullmatch(r"\d{6,10}", word)]
            if one.program == "useradd" and numbers and {"-l", "--no-log-init"}.isdisjoint(one.options()):
                yield remark(
                    LONG_ID,
                    run.line(one),
                    f"useradd makes /var/log/lastlog as long as user {numbers[0]} asks",
                    "add --no-log-init",
                )


CHECKS: tuple[Check, ...] = (secrets, commands, root, twice, shell_form, ports, outdated, long_ids)
RULES = (SECRET, SECRET_ARG, SECRET_RUN, ROOT, OVERRIDDEN, SHELL_FORM, PORT, OUTDATED, LONG_ID)
