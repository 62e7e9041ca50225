"""What rootlet makes by reading is what the packages' own programs write, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from builder.oci import Platform
from builder.recipe.model import Recipe, Runtime
from builder.recipe.source_model import DebianSource
from tests.support.rule_lab import Lab, Proof, make_lab
from tests.support.schemas import EVERYTHING, OVERRIDES, WRONG

pytestmark = [pytest.mark.network, pytest.mark.tools]

_SCHEMAS = "/usr/share/glib-2.0/schemas"
_IMAGE = Proof(
    rule="",
    packages=(
        *("dash", "coreutils", "grep", "diffutils"),
        *("libgtk-3-0t64", "librsvg2-common", "webp-pixbuf-loader", "heif-gdk-pixbuf", "ibus-gtk3"),
        *("shared-mime-info", "libglib2.0-0t64", "libgdk-pixbuf-2.0-0", "gsettings-desktop-schemas"),
    ),
    keep=(f"{_SCHEMAS}/**", "/usr/share/mime/packages/**"),
    files={
        f"{_SCHEMAS}/org.example.lab.gschema.xml": EVERYTHING,
        f"{_SCHEMAS}/20_lab.gschema.override": OVERRIDES,
        **{f"{_SCHEMAS}/wrong-{number}.gschema.xml": text for number, text in enumerate(WRONG.values())},
    },
    argv=(),
    expect="",
)
_SAME = """
cd /usr/lib/*-linux-gnu
lines() { grep -v -e '^#' -e '^$' "$1"; }
same() { lines "$1" >/tmp/one; lines "$2" >/tmp/other; cmp /tmp/one /tmp/other && echo same; }
"""
PROGRAMS = {
    "schemas": """
        cp -r /usr/share/glib-2.0/schemas /tmp && rm /tmp/schemas/gschemas.compiled
        glib-2.0/glib-compile-schemas /tmp/schemas 2>/tmp/said
        grep -c 'entire file has been ignored' /tmp/said
        cmp /tmp/schemas/gschemas.compiled /usr/share/glib-2.0/schemas/gschemas.compiled && echo same
    """,
    "types": """
        mkdir /tmp/mime && cp -r /usr/share/mime/packages /tmp/mime
        update-mime-database /tmp/mime 2>/dev/null
        cd /tmp/mime
        for file in *; do
            [ -d $file ] || cmp $file /usr/share/mime/$file || exit 1
        done
        echo same
    """,
    "loaders": """
        gdk-pixbuf-2.0/gdk-pixbuf-query-loaders >/tmp/l; same /tmp/l gdk-pixbuf-2.0/*/loaders.cache
    """,
    "input methods": """
        libgtk-3-0t64/gtk-query-immodules-3.0 >/tmp/l; same /tmp/l gtk-3.0/*/immodules.cache
    """,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("script", PROGRAMS.values(), ids=PROGRAMS)
def test_the_package_s_own_program_writes_the_same(lab: Lab, script: str) -> None:
    status, output = lab.run(replace(_IMAGE, argv=("sh", "-c", _SAME + script)))
    assert status == 0, output
    assert output.endswith("same\n"), output
    if "schemas" in script:
        assert output.startswith(f"{len(WRONG)}\n"), output


@pytest.mark.parametrize("platform", ["linux/386", "linux/arm64"])
def test_lists_of_modules_are_the_same_for_every_machine(lab: Lab, platform: str) -> None:
    packages = ("libgtk-3-0t64", "libgdk-pixbuf-2.0-0", "ibus-gtk3", "webp-pixbuf-loader")
    source = DebianSource(name="os", suite="trixie", packages=packages, security=False)
    recipe = replace(_IMAGE.recipe, sources=(source,), files=(), runtime=Runtime())
    assert _lists(lab, replace(recipe, platform=Platform.parse(platform))) == _lists(lab, recipe)


def _lists(lab: Lab, recipe: Recipe) -> dict[str, str]:
    """Each list of modules by its name, without the folders of one machine."""
    entries = [entry for layer in lab.plan(recipe).layers for entry in layer.entries]
    found = {entry.path.rpartition("/")[2]: entry.content for entry in entries}
    return {
        name: re.sub(r"/usr/lib/[^/]+/", "", content.decode())
        for name in ("loaders.cache", "immodules.cache")
        if isinstance(content := found[name], bytes)
    }
