from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.tar import END, is_written, tar_header
from builder.plan.model import Entry
from builder.stored.untar import padding
from builder.sysroot import Content, Kind
from tests.support.images import folder, hardlink, plain, symlink


def read_back(entry: Entry, created: int = 0) -> tarfile.TarInfo:
    payload = entry.content if isinstance(entry.content, bytes) else b""
    archive = tar_header(entry, created) + payload + bytes(padding(len(payload))) + END
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape") as tar:
        members = tar.getmembers()
    assert len(members) == 1
    return members[0]


@pytest.mark.parametrize(
    ("entry", "name", "size_of_header"),
    [
        pytest.param(plain("/bin/demo"), "bin/demo", 512, id="a short name takes one block"),
        pytest.param(plain("/" + "a" * 100), "a" * 100, 512, id="a name of 100 bytes takes one block"),
        pytest.param(plain("/" + "a" * 101), "a" * 101, 1536, id="a longer name without a folder needs pax"),
        pytest.param(
            plain(f"/{'d' * 155}/{'f' * 100}"),
            f"{'d' * 155}/{'f' * 100}",
            512,
            id="the prefix is used to its end",
        ),
        pytest.param(plain(f"/{'d' * 156}/f"), f"{'d' * 156}/f", 1536, id="a folder of 156 bytes needs pax"),
        pytest.param(
            folder(f"/{'d' * 60}/{'e' * 60}"),
            f"{'d' * 60}/{'e' * 60}",
            512,
            id="a long folder is split before its slash",
        ),
        pytest.param(plain("/é"), "é", 1536, id="a name that is not ASCII needs pax"),
        pytest.param(plain("/\udcff\udcfe"), "\udcff\udcfe", 1536, id="bytes that are not UTF-8 survive"),
        pytest.param(plain("/a\nb c"), "a\nb c", 512, id="a newline in a name is a byte like any other"),
    ],
)
def test_names(entry: Entry, name: str, size_of_header: int) -> None:
    assert len(tar_header(entry, 0)) == size_of_header
    assert read_back(entry).name == name


def test_a_name_that_is_not_utf8_is_announced_as_binary() -> None:
    assert b"21 hdrcharset=BINARY\n" in tar_header(plain("/\udcff"), 0)
    assert b"hdrcharset" not in tar_header(plain("/é"), 0)


def test_folders_end_in_a_slash_and_nothing_starts_with_one() -> None:
    assert tar_header(folder("/usr/bin"), 0).startswith(b"usr/bin/\0")


@pytest.mark.parametrize(
    ("entry", "kind", "link"),
    [
        pytest.param(symlink("/l", "../x"), tarfile.SYMTYPE, "../x", id="a symbolic link keeps its target"),
        pytest.param(symlink("/l", "/" + "x" * 200), tarfile.SYMTYPE, "/" + "x" * 200, id="a long target"),
        pytest.param(symlink("/l", "\udcff"), tarfile.SYMTYPE, "\udcff", id="a target that is not UTF-8"),
        pytest.param(
            hardlink("/l", "/usr/x"), tarfile.LNKTYPE, "usr/x", id="a hard link has no leading slash"
        ),
    ],
)
def test_links(entry: Entry, kind: bytes, link: str) -> None:
    found = read_back(entry)
    assert (found.type, found.linkname, found.size) == (kind, link, 0)


@pytest.mark.parametrize("number", [0, 0o7777777, 0o7777777 + 1, 2**32 - 1])
def test_owners_of_any_size_survive(number: int) -> None:
    found = read_back(replace(plain("/x"), uid=number, gid=number))
    assert (found.uid, found.gid, found.uname, found.gname) == (number, number, "", "")


@pytest.mark.parametrize("created", [0, 1_700_000_000, 8**11 - 1, 8**11])
def test_times_of_any_size_survive(created: int) -> None:
    assert read_back(plain("/x"), created).mtime == created


def test_a_file_of_nine_gigabytes_keeps_its_size() -> None:
    content = Content(store=Path("/nowhere"), offset=0, size=9 << 30, sha256="")
    header = tar_header(replace(plain("/big"), content=content), 0)
    assert b"19 size=9663676416\n" in header


def test_modes_are_exact() -> None:
    assert read_back(plain("/x", mode=0o6755)).mode == 0o6755
    assert read_back(folder("/t", 0o1777)).mode == 0o1777


def test_extended_attributes_are_pax_records_with_raw_bytes() -> None:
    value = b"\x01\0\0\x02\n\0\x04=\xff"
    entry = replace(plain("/ping"), xattrs=(("security.capability", value),))
    assert b"SCHILY.xattr.security.capability=" + value + b"\n" in tar_header(entry, 0)
    found = read_back(entry).pax_headers["SCHILY.xattr.security.capability"]
    assert found.encode("utf-8", "surrogateescape") == value


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(plain("/a\0b"), "NUL", id="a NUL in a path"),
        pytest.param(symlink("/a", "b\0"), "NUL", id="a NUL in a target"),
        pytest.param(plain("/\ud800"), "no sequence of bytes", id="a lone surrogate that no byte made"),
        pytest.param(
            replace(plain("/a"), xattrs=(("user.a=b", b""),)), "'='", id="an attribute's name with ="
        ),
    ],
)
def test_what_cannot_be_written_is_refused(entry: Entry, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        tar_header(entry, 0)


def test_a_plain_root_is_left_to_the_engine() -> None:
    root = Entry(path="/", kind=Kind.DIRECTORY, mode=0o755, reason=folder("/x").reason)
    assert not is_written(root)
    assert is_written(replace(root, mode=0o700))
    assert read_back(replace(root, mode=0o700)).name == "."
