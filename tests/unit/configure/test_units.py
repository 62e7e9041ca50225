"""Folders of systemd units: what a service would find when it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.sources.debian.configure.model import Configuration
from builder.sources.debian.configure.shell import Shell
from builder.sources.debian.configure.system import System
from builder.sources.debian.configure.units import FOLDER, Unit, apply_unit
from builder.sysroot import Sysroot
from tests.support.configuring import Files, configured, lines, package, report, unrecognised
from tests.support.packages import Dir, File, Link

REDIS = """[Unit]
Description=Advanced key-value store
[Service]
Type=notify
ExecStart=/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd --daemonize no
PIDFile=/run/redis/redis-server.pid
User=redis
Group=redis
RuntimeDirectory=redis
RuntimeDirectoryMode=2755
ReadWritePaths=-/var/lib/redis
[Install]
WantedBy=multi-user.target
"""
USER = "adduser --system --group --home /var/lib/app app"
ENABLE = """
# Automatically added by dh_installsystemd/13.24.2
if deb-systemd-helper --quiet was-enabled 'app.service'; then
	deb-systemd-helper enable 'app.service' >/dev/null || true
fi
# End automatically added section
"""


def unit(
    folder: Path, text: str, *, name: str = "app.service", files: Files | None = None, postinst: str = USER
) -> Configuration:
    """What a package with one unit comes to."""
    every: Files = {f"{FOLDER}/{name}": File(content=text.encode()), **(files or {})}
    return configured(folder, package(folder, "app", every, postinst=postinst))


def made(configuration: Configuration) -> list[str]:
    """The folders and links, without the user's home."""
    return [line for line in lines(configuration) if line.startswith("/") and "/var/lib/app/" not in line]


def test_the_folder_of_a_real_unit(tmp_path: Path) -> None:
    found = unit(tmp_path, REDIS, postinst="adduser --system --group redis")
    assert lines(found)[-1] == "/run/redis/ 2755 redis:redis"
    assert found.made[-1].detail == "app.service"
    assert "makes the folder /run/redis" in report(found, "app", "systemd/system/app.service").recognised
    assert found.speakers == {"redis": frozenset({"app"})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("RuntimeDirectory=app", ["/run/app/ 0755 root:root"], id="without a user it is root's"),
        pytest.param("RuntimeDirectory=app\nUser=app", ["/run/app/ 0755 app:app"], id="the user's own group"),
        pytest.param(
            "User=www-data\nRuntimeDirectory=app", ["/run/app/ 0755 www-data:www-data"], id="a base account"
        ),
        pytest.param("User=app\nGroup=adm\nCacheDirectory=a", ["/var/cache/a/ 0755 app:adm"], id="a group"),
        pytest.param("User=1001\nCacheDirectory=a", ["/var/cache/a/ 0755 1001:root"], id="a number"),
        pytest.param(
            "User=app\nLogsDirectory=a/b c\nLogsDirectoryMode=0700",
            ["/var/log/a/ 0755 root:root", "/var/log/a/b/ 0700 app:app", "/var/log/c/ 0700 app:app"],
            id="of a deeper folder only the last is the user's",
        ),
        pytest.param(
            "User=app\nConfigurationDirectory=a\nConfigurationDirectoryMode=0750",
            ["/etc/a/ 0750 root:root"],
            id="settings are root's",
        ),
        pytest.param(
            "StateDirectory=a \\\n# between\n  b",
            ["/var/lib/a/ 0755 root:root", "/var/lib/b/ 0755 root:root"],
            id="a line that goes on",
        ),
        pytest.param(
            "StateDirectory=a\nStateDirectory=\nStateDirectory=b",
            ["/var/lib/b/ 0755 root:root"],
            id="taken back",
        ),
        pytest.param('StateDirectory="a b"', ["/var/lib/a b/ 0755 root:root"], id="quoted"),
        pytest.param(
            "RuntimeDirectory=%p-%N.d", ["/run/app-app.d/ 0755 root:root"], id="names of the unit itself"
        ),
        pytest.param(
            "User=app\nStateDirectory=a:b/c",
            ["/var/lib/a/ 0755 app:app", "/var/lib/b/ 0755 root:root", "/var/lib/b/c -> ../a"],
            id="a link beside the folder",
        ),
        pytest.param(
            "User=app\nDynamicUser=yes\nStateDirectory=a",
            ["/var/lib/a/ 0755 app:app"],
            id="a dynamic user that exists",
        ),
        pytest.param(
            "RuntimeDirectoryMode=loose\nRuntimeDirectory=a", ["/run/a/ 0755 root:root"], id="no mode"
        ),
    ],
)
def test_folders_of_a_unit(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = unit(tmp_path, f"[Service]\n{text}\n")
    assert made(found) == expected
    assert unrecognised(found) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("RuntimeDirectory=a-%i", id="an instance"),
        pytest.param("RuntimeDirectory=%m", id="a machine"),
        pytest.param("DynamicUser=yes\nRuntimeDirectory=a", id="a user whom systemd invents"),
        pytest.param("DynamicUser=yes\nUser=1001\nRuntimeDirectory=a", id="a number whom systemd invents"),
        pytest.param("User=nobody-knows\nRuntimeDirectory=a", id="a user who is not there"),
        pytest.param("User=%i\nRuntimeDirectory=a", id="a user who is the instance"),
        pytest.param("Group=nobody-knows\nRuntimeDirectory=a", id="a group that is not there"),
        pytest.param("RuntimeDirectory=../etc", id="a path that leaves its folder"),
        pytest.param("RuntimeDirectory=/a", id="an absolute path"),
        pytest.param("RuntimeDirectory=a//b", id="an empty name"),
        pytest.param("RuntimeDirectory=:b", id="a link to nothing"),
        pytest.param('RuntimeDirectory="a', id="a quote without end"),
        pytest.param("RuntimeDirectory=a%", id="half a specifier"),
    ],
)
def test_what_cannot_be_known_is_reported(tmp_path: Path, text: str) -> None:
    found = unit(tmp_path, f"[Service]\n{text}\n", name="app@.service")
    assert made(found) == []
    (row,) = unrecognised(found)
    assert row == (1 + len(text.splitlines()), text.splitlines()[-1])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[Unit]\nRuntimeDirectory=a", id="another section"),
        pytest.param("[Service]\n# RuntimeDirectory=a\n; RuntimeDirectory=b", id="comments"),
        pytest.param("[Service]\nWorkingDirectory=/a\nRuntimeDirectoryPreserve=yes", id="other keys"),
        pytest.param("", id="an empty file"),
    ],
)
def test_what_makes_no_folder(tmp_path: Path, text: str) -> None:
    assert made(unit(tmp_path, text)) == []


def test_a_socket_and_what_adds_to_a_unit_count(tmp_path: Path) -> None:
    files: Files = {
        f"{FOLDER}/app.service.d/10.conf": File(content=b"[Service]\nUser=app\n"),
        f"{FOLDER}/lost.service.d/10.conf": File(content=b"[Service]\nRuntimeDirectory=lost\n"),
        f"{FOLDER}/app.timer": File(content=b"[Service]\nRuntimeDirectory=timer\n"),
        f"{FOLDER}/other.service": Link("app.service"),
        f"{FOLDER}/app.socket": File(content=b"[Socket]\nRuntimeDirectory=socket\n"),
    }
    found = unit(tmp_path, "[Service]\nRuntimeDirectory=app\n", files=files)
    assert made(found) == ["/run/app/ 0755 app:app", "/run/socket/ 0755 root:root"]


SHARED = "[Service]\nUser=app\nStateDirectory=app\nStateDirectoryMode=0700\nConfigurationDirectory=app\n"


@pytest.mark.parametrize(
    ("postinst", "expected"),
    [
        pytest.param(
            USER + ENABLE,
            ["/var/cache/app/ 0700 app:app changed", "/var/cache/app/in 0644 app:app changed"],
            id="a unit that starts by itself, with everything below",
        ),
        pytest.param(USER, [], id="a unit that somebody would have to start changes nothing"),
        pytest.param(
            USER + ENABLE.replace("--quiet was-enabled", "debian-installed"),
            [],
            id="switched off by its package",
        ),
        pytest.param(
            USER + ENABLE + "chown app:app /var/cache/app",
            ["/var/cache/app/ 0700 app:app changed"],
            id="the owner's already: only the mode",
        ),
    ],
)
def test_folders_that_are_there(tmp_path: Path, postinst: str, expected: list[str]) -> None:
    files: Files = {"/var/cache/app": Dir(), "/var/cache/app/in": File(), "/etc/app": Dir(mode=0o711)}
    text = SHARED.replace("StateDirectory", "CacheDirectory")
    assert made(unit(tmp_path, text, files=files, postinst=postinst)) == expected


def test_a_folder_of_another_package_is_asked_for(tmp_path: Path) -> None:
    other = package(tmp_path, "other", {"/usr/lib/tmpfiles.d/o.conf": File(content=b"d /run/app\n")})
    text = b"[Service]\nRuntimeDirectory=app\n"
    app = package(tmp_path, "app", {f"{FOLDER}/app.service": File(content=text)})
    found = configured(tmp_path, other, app)
    assert [(one.path, one.package, one.detail) for one in found.asked] == [
        ("/run/app", "app", "app.service")
    ]


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_ends(text: str) -> None:
    system = System(Sysroot(()))
    shell = Shell(system, "app", text, arguments=(), handlers={})
    unit = Unit(name="app.service", package="app", files=())
    apply_unit(shell, unit, f"[Service]\nRuntimeDirectory={text}", enabled=True)
    assert all(made.node.path.startswith("/run/") for made in system.made())
