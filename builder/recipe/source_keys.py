"""The keys of ``[sources.NAME]``: a table for each type of source."""

from __future__ import annotations

from builder.recipe import formats
from builder.recipe.keys import LOCAL_PATH
from builder.recipe.shapes import Flag, Key, ListOf, MapOf, Table, Text, Variants
from builder.recipe.source_model import DEFAULT_SUITE
from builder.recipe.stage_keys import STAGE_KEYS

_ADDRESS = Text(
    expected='an address such as "http://mirror.example/debian", without a password',
    pattern=r"https?://[A-Za-z0-9.:\[\]-]+(?:/[^\s?#@]*)?",
)
_SUITE = Text(
    expected="the name of a suite", pattern=r"[A-Za-z0-9][A-Za-z0-9.+-]*(?:/[A-Za-z0-9][A-Za-z0-9.+-]*)*"
)
_PACKAGE = Text(expected="the name of a Debian package", rule=formats.package)

_TYPE = Key(
    name="type",
    shape=Text(choices=("debian", "host", "stage"), later=("python", "image", "archive", "git")),
    about="kind of source",
    default="debian",
)

_DEBIAN = Table(
    title='[sources.NAME] type = "debian"',
    about="A Debian archive, or any archive of that format: packages, installed whole.",
    keys=(
        _TYPE,
        Key(name="suite", shape=_SUITE, about="suite of the archive", default=DEFAULT_SUITE),
        Key(
            name="components",
            shape=ListOf(of=Text(expected="the name of a component", pattern=_SUITE.pattern)),
            about="components of the suite",
            default=("main",),
        ),
        Key(name="packages", shape=ListOf(of=_PACKAGE), about="packages installed whole", default=()),
        Key(
            name="mirror",
            shape=_ADDRESS,
            about="address of the archive",
            default="",
            otherwise="the machine's own apt sources",
        ),
        Key(
            name="security_mirror",
            shape=_ADDRESS,
            about="address of the archive of security updates",
            default="",
            otherwise="found beside the mirror",
        ),
        Key(name="security", shape=Flag(), about="take security updates too", default=True),
        Key(
            name="snapshot",
            shape=Text(expected='a moment such as "20261101T000000Z"', rule=formats.snapshot),
            about="the archive as it was at that moment (UTC); `mirror` is then a snapshot service",
            default="",
            otherwise="as it is now",
        ),
        Key(
            name="keyring",
            shape=LOCAL_PATH,
            about="file of the keys that may sign the archive",
            otherwise="Debian's keys, which rootlet carries",
        ),
        Key(
            name="pin",
            shape=MapOf(of=Text(expected="a Debian version", rule=formats.version), names=_PACKAGE),
            about="exact versions, by package",
            default=(),
        ),
    ),
)

_HOST = Table(
    title='[sources.NAME] type = "host"',
    about="Files of this machine, as a program that the CI job compiled.",
    keys=(
        _TYPE,
        Key(
            name="root",
            shape=LOCAL_PATH,
            about="folder with an unpacked root file system, to take files from instead",
            otherwise="the machine itself",
        ),
    ),
)

_STAGE = Table(
    title='[sources.NAME] type = "stage"',
    about="Commands that are run, through buildah, rootless; the files they leave.",
    keys=(_TYPE, *STAGE_KEYS),
)

SOURCE = Variants(
    about="Where files come from.",
    key=_TYPE,
    tables={"debian": _DEBIAN, "host": _HOST, "stage": _STAGE},
)
