"""The root folder of a machine that runs: what the kernel shows there is no part of the system to judge."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.inventory.files import walk_root


def paths(folder: Path) -> set[str]:
    return {file.path for file in walk_root(folder)}


def tree(folder: Path) -> Path:
    for name in ("proc/1", "sys/kernel", "dev", "srv/proc"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    return folder


def test_folders_of_the_kernel_are_left_out_where_they_are_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda _: True)
    assert paths(tree(tmp_path)) == {"/proc", "/sys", "/dev", "/srv", "/srv/proc", "/srv/proc/file"}


def test_folders_of_the_same_name_in_an_unpacked_image_are_read(tmp_path: Path) -> None:
    assert {"/proc/1/file", "/sys/kernel/file", "/dev/file"} <= paths(tree(tmp_path))
