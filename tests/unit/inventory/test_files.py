from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from builder.errors import ScanError
from builder.inventory.collect import take_inventory
from builder.inventory.files import walk_root
from builder.sysroot import Kind


def test_a_folder_is_walked_without_following_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"\x7fELF")
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/a").write_bytes(b"\x7fELF")
    (root / "out").symlink_to(outside)
    (root / "bin").symlink_to("usr/bin")
    found = {file.path: (file.kind, file.target) for file in walk_root(root)}
    assert found == {
        "/usr": (Kind.DIRECTORY, ""),
        "/usr/bin": (Kind.DIRECTORY, ""),
        "/usr/bin/a": (Kind.FILE, ""),
        "/out": (Kind.SYMLINK, str(outside)),
        "/bin": (Kind.SYMLINK, "usr/bin"),
    }


def test_pipes_and_sockets_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"x")
    assert [file.path for file in walk_root(tmp_path)] == ["/file"]


def test_a_file_that_became_a_link_or_pipe_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (file,) = walk_root(tmp_path)
    assert (file.read(4), file.read(100_000)) == (b"1234", b"12345")
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        file.read(4)
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "a")
    done = threading.Timer(5, lambda: os._exit(3))
    done.start()
    assert file.read(4) == b""
    done.cancel()


def test_what_cannot_be_read_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/program").write_bytes(b"\x7fELF")
    (tmp_path / "file").write_bytes(b"\x7fELF")
    opened = os.open

    def refuse(path: str, flags: int, *args: int, **options: int) -> int:
        if str(path).endswith(("/closed", "/file")):
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    found = take_inventory(walk_root(tmp_path))
    assert found.notes == (
        "/closed could not be read: Permission denied",
        "/file could not be read: Permission denied",
    )


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_root_that_is_no_folder_is_a_scan_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScanError, match="could not be scanned"):
        list(walk_root(tmp_path / name))


def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))).write_bytes(b"\x7fELF")
    assert take_inventory(walk_root(tmp_path)).unowned_elf == ("/caf\udce9",)
