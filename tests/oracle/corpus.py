"""Real Debian packages as a root folder: ``python -m tests.oracle.corpus --to FOLDER [PACKAGE…]``.

The packages come with all they depend on, through rootlet's own archive code, from the machine's apt sources.
Only what a loader can see is written: ELF files, links, folders, linker scripts and the settings of ld.so.
Maintainer scripts do not run, so links that they would make (alternatives) are not there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.engine.command import MachineRunner
from builder.oci import Platform
from builder.progress import Silent
from builder.recipe.source_model import DebianSource
from builder.sources.debian.apt_sources import machine_mirrors
from builder.sources.debian.archive import DebianArchive, Effects, Freshness, acquire, lock, merged_tree
from builder.sysroot import Content, Kind, Node, Sysroot
from builder.transport import Transport

PACKAGES = (
    *("openjdk-21-jre-headless", "openjdk-21-jre", "samba", "systemd", "octave", "python3-numpy"),
    *("python3-scipy", "libreoffice-core", "libreoffice-writer", "r-base-core", "perl", "php-cli", "php-gd"),
    *("php-intl", "ruby", "apache2", "imagemagick", "graphviz", "dovecot-core", "ffmpeg", "gdb"),
    *("qemu-system-data", "qemu-system-x86", "firefox-esr", "git", "postgresql-17", "nginx", "redis-server"),
    *("nodejs", "bind9", "slapd", "openssh-server", "postfix", "haproxy", "varnish"),
    *("mariadb-server", "vim", "emacs-nox", "gimp", "inkscape", "vlc", "gstreamer1.0-plugins-good"),
    *(
        "gstreamer1.0-plugins-bad",
        "libopenmpi40",
        "tcl",
        "lua5.4",
        "erlang-base",
        "ghc",
        "golang-go",
        "rustc",
    ),
    *("gcc", "clang", "cmake", "sssd", "krb5-user", "sasl2-bin", "libpam-modules", "glib-networking"),
    *("busybox-static", "libc-bin", "cups", "bluez", "network-manager", "strongswan", "tesseract-ocr"),
    *("texlive-binaries", "frr", "nftables", "docker.io", "podman", "sqlite3"),
)
"""What is unpacked when nothing is named: packages whose files use what loaders can do, in many languages."""

SAMPLE = (
    *("samba-libs", "smbclient", "systemd", "perl", "php-cli", "apache2-bin", "graphviz", "dovecot-core"),
    *("gdb-minimal", "git", "nginx", "postgresql-client-17", "redis-server", "bind9-dnsutils", "slapd"),
    *("openssh-server", "postfix", "haproxy", "tcl", "lua5.4", "krb5-user", "sasl2-bin", "libpam-modules"),
    *("glib-networking", "busybox-static", "libc-bin", "nftables", "sqlite3", "curl", "rsync", "tmux"),
    *("memcached", "socat", "lighttpd", "unbound", "knot-dnsutils", "chrony", "ldap-utils", "iproute2"),
    *("strace", "openvpn", "mosquitto", "nano", "jq", "monit", "stunnel4", "libfreetype6", "libgd3"),
)
"""Packages for the tests: fewer and smaller ones."""

FOREIGN = ("curl", "git", "nginx", "redis-server", "samba-libs", "libc-bin", "libpam-modules")
"""Packages for tests on other machines: qemu makes each question some ten times as dear."""

_DAY = Freshness(max_age=86400.0)
_SMALL = 1 << 16
_BLOCK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What to unpack. ``platform`` is that of an image: "linux/s390x"."""

    packages: tuple[str, ...]
    suite: str = "trixie"
    platform: str = "linux/amd64"


def fetch(corpus: Corpus, cache: Path) -> Sysroot:
    """One tree of the packages and all they depend on; ``cache`` is a cache folder of rootlet's."""
    packages = ("base-files", *corpus.packages)  # base-files brings the links of a merged /usr
    source = DebianSource(name="corpus", suite=corpus.suite, packages=packages, security=False)
    platform = Platform.parse(corpus.platform)
    archive = DebianArchive(source=source, platform=platform, mirrors=machine_mirrors(), cache=cache)
    effects = Effects(
        transport=lambda: Transport(progress=Silent(), proxies=_proxies()),
        runner=MachineRunner(os.environ),
        clock=time.time,
        progress=Silent(),
    )
    locked = lock(archive, _DAY, effects)
    return merged_tree(acquire(locked, cache=cache, freshness=_DAY, effects=effects))


def write_root(sysroot: Sysroot, root: Path) -> tuple[str, ...]:
    """Write what a loader can see of ``sysroot`` below ``root``; give the paths of the ELF files, sorted."""
    found: list[str] = []
    first: dict[Content, Path] = {}
    for node in sorted(sysroot, key=lambda node: node.path):
        place = root / node.path.lstrip("/")
        if node.kind is Kind.DIRECTORY:
            place.mkdir(parents=True, exist_ok=True)
        elif node.kind is Kind.SYMLINK:
            place.symlink_to(node.target)
        elif node.content is not None:
            is_elf = _magic(node.content) == b"\x7fELF"
            if is_elf:
                found.append(node.path)
            if is_elf or _counts(node):
                _write(node.content, place, first)
    return tuple(found)


def _counts(node: Node) -> bool:
    small = node.content is not None and node.content.size < _SMALL
    return small and (".so" in node.path or node.path.startswith(("/etc/ld.so.conf", "/etc/ld-musl")))


def _magic(content: Content) -> bytes:
    descriptor = os.open(content.store, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, min(4, content.size), content.offset)
    finally:
        os.close(descriptor)


def _write(content: Content, place: Path, first: dict[Content, Path]) -> None:
    known = first.setdefault(content, place)
    if known is not place and content.size:
        place.hardlink_to(known)
        return
    with content.store.open("rb") as source, place.open("wb") as target:
        source.seek(content.offset)
        left = content.size
        while left:
            block = source.read(min(left, _BLOCK))
            left -= len(block)
            target.write(block)
    place.chmod(0o755)


def _proxies() -> dict[str, str]:
    return {
        name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ
    }


def main(arguments: Sequence[str]) -> int:
    """Write a root and, beside it, ``FOLDER.list`` with the paths of its ELF files."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.corpus", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--suite", default="trixie")
    parser.add_argument("--platform", default="linux/amd64")
    options = parser.parse_args(arguments)
    packages: Iterable[str] = options.packages or PACKAGES
    corpus = Corpus(packages=tuple(packages), suite=options.suite, platform=options.platform)
    tree = fetch(corpus, options.cache)
    paths = write_root(tree, options.to)
    listing = options.to.with_name(f"{options.to.name}.list")
    listing.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8", errors="surrogateescape")
    sys.stdout.write(f"{len(tree.packages)} packages, {len(paths)} ELF files; their paths: {listing}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
