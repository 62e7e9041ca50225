"""The keys of ``[sources.NAME]``: a table for each type of source."""

from __future__ import annotations

from builder.recipe import formats
from builder.recipe.keys import IMAGE_ADDRESS, LOCAL_PATH, PATH
from builder.recipe.shapes import Flag, Key, ListOf, MapOf, Number, Table, Text, Variants
from builder.recipe.source_model import DEFAULT_SUITE
from builder.recipe.stage_keys import STAGE_KEYS
from builder.recipe.tree_keys import GIT_KEYS, PYTHON_KEYS

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
    shape=Text(choices=("debian", "host", "stage", "archive", "image", "git", "python")),
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
_FILE_ADDRESS = Text(
    expected='an address such as "https://example.com/assets.tar.gz", without a password',
    pattern=r"https?://[A-Za-z0-9.:\[\]-]+/[^\s#@]*",
)
_ARCHIVE = Table(
    title='[sources.NAME] type = "archive"',
    about="Files of a tar archive (plain, gz, xz, bz2, zst) or a zip.",
    keys=(
        _TYPE,
        Key(
            name="url",
            shape=_FILE_ADDRESS,
            about="where the archive is; then `sha256` is needed",
            default="",
            otherwise="`path`",
        ),
        Key(name="path", shape=LOCAL_PATH, about="the archive on this machine, relative to the recipe"),
        Key(
            name="sha256",
            shape=Text(expected="a SHA-256 in 64 lower-case hex digits", pattern=r"[0-9a-f]{64}"),
            about="checksum of the archive",
            default="",
            otherwise="not checked for `path`",
        ),
        Key(
            name="strip",
            shape=Number(low=0, high=64),
            about="leading folders that are taken off every path; what has no more is left out",
            default=0,
        ),
        Key(
            name="root",
            shape=PATH,
            about="folder of the archive, after `strip`, that becomes the root of the tree",
            default="/",
        ),
    ),
)

_IMAGE = Table(
    title='[sources.NAME] type = "image"',
    about="A container image: the files that its containers see.",
    keys=(
        _TYPE,
        Key(
            name="ref",
            shape=IMAGE_ADDRESS,
            about="the image, by tag or, so that it stays the same, by digest",
            required=True,
        ),
    ),
)

_GIT = Table(
    title='[sources.NAME] type = "git"',
    about="The files of one commit of a repository.",
    keys=(_TYPE, *GIT_KEYS),
)

_PYTHON = Table(
    title='[sources.NAME] type = "python"',
    about="Python distributions: wheels, unpacked and never run.",
    keys=(_TYPE, *PYTHON_KEYS),
)

SOURCE = Variants(
    about="Where files come from.",
    key=_TYPE,
    tables={
        "debian": _DEBIAN,
        "host": _HOST,
        "stage": _STAGE,
        "archive": _ARCHIVE,
        "image": _IMAGE,
        "git": _GIT,
        "python": _PYTHON,
    },
)
