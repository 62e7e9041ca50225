"""Packages, honest and hostile, on their way into the store."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import BuildError
from builder.lock import LockedPackage
from builder.sources import tarstream
from builder.sources.debian.store import PackageStore, Stored
from builder.sources.debian.unpack import unpack
from builder.sources.tarstream import entries
from builder.sysroot import Kind, Package, read_content
from tests.support.debian_archive import Deb, ar_of, deb_of, member, tar_of, tree_tar

CONTROL = tar_of(member("./control", Deb(name="pkg").paragraph.encode()))
DATA = tree_tar({"/usr/": None, "/usr/a": b"alpha"})
ZEROS = b"\0" * (66 << 20)


def locked(payload: bytes = b"", *, name: str = "pkg", version: str = "1.0-1") -> LockedPackage:
    return LockedPackage(
        source="os",
        name=name,
        version=version,
        architecture="amd64",
        url="http://mirror.test/pkg.deb",
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        source_name=name,
        source_version=version,
        requested=True,
        wanted_by="recipe",
    )


def take(folder: Path, payload: bytes) -> Stored:
    (folder / "x.deb").write_bytes(payload)
    return unpack(folder / "x.deb", locked(payload), folder / "x.tar")


def through_store(folder: Path, payload: bytes) -> Package:
    (folder / "x.deb").write_bytes(payload)
    package = locked(payload)
    store = PackageStore(folder / "store")
    store.write(package.sha256, unpack(folder / "x.deb", package, store.tar_path(package.sha256)))
    opened = store.open(package)
    assert opened is not None
    return opened


@pytest.mark.parametrize("kind", ["xz", "gz", "zst", ""])
def test_every_compression(tmp_path: Path, kind: str) -> None:
    package = through_store(tmp_path, deb_of(CONTROL, DATA, kind))
    (node,) = (node for node in package.nodes if node.path == "/usr/a")
    assert node.content is not None
    assert read_content(node.content) == b"alpha"


def test_everything_of_a_package_is_kept(tmp_path: Path) -> None:
    data = tar_of(
        member("./", type_=tarfile.DIRTYPE, mode=0o755),
        member("./usr/", type_=tarfile.DIRTYPE, mode=0o2755),
        member("./usr/bin", b"program", mode=0o4755, pax={"SCHILY.xattr.security.capability": "\x01\x02"}),
        member("./usr/" + "n" * 200, b"long"),
        member("./usr/same", type_=tarfile.LNKTYPE, link="./usr/bin"),
        member("./usr/link", type_=tarfile.SYMTYPE, link="../../../etc/passwd", mode=0o777),
        member("./usr/nöt", b""),
        format_=tarfile.PAX_FORMAT,
    )
    fields = {"Source": "src (2.0)", "Replaces": "old"}
    control = tar_of(
        member("./", type_=tarfile.DIRTYPE, mode=0o755),
        member("./control", Deb(name="pkg", fields=fields).paragraph.encode()),
        member("./md5sums", b"d41d8cd98f00b204e9800998ecf8427e  usr/bin\nnonsense\n"),
        member("./conffiles", b"/etc/x\nremove-on-upgrade /etc/y\n"),
        member("./postinst", b"#!/bin/sh\n\xff\n"),
        member("./templates", b"ignored"),
    )
    package = through_store(tmp_path, deb_of(control, data))
    nodes = {node.path: node for node in package.nodes}
    assert (package.source_name, package.source_version, package.newest) == ("src", "2.0", 1_700_000_000)
    assert package.control.startswith("Package: pkg\n")
    assert package.md5sums == {"/usr/bin": "d41d8cd98f00b204e9800998ecf8427e"}
    assert package.conffiles == ("/etc/x",)
    scripts = {"postinst": "#!/bin/sh\n\udcff\n", "templates": "ignored", "triggers": ""}
    assert package.scripts == scripts
    assert sorted(nodes) == sorted(
        ["/usr", "/usr/bin", "/usr/" + "n" * 200, "/usr/same", "/usr/link", "/usr/nöt"]
    )
    program = nodes["/usr/bin"]
    assert (program.mode, program.user, program.mtime, program.package) == (
        0o4755,
        "root",
        1_700_000_000,
        "pkg",
    )
    assert program.xattrs == (("security.capability", b"\x01\x02"),)
    assert (nodes["/usr/same"].hardlink, nodes["/usr/same"].content) == ("/usr/bin", program.content)
    assert (nodes["/usr/link"].kind, nodes["/usr/link"].target) == (Kind.SYMLINK, "../../../etc/passwd")
    assert nodes["/usr"].mode == 0o2755


def test_owner_names_and_numbers(tmp_path: Path) -> None:
    info, content = member("./a", b"x")
    info.uid, info.gid, info.uname, info.gname = 105, 42, "messagebus", "shadow"
    package = through_store(tmp_path, deb_of(CONTROL, tar_of((info, content))))
    (node,) = package.nodes
    assert (node.uid, node.gid, node.user, node.group) == (105, 42, "messagebus", "shadow")


LIES = {
    "a program instead of a package": lambda _: b"\x7fELF" + b"\0" * 100,
    "nothing": lambda _: b"",
    "an ar archive without members": lambda _: b"!<arch>\n",
    "members in another order": lambda _: ar_of(
        ("control.tar", CONTROL), ("debian-binary", b"2.0\n"), ("data.tar", DATA)
    ),
    "no data": lambda _: ar_of(("debian-binary", b"2.0\n"), ("control.tar", CONTROL)),
    "another format": lambda _: ar_of(
        ("debian-binary", b"3.0\n"), ("control.tar", CONTROL), ("data.tar", DATA)
    ),
    "a compression nobody knows": lambda _: ar_of(
        ("debian-binary", b"2.0\n"), ("control.tar", CONTROL), ("data.tar.br", DATA)
    ),
    "a member that is longer than the file": lambda good: good[:-200],
    "a size that is no number": lambda good: good.replace(b"4         `\n", b"4x        `\n", 1),
    "a header without its end": lambda good: good.replace(b"`\n", b"xx", 1),
    "a damaged xz stream": lambda good: good[:-300] + b"\0" * 100 + good[-200:],
    "control.tar without control": lambda _: deb_of(tar_of(member("./md5sums", b"")), DATA),
    "a control file that is none": lambda _: deb_of(tar_of(member("./control", b"nonsense")), DATA),
    "another package": lambda _: deb_of(
        tar_of(member("./control", Deb(name="evil").paragraph.encode())), DATA
    ),
    "another version": lambda _: deb_of(
        tar_of(member("./control", Deb(name="pkg", version="2").paragraph.encode())), DATA
    ),
    "another architecture": lambda _: deb_of(
        tar_of(member("./control", Deb(name="pkg", architecture="arm64").paragraph.encode())), DATA
    ),
    "control as a link": lambda _: deb_of(
        tar_of(member("./control", type_=tarfile.SYMTYPE, link="/etc/passwd")), DATA
    ),
    "a truncated data archive": lambda _: deb_of(CONTROL, DATA[:1500]),
    "a data archive cut inside a file": lambda _: deb_of(CONTROL, tar_of(member("./a", b"x" * 5000))[:3000]),
    "a bomb": lambda _: deb_of(CONTROL, tar_of(member("./zeros", ZEROS))),
    "a checksum of a header that is wrong": lambda _: deb_of(CONTROL, DATA[:148] + b"0000000\0" + DATA[156:]),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES)
def test_damaged_or_hostile_package(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BuildError, match=r"pkg 1.0-1 \(x.deb\)"):
        take(tmp_path, change(deb_of(CONTROL, DATA)))
    assert [path.name for path in tmp_path.iterdir()] == ["x.deb"]


def test_parts_for_others_are_ignored(tmp_path: Path) -> None:
    payload = ar_of(
        ("debian-binary", b"2.0\n"),
        ("_gpgorigin", b"x"),
        ("control.tar", CONTROL),
        ("data.tar", DATA),
        ("more", b"x"),
    )
    assert [node.path for node in take(tmp_path, payload).package.nodes] == ["/usr", "/usr/a"]


def sparse() -> bytes:
    return tar_of(member("./s", b"x", type_=b"S"))


def header_with(offset: int, value: bytes) -> bytes:
    """A tar whose first header has other bytes, and a right checksum."""
    raw = bytearray(tar_of(member("./a", b"x" * 10)))
    raw[offset : offset + len(value)] = value
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


def pax(payload: bytes) -> bytes:
    """A PAX header with this payload, then a file."""
    return tar_of(member("./x", payload, type_=b"x"))[: 512 + -(-len(payload) // 512) * 512] + tar_of(
        member("./a", b"")
    )


HOSTILE = {
    "a name that climbs out": (tar_of(member("./../etc/passwd", b"")), "leaves it"),
    "an absolute name": (tar_of(member("/etc/passwd", b"")), "leaves it"),
    "a name with a line break": (tar_of(member("./a\nb", b"")), "is no name"),
    "a name that is too long": (tar_of(member("./" + "n" * 256, b"")), "is no name"),
    "a path that is too long": (tar_of(member("./" + "n/" * 3000, b"")), "is no name"),
    "a character device": (
        tar_of(member("./null", type_=tarfile.CHRTYPE)),
        "contains a character device at /null",
    ),
    "a block device": (tar_of(member("./sda", type_=tarfile.BLKTYPE)), "contains a block device at /sda"),
    "a pipe": (tar_of(member("./pipe", type_=tarfile.FIFOTYPE)), "contains a pipe at /pipe"),
    "a sparse file": (sparse(), "contains a sparse file at /s"),
    "a type nobody knows": (tar_of(member("./x", type_=b"Z")), "a member of unknown type b'Z' at /x"),
    "a file twice": (tar_of(member("./a", b"1"), member("./a", b"2")), "contains /a twice"),
    "a file where a folder was": (
        tar_of(member("./a/", type_=tarfile.DIRTYPE), member("./a", b"")),
        "contains /a twice",
    ),
    "a file below a link": (
        tar_of(member("./a", type_=tarfile.SYMTYPE, link="/etc"), member("./a/passwd", b"")),
        "contains /a/passwd, and /a is not a folder",
    ),
    "a file far below a file": (tar_of(member("./a", b""), member("./a/b/c", b"")), "and /a is not a folder"),
    "a hard link out": (
        tar_of(member("./a", type_=tarfile.LNKTYPE, link="../etc/shadow")),
        "leaves it",
    ),
    "an absolute hard link": (
        tar_of(member("./a", type_=tarfile.LNKTYPE, link="/etc/shadow")),
        "leaves it",
    ),
    "a hard link to nothing": (
        tar_of(member("./a", type_=tarfile.LNKTYPE, link="./b")),
        "is no earlier file",
    ),
    "a hard link to itself": (tar_of(member("./a", type_=tarfile.LNKTYPE, link="./a")), "is no earlier file"),
    "a hard link to a link": (
        tar_of(
            member("./a", type_=tarfile.SYMTYPE, link="x"), member("./b", type_=tarfile.LNKTYPE, link="./a")
        ),
        "is no earlier file",
    ),
    "a hard link to what comes later": (
        tar_of(member("./a", type_=tarfile.LNKTYPE, link="./b"), member("./b", b"")),
        "is no earlier file",
    ),
    "a link to nowhere": (tar_of(member("./a", type_=tarfile.SYMTYPE, link="")), "without a proper target"),
    "a size that is no number": (header_with(124, b"0000000zzzz"), "has a damaged size"),
    "a size beyond the end": (header_with(124, b"77777777777"), "ends inside /a"),
    "a size of 2**80": (header_with(124, b"\x80\1" + b"\0" * 10), "ends inside /a"),
    "an owner of 2**40": (header_with(108, b"\x80\0\1\0\0\0\0\0"), "has a member of owner"),
    "a PAX record without an end": (pax(b"30 path=x"), "damaged extended header"),
    "a PAX record without a length": (pax(b"path=x\n"), "damaged extended header"),
    "a PAX record of length zero": (pax(b"0 path=x\n"), "damaged extended header"),
    "a PAX record of negative length": (pax(b"-5 path=x\n"), "damaged extended header"),
    "a PAX size that is no number": (pax(b"14 size=-5000\n"), "damaged size"),
    "a PAX path that climbs out": (pax(b"18 path=../../etc\n"), "leaves it"),
    "a sparse file by PAX": (pax(b"22 GNU.sparse.major=1\n"), "contains a sparse file"),
    "a PAX header of two megabytes": (
        tar_of(member("./x", b"x" * (2 << 20), type_=b"x")),
        "extended header of",
    ),
    "a PAX header and nothing more": (
        tar_of(member("./x", b"9 path=x\n", type_=b"x")),
        "ends after an extended header",
    ),
    "too many PAX headers": (
        pax(b"".join(b"%d SCHILY.xattr.user.n%03d=v\n" % (28, number) for number in range(200))),
        "too many extended headers",
    ),
}


@pytest.mark.parametrize(("raw", "words"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_tar(tmp_path: Path, raw: bytes, words: str) -> None:
    with pytest.raises(BuildError) as caught:
        take(tmp_path, deb_of(CONTROL, raw, "gz"))
    assert words in caught.value.message
    assert not (tmp_path / "x.tar").exists()


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "_MOST_ENTRIES", 3)
    with pytest.raises(BuildError, match="has more than 3 members"):
        take(tmp_path, deb_of(CONTROL, tar_of(*(member(f"./{number}", b"") for number in range(5)))))


def test_a_link_may_say_anything(tmp_path: Path) -> None:
    stored = take(tmp_path, deb_of(CONTROL, tar_of(member("./a", type_=tarfile.SYMTYPE, link="/../../x"))))
    assert stored.package.nodes[0].target == "/../../x"


def test_other_tars_are_read_as_tarfile_reads_them() -> None:
    for format_ in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        raw = tar_of(
            member("./" + "d" * 90 + "/" + "f" * 60, b"1" * 513),
            member("./link", type_=tarfile.SYMTYPE, link="t" * 90),
            format_=format_,
        )
        stream = io.BytesIO(raw)
        found = []
        for entry in entries(stream, name="x", hint=""):
            assert stream.tell() == entry.offset
            found.append((entry.path, entry.size, entry.target, entry.mtime, stream.read(entry.size)))
        assert found == [
            ("/" + "d" * 90 + "/" + "f" * 60, 513, "", 1_700_000_000, b"1" * 513),
            ("/link", 0, "t" * 90, 1_700_000_000, b""),
        ]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_changed_bytes_never_end_otherwise_than_in_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = deb_of(CONTROL, DATA, "")
    raw = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("deb")
    try:
        take(folder, bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]))
    except BuildError:
        assert not (folder / "x.tar").exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda store, sum_: (store.folder / f"{sum_}.json").unlink(), id="the index is gone"),
        pytest.param(lambda store, sum_: store.tar_path(sum_).unlink(), id="the data archive is gone"),
        pytest.param(
            lambda store, sum_: store.tar_path(sum_).write_bytes(b"short"), id="the data archive is short"
        ),
        pytest.param(
            lambda store, sum_: (store.folder / f"{sum_}.json").write_bytes(
                (store.folder / f"{sum_}.json")
                .read_bytes()
                .replace(b"alpha", b"omega")
                .replace(b"usr", b"etc")
            ),
            id="the index was changed",
        ),
        pytest.param(
            lambda store, sum_: (store.folder / f"{sum_}.json").write_bytes(b""), id="the index is empty"
        ),
    ],
)
def test_damaged_store_counts_as_absent(tmp_path: Path, damage: Callable[[PackageStore, str], None]) -> None:
    payload = deb_of(CONTROL, DATA)
    through_store(tmp_path, payload)
    store = PackageStore(tmp_path / "store")
    assert store.open(locked(payload)) is not None
    damage(store, locked(payload).sha256)
    assert store.open(locked(payload)) is None


def test_store_gives_only_what_was_locked(tmp_path: Path) -> None:
    payload = deb_of(CONTROL, DATA)
    through_store(tmp_path, payload)
    assert PackageStore(tmp_path / "store").open(locked(payload, version="2")) is None


def test_xz_that_demands_gigabytes(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    data = lzma.compress(DATA, filters=filters)
    payload = ar_of(("debian-binary", b"2.0\n"), ("control.tar", CONTROL), ("data.tar.xz", data))
    with pytest.raises(BuildError, match=r"data.tar.xz of pkg .* is damaged"):
        take(tmp_path, payload)
