"""Repositories as sources: the bytes of a commit, whatever repository and machine would like to do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import BuildError, MachineError, ResolutionError
from builder.oci import Platform
from builder.recipe.source_model import GitSource
from builder.sources.debian.archive import Freshness
from builder.sources.git import git_tree
from builder.sources.supply import Supply
from builder.sysroot import Kind, Sysroot, read_content
from tests.support.debian_archive import effects, serve
from tests.support.tools import need


@pytest.fixture(autouse=True)
def _git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("git")
    (tmp_path / "home").mkdir()
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@test")
        monkeypatch.setenv(f"GIT_{who}_DATE", "2026-01-02T03:04:05Z")


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always")
    command = ["git", *settings, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str = "one") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "bin").mkdir()
    (folder / "bin/app").write_bytes(b"#!/bin/sh\n")
    (folder / "bin/app").chmod(0o755)
    (folder / "README").write_bytes(b"$Format:%H$\r\n$Id$\n")
    (folder / "link").symlink_to("../../etc/passwd")
    (folder / "hidden").write_bytes(b"not in archives")
    (folder / ".gitattributes").write_text(
        "README export-subst ident text eol=crlf\nhidden export-ignore\n* filter=evil\n"
    )
    return folder


def supplies(tmp_path: Path, *, offline: bool = False) -> Supply:
    return Supply(
        platform=Platform("linux", "amd64"),
        mirrors=None,
        cache=tmp_path / "cache",
        freshness=Freshness(max_age=0, offline=offline),
        effects=effects(),
    )


def tree_of(tmp_path: Path, source: GitSource, *, offline: bool = False) -> Sysroot:
    return git_tree(source, supplies(tmp_path, offline=offline)).tree


def shown(tree: Sysroot) -> Iterator[tuple[str, str]]:
    for node in tree:
        if node.kind is not Kind.DIRECTORY:
            words = node.target if node.content is None else read_content(node.content).decode()
            yield f"{node.path} {node.mode:o}", words


def test_a_commit_is_a_tree_of_the_bytes_that_git_stored(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "home/.gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = touch {tmp_path}/smudged\n\tclean = cat\n[core]\n\tautocrlf = true\n'
        f"\thooksPath = {tmp_path}/hooks\n"
    )
    first = commit(repository)
    stored = subprocess.run(
        ["git", "-C", str(repository), "cat-file", "blob", f"{first}:README"], check=True, capture_output=True
    ).stdout.decode()
    (repository / "later").write_bytes(b"later")
    commit(repository, "two")
    (repository / "uncommitted").write_bytes(b"never")
    tree = tree_of(tmp_path, GitSource(name="app", path=repository, commit=first))
    assert dict(shown(tree)) == {
        "/.gitattributes 644": (repository / ".gitattributes").read_text(),
        "/README 644": stored,
        "/bin/app 755": "#!/bin/sh\n",
        "/hidden 644": "not in archives",
        "/link 777": "../../etc/passwd",
    }
    assert "Format:%H" in stored
    assert not (tmp_path / "smudged").exists()
    assert {node.mtime for node in tree if node.kind is not Kind.DIRECTORY} == {1767323045}
    assert not list((tmp_path / "cache/staging").glob("*"))


def test_a_commit_is_fetched_once(tmp_path: Path, repository: Path) -> None:
    source = GitSource(name="app", path=repository, commit=commit(repository))
    first = list(shown(tree_of(tmp_path, source)))
    repository.rename(tmp_path / "gone")
    source = GitSource(name="app", url="https://nowhere.test/app.git", commit=source.commit)
    assert list(shown(tree_of(tmp_path, source, offline=True))) == first


def test_hooks_of_a_repository_are_not_run(tmp_path: Path, repository: Path) -> None:
    first = commit(repository)
    for name in ("post-checkout", "reference-transaction", "pre-receive", "post-index-change"):
        hook = repository / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
        hook.chmod(0o755)
    git(repository, "config", "uploadpack.packObjectsHook", f"touch {tmp_path}/hooked; git")
    git(repository, "config", "core.fsmonitor", f"touch {tmp_path}/hooked")
    tree_of(tmp_path, GitSource(name="app", path=repository, commit=first))
    assert not (tmp_path / "hooked").exists()


def test_a_repository_on_a_server_gives_a_commit_that_is_no_head(tmp_path: Path, repository: Path) -> None:
    first = commit(repository)
    (repository / "more").write_bytes(b"more")
    commit(repository, "two")
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(tmp_path / "site/app.git"))
    git(tmp_path / "site/app.git", "update-server-info")
    with serve(tmp_path / "site") as server:  # a plain file server, without git's own protocol
        source = GitSource(name="app", url=f"{server.url}/app.git", commit=first)
        assert "/bin/app 755" in dict(shown(tree_of(tmp_path, source)))
        with pytest.raises(ResolutionError, match="has no commit 1111"):
            tree_of(tmp_path, GitSource(name="app", url=f"{server.url}/app.git", commit="1" * 40))
    with pytest.raises(MachineError, match="could not be fetched"):
        tree_of(tmp_path, GitSource(name="app", url=f"{server.url}/app.git", commit="2" * 40))


def test_a_tag_must_be_the_commit_and_a_branch_must_have_it(tmp_path: Path, repository: Path) -> None:
    first = commit(repository)
    git(repository, "tag", "v1")
    git(repository, "tag", "-a", "-m", "annotated", "v1a")
    (repository / "more").write_bytes(b"more")
    second = commit(repository, "two")
    git(repository, "branch", "side", first)
    for ref in ("v1", "v1a", "main", "side"):
        tree_of(tmp_path, GitSource(name="app", path=repository, commit=first, ref=ref))
    for ref, words in (
        ("v1", f"the tag v1 is {first}"),
        ("side", "the branch side does not have it"),
        ("v9", "has no tag or branch v9"),
    ):
        with pytest.raises(ResolutionError, match=words):
            tree_of(tmp_path, GitSource(name="app", path=repository, commit=second, ref=ref))


def test_submodules_are_taken_when_they_are_asked_for(tmp_path: Path, repository: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    git(library, "init", "-q")
    (library / "lib.c").write_bytes(b"int x;")
    commit(library)
    git(repository, "submodule", "add", "-q", "../lib", "vendor/lib")
    first = commit(repository)
    tree = tree_of(tmp_path, GitSource(name="app", path=repository, commit=first))
    assert tree.children("/vendor/lib") == ()
    tree = tree_of(tmp_path, GitSource(name="app", path=repository, commit=first, submodules=True))
    assert dict(shown(tree))["/vendor/lib/lib.c 644"] == "int x;"


@pytest.mark.parametrize("address", ["ext::sh -c 'touch hacked'", "/etc", "ssh://git@host.test/x", "-u x"])
def test_a_submodule_at_another_kind_of_address_is_refused(
    tmp_path: Path, repository: Path, address: str
) -> None:
    (repository / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = "{address}"\n')
    git(repository, "add", "-A")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(repository, "commit", "-q", "-m", "one")
    source = GitSource(
        name="app", path=repository, commit=git(repository, "rev-parse", "HEAD"), submodules=True
    )
    with pytest.raises(ResolutionError, match="which is not fetched"):
        tree_of(tmp_path, source)


@pytest.mark.parametrize("name", [".GIT", "..", "a\nb"])
def test_paths_that_no_repository_should_have_are_refused(
    tmp_path: Path, repository: Path, name: str
) -> None:
    commit(repository)
    blob = git(repository, "rev-parse", "HEAD:README")
    made = subprocess.run(
        ["git", "-C", str(repository), "mktree", "-z"],
        input=f"100644 blob {blob}\t{name}\0".encode(),
        check=True,
        capture_output=True,
    )
    tree = made.stdout.decode().strip()
    hostile = git(repository, "commit-tree", "-m", "x", tree)
    git(repository, "update-ref", "refs/heads/hostile", hostile)
    with pytest.raises(BuildError, match="holds a path that is none"):
        tree_of(tmp_path, GitSource(name="app", path=repository, commit=hostile))
    assert list((tmp_path / "cache/trees").iterdir()) == []


def test_a_folder_that_is_no_repository_and_no_network_are_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MachineError, match="could not be fetched"):
        tree_of(tmp_path, GitSource(name="app", path=tmp_path / "empty", commit="1" * 40))
    with pytest.raises(ResolutionError, match="is no folder"):
        tree_of(tmp_path, GitSource(name="app", path=tmp_path / "gone", commit="1" * 40))
    source = GitSource(name="app", url="https://nowhere.test/app.git", commit="1" * 40)
    with pytest.raises(MachineError, match="--offline"):
        tree_of(tmp_path, source, offline=True)
