"""Files of a machine: their owners from its package database, and how they appear in an image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from builder.recipe.source_model import HostSource
from builder.sources.host import host_tree
from builder.sources.supply import SourceTree
from builder.sysroot import Node
from tests.support import rpmdb
from tests.support.dpkg_root import INFO, add_package, record_package

LIBRARY = "/usr/lib/libz.so.1.3"


def host(root: Path) -> SourceTree:
    return host_tree(HostSource(name="here", root=root), root.parent / "cache")


def at(tree: SourceTree, path: str) -> Node:
    node = tree.tree.get(path)
    assert node is not None, path
    return node


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    files: dict[str, bytes | str] = {LIBRARY: b"library", "/usr/lib/libz.so.1": "libz.so.1.3"}
    add_package(folder, "zlib1g", files)
    return folder


def test_files_and_links_have_the_packages_of_the_database(root: Path) -> None:
    (root / "usr/lib/own.so").write_bytes(b"mine")
    tree = host(root)
    found = {path: at(tree, path).package for path in (LIBRARY, "/usr/lib/libz.so.1", "/usr/lib/own.so")}
    assert found == {LIBRARY: "zlib1g", "/usr/lib/libz.so.1": "zlib1g", "/usr/lib/own.so": ""}
    assert at(tree, "/usr/lib").package == ""


def test_a_package_of_the_machine_has_its_paragraph_without_what_is_the_machines(root: Path) -> None:
    package = host(root).tree.packages["zlib1g"]
    assert package.control == (
        "Package: zlib1g\nSource: zlib1g-src (0.9)\nVersion: 1.0-1\nArchitecture: amd64\n"
        "Maintainer: M <m@test>\nDescription: a package\n of the test\n"
    )
    assert (package.source_name, package.source_version) == ("zlib1g-src", "0.9")
    assert dict(package.md5sums) == {LIBRARY: hashlib.md5(b"library").hexdigest()}
    assert package.newest == 0


def test_owners_are_found_where_the_database_spells_paths_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib/a.so").write_bytes(b"a")
    record_package(root, "liba", {"/lib/a.so": b"a"}, list_name="liba:amd64")
    assert at(host(root), "/usr/lib/a.so").package == "liba"


def test_a_diverted_file_belongs_to_the_package_that_ships_it(root: Path) -> None:
    add_package(root, "vim", {"/usr/bin/vi": b"vim's"})
    (root / "usr/bin/vi.old").write_bytes(b"nvi's")
    record_package(root, "nvi", {"/usr/bin/vi": b"nvi's"})
    (root / "var/lib/dpkg/diversions").write_text("/usr/bin/vi\n/usr/bin/vi.old\nvim\n")
    tree = host(root)
    assert at(tree, "/usr/bin/vi").package == "vim"
    assert at(tree, "/usr/bin/vi.old").package == "nvi"


def test_records_of_an_image_without_dpkg_count_too(tmp_path: Path) -> None:
    folder = tmp_path / "root/var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    (folder / "tini").write_text("Package: tini\nVersion: 0.19-1\nArchitecture: amd64\n")
    (folder / "tini.md5sums").write_text(f"{'0' * 32}  usr/bin/tini\n")
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/tini").write_bytes(b"tini")
    assert at(host(tmp_path / "root"), "/usr/bin/tini").package == "tini"


def test_a_machine_without_a_database_has_no_owners(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a").write_bytes(b"a")
    tree = host(tmp_path / "root")
    assert at(tree, "/a").package == ""
    assert tree.tree.packages == {}


def test_the_index_is_made_once_for_each_state_of_the_database(root: Path) -> None:
    def indexes() -> list[Path]:
        return sorted((root.parent / "cache/owners").iterdir())

    host(root)
    first = indexes()
    before = first[0].stat().st_mtime_ns
    host(root)
    assert (indexes(), first[0].stat().st_mtime_ns) == (first, before)
    first[0].write_bytes(first[0].read_bytes()[:-1])
    assert at(host(root), LIBRARY).package == "zlib1g"
    (root / INFO / "zlib1g.list").unlink()
    (root / INFO / "zlib1g.md5sums").unlink()
    assert at(host(root), LIBRARY).package == ""
    assert len(indexes()) == 2


def test_files_of_nobody_have_the_modes_and_owners_of_an_image_whoever_compiled_them(root: Path) -> None:
    program, text = root / "usr/app", root / "usr/text"
    for path, mode in ((program, 0o4700), (text, 0o600)):
        path.write_bytes(b"x")
        path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(program, 1000, 1000)
    tree = host(root)
    for name, mode in (("/usr/app", 0o755), ("/usr/text", 0o644)):
        node = at(tree, name)
        assert (node.mode, node.uid, node.gid, node.mtime) == (mode, 0, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_of_packages_keep_accounts_that_every_system_has_and_lose_others(root: Path) -> None:
    add_package(root, "tools", {"/usr/bin/fixed": b"x", "/usr/bin/dynamic": b"x"})
    for name, gid in (("fixed", 8), ("dynamic", 110)):
        os.chown(root / "usr/bin" / name, 0, gid)
        (root / "usr/bin" / name).chmod(0o2755)
    tree = host(root)
    fixed, dynamic = at(tree, "/usr/bin/fixed"), at(tree, "/usr/bin/dynamic")
    assert (fixed.mode, fixed.gid) == (0o2755, 8)
    assert (dynamic.mode, dynamic.gid) == (0o755, 0)


def test_every_path_that_was_asked_for_leaves_a_stamp(root: Path) -> None:
    tree = host(root)
    tree.tree.lookup("/usr/lib/libz.so.1")
    tree.tree.lookup("/usr/lib/first/libz.so.1")
    tree.tree.children("/usr/lib")
    stamps = {path: size for path, size, _, _ in tree.stamps()}
    assert stamps[str(root / LIBRARY[1:])] == len(b"library")
    assert stamps[str(root / "usr/lib/first")] == -1
    assert str(root / "usr/lib") in stamps
    assert str(root / "usr") not in stamps
    assert str(root / "var/lib/dpkg/status") in stamps


APK = """P:zlib
V:1.3.1-r2
A:x86_64
o:zlib
F:lib
R:libz.so.1
Z:Q1abc=

P:musl
V:1.2.5-r9
A:x86_64
F:lib
R:ld-musl-x86_64.so.1
"""


def other_root(tmp_path: Path, database: str, content: bytes, release: str) -> Path:
    root = tmp_path / "root"
    for path, payload in ((database, content), ("etc/os-release", release.encode()), ("lib/libz.so.1", b"z")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(payload)
    return root


def test_packages_of_apk_have_a_package_url_and_no_paragraph(tmp_path: Path) -> None:
    root = other_root(tmp_path, "lib/apk/db/installed", APK.encode(), "ID=alpine\nVERSION_ID=3.22.1\n")
    tree = host(root)
    assert at(tree, "/lib/libz.so.1").package == "zlib"
    package = tree.tree.packages["zlib"]
    assert (package.version, package.control) == ("1.3.1-r2", "")
    assert package.purl == "pkg:apk/alpine/zlib@1.3.1-r2?arch=x86_64&distro=alpine-3.22.1"


@pytest.mark.parametrize(
    ("place", "form"),
    [
        ("var/lib/rpm/rpmdb.sqlite", rpmdb.sqlite),
        ("usr/lib/sysimage/rpm/Packages.db", rpmdb.ndb),
        ("var/lib/rpm/Packages", rpmdb.berkeley),
    ],
)
def test_packages_of_rpm_have_a_package_url_in_every_format(
    tmp_path: Path, place: str, form: Callable[[Sequence[bytes]], bytes]
) -> None:
    blob = rpmdb.package("zlib", "1.2.11", "40.el9", **rpmdb.owning("/lib/libz.so.1"))
    root = other_root(tmp_path, place, form([blob]), "ID=almalinux\nVERSION_ID=9.3\n")
    tree = host(root)
    assert at(tree, "/lib/libz.so.1").package == "zlib"
    assert tree.tree.packages["zlib"].purl == (
        "pkg:rpm/almalinux/zlib@1.2.11-40.el9?arch=x86_64&distro=almalinux-9.3"
        "&upstream=zlib-1.2.11-40.el9.src.rpm"
    )
    assert str(root / place) in {path for path, size, _, _ in tree.stamps() if size > 0}


def test_a_damaged_database_has_no_owners(tmp_path: Path) -> None:
    root = other_root(tmp_path, "var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0garbage", "ID=fedora\n")
    assert at(host(root), "/lib/libz.so.1").package == ""
