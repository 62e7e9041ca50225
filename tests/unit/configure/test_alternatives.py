"""Which package wins a link group, and which others want its links too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.sources.debian.configure.model import Configuration
from builder.sysroot import Package
from tests.support.configuring import configured, package
from tests.support.packages import File


def offer(folder: Path, name: str, priority: int, more: str = "", *, depends: str = "") -> Package:
    """A package that offers itself as awk."""
    text = f"update-alternatives --install /usr/bin/awk awk /usr/bin/{name} {priority} {more}"
    return package(folder, name, {f"/usr/bin/{name}": File(mode=0o755)}, postinst=text, depends=depends)


def winner(found: Configuration) -> str:
    """Where awk leads to."""
    return next(one.node.target for one in found.made if one.node.path == "/etc/alternatives/awk")


def test_every_package_of_a_group_wants_its_links(tmp_path: Path) -> None:
    slave = "--slave /usr/bin/nawk nawk /usr/bin/mawk"
    mawk, gawk = offer(tmp_path, "mawk", 5, slave), offer(tmp_path, "gawk", 10)
    found = configured(tmp_path, mawk, gawk)
    assert winner(found) == "/usr/bin/gawk"
    assert [(one.path, one.package) for one in found.asked] == [
        ("/etc/alternatives/awk", "mawk"),
        ("/usr/bin/awk", "mawk"),
    ]
    # The slave of one that wins is not the other's.
    asked = configured(tmp_path, offer(tmp_path, "mawk", 50, slave), gawk).asked
    assert {(one.path, one.package) for one in asked} == {
        ("/etc/alternatives/awk", "gawk"),
        ("/usr/bin/awk", "gawk"),
    }


def test_a_package_for_single_files_wins_only_alone(tmp_path: Path) -> None:
    mawk, gawk = offer(tmp_path, "mawk", 5), replace(offer(tmp_path, "gawk", 10), alone=True)
    assert winner(configured(tmp_path, mawk, gawk)) == "/usr/bin/mawk"
    assert winner(configured(tmp_path, gawk)) == "/usr/bin/gawk"


@pytest.mark.parametrize(
    ("command", "target"),
    [
        pytest.param("rm /usr/bin/gawk", "/usr/bin/mawk", id="the next one, when the best is taken away"),
        pytest.param("rm /usr/bin/mawk", "/usr/bin/gawk", id="the best, when another is taken away"),
    ],
)
def test_a_link_leads_to_a_file_that_is_there(tmp_path: Path, command: str, target: str) -> None:
    awks = (offer(tmp_path, "mawk", 5), offer(tmp_path, "gawk", 10))
    last = package(tmp_path, "zap", depends="mawk, gawk", postinst=command)
    assert winner(configured(tmp_path, *awks, last)) == target


def test_no_links_when_no_target_is_left(tmp_path: Path) -> None:
    last = package(tmp_path, "zap", depends="mawk", postinst="rm /usr/bin/mawk")
    assert configured(tmp_path, offer(tmp_path, "mawk", 5), last).made == ()
