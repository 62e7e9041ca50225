"""The confined writer: what lands on the disk, which rights are shown, and what hostile images cannot do."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import BuildError, MachineError
from builder.image.write import write_image
from builder.plan.model import Entry
from builder.progress import Silent
from builder.recipe.model import Compression
from builder.staging import remove_tree
from builder.stored.read import StoredImage, open_image
from builder.verify.accounts import Identity
from builder.verify.unpack import Rights, mode_for, unpack
from tests.support.images import demo_layer, folder, layer_of, plain, plan_of, symlink


def image(work: Path, *entries: Entry) -> StoredImage:
    plan = plan_of(layer_of(*entries) if entries else demo_layer())
    write_image(plan, compression=Compression.NONE, directory=work / "layout", progress=Silent())
    return open_image(work / "layout")


def test_the_tree_is_the_one_of_the_image(tmp_path: Path) -> None:
    unpacked = unpack(image(tmp_path), tmp_path / "root")
    unpacked.show_to(Identity(uid=0, gid=0))
    demo = tmp_path / "root/bin/demo"
    assert demo.read_bytes() == (tmp_path / "root/bin/demo2").read_bytes() == b"#!/bin/sh\necho demo\n" * 100
    assert stat.S_IMODE(demo.stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "root/etc/link") == "../bin/demo"  # noqa: PTH115 (the text of the link)
    assert (tmp_path / "root/tmp").stat().st_mode & stat.S_ISVTX


def test_accounts_are_kept(tmp_path: Path) -> None:
    made = image(tmp_path, folder("/etc"), plain("/etc/passwd", b"a"), symlink("/etc/group", "/etc/passwd"))
    unpacked = unpack(made, tmp_path / "root")
    assert (unpacked.passwd, unpacked.group) == (b"a", b"")
    assert (tmp_path / "root/etc/passwd").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("rights", "mode"),
    [
        pytest.param(Rights(0o4640, 5, 9), 0o640, id="the owner"),
        pytest.param(Rights(0o640, 0, 6), 0o440, id="the group"),
        pytest.param(Rights(0o640, 0, 7), 0o440, id="another group"),
        pytest.param(Rights(0o640, 0, 0), 0o040, id="nobody of them"),
        pytest.param(Rights(0o1777, 0, 0), 0o1777, id="a folder for all"),
        pytest.param(Rights(0o077, 5, 6), 0o077, id="an owner has fewer rights than others"),
    ],
)
def test_one_number_has_the_rights_that_the_user_has(rights: Rights, mode: int) -> None:
    assert mode_for(rights, Identity(uid=5, gid=6, groups=(7,))) == mode


def test_rights_can_be_shown_to_one_user_after_the_other(tmp_path: Path) -> None:
    closed = replace(folder("/closed", 0o700), uid=5)
    inner = replace(plain("/closed/file", b"x", 0o400), uid=5)
    unpacked = unpack(image(tmp_path, closed, inner), tmp_path / "root")
    for uid, expected in ((7, 0o000), (5, 0o700), (7, 0o000)):
        unpacked.show_to(Identity(uid=uid, gid=uid))
        assert stat.S_IMODE((tmp_path / "root/closed").stat().st_mode) & 0o700 == expected
    remove_tree(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_no_name_goes_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    made = image(tmp_path, symlink("/a", str(outside)), plain("/a/b", b"x"))
    with pytest.raises(BuildError, match="as a folder and as something else"):
        unpack(made, tmp_path / "root")
    assert list(outside.iterdir()) == []


def test_a_disk_that_refuses_is_the_machines_fault(tmp_path: Path) -> None:
    made = image(tmp_path)
    (tmp_path / "root").mkdir()
    with pytest.raises(MachineError, match="could not be unpacked"):
        unpack(made, tmp_path / "root")
