"""Which lines of scripts that were not understood a plan warns of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.oci import Platform
from builder.plan.unread import unread_scripts
from builder.recipe.model import Recipe
from builder.recipe.source_model import DebianSource
from builder.sources.debian.configure.model import ScriptReport
from builder.sources.debian.tree import merged_tree
from tests.support.packages import make_package


def warned(folder: Path, package: str, *lines: str) -> tuple[str, ...]:
    """The warnings about one script of a package; app is named, app-common is of its source, dep is not."""
    packages = [
        replace(make_package(folder, name, {}), source_name=source)
        for name, source in (("app", "app"), ("app-common", "app"), ("dep", "dep"))
    ]
    recipe = Recipe(
        path=folder / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
    )
    report = ScriptReport(package=package, script="postinst", unrecognised=tuple(enumerate(lines, 1)))
    return unread_scripts(recipe, [report], merged_tree(packages))


@pytest.mark.parametrize(
    "line",
    [
        "chown app /etc/app/key",
        'install -d -o "$OWNER" /var/lib/app',
        "if [ -x /usr/bin/x ]; then mkdir -p /run/app; fi",
        'chmod 0640 "$file"',
        "find /var/lib/app -perm 7 -exec chown app {} +",
        "unheard-of /var/lib/app | xargs -0 -r chmod 0600 ",
        "/bin/ln -s x /etc/app/y",
    ],
)
def test_a_change_below_etc_run_or_var_is_told(line: str, tmp_path: Path) -> None:
    for package in ("app", "app-common"):
        (warning,) = warned(tmp_path, package, line)
        assert warning.startswith(f"the scripts of {package} do one thing that rootlet does not understand")
        assert line in warning
    assert not warned(tmp_path, "dep", line)


@pytest.mark.parametrize(
    "line",
    [
        "postconf -e x=y",
        "echo install it below /etc",
        'sed -i s/a/b/ "$file"',
        "cp /usr/share/app/a /usr/lib/app/b",
        'ln -s "$x" /usr/lib/app/y',
        "chmod +x script",
    ],
)
def test_anything_else_is_not(line: str, tmp_path: Path) -> None:
    assert not warned(tmp_path, "app", line)


def test_several_lines_are_one_sentence_of_bounded_length(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, "app", "x", f"chown a /etc/\x1b{'b' * 500}", "chmod 1 /run/app")
    assert "do 2 things" in warning
    assert "e.g. line 2: chown a /etc/ bbb" in warning
    assert len(warning) < 250
