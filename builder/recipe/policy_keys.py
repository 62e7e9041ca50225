"""The keys of ``[policy]``: what an image may be, whatever is known of its packages."""

from __future__ import annotations

from builder.recipe import formats
from builder.recipe.shapes import Flag, Key, ListOf, Table, Text

HARDENING = ("pie", "relro", "bind-now", "nx", "canary", "rpath")

_REFERENCES = Text(expected="a name, may have *", pattern=r"[A-Za-z0-9*][A-Za-z0-9._:/*@-]*")
_SAID = "not said: only told about"
_FREE = "not said: allowed"

POLICY = Table(
    title="[policy]",
    about="What the image may be, whatever is known of its packages; exit code 5 when it is not.",
    keys=(
        Key(
            name="max_size",
            shape=Text(expected='a size such as "40MB" or "512KiB"', pattern=formats.SIZE),
            about="most bytes that all files of the image may take, unpacked",
            otherwise="any size",
        ),
        Key(name="shell", shape=Flag(), about="may there be a shell?", otherwise=_FREE),
        Key(name="package_manager", shape=Flag(), about="may there be a package manager?", otherwise=_FREE),
        Key(name="root", shape=Flag(), about="may the program run as root?", otherwise=_FREE),
        Key(name="setuid", shape=Flag(), about="may a program have its owner's rights?", otherwise=_SAID),
        Key(
            name="world_writable",
            shape=Flag(),
            about="may there be files that every user may write (but for sticky folders, as /tmp)?",
            otherwise=_SAID,
        ),
        Key(
            name="secrets",
            shape=Flag(),
            about="may there be files that look like secrets (keys, tokens, .env), packages' folders aside?",
            otherwise=_SAID,
        ),
        Key(
            name="hardening",
            shape=ListOf(of=Text(choices=HARDENING), unique=True),
            about="protections that every program and library must have; `rpath`: no search path that "
            "somebody else could write to",
            default=(),
        ),
        Key(
            name="trusted_bases",
            shape=ListOf(of=_REFERENCES),
            about="images that it may be made from (base, image sources, stages); `*` is anything",
            default=(),
        ),
        Key(
            name="pinned",
            shape=Flag(),
            about="must the images that it is made from be named by digest?",
            default=False,
        ),
        Key(
            name="labels",
            shape=ListOf(of=Text(expected="a label's name", pattern=r"[^\x00-\x20\x7f]+"), unique=True),
            about="labels that the image must have",
            default=(),
        ),
    ),
)
