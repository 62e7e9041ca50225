"""The bundle of CA certificates: what is in it, in which order, and what the recipe may say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.recipe.model import RecipeFile
from builder.runtime.made.certificates import BUNDLE, OPENSSL_FILE, make
from builder.runtime.made.material import NOTHING, Material
from builder.sources.debian.tree import merged_tree
from builder.sources.local import local_files
from builder.sysroot import Sysroot
from tests.support.packages import File, make_package

LOCAL = "/usr/local/share/ca-certificates"
SHIPPED = "/usr/share/ca-certificates/mozilla"


def material(folder: Path, files: dict[str, bytes], drop: tuple[str, ...] = ()) -> Material:
    """A package of certificates, and a recipe's words."""
    shipped = {path: File(content=content) for path, content in files.items()}
    return Material(sysroot=merged_tree((make_package(folder, "ca-certificates", shipped),)), drop=drop)


def test_certificates_in_the_order_of_the_distribution(tmp_path: Path) -> None:
    made = make(
        material(
            tmp_path,
            {
                f"{LOCAL}/a.crt": b"local",
                f"{SHIPPED}/b.crt": b"b\n",
                f"{SHIPPED}/a.crt": b"a",
                f"{SHIPPED}/README": b"no",
            },
            drop=("/usr/share/ca-certificates/**",),  # the files, not what is made of them
        )
    )
    bundle, link = made.files
    assert (bundle.path, bundle.content) == (BUNDLE, b"a\nb\nlocal\n")
    assert (link.path, link.target) == (OPENSSL_FILE, BUNDLE)
    assert made.packages == {"ca-certificates"}


def test_a_certificate_that_the_recipe_writes_joins_them(tmp_path: Path) -> None:
    package = material(tmp_path, {f"{SHIPPED}/a.crt": b"a\n"})
    own = RecipeFile(path=f"{LOCAL}/own.crt", content="own\n")
    local = local_files((), (own,), package.sysroot)
    tree = package.sysroot.overlay(local.nodes())
    bundle, _ = make(Material(sysroot=tree, made=local.made)).files
    assert bundle.content == b"a\nown\n"


def test_without_a_certificate_there_is_no_bundle_but_who_asks_for_it_is_told() -> None:
    nothing = Sysroot(())
    assert make(Material(sysroot=nothing)) == NOTHING
    with pytest.raises(ResolutionError, match="found no certificate") as caught:
        make(Material(sysroot=nothing, features=("certificates",)))
    assert caught.value.hint
    assert make(Material(sysroot=nothing, features=("certificates",), drop=("/etc/ssl/**",))) == NOTHING
