"""Interpreters of scripts: the first line of a file, read as execve(2) reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_LINE = 256
"""Bytes of the first line that Linux looks at (BINPRM_BUF_SIZE)."""


_MOST_NAMED = 3
_SHIPPED_BY = {"sh": "dash", "dash": "dash", "bash": "bash", "env": "coreutils", "perl": "perl", "ksh": "ksh"}
"""Packages of interpreters that every Debian system has: nothing depends on them."""


@dataclass(frozen=True, slots=True)
class Shebang:
    """``interpreter`` is a path; ``program`` a bare name that ``env`` looks up on PATH, or ""."""

    interpreter: str
    program: str = ""


def shebang(head: bytes) -> Shebang | None:
    """The interpreter named by the first bytes of a file; None when it is no script.

    ``#!/usr/bin/env [-S] [NAME=VALUE …] program`` gives both ``env`` and the program.
    """
    if not head.startswith(b"#!"):
        return None
    words = head[2:_LINE].split(b"\n", 1)[0].decode("utf-8", "surrogateescape").split()
    if not words:
        return None
    return Shebang(words[0], _env_program(words[1:]) if words[0].rpartition("/")[2] == "env" else "")


def _env_program(words: list[str]) -> str:
    for word in words:
        if not word.startswith("-") and "=" not in word:
            return word
    return ""


def lacking_words(scripts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """One sentence for each interpreter that the image lacks, with the scripts that name it."""
    for program, paths in scripts.items():
        package = _SHIPPED_BY.get(program.rpartition("/")[2])
        mend = f'; to run {"it" if len(paths) == 1 else "them"}: packages = ["{package}"]' if package else ""
        if len(paths) == 1:
            yield f"{paths[0]} is a script for {program}, which the image does not have{mend}"
        else:
            more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
            yield (
                f"{len(paths)} scripts are for {program}, which the image does not have: "
                f"{', '.join(paths[:_MOST_NAMED])}{more}{mend}"
            )
