"""First lines of scripts, and what a payload is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.runtime.payload import is_hook, is_payload
from builder.runtime.scripts import Shebang, lacking_words, shebang

SHEBANGS: dict[str, tuple[bytes, Shebang | None]] = {
    "a path": (b"#!/bin/sh\nexit", Shebang("/bin/sh")),
    "a space before and an argument after": (b"#! /bin/sh -e\n", Shebang("/bin/sh")),
    "env": (b"#!/usr/bin/env python3\n", Shebang("/usr/bin/env", "python3")),
    "env with an option and variables": (
        b"#!/usr/bin/env -S A=b python3 -u\n",
        Shebang("/usr/bin/env", "python3"),
    ),
    "env alone": (b"#!/usr/bin/env\n", Shebang("/usr/bin/env")),
    "no end of the line": (b"#!/bin/sh", Shebang("/bin/sh")),
    "nothing named": (b"#!  \n/bin/sh", None),
    "a program": (b"\x7fELF", None),
    "nothing": (b"", None),
    "names that are not UTF-8": (b"#!/bin/\xff\n", Shebang("/bin/\udcff")),
    "a line longer than the kernel reads": (b"#!/" + b"x" * 500 + b"\n", Shebang("/" + "x" * 253)),
}


@pytest.mark.parametrize("case", SHEBANGS)
def test_the_interpreter_of_a_script(case: str) -> None:
    head, expected = SHEBANGS[case]
    assert shebang(head) == expected


@given(st.binary(max_size=300))
def test_any_first_bytes_have_an_answer(head: bytes) -> None:
    found = shebang(b"#!" + head)
    assert found is None or found.interpreter


@pytest.mark.parametrize(
    ("path", "payload", "hook"),
    [
        ("/usr/bin/x", True, False),
        ("/usr/share/doc/x/copyright", False, False),
        ("/usr/share/doc", False, False),
        ("/usr/share/document", True, False),
        ("/usr/share/locale/de/x.mo", False, False),
        ("/etc/init.d/x", True, True),
        ("/etc/cron.daily/x", True, True),
        ("/etc/initial/x", True, False),
        ("/usr/share/python3/runtime.d/x", True, True),
        ("/usr/share/python3/x", True, False),
        ("/opt/usr/share/doc/x", True, False),
        ("/usr/share/man/a\nb", False, False),
    ],
)
def test_what_belongs_to_the_payload(path: str, payload: bool, hook: bool) -> None:
    assert (is_payload(path), is_hook(path)) == (payload, hook)


LACKING: dict[str, tuple[dict[str, list[str]], list[str]]] = {
    "one script": (
        {"/bin/sh": ["/a"]},
        ['/a is a script for /bin/sh, which the image does not have; to run it: packages = ["dash"]'],
    ),
    "one script for an interpreter of an unknown package": (
        {"/opt/x": ["/a"]},
        ["/a is a script for /opt/x, which the image does not have"],
    ),
    "many scripts in one sentence": (
        {"bash": ["/a", "/b", "/c", "/d", "/e"]},
        [
            (
                "5 scripts are for bash, which the image does not have: /a, /b, /c and 2 more; to run them: "
                'packages = ["bash"]'
            )
        ],
    ),
    "none": ({}, []),
}


@pytest.mark.parametrize("case", LACKING.values(), ids=LACKING)
def test_interpreters_that_an_image_lacks(case: tuple[dict[str, list[str]], list[str]]) -> None:
    scripts, sentences = case
    assert list(lacking_words(scripts)) == sentences
