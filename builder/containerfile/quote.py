"""Words as shells and Dockerfiles read them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~^-]+")
_WILD = frozenset("*?[")
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def shell_word(text: str) -> str:
    """One word of a POSIX shell; ``text`` must be :func:`writable`."""
    return text if _PLAIN.fullmatch(text) and not text.startswith("~") else shlex.quote(text)


def writable(text: str) -> bool:
    """Whether a line of a Dockerfile can say ``text``: printable, and UTF-8."""
    return text.isprintable()


def instruction_word(text: str) -> str:
    """One word of ENV, LABEL, WORKDIR, USER or STOPSIGNAL, which builders expand variables in."""
    if _BARE.fullmatch(text):
        return text
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def exec_form(words: Iterable[str]) -> str:
    """The JSON form of ENTRYPOINT, CMD and HEALTHCHECK CMD: nothing in it is expanded."""
    return json.dumps(list(words), ensure_ascii=False)


def path_form(paths: Iterable[str]) -> str:
    """The JSON form of ADD, COPY and VOLUME, in which builders expand variables, and COPY wildcards too."""
    return exec_form(re.sub(r"([\\$])", r"\\\1", path) for path in paths)


def plain_part(path: str) -> str:
    """The path itself, or the innermost folder above it whose path has no wildcard (``*``, ``?``, ``[``).

    COPY has no escape for them that every builder knows. "" where that is the top.
    """
    names = path.split("/")
    for count, name in enumerate(names):
        if not _WILD.isdisjoint(name):
            return "/".join(names[:count])
    return path
