"""Archives as sources: every form of them, honest and hostile."""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import BuildError, MachineError, ResolutionError
from builder.oci import Platform
from builder.recipe.source_model import ArchiveSource
from builder.sources import archive as archive_module
from builder.sources.archive import archive_tree
from builder.sources.debian.archive import Freshness
from builder.sources.supply import SourceTree, Supply
from builder.sysroot import Kind, Sysroot, read_content
from tests.support.debian_archive import Fault, compress, effects, member, no_network, serve, tar_of, tree_tar

SMALL = tree_tar({"/app-1.2/": None, "/app-1.2/bin/app": b"program", "/app-1.2/lib": "bin"})
ZEROS = b"\0" * (66 << 20)


def supplies(folder: Path, *, network: bool = False) -> Supply:
    return Supply(
        platform=Platform("linux", "amd64"),
        mirrors=None,
        cache=folder / "cache",
        freshness=Freshness(max_age=0, offline=not network),
        effects=effects() if network else no_network(),
    )


def tree_of(folder: Path, payload: bytes, *, strip: int = 0, root: str = "/", sha256: str = "") -> SourceTree:
    (folder / "a.bin").write_bytes(payload)
    source = ArchiveSource(name="a", path=folder / "a.bin", strip=strip, root=root, sha256=sha256)
    return archive_tree(source, supplies(folder))


def shown(tree: Sysroot) -> dict[str, str]:
    """Path → kind and content, as a person would list it."""
    found = {}
    for node in tree:
        content = read_content(node.content).decode() if node.content else ""
        found[node.path] = {Kind.DIRECTORY: "/", Kind.SYMLINK: f"-> {node.target}", Kind.FILE: content}[
            node.kind
        ]
    return found


def zip_of(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members:
            archive.writestr(info, content)
    return out.getvalue()


def unix(name: str, mode: int, *, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = system, mode << 16
    return info


@pytest.mark.parametrize("kind", ["", "gz", "xz", "zst", "bz2"])
def test_a_tar_archive_of_every_compression_is_a_tree(tmp_path: Path, kind: str) -> None:
    payload = bz2.compress(SMALL) if kind == "bz2" else compress(kind, SMALL)
    assert shown(tree_of(tmp_path, payload).tree) == {
        "/": "/",
        "/app-1.2": "/",
        "/app-1.2/bin": "/",
        "/app-1.2/bin/app": "program",
        "/app-1.2/lib": "-> bin",
    }


def test_a_zip_archive_is_a_tree_with_unix_modes_and_links(tmp_path: Path) -> None:
    payload = zip_of(
        (unix("bin/", stat.S_IFDIR | 0o700), b""),
        (unix("bin/app", stat.S_IFREG | 0o4755), b"program"),
        (unix("bin/link", stat.S_IFLNK | 0o777), b"app"),
        (unix("dos.txt", 0, system=0), b"text"),
    )
    tree = tree_of(tmp_path, payload).tree
    assert shown(tree) == {
        "/": "/", "/bin": "/", "/bin/app": "program", "/bin/link": "-> app", "/dos.txt": "text",
    }  # fmt: skip
    modes = {node.path: node.mode for node in tree}
    assert (modes["/bin"], modes["/bin/app"], modes["/dos.txt"]) == (0o700, 0o755, 0o644)


@pytest.mark.parametrize(
    ("strip", "root", "paths"),
    [
        (1, "/", ["/", "/bin", "/bin/app", "/lib"]),
        (2, "/", ["/", "/app"]),
        (1, "/bin", ["/", "/app"]),
        (0, "/app-1.2/bin", ["/", "/app"]),
    ],
)
def test_leading_folders_are_stripped_and_a_folder_may_be_the_root(
    tmp_path: Path, strip: int, root: str, paths: list[str]
) -> None:
    assert [node.path for node in tree_of(tmp_path, SMALL, strip=strip, root=root).tree] == paths


@pytest.mark.parametrize(("strip", "root"), [(9, "/"), (0, "/nowhere"), (1, "/bi")])
def test_a_root_that_the_archive_does_not_have_is_an_error(tmp_path: Path, strip: int, root: str) -> None:
    with pytest.raises(ResolutionError, match="does not have"):
        tree_of(tmp_path, SMALL, strip=strip, root=root)
    assert list((tmp_path / "cache/trees").iterdir()) == []


def test_who_packed_it_means_nothing_in_the_image(tmp_path: Path) -> None:
    info, content = member("./app", b"x", mode=0o6755)
    info.uid, info.gid, info.uname, info.gname = 1000, 1000, "runner", "docker"
    node = tree_of(tmp_path, tar_of((info, content))).tree.get("/app")
    assert node is not None
    assert (node.uid, node.gid, node.user, node.group, node.mode) == (0, 0, "", "", 0o755)


def test_links_may_say_what_they_want_and_lead_nowhere_outside(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, tree_tar({"/out": "../../../etc/passwd", "/abs": "/etc/passwd"})).tree
    assert tree.get("/out") is not None
    assert tree.lookup("/out").node is None
    assert tree.lookup("/abs").node is None


def test_hard_links_share_bytes_and_names_that_are_not_utf8_stay(tmp_path: Path) -> None:
    odd = "na\udcefve"
    payload = tar_of(
        member("./x/a", b"one"),
        member("./x/b", type_=tarfile.LNKTYPE, link="./x/a", mode=0o600),
        (tarfile.TarInfo("./x/" + odd), b""),
    )
    tree = tree_of(tmp_path, payload, strip=1).tree
    first, second = tree.get("/a"), tree.get("/b")
    assert first is not None
    assert second is not None
    assert (second.content, second.hardlink) == (first.content, "/a")
    assert (second.mode, second.uid, second.xattrs) == (first.mode, first.uid, first.xattrs)
    assert tree.get("/" + odd) is not None
    packed = zip_of(("x/plain", b"1"))
    with_raw_name = packed.replace(b"x/plain", b"x/na\xefve")
    assert "/x/na\udcefve" in shown(tree_of(tmp_path, with_raw_name).tree)


HOSTILE: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "a tar name that climbs out": (lambda: tar_of(member("./../x")), "leaves it"),
    "an absolute tar name": (lambda: tar_of(member("/etc/x")), "leaves it"),
    "a device": (lambda: tar_of(member("./null", type_=tarfile.CHRTYPE)), "a character device"),
    "a pipe": (lambda: tar_of(member("./pipe", type_=tarfile.FIFOTYPE)), "a pipe"),
    "a tar name twice": (lambda: tar_of(member("./a"), member("./a")), "contains /a twice"),
    "a link and then a file through it": (
        lambda: tar_of(member("./a", type_=tarfile.SYMTYPE, link="/etc"), member("./a/passwd")),
        "/a is not a folder",
    ),
    "a hard link that leads out": (
        lambda: tar_of(member("./a", type_=tarfile.LNKTYPE, link="/etc/passwd")),
        "leaves it",
    ),
    "a tar that ends in a file": (lambda: tar_of(member("./a", b"x" * 2000))[:1024], "ends inside /a"),
    "a zip name that climbs out": (lambda: zip_of(("a/../../x", b"")), "leaves it"),
    "an absolute zip name": (lambda: zip_of(("/etc/x", b"")), "leaves it"),
    "a zip name of Windows": (lambda: zip_of(("a\\..\\x", b"")), "leaves it"),
    "a zip name twice": (lambda: zip_of(("a", b"1"), ("b", b"2")).replace(b"b", b"a"), "has /a twice"),
    "a zip link and then a file through it": (
        lambda: zip_of((unix("a", stat.S_IFLNK | 0o777), b"/etc"), ("a/passwd", b"")),
        "/a/passwd below /a",
    ),
    "a zip link without a target": (lambda: zip_of((unix("a", stat.S_IFLNK | 0o777), b"")), "proper target"),
    "a device in a zip": (lambda: zip_of((unix("a", stat.S_IFCHR | 0o600), b"")), "a device"),
    "a zip cut short": (lambda: zip_of(("a", b"x" * 100))[:-8], "is no sound zip archive"),
    "a zip with other bytes": (
        lambda: _damage(zip_of((_stored("a"), b"payload"))),
        "is damaged at a",
    ),
    "an encrypted zip": (lambda: _encrypted(zip_of(("a", b"x"))), "is encrypted"),
    "a zip bomb": (lambda: zip_of(("a", ZEROS)), "times its size"),
    "a tar bomb": (lambda: bz2.compress(tar_of(member("./a", ZEROS))), "times its size"),
    "a damaged stream": (lambda: bz2.compress(SMALL)[:-9] + b"123456789", "is damaged"),
    "no archive at all": (lambda: b"#!/bin/sh\necho hello\n" * 50, "neither a tar archive"),
    "a compressed file that is no archive": (lambda: compress("gz", b"text" * 200), "neither a tar archive"),
    "nothing": (lambda: b"", "neither a tar archive"),
}


def _stored(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_STORED
    return info


def _damage(raw: bytes) -> bytes:
    return raw.replace(b"payload", b"pAyload")


def _encrypted(raw: bytes) -> bytes:
    at = raw.index(b"PK\x01\x02") + 8
    return raw[:at] + bytes([raw[at] | 1]) + raw[at + 1 :]


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path: Path, case: str) -> None:
    make, words = HOSTILE[case]
    with pytest.raises(BuildError, match=words) as caught:
        tree_of(tmp_path, make())
    assert "a.bin" in caught.value.message
    assert list((tmp_path / "cache/trees").iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "MOST_BYTES", 5000)
    with pytest.raises(BuildError, match="more than 5000 bytes"):
        tree_of(tmp_path, tar_of(member("./a", bytes(range(256)) * 40)))
    with pytest.raises(BuildError, match="more than 5000 bytes"):
        tree_of(tmp_path, zip_of(("a", bytes(range(256)) * 40)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_a_tree_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    sound = data.draw(st.sampled_from([SMALL, zip_of(("a/b", b"one"), ("c", b"two" * 50))]))
    raw = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BuildError, ResolutionError):
        assert tree_of(tmp_path, bytes(raw)).tree.get("/") is not None


def test_a_checksum_that_differs_and_a_file_that_is_not_there_are_errors(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has the SHA-256"):
        tree_of(tmp_path, SMALL, sha256="0" * 64)
    with pytest.raises(ResolutionError, match="cannot be read: No such file"):
        archive_tree(ArchiveSource(name="a", path=tmp_path / "gone"), supplies(tmp_path))


def test_an_archive_is_unpacked_once_and_its_key_changes_with_it(tmp_path: Path) -> None:
    first = tree_of(tmp_path, SMALL)
    (made,) = (tmp_path / "cache/trees").iterdir()
    inode = made.stat().st_ino
    assert tree_of(tmp_path, SMALL).key == first.key
    assert made.stat().st_ino == inode
    assert tree_of(tmp_path, SMALL, strip=1).key != first.key
    assert tree_of(tmp_path, SMALL + b"\0").key != first.key


def test_a_fetched_archive_is_checked_before_use_resumed_and_not_asked_for_again(tmp_path: Path) -> None:
    payload = compress("gz", SMALL)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a.tar.gz").write_bytes(payload)
    with serve(tmp_path / "site") as server:
        source = ArchiveSource(
            name="a", url=f"{server.url}/a.tar.gz", sha256=hashlib.sha256(payload).hexdigest()
        )
        with pytest.raises(MachineError, match="--offline"):
            archive_tree(source, supplies(tmp_path))
        server.faults["/a.tar.gz"] = [Fault(cut=40), Fault(cut=40)]
        with pytest.raises(MachineError):
            archive_tree(source, supplies(tmp_path, network=True))
        tree = archive_tree(source, supplies(tmp_path, network=True)).tree
        assert "Range" in server.requests[-1][1]
        assert tree.get("/app-1.2/bin/app") is not None
        asked = len(server.requests)
        assert archive_tree(source, supplies(tmp_path)).tree.get("/app-1.2") is not None
        assert len(server.requests) == asked
        assert list((tmp_path / "cache/downloads").iterdir()) == []
        wrong = ArchiveSource(name="a", url=f"{server.url}/a.tar.gz", sha256="1" * 64)
        with pytest.raises(BuildError, match="was promised"):
            archive_tree(wrong, supplies(tmp_path, network=True))
