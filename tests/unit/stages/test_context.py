"""What is copied into a stage, and the key of it: contents and modes, never times."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.files import Stamp, stamp
from builder.recipe.source_model import StageCopy
from builder.sources.stage.context import Context, Surroundings, gather, paths_of
from builder.sources.supply import SourceTree
from builder.sysroot import Content, Kind, Node, Sysroot


def project(folder: Path) -> Path:
    (folder / "src" / "deep").mkdir(parents=True)
    (folder / "src" / "main.c").write_text("int main;")
    (folder / "src" / "deep" / "x.o").write_text("object")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("src/main.c")
    return folder


def around(folder: Path, **more: object) -> Surroundings:
    return Surroundings(folder=folder, memory=folder.parent / "memory", trees={}, **more)  # type: ignore[arg-type]  # fields by name


def shown(context: Context) -> dict[str, str]:
    return {node.path: f"{node.kind.value[0]}{node.mode:o}{node.target}" for node in context.nodes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return project(tmp_path / "project")


def everything(folder: Path, *ignore: str) -> tuple[StageCopy, ...]:
    return (StageCopy(context=folder, dest="/w", ignore=ignore),)


def test_a_folder_with_modes_made_plain(folder: Path) -> None:
    assert shown(gather(everything(folder), around(folder))) == {
        "/w": "d755",
        "/w/link": "s777src/main.c",
        "/w/run.sh": "f755",
        "/w/src": "d755",
        "/w/src/deep": "d755",
        "/w/src/deep/x.o": "f644",
        "/w/src/main.c": "f644",
    }


@pytest.mark.parametrize(
    ("copy", "paths"),
    [
        (StageCopy(context=Path("run.sh"), dest="/etc", into=True), ["/etc", "/etc/run.sh"]),
        (StageCopy(context=Path("run.sh"), dest="/etc/x"), ["/etc", "/etc/x"]),
        (StageCopy(context=Path("src/deep"), dest="/"), ["/x.o"]),
        (StageCopy(context=Path("link"), dest="/l"), ["/l"]),
    ],
    ids=["a file into a folder", "a file by another name", "a folder into the root", "a link that is named"],
)
def test_destinations(folder: Path, copy: StageCopy, paths: list[str]) -> None:
    placed = replace(copy, context=folder / str(copy.context))
    assert [node.path for node in gather((placed,), around(folder)).nodes] == paths


def test_the_key_follows_contents_and_modes_and_not_times(folder: Path) -> None:
    keys = [gather(everything(folder), around(folder)).key]
    os.utime(folder / "run.sh", (1, 1))
    os.utime(folder / "src", (1, 1))
    keys.append(gather(everything(folder), around(folder)).key)
    assert keys[0] == keys[1]
    (folder / "run.sh").chmod(0o711)
    assert gather(everything(folder), around(folder)).key == keys[0]
    for change in (
        lambda: (folder / "run.sh").chmod(0o600),
        lambda: (folder / "src" / "main.c").write_text("int main2"),
        lambda: (folder / "src" / "main.c").rename(folder / "src" / "b.c"),
        (folder / "empty").mkdir,
    ):
        change()
        keys.append(gather(everything(folder), around(folder)).key)
    assert len(set(keys)) == len(keys) - 1


def test_a_change_of_the_same_size_and_time_is_seen(folder: Path) -> None:
    path = folder / "src" / "main.c"
    old = time.time() - 3600
    os.utime(path, (old, old))
    before = gather(everything(folder), around(folder)).key
    path.write_text("int mail;")
    os.utime(path, (old, old))
    assert gather(everything(folder), around(folder)).key != before


def test_ignore_files_of_the_folder_else_of_the_recipe_and_the_lines_of_the_copy(folder: Path) -> None:
    (folder / ".dockerignore").write_text("**/*.o\n.dockerignore\n")
    paths = [
        node.path for node in gather(everything(folder, "!src/deep/x.o", "run.sh"), around(folder)).nodes
    ]
    assert paths == ["/w", "/w/link", "/w/src", "/w/src/deep", "/w/src/deep/x.o", "/w/src/main.c"]
    inner = (StageCopy(context=folder / "src", dest="/w"),)
    assert [node.path for node in gather(inner, around(folder)).nodes] == ["/w", "/w/deep", "/w/main.c"]
    (folder / "src" / ".containerignore").write_text("main.c\n.containerignore")
    assert [node.path for node in gather(inner, around(folder)).nodes] == ["/w", "/w/deep", "/w/deep/x.o"]
    assert folder / "src" / "main.c" not in set(paths_of(inner, folder))
    assert folder / ".dockerignore" in set(paths_of(inner, folder))


def test_what_the_build_writes_is_never_copied(folder: Path) -> None:
    (folder / "dist" / "image").mkdir(parents=True)
    (folder / "dist" / ".rootlet-0123456789abcdef").mkdir()
    (folder / "dist" / "kept").write_text("")
    context = gather(everything(folder), around(folder, written=(folder / "dist" / "image",)))
    assert [node.path for node in context.nodes if "dist" in node.path] == ["/w/dist", "/w/dist/kept"]


def test_what_cannot_be_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResolutionError, match="No such file") as caught:
        gather((StageCopy(context=folder / "nowhere", dest="/w"),), around(folder))
    assert caught.value.hint
    with socket.socket(socket.AF_UNIX) as door:
        monkeypatch.chdir(folder)  # names of sockets are short
        door.bind("s")
        with pytest.raises(ResolutionError, match="neither file, folder nor link"):
            gather(everything(folder), around(folder))


def test_files_of_another_source(folder: Path) -> None:
    content = Content(store=folder / "run.sh", offset=2, size=4, sha256="")
    tree = Sysroot(
        [
            Node(path="/lib/a.so", kind=Kind.FILE, mode=0o640, uid=3, content=content),
            Node(path="/usr/l", kind=Kind.SYMLINK, mode=0o777, target="../lib"),
        ]
    )
    here = Surroundings(
        folder=folder, memory=folder, trees={"deps": SourceTree(name="deps", tree=tree, key="k")}
    )
    copies = (
        StageCopy(source="deps", path="/usr/l", dest="/d"),
        StageCopy(source="deps", path="/usr/l/a.so", dest="/e", into=True),
    )
    context = gather(copies, here)
    assert shown(context) == {"/d": "d755", "/d/a.so": "f640", "/e": "d755", "/e/a.so": "f640"}
    assert all(node.content.sha256 for node in context.nodes if node.content is not None)
    with pytest.raises(ResolutionError, match="/no is not in the source deps"):
        gather((StageCopy(source="deps", path="/no", dest="/d"),), here)


def test_folders_that_hold_outputs_alone_are_not_copied_and_their_making_changes_nothing(
    folder: Path,
) -> None:
    written = (folder / "dist" / "deep" / "image",)
    copies = everything(folder)

    def seen() -> tuple[str, list[Stamp]]:
        paths = paths_of(copies, folder, written)
        return gather(copies, around(folder, written=written)).key, [stamp(path) for path in paths]

    before = seen()
    written[0].mkdir(parents=True)
    (folder / "dist/deep/.rootlet-0123456789abcdef").mkdir()
    assert seen() == before
    (folder / "dist" / "kept").touch()
    after = seen()
    assert after[0] != before[0]
    assert after[1] != before[1]
