"""The keys of ``[[test]]``: what is run in the finished image, and what must come of it."""

from __future__ import annotations

import re

from builder.recipe import formats
from builder.recipe.keys import ARGUMENT, ARGUMENTS, FILE_PATH, OWNER, PATH
from builder.recipe.shapes import Either, Flag, Key, ListOf, MapOf, Number, Table, Text
from builder.recipe.tree import show

DEFAULT_WITHIN = "10s"
LONGEST_WITHIN = 600
"""Seconds: a smoke test asks whether an image starts, not whether it is fast."""

_PROGRAM = Either(shapes=(ARGUMENT, ARGUMENTS))
_PORT = Number(low=1, high=65535)
_OWN_PORT = "the image's port, where it has one"
_VARIABLES = MapOf(
    of=ARGUMENT, names=Text(expected="the name of a variable", pattern=r"[A-Za-z_][A-Za-z0-9_.-]*")
)


def regular_expression(text: str) -> str:
    """Ask for a regular expression as Python's re module reads it."""
    try:
        re.compile(text, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        return f"expected a regular expression, found {show(text)}: {error}"
    return ""


def time_limit(text: str) -> str:
    """Ask for a time above zero that a smoke test may take."""
    if 0 < formats.nanoseconds(text) <= LONGEST_WITHIN * 10**9:
        return ""
    return f"expected a time of at most {LONGEST_WITHIN // 60}m and above 0, found {show(text)}"


_ANY = "anything"
_OF_IMAGE = "the image's"
_PATTERN = Text(expected="a regular expression", rule=regular_expression)
_FIELD = Text(expected="a header's value on one line", pattern=r"[^\r\n\x00]*")
_FIELD_NAME = Text(expected="a header's name", pattern=r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

HTTP = Table(
    title="[test.http]",
    about="A request over the loopback; asked again until the answer is right or the time is over.",
    conditional=False,
    keys=(
        Key(name="port", shape=_PORT, about="port of the service", otherwise=_OWN_PORT),
        Key(
            name="path",
            shape=Text(expected='a path such as "/healthz?full=1"', pattern="/[!-~]*"),
            about="what is asked for, with GET",
            default="/",
        ),
        Key(name="headers", shape=MapOf(of=_FIELD, names=_FIELD_NAME), about="headers sent", default=()),
        Key(name="tls", shape=Flag(), about="speak TLS; certificates are not checked", default=False),
        Key(name="status", shape=Number(low=100, high=599), about="status of the answer", default=200),
        Key(name="body", shape=_PATTERN, about="found in the answer's body", default="", otherwise=_ANY),
        Key(
            name="expect_headers",
            shape=MapOf(of=_PATTERN, names=_FIELD_NAME),
            about="found in the answer's headers, by name",
            default=(),
        ),
    ),
)

TCP = Table(
    title="[test.tcp]",
    about="A connection to the service over the loopback, tried again as for `http`.",
    conditional=False,
    keys=(
        Key(name="port", shape=_PORT, about="port of the service", otherwise=_OWN_PORT),
        Key(name="send", shape=Text(), about="text sent once connected", default=""),
        Key(
            name="expect",
            shape=_PATTERN,
            about="found in what the service sends",
            default="",
            otherwise="a connection is enough",
        ),
    ),
)

EXTRA_FILE = Table(
    title="[[test.files]]",
    about="A read-only file that is in the image for the test alone: a private CA, a configuration.",
    conditional=False,
    keys=(
        Key(name="path", shape=FILE_PATH, about="path in the image", required=True),
        Key(name="content", shape=Text(), about="text of the file", default=""),
        Key(
            name="context",
            shape=Text(expected="a path", rule=formats.local_path),
            about="file on this machine, relative to the recipe; instead of `content`",
        ),
        Key(
            name="mode",
            shape=Text(expected='a file mode such as "0644"', pattern=r"[0-7]{3,4}"),
            about="permission bits, octal",
            default="0644",
        ),
    ),
)

TEST = Table(
    title="[[test]]",
    about="Something that the finished image must do before it gets its name.",
    keys=(
        Key(
            name="name",
            shape=Text(rule=formats.plain),
            about="what messages call it",
            default="",
            otherwise="its number",
        ),
        Key(
            name="run",
            shape=_PROGRAM,
            about="program and arguments; a string is for the image's own `/bin/sh`",
            default=(),
            otherwise="with `start`: the image's entrypoint and cmd",
        ),
        Key(
            name="start",
            shape=Flag(),
            about="start a service, ask it, stop it",
            otherwise="true with `http`, `tcp` or `exec`",
        ),
        Key(name="http", shape=HTTP, about=HTTP.about),
        Key(name="tcp", shape=TCP, about=TCP.about),
        Key(
            name="exec",
            shape=_PROGRAM,
            about="a program run beside the service, again until it ends well or the time is over",
            default=(),
        ),
        Key(name="stdin", shape=Text(), about="text that `exec`, else `run`, reads", default=""),
        Key(
            name="stdout",
            shape=_PATTERN,
            about="found in the output of `exec`, else of `run` or the service",
            default="",
            otherwise=_ANY,
        ),
        Key(
            name="stderr",
            shape=_PATTERN,
            about="the same for the error output",
            default="",
            otherwise=_ANY,
        ),
        Key(
            name="exit_code",
            shape=Number(low=0, high=255),
            about="exit code of `exec`, else of `run`",
            default=0,
        ),
        Key(name="env", shape=_VARIABLES, about="environment variables over those of the image", default=()),
        Key(
            name="user",
            shape=OWNER,
            about="user, or user and group, that all of it runs as",
            default="",
            otherwise=_OF_IMAGE,
        ),
        Key(name="workdir", shape=PATH, about="folder in which it starts", default="", otherwise=_OF_IMAGE),
        Key(
            name="within",
            shape=Text(expected='a time such as "30s" or "500ms"', pattern=formats.DURATION, rule=time_limit),
            about="time for all of it, a service's start included; then everything is killed",
            default=DEFAULT_WITHIN,
        ),
        Key(name="files", shape=ListOf(of=EXTRA_FILE), about=EXTRA_FILE.about, default=()),
        Key(
            name="writable",
            shape=ListOf(of=FILE_PATH, unique=True),
            about="folders that may be written, besides `/tmp`, `/run` and the image's volumes",
            default=(),
        ),
    ),
)
