"""apt's configuration, in all the forms that machines have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.sources.debian.apt_sources import _settings, machine_mirrors

DEB822 = """\
# See sources.list(5)
Types: deb deb-src
# http://snapshot.test/archive/debian/20250520T000000Z
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
ONE_LINE = """\
# deb http://commented.test/debian trixie main
deb cdrom:[Debian 13]/ trixie main
deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://mirror.test/debian trixie main # x
deb-src http://mirror.test/debian trixie main
deb http://mirror.test/debian-security trixie-security main
"""
NODE = """\
Types: deb
URIs: https://node.test/node_20.x
Suites: nodistro
Components: main
Signed-By: /usr/share/keyrings/node.gpg
"""
VENDOR = "deb [signed-by=/etc/apt/keyrings/vendor.asc] https://vendor.test/debian bookworm main\n"
DOCKER = "deb https://containers.test/linux/debian bookworm stable\n"
CORPORATE = """\
Types: deb
URIs: https://corp.test/debian
Suites: trixie
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: https://corp.test/debian-security
Suites: trixie-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ
 -----END PGP PUBLIC KEY BLOCK-----
"""
SOURCES = "etc/apt/sources.list.d/debian.sources"
LIST = "etc/apt/sources.list"


@pytest.mark.parametrize(
    ("files", "main", "security"),
    [
        pytest.param(
            {SOURCES: DEB822}, "http://mirror.test/debian", "http://mirror.test/debian-security", id="deb822"
        ),
        pytest.param(
            {LIST: ONE_LINE}, "http://mirror.test/debian", "http://mirror.test/debian-security", id="lines"
        ),
        pytest.param(
            {
                SOURCES: DEB822,
                "etc/apt/sources.list.d/aaa-node.sources": NODE,
                "etc/apt/sources.list.d/aa.list": VENDOR,
            },
            "http://mirror.test/debian",
            "http://mirror.test/debian-security",
            id="third parties beside it, first by name",
        ),
        pytest.param({"etc/apt/sources.list.d/node.sources": NODE}, None, None, id="only a third party"),
        pytest.param({LIST: VENDOR}, None, None, id="a third party that uses Debian's suite name"),
        pytest.param({LIST: DOCKER}, None, None, id="a third party without Debian's components"),
        pytest.param(
            {LIST: CORPORATE, "etc/apt/sources.list.d/corp.sources": CORPORATE},
            "https://corp.test/debian",
            "https://corp.test/debian-security",
            id="a copy signed with its own key, and security with it",
        ),
        pytest.param(
            {SOURCES: DEB822.replace("Types: deb\n", "Enabled: no\nTypes: deb\n", 1)},
            "http://mirror.test/debian",
            "",
            id="security disabled",
        ),
        pytest.param({SOURCES: DEB822.replace("Types", "Enabled: no\nTypes")}, None, None, id="all disabled"),
        pytest.param({SOURCES + ".disabled": DEB822}, None, None, id="a file with another ending"),
        pytest.param({LIST: "deb file:/srv/debian sid main\n"}, "file:///srv/debian", "", id="a folder"),
        pytest.param(
            {
                SOURCES: DEB822.replace(
                    "http://mirror.test/debian/", "http://one.test/debian http://two.test/debian"
                )
            },
            "http://one.test/debian",
            "http://mirror.test/debian-security",
            id="several addresses: the first",
        ),
        pytest.param({}, None, None, id="no apt at all"),
        pytest.param(
            {LIST: "nonsense\ndeb\ndeb [a=b\n", SOURCES: "nonsense\n"},
            None,
            None,
            id="files that apt refuses",
        ),
    ],
)
def test_the_debian_archive_is_found(
    tmp_path: Path, files: dict[str, str], main: str | None, security: str | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    mirrors = machine_mirrors(tmp_path)
    found = (mirrors.main, mirrors.security) if mirrors else (None, None)
    assert found == (main, security)


def test_keys_and_origin(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    (folder / "debian.sources").write_text(DEB822)
    mirrors = machine_mirrors(tmp_path)
    assert mirrors is not None
    assert mirrors.keyrings == (tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg",)
    assert mirrors.origin == str(folder / "debian.sources")
    (folder / "debian.sources").write_text(CORPORATE)
    mirrors = machine_mirrors(tmp_path)
    assert mirrors is not None
    assert mirrors.keys == (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n",
    )


@pytest.mark.parametrize(
    ("conf", "sources", "checked"),
    [
        pytest.param("", DEB822, True, id="nothing said"),
        pytest.param('Acquire::Check-Valid-Until "false";', DEB822, False, id="turned off in one line"),
        pytest.param(
            'Acquire { Retries "3"; Check-Valid-Until "0"; };', DEB822, False, id="turned off in a scope"
        ),
        pytest.param('// Acquire::Check-Valid-Until "false";', DEB822, True, id="commented out"),
        pytest.param(
            '# x\n/* Acquire::Check-Valid-Until "no";\n*/', DEB822, True, id="commented out over lines"
        ),
        pytest.param(
            'Acquire::Check-Valid-Until "no"; Acquire::Check-Valid-Until "yes";', DEB822, True, id="last wins"
        ),
        pytest.param(
            "", DEB822.replace("Components", "Check-Valid-Until: no\nComponents"), False, id="in the source"
        ),
    ],
)
def test_expiry_is_looked_at_unless_turned_off(
    tmp_path: Path, conf: str, sources: str, *, checked: bool
) -> None:
    for name, text in (("apt.conf.d/50x", conf), ("sources.list.d/debian.sources", sources)):
        path = tmp_path / "etc/apt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    mirrors = machine_mirrors(tmp_path)
    assert mirrors is not None
    assert mirrors.check_valid_until is checked


@given(st.text(alphabet='{};"/*# \nab:', max_size=200))
def test_any_configuration_is_read_without_failing(text: str) -> None:
    assert isinstance(list(_settings(text)), list)
