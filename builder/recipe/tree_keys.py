"""The keys of sources that hold a tree of files made elsewhere: repositories and wheels."""

from __future__ import annotations

from builder.recipe.keys import FILE_PATH, LOCAL_PATH, WORD
from builder.recipe.shapes import Flag, Key, ListOf, Text

GIT_KEYS = (
    Key(
        name="url",
        shape=Text(
            expected='an address such as "https://example.com/app.git", without a password',
            pattern=r"https?://[A-Za-z0-9.:\[\]-]+/[^\s?#@]+",
        ),
        about="where the repository is",
        default="",
        otherwise="`path`",
    ),
    Key(name="path", shape=LOCAL_PATH, about="a repository on this machine, relative to the recipe"),
    Key(
        name="commit",
        shape=Text(
            expected="the whole hash of a commit (40 or 64 lower-case hex digits)",
            pattern=r"[0-9a-f]{40}|[0-9a-f]{64}",
        ),
        about="the commit whose files are taken",
        required=True,
    ),
    Key(
        name="ref",
        shape=Text(
            expected="the name of a tag or branch",
            pattern=r"(?!.*(?:\.\.|//|@\{|\.lock$))[A-Za-z0-9_][A-Za-z0-9._/@+-]*",
        ),
        about="tag that must be this commit, or branch that must have it",
        default="",
        otherwise="not asked",
    ),
    Key(name="submodules", shape=Flag(), about="take submodules too", default=False),
)

_INDEX = Text(
    expected='the address of an index such as "https://pypi.example/simple"',
    pattern=r"(?:https?|file)://[^\s?#]+",
)

PYTHON_KEYS = (
    Key(
        name="requirements",
        shape=LOCAL_PATH,
        about="requirements file, relative to the recipe; one of the three is needed",
    ),
    Key(
        name="lock",
        shape=LOCAL_PATH,
        about="`pylock.toml` (or `pylock.NAME.toml`), `uv.lock` or `poetry.lock`",
    ),
    Key(
        name="pyproject",
        shape=LOCAL_PATH,
        about="`pyproject.toml` whose dependencies are taken; with `poetry.lock` the one beside it",
    ),
    Key(
        name="extras",
        shape=ListOf(of=WORD),
        about="extras of the project, of a lock or of `pyproject`",
        default=(),
    ),
    Key(name="groups", shape=ListOf(of=WORD), about="dependency groups of the project", default=()),
    Key(
        name="python",
        shape=Text(expected='a version of Python such as "3.13"', pattern=r"3\.[0-9]{1,2}"),
        about="version that the wheels are for",
        default="",
        otherwise="that of the Debian packages",
    ),
    Key(
        name="libc",
        shape=Text(
            expected='a C library such as "glibc-2.41" or "musl-1.2"',
            pattern=r"(?:glibc-2|musl-1)\.[0-9]{1,2}",
        ),
        about="C library that the wheels are for",
        default="",
        otherwise="that of the Debian packages",
    ),
    Key(name="hashes", shape=Flag(), about="take nothing that has no hash", default=True),
    Key(
        name="index",
        shape=_INDEX,
        about="index of packages (a simple repository)",
        default="",
        otherwise="what pip's settings say",
    ),
    Key(name="extra_indexes", shape=ListOf(of=_INDEX), about="indexes that are asked too", default=()),
    Key(
        name="links",
        shape=LOCAL_PATH,
        about="folder of wheels that are looked at too, relative to the recipe",
    ),
    Key(
        name="interpreter",
        shape=FILE_PATH,
        about="program in the first line of the packages' own programs",
        default="",
        otherwise="`/usr/bin/python3.13` of the version",
    ),
    Key(
        name="bytecode",
        shape=Flag(),
        about="compile the files; rootlet must run on the same version of Python",
        default=False,
    ),
)
