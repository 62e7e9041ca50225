"""A plan for people: by package, reason, size and path, on wide and narrow terminals."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builder.plan.codec import plan_from_json, plan_to_json
from builder.plan.model import Entry, ImagePlan, PlannedPackage
from builder.reason import Reason, ReasonKind
from builder.report.plan import By, render_plan
from tests.support.images import folder, layer_of, plain, plan_of, symlink

BIN = "/usr/bin/app"


def package(name: str, size: int) -> PlannedPackage:
    return PlannedPackage(
        name=name,
        version="1",
        architecture="amd64",
        source_name=name,
        source_version="1",
        files=1,
        size=size,
        installed_size=100,
    )


def because(entry: Entry, kind: ReasonKind, subject: str = "", detail: str = "") -> Entry:
    return replace(entry, reason=Reason(kind, subject, detail), package="app")


def a_plan() -> ImagePlan:
    plan = plan_of(
        layer_of(
            because(folder("/usr/lib"), ReasonKind.PARENT, "/usr/lib/libx.so.1"),
            because(plain(BIN, b"a" * 2000), ReasonKind.ENTRYPOINT, "entrypoint"),
            because(plain("/usr/lib/libx.so.1", b"x" * 1500), ReasonKind.NEEDED, BIN, "RUNPATH /usr/lib"),
            because(plain("/usr/lib/y.so.1", b"y" * 500), ReasonKind.NEEDED, BIN, "RUNPATH /usr/lib"),
            because(symlink("/usr/lib/y.so", "y.so.1"), ReasonKind.LINK, "/usr/lib/y.so.1"),
            because(plain("/usr/lib/m.so", b"m" * 20), ReasonKind.RULE, BIN, "modules"),
            because(plain("/usr/share/app", b"s" * 10), ReasonKind.PAYLOAD, "app"),
        )
    )
    return replace(
        plan, packages=(package("small", 1), package("big", 50)), warnings=("careful",), hints=("do this",)
    )


GOLDEN = """\
linux/amd64  debian-13  4.0 kB in 7 paths

by package
       50 B of     100 B       1  big    1
        1 B of     100 B       1  small  1

by reason
     2.0 kB       2  libraries by DT_NEEDED
     2.0 kB       1  started by the image
       20 B       1  run-time rule modules
       10 B       1  payload of the named package app
        0 B       1  symbolic links crossed

largest files
     2.0 kB  /usr/bin/app  (app)
     1.5 kB  /usr/lib/libx.so.1  (app)
      500 B  /usr/lib/y.so.1  (app)
       20 B  /usr/lib/m.so  (app)
       10 B  /usr/share/app  (app)

by path
     2.0 kB  /usr/bin/app                                       started by the image entrypoint
             /usr/lib                                           folder of /usr/lib/libx.so.1
     1.5 kB  /usr/lib/libx.so.1                                 DT_NEEDED of /usr/bin/app (RUNPATH /usr/lib)
       20 B  /usr/lib/m.so                                      needed at run time by /usr/bin/app (modules)
             /usr/lib/y.so -> y.so.1                            symbolic link crossed to reach /usr/lib/y.so.1
      500 B  /usr/lib/y.so.1                                    DT_NEEDED of /usr/bin/app (RUNPATH /usr/lib)
       10 B  /usr/share/app                                     payload of the named package app

! careful

hint: do this
"""


def test_the_whole_text() -> None:
    assert render_plan(a_plan()) == GOLDEN


@pytest.mark.parametrize("part", [By.PACKAGE, By.REASON, By.SIZE, By.PATH])
def test_one_part_is_a_part_of_the_whole(part: By) -> None:
    text = render_plan(a_plan(), parts=(part,))
    blocks = text.split("\n\n")
    assert len(blocks) == 4
    assert all(block.strip() in GOLDEN for block in blocks)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_a_narrow_terminal_gets_every_word(width: int) -> None:
    text = render_plan(a_plan(), width=width)
    assert text.replace("\n", " ").split() != []
    for entry in a_plan().layers[0].entries:
        assert entry.path in text
        assert all(word in text for word in str(entry.reason).split())
    longest = max(len(line) for line in text.splitlines())
    assert longest <= max(width, 60)


def test_an_empty_plan_is_a_line() -> None:
    assert render_plan(plan_of(layer_of())) == "linux/amd64  debian-13  0 B in 0 paths\n"


def test_every_byte_has_one_reason_in_the_json() -> None:
    plan = a_plan()
    document = json.loads(plan_to_json(plan))
    assert sum(share["size"] for share in document["reasons"]) == sum(
        entry.size for entry in plan.layers[0].entries
    )
    assert {"kind": "RULE", "subject": "modules", "files": 1, "size": 20} in document["reasons"]
    assert plan_from_json(plan_to_json(plan)) == plan


def test_names_of_files_cannot_repaint_the_terminal() -> None:
    plan = plan_of(layer_of(plain("/a\x1b[2Jb\n/c\u202e\udcff"), symlink("/l", "x\ny")))
    for width in (None, 50):
        text = render_plan(plan, width=width)
        assert all(line.isprintable() for line in text.split("\n"))
        assert r"/a\x1b[2Jb\n/c\u202e\udcff" in text
    assert len(render_plan(plan, parts=(By.PATH,)).splitlines()) == 5
