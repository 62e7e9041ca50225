"""Packages installed for real in a chroot, against what their scripts are read to come to.

ROOTLET_FULL=1 takes more of them.
"""

from __future__ import annotations

import os
import re
import tarfile
import time
from dataclasses import dataclass

import pytest

from builder.engine.command import MachineRunner
from builder.oci import Platform
from builder.progress import Silent
from builder.recipe.source_model import DebianSource
from builder.runtime.made.certificates import BUNDLE
from builder.sources.debian.apt_sources import machine_mirrors
from builder.sources.debian.archive import DebianArchive, Effects, Freshness, acquire, lock, merged_tree
from builder.sources.debian.configure.model import Configuration, static_groups, static_users
from builder.sources.debian.configure.run import configure
from builder.sources.debian.configure.units import FOLDER as UNITS
from builder.sysroot import Kind, Node, Sysroot
from builder.transport import Transport
from tests.support.bootstrap import bootstrap
from tests.support.rule_lab import Lab, Proof
from tests.support.tools import cache_folder, full_run

pytestmark = [pytest.mark.network, pytest.mark.tools]

SUITE = "trixie"
PACKAGES = (
    *(
        "redis-server",
        "postgresql-common",
        "openssh-server",
        "nginx",
        "memcached",
        "php8.4-fpm",
        "php8.4-mysql",
    ),
    *(
        "libblas3",
        "gawk",
        "vim-tiny",
        "tor",
        "apache2",
        "libpam-cap",
        "libnginx-mod-http-geoip",
        "tzdata",
        "ca-certificates",
    ),
)
MORE = ("exim4-daemon-light", "mosquitto", "haproxy", "dbus", "libopenblas0-pthread", "unbound", "varnish")
"""With ROOTLET_FULL=1."""

# mmdebstrap takes the machine's identity away.
NOT_OURS = re.compile(r"/(?:dev|proc|sys|run|tmp)(?:/.*)?|/var/lib/dbus/machine-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """An installed root: paths as tar has them, and lines of passwd and group by name."""

    paths: dict[str, tarfile.TarInfo]
    users: dict[str, list[str]]
    groups: dict[str, list[str]]
    texts: dict[str, bytes]
    packages: tuple[str, ...]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    packages = (*PACKAGES, *MORE) if full_run() else PACKAGES
    place = tmp_path_factory.mktemp("installed") / "root.tar"
    tar = bootstrap(place, SUITE, "--variant=essential", f"--include={','.join(packages)}")
    with tarfile.open(tar) as archive:
        paths = {f"/{member.name.removeprefix('./')}": member for member in archive}
        texts = {
            path: body.read()
            for path, member in paths.items()
            if path.startswith("/etc/") and (body := _open(archive, member)) is not None
        }
        status = archive.extractfile("./var/lib/dpkg/status")
        assert status is not None
        packages = tuple(re.findall(r"^Package: (\S+)$", status.read().decode(), re.MULTILINE))
    tar.unlink()
    return Root(
        paths=paths,
        texts=texts,
        packages=packages,
        users=_rows(texts["/etc/passwd"]),
        groups=_rows(texts["/etc/group"]),
    )


def _open(archive: tarfile.TarFile, member: tarfile.TarInfo):  # type: ignore[no-untyped-def]  # noqa: ANN202 (typeshed's own)
    return archive.extractfile(member) if member.isfile() else None


def _rows(text: bytes) -> dict[str, list[str]]:
    return {line.partition(":")[0]: line.split(":") for line in text.decode().splitlines()}


@pytest.fixture(scope="module")
def ours(root: Root) -> Configuration:
    mirrors = machine_mirrors()
    if mirrors is None:
        pytest.skip("this machine has no apt sources of Debian's archive")
    names = ("http_proxy", "https_proxy", "no_proxy")
    proxies = {name: os.environ[name] for name in names if name in os.environ}
    effects = Effects(
        transport=lambda: Transport(progress=Silent(), proxies=proxies),
        runner=MachineRunner(os.environ),
        clock=time.time,
        progress=Silent(),
    )
    cache = cache_folder()
    source = DebianSource(name="os", suite=SUITE, packages=root.packages)
    archive = DebianArchive(
        source=source, platform=Platform("linux", _architecture()), mirrors=mirrors, cache=cache
    )
    day = Freshness(max_age=86400.0)
    locked = tuple(one for one in lock(archive, day, effects) if one.name in root.packages)
    packages = acquire(locked, cache=cache, freshness=day, effects=effects)
    # What units ask for is made when they start, and nothing starts there.
    tree = merged_tree(packages)
    return configure(packages, Sysroot((node for node in tree if not node.path.startswith(UNITS)), packages))


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def test_users_and_groups_are_the_installed_ones(root: Root, ours: Configuration) -> None:
    numbers = {row[2]: name for name, row in root.groups.items()}
    real = {name: (numbers[row[3]], row[5], row[6]) for name, row in root.users.items()}
    found = {user.name: (user.group, user.home, user.shell) for user in ours.users}
    assert found == {name: row for name, row in real.items() if name not in static_users()}
    groups = {group.name for group in ours.groups}
    assert groups == set(root.groups) - set(static_groups())
    for user in ours.users:
        assert {name for name, row in root.groups.items() if user.name in row[3].split(",")} == set(
            user.groups
        )


def test_what_is_made_is_as_installed(root: Root, ours: Configuration) -> None:
    users = {int(row[2]): name for name, row in root.users.items()}
    groups = {int(row[2]): name for name, row in root.groups.items()}
    wrong = []
    for node in ours.nodes:
        real = root.paths.get(node.path)
        if NOT_OURS.fullmatch(node.path):
            continue
        if real is None or _shown(node, users, groups) != _installed(real, users, groups):
            wrong.append(
                f"{node.path}: {_shown(node, users, groups)} {real and _installed(real, users, groups)}"
            )
        elif ours.contents.get(node.path, b"") != root.texts.get(node.path, b"") and _is_text(node, ours):
            wrong.append(f"{node.path}: other bytes")
    assert wrong == []
    assert len(ours.nodes) > 150


def _is_text(node: Node, ours: Configuration) -> bool:
    return node.path in ours.contents and node.path.startswith("/etc/")


def _shown(node: Node, users: dict[int, str], groups: dict[int, str]) -> tuple[str, ...]:
    if node.kind is Kind.SYMLINK:
        return ("link", node.target)
    owner = (node.user or users[node.uid], node.group or groups[node.gid])
    return (node.kind.value, f"{node.mode:04o}", *owner)


def _installed(member: tarfile.TarInfo, users: dict[int, str], groups: dict[int, str]) -> tuple[str, ...]:
    if member.issym():
        return ("link", member.linkname)
    kind = Kind.DIRECTORY if member.isdir() else Kind.FILE
    return (kind.value, f"{member.mode:04o}", users[member.uid], groups[member.gid])


@pytest.mark.parametrize(
    "path",
    [
        "/etc/alternatives/awk",
        "/etc/alternatives/vi",
        "/etc/php/8.4/fpm/conf.d/20-mysqli.ini",
        "/etc/apache2/mods-enabled/mpm_event.load",
        "/etc/nginx/sites-enabled/default",
        "/etc/nginx/modules-enabled/50-mod-http-geoip.conf",
        "/etc/pam.d/common-auth",
        "/etc/pam.d/common-session-noninteractive",
        "/etc/ssh/sshd_config",
        "/etc/localtime",
        "/var/lib/redis",
        "/var/run",
    ],
)
def test_what_programs_look_for_is_made(ours: Configuration, path: str) -> None:
    assert path in {node.path for node in ours.nodes}


def test_the_certificate_bundle_is_the_one_of_update_ca_certificates(
    root: Root, tmp_path_factory: pytest.TempPathFactory
) -> None:
    proof = Proof(rule="", packages=("curl", "ca-certificates"), argv=(), expect="", suite=SUITE)
    lab = Lab(tmp_path_factory.mktemp("lab"), cache_folder())
    (layer,) = lab.plan(proof.recipe).layers
    (bundle,) = [entry.content for entry in layer.entries if entry.path == BUNDLE]
    assert bundle == root.texts[BUNDLE]


def test_removed_paths_are_not_installed(root: Root, ours: Configuration) -> None:
    assert not [path for path in ours.removed if path in root.paths and not NOT_OURS.fullmatch(path)]
