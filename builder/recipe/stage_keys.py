"""The keys of ``[sources.NAME] type = "stage"``: what a build stage starts from, gets and runs."""

from __future__ import annotations

import re

from builder.recipe import formats
from builder.recipe.keys import ARGUMENT, FILE_PATH, OWNER, PATH, WORD
from builder.recipe.shapes import Either, Flag, Key, ListOf, MapOf, Number, Table, Text
from builder.recipe.tree import show

DEFAULT_TIME = "1h"
_LONGEST_DAYS = 7
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
_FILE = r"[^\x00]+"
SECRET = re.compile(rf"(?P<id>{_ID})(?:=(?:env:(?P<env>{_VARIABLE})|file:(?P<file>{_FILE})))?")
"""Where the value of a secret is, in words."""
_BYTES = re.compile(r"([0-9]{1,15})(kB|MB|GB|KiB|MiB|GiB)?")
_UNITS = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_LEAST_MEMORY = 1 << 20


def memory(text: str) -> str:
    """Ask for a number of bytes, at least a MiB."""
    match = _BYTES.fullmatch(text)
    if match is None or not _LEAST_MEMORY <= number_of_bytes(text) < 1 << 62:
        return f'expected an amount of memory such as "512MiB" or "2GB", found {show(text)}'
    return ""


def number_of_bytes(text: str) -> int:
    """Give ``2GB`` in bytes."""
    match = _BYTES.fullmatch(text)
    return int(match[1]) * _UNITS[match[2] or ""] if match is not None else 0


def time_limit(text: str) -> str:
    """Ask for a time above zero that a command may take."""
    if 0 < formats.nanoseconds(text) <= _LONGEST_DAYS * 86400 * 10**9:
        return ""
    return f"expected a time above 0 and of at most {_LONGEST_DAYS * 24}h, found {show(text)}"


def command(text: str) -> str:
    """Ask for a command of the shell."""
    return formats.argument(text) or ("" if text.strip() else "expected a command, found an empty string")


def pattern(text: str) -> str:
    """Ask for one line of an ignore file."""
    if "\n" in text or "\0" in text:
        return f"expected one pattern, found {show(text)}"
    return "" if text.strip() else "expected a pattern, found an empty string"


COPY = Table(
    title="[[sources.NAME.copy]]",
    about="Files that a stage gets before its first command.",
    keys=(
        Key(
            name="src",
            shape=Text(expected="a path", rule=formats.local_path),
            about="file or folder on this machine, relative to the recipe; with `from` a path of that source",
            required=True,
        ),
        Key(
            name="dest",
            shape=Text(expected="an absolute path", rule=formats.target_path),
            about='where it goes; with a slash at the end, "into this folder". '
            "Of a folder, what is in it goes into `dest`",
            required=True,
        ),
        Key(
            name="from",
            shape=WORD,
            about="another source that has the files",
            default="",
            otherwise="this machine",
        ),
        Key(
            name="ignore",
            shape=ListOf(of=Text(expected="a pattern", rule=pattern)),
            about="patterns as in `.dockerignore`, after those of the file",
            default=(),
        ),
    ),
)


def names_image(text: str) -> bool:
    """Whether the start of a stage is an image: names of sources have no such letters."""
    return any(letter in text for letter in "/:@")


def start(text: str) -> str:
    """Ask for the name of a source, for an image or for scratch."""
    if names_image(text):
        return formats.image_address(text)
    return "" if re.fullmatch(WORD.pattern, text) else f"expected {_START}, found {show(text)}"


_START = 'the name of a source, an image or "scratch"'

STAGE_KEYS = (
    Key(
        name="from",
        shape=Text(expected=_START, rule=start),
        about="what the stage starts from: another source (an archive: a small system of its packages), "
        'an image, or `"scratch"`',
        required=True,
    ),
    Key(
        name="packages",
        shape=ListOf(of=Text(expected="the name of a Debian package", rule=formats.package)),
        about="packages of that archive that are installed in the stage; never in the image",
        default=(),
    ),
    Key(name="copy", shape=ListOf(of=COPY), about="files that the stage gets", default=()),
    Key(
        name="env",
        shape=MapOf(
            of=ARGUMENT, names=Text(expected="the name of a variable", pattern=r"[A-Za-z_][A-Za-z0-9_.-]*")
        ),
        about="variables of the commands",
        default=(),
    ),
    Key(
        name="run",
        shape=ListOf(
            of=Either(shapes=(Text(expected="a command", rule=command), ListOf(of=ARGUMENT))),
        ),
        about="commands, in order: a string is for the stage's shell, an array is a program with arguments",
        default=(),
    ),
    Key(
        name="workdir",
        shape=PATH,
        about="folder in which the commands start; made where it is missing",
        default="/",
    ),
    Key(name="user", shape=OWNER, about="user that the commands run as", default="", otherwise="root"),
    Key(name="network", shape=Flag(), about="let the commands use the machine's network", default=False),
    Key(
        name="secrets",
        shape=ListOf(
            of=Text(
                expected='a secret such as "token", "token=env:API_TOKEN" or "key=file:../key"',
                pattern=rf"{_ID}(?:=(?:env:{_VARIABLE}|file:{_FILE}))?",
            )
        ),
        about="files that the commands find in `/run/secrets/`, and that are nowhere else",
        default=(),
    ),
    Key(
        name="cache",
        shape=ListOf(of=FILE_PATH, unique=True),
        about="folders that outlast the stage: caches of package managers and compilers",
        default=(),
    ),
    Key(
        name="memory",
        shape=Text(expected='an amount of memory such as "2GB"', rule=memory),
        about="memory that all processes of a command together may use",
        default="",
        otherwise="what the machine has",
    ),
    Key(
        name="cpus",
        shape=Number(low=1, high=4096),
        about="processors that the commands may use",
        default=0,
        otherwise="all",
    ),
    Key(
        name="time",
        shape=Text(expected='a time such as "10m"', rule=time_limit),
        about="time that each command may take",
        default=DEFAULT_TIME,
    ),
)
"""Without the key ``type``, which all sources share."""
