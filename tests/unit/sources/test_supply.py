"""Sources that are no archive give a tree by their name."""

from __future__ import annotations

from pathlib import Path

from builder.oci import Platform
from builder.recipe.model import Install
from builder.recipe.source_model import DebianSource, HostSource
from builder.sources.debian.archive import Freshness
from builder.sources.local import local_files
from builder.sources.supply import Supply, source_inputs, supply
from builder.sysroot import Sysroot
from tests.support.debian_archive import no_network


def supplies(cache: Path) -> Supply:
    return Supply(
        platform=Platform("linux", "amd64"),
        mirrors=None,
        cache=cache,
        freshness=Freshness(max_age=0, offline=True),
        effects=no_network(),
    )


def test_a_folder_gives_its_tree_and_an_archive_none(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"app")
    sources = (DebianSource(name="os"), HostSource(name="here", root=tmp_path))
    trees = supply(sources, supplies(tmp_path))
    assert list(trees) == ["here"]
    node = trees["here"].tree.get("/app")
    assert node is not None
    assert node.content is not None
    assert node.content.store == tmp_path / "app"


def test_install_takes_files_from_the_tree_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"app")
    trees = supply((HostSource(name="here", root=tmp_path),), supplies(tmp_path))
    install = Install(source="here", path="/app", to="/usr/bin/app", mode=0o755)
    local = local_files([install], [], Sysroot(()), trees)
    assert [(node.path, node.mode, origin) for node, origin in local.installed] == [
        ("/usr/bin/app", 0o755, "here:/app")
    ]


def test_keyrings_are_inputs() -> None:
    sources = (DebianSource(name="os", keyring=Path("/k")), HostSource(name="here"))
    assert source_inputs(sources) == (Path("/k"),)
