"""A folder of this machine as a tree: read when asked, never left."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.elf.closure import Resolver
from builder.elf.facts import ElfFacts
from builder.elf.ldcache import cache_for
from builder.errors import ResolutionError
from builder.sources.folder import FolderSysroot
from builder.sysroot import Kind, Node, Sysroot, read_content
from tests.support.hostroot import host_sysroot
from tests.support.ldso import write_tree
from tests.support.loader_cases import CASES, FOLDERS, LOADER, Case, bodies
from tests.support.mkelf import GLIBC_X86_64, Files, Spec, loader_bytes, sysroot_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "usr/lib/libx.so.1.2").write_bytes(b"library")
    (folder / "usr/lib/libx.so.1").symlink_to("libx.so.1.2")
    (folder / "lib").symlink_to("usr/lib")
    (folder / "abs").symlink_to("/usr/lib/libx.so.1")
    return folder


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every path that is given to the machine while a look-up runs."""
    paths: list[str] = []
    real_lstat, real_readlink, real_scandir = os.lstat, os.readlink, os.scandir

    def lstat(path: str) -> os.stat_result:
        paths.append(os.fspath(path))
        return real_lstat(path)

    def readlink(path: str) -> str:
        paths.append(os.fspath(path))
        return real_readlink(path)

    def scandir(path: str) -> object:
        paths.append(os.fspath(path))
        return real_scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", lstat)
        patch.setattr(os, "readlink", readlink)
        patch.setattr(os, "scandir", scandir)
        yield paths


def test_links_lead_to_the_same_file_as_in_a_chroot(root: Path) -> None:
    tree = FolderSysroot(root)
    found = tree.lookup("/abs")
    assert found.path == "/usr/lib/libx.so.1.2"
    assert [link.path for link in found.links] == ["/abs", "/usr/lib/libx.so.1"]
    assert found.node is not None
    assert found.node.content is not None
    assert read_content(found.node.content) == b"library"
    assert (found.node.content.sha256, found.node.content.offset) == ("", 0)


def test_it_says_the_same_as_a_tree_that_was_read_whole(root: Path) -> None:
    tree = FolderSysroot(root)
    whole = Sysroot(tree)
    assert len(tree) == len(whole) == 7
    for path in ("/", "/lib", "/lib/libx.so.1", "/usr/../abs", "/nope/x", "/abs/below", "usr/lib/.", "/.."):
        assert tree.lookup(path) == whole.lookup(path), path
        assert tree.get(path) == whole.get(path), path
        assert tree.children(path) == whole.children(path), path
    assert list(tree.below("/usr")) == list(whole.below("/usr"))
    assert tree.glob("/usr/lib/*.so.1") == whole.glob("/usr/lib/*.so.1")
    assert tree.glob("/lib/*.so.1") == whole.glob("/lib/*.so.1")


def test_only_what_a_look_up_touches_is_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FolderSysroot(root)
    with watched(monkeypatch) as paths:
        tree.lookup("/lib/libx.so.1")
        tree.lookup("/lib/libx.so.1")
        tree.lookup("/lib/absent")
        tree.lookup("/lib/absent")
    names = ("libx.so.1", "libx.so.1.2", "absent")
    once = ("/", "/lib", "/usr", "/usr/lib", *(f"/usr/lib/{name}" for name in names))
    links = ("/lib", "/usr/lib/libx.so.1")
    assert sorted(paths) == sorted(f"{root}{path}" for path in (*once, *links))


@pytest.mark.parametrize(
    ("target", "ends"),
    [
        ("/outside/secret", "/outside/secret"),
        ("../../../../../../../../outside/secret", "/outside/secret"),
        ("..", "/"),
        ("/..", "/"),
        ("loop", "/loop"),
    ],
    ids=str,
)
def test_no_link_leads_out(root: Path, target: str, ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "loop").symlink_to(target)
    tree = FolderSysroot(root)
    with watched(monkeypatch) as paths:
        for path in ("/loop", "/loop/loop", "/loop/../../outside/secret", "/../outside/secret"):
            tree.lookup(path)
            tree.get(path)
            tree.children(path)
            tree.lookup_exact(path)
            tree.glob(f"{path}/*")
            list(tree.below(path))
    assert tree.lookup("/loop").path == ends
    for path in paths:
        assert path == f"{root}/" or path.startswith(f"{root}/")
        # Nothing below a link is named: the machine would follow it.
        assert not path.startswith(f"{root}/loop/")
        assert ".." not in path


def test_an_exact_path_through_a_link_is_not_there(root: Path) -> None:
    tree = FolderSysroot(root)
    assert tree.get("/lib/libx.so.1.2") is None
    assert tree.get("/usr/lib/libx.so.1.2") is not None
    assert tree.children("/lib") == ()


@pytest.mark.parametrize(
    "path", ["", "relative", "//", "/usr//lib", "/usr/", "/usr/.", "/usr/..", "/a\0b", "/" + "n" * 5000]
)
def test_what_is_no_exact_path_is_not_there(root: Path, path: str) -> None:
    assert FolderSysroot(root).get(path) is None


def test_special_files_are_not_there(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fsencode(root / "s"))
        if os.geteuid() == 0:
            os.mknod(root / "null", 0o020666, os.makedev(1, 3))
        tree = FolderSysroot(root)
        for name in ("fifo", "s", "null"):
            assert tree.lookup(f"/{name}").node is None
    assert {node.path for node in tree}.isdisjoint({"/fifo", "/s", "/null"})


def test_names_need_not_be_text(root: Path) -> None:
    name = os.fsdecode(b"lib\xff\nx\x1b.so")
    (root / "usr" / name).write_bytes(b"x")
    node = FolderSysroot(root).lookup(f"/usr/{name}").node
    assert node is not None
    assert node.path == f"/usr/{name}"


def test_names_of_one_file_share_their_bytes(root: Path) -> None:
    (root / "other").hardlink_to(root / "usr/lib/libx.so.1.2")
    tree = FolderSysroot(root)
    one, other = tree.get("/usr/lib/libx.so.1.2"), tree.get("/other")
    assert one is not None
    assert other is not None
    assert one.content == other.content


def test_what_may_not_be_looked_at_is_recorded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> os.stat_result:
        if path.endswith("/usr/lib"):
            raise PermissionError(13, "Permission denied", path)
        return Path(path).lstat()

    monkeypatch.setattr(os, "lstat", refuse)
    tree = FolderSysroot(root)
    assert tree.lookup("/abs").node is None
    assert tree.unreadable == {"/usr/lib": "Permission denied"}


def test_a_layer_over_a_folder_holds_all_of_it(root: Path) -> None:
    layered = FolderSysroot(root).overlay([Node(path="/new/file", kind=Kind.FILE, mode=0o644)])
    assert layered.get("/usr/lib/libx.so.1.2") is not None
    assert layered.get("/new") is not None


@pytest.mark.parametrize("name", ["absent", "usr/lib/libx.so.1.2", "loop"])
def test_a_root_must_be_a_folder(root: Path, name: str) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(ResolutionError, match="cannot be the root of a tree"):
        FolderSysroot(root / name)


def test_a_root_may_be_reached_by_a_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    assert FolderSysroot(root.parent / "link").folder == str(root)


_NAMES = st.sampled_from(["usr", "lib", "a", "b", "..", ".", "abs"])


@given(
    links=st.lists(st.tuples(_NAMES, st.lists(_NAMES, max_size=4), st.booleans()), max_size=4),
    asked=st.lists(st.lists(_NAMES, min_size=1, max_size=5), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_links_are_followed_as_in_a_tree_read_whole(
    tmp_path_factory: pytest.TempPathFactory,
    links: list[tuple[str, list[str], bool]],
    asked: list[list[str]],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "usr/a").mkdir(parents=True)
    (folder / "usr/a/b").write_bytes(b"b")
    for name, target, absolute in links:
        if name not in ("usr", "..", ".") and target and not (folder / name).is_symlink():
            (folder / name).symlink_to(("/" if absolute else "") + "/".join(target))
    tree = FolderSysroot(folder)
    whole = Sysroot(tree)
    for path in asked:
        assert tree.lookup("/" + "/".join(path)) == whole.lookup("/" + "/".join(path))


def test_it_agrees_with_a_walk_of_the_machines_own_folder() -> None:
    walked = host_sysroot(("/etc/alternatives", "/usr/lib/x86_64-linux-gnu/gconv"))
    tree = FolderSysroot(Path("/"))
    assert tree.folder == ""
    for node in walked:
        found = tree.get(node.path)
        assert found is not None
        assert (found.kind, found.target) == (node.kind, node.target)


@pytest.mark.parametrize("case", CASES, ids=[case.sentence for case in CASES])
def test_the_loader_opens_the_same_in_a_folder_by_the_cache_that_is_there(case: Case, tmp_path: Path) -> None:
    loader: Files = {LOADER: loader_bytes(FOLDERS, Spec(soname="ld-linux-x86-64.so.2")), GLIBC_X86_64: LOADER}
    hardlinks = dict(case.hardlinks)
    sysroot = sysroot_of({**loader, **bodies(case)}, tmp_path / "store", hardlinks=hardlinks)
    folder = tmp_path / "root"
    folder.mkdir()
    write_tree(sysroot, folder)
    for path, first in hardlinks.items():
        (folder / path[1:]).unlink(missing_ok=True)
        (folder / path[1:]).hardlink_to(folder / first[1:])
    cache = cache_for(sysroot, ElfFacts(None))
    if cache is not None:
        (folder / "etc").mkdir(exist_ok=True)
        (folder / "etc/ld.so.cache").write_bytes(cache)
    scope = Resolver(FolderSysroot(folder), ElfFacts(None), installed_cache=True).scope(case.root)
    assert scope is not None
    opened = {*scope.libraries, *scope.variants} - {LOADER}
    assert opened == set(case.opens) - {case.root, LOADER}
    assert {missing.name for missing in scope.missing} == {*case.missing, *case.optional}
