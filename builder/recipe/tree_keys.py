"""The keys of sources that hold a tree of files made elsewhere: repositories."""

from __future__ import annotations

from builder.recipe.keys import LOCAL_PATH
from builder.recipe.shapes import Flag, Key, Text

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
