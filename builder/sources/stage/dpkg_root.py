"""A Debian system laid by hand: unpacked packages, dpkg's database, the script that configures them.

The packages' scripts run in the stage and nowhere else. See dpkg(1), "package states", and Debian Policy §6.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from builder.dpkg.control import paragraphs
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Kind, Node, Package, Sysroot

FORMAT = 2
"""Raised when the way of making a system changes."""

ESSENTIAL = (
    "base-files",
    "base-passwd",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "init-system-helpers",
    "libc-bin",
    "ncurses-base",
    "ncurses-bin",
    "perl-base",
    "sed",
    "sysvinit-utils",
    "tar",
    "util-linux",
)
"""What packages rely on without saying so (Debian Policy §3.8), in every suite of the last ten years."""

SCRIPT = "/var/lib/rootlet-configure"
"""Where the configuring script is laid; it removes itself."""
_INFO = "/var/lib/dpkg/info"
_DOC = "/usr/share/doc/"
_UNWANTED = (
    _DOC,
    "/usr/share/info/",
    "/usr/share/lintian/",
    "/usr/share/linda/",
    "/usr/share/man/",
    "/usr/share/locale/",
    "/usr/share/help/",
    "/usr/share/bug/",
)
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
POLICY = b"#!/bin/sh\n# A build stage starts no services.\nexit 101\n"
_NO_NAME = re.compile(r"[^a-z0-9+.:-]")


def is_wanted(path: str) -> bool:
    """Whether a path is laid: documentation is not, but for licences."""
    if not path.startswith(_UNWANTED):
        return True
    return path.startswith(_DOC) and path.rpartition("/")[2] == "copyright"


def system_tree(packages: Iterable[Package]) -> Sysroot:
    """The packages in one tree, whole, with the database beside them for those that are laid."""
    return merged_tree(packages)


def laid_nodes(tree: Iterable[Node]) -> tuple[Node, ...]:
    """What of the packages is laid, folders before what is in them, hard links after their first names."""
    wanted = [node for node in tree if is_wanted(node.path) or node.kind is Kind.DIRECTORY]
    used = {node.path for node in wanted if node.kind is not Kind.DIRECTORY}
    folders = {folder for path in used for folder in _above(path)}
    nodes = [
        node
        for node in wanted
        if node.kind is not Kind.DIRECTORY or not node.path.startswith(_UNWANTED) or node.path in folders
    ]
    nodes.sort(key=lambda node: (bool(node.hardlink), node.path.encode("utf-8", "surrogateescape")))
    present = {node.path for node in nodes}
    # A first name that is not laid: every other name gets the bytes for itself.
    return tuple(node if node.hardlink in present else replace(node, hardlink="") for node in nodes)


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def database(
    new: tuple[Package, ...], packages: tuple[Package, ...], status: str = ""
) -> Iterator[tuple[str, bytes, int]]:
    """Files of dpkg's database, with their modes: the packages of ``new`` are unpacked and not configured.

    ``packages`` are all there will be; ``status`` is what the database says of those that are there already.
    """
    ordered = sorted(new, key=lambda package: package.name)
    paragraphs = [*([status.strip("\n") + "\n"] if status else []), *map(_status, ordered)]
    yield "/var/lib/dpkg/status", "\n".join(paragraphs).encode("utf-8", "surrogateescape"), 0o644
    if not status:
        yield from _empty_database()
    for package in ordered:
        yield from _info(package)
    yield SCRIPT, configuring_script(ordered, packages), 0o755


def _empty_database() -> Iterator[tuple[str, bytes, int]]:
    for name in (
        "available",
        "diversions",
        "statoverride",
        "triggers/File",
        "triggers/Unincorp",
        "triggers/Lock",
    ):
        yield f"/var/lib/dpkg/{name}", b"", 0o644
    yield f"{_INFO}/format", b"1\n", 0o644
    yield "/usr/sbin/policy-rc.d", POLICY, 0o755


def _status(package: Package) -> str:
    first, _, rest = package.control.partition("\n")
    return f"{first}\nStatus: install ok unpacked\n{rest}"


def _info(package: Package) -> Iterator[tuple[str, bytes, int]]:
    stem = f"{_INFO}/{_stem(package)}"
    names = ["/.", *(node.path for node in package.nodes)]
    yield f"{stem}.list", "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"), 0o644
    sums = "".join(f"{digest}  {path.lstrip('/')}\n" for path, digest in package.md5sums.items())
    yield f"{stem}.md5sums", sums.encode("utf-8", "surrogateescape"), 0o644
    if package.conffiles:
        yield f"{stem}.conffiles", "".join(f"{path}\n" for path in package.conffiles).encode(), 0o644
    for name in (*_SCRIPTS, "templates", "triggers"):
        text = package.scripts.get(name)
        if text:
            mode = 0o755 if name in _SCRIPTS else 0o644
            yield f"{stem}.{name}", text.encode("utf-8", "surrogateescape"), mode


def _stem(package: Package) -> str:
    return f"{package.name}:{package.architecture}" if _is_same(package) else package.name


def _is_same(package: Package) -> bool:
    try:
        fields = next(paragraphs(package.control), {})
    except ValueError:
        return False
    return fields.get("Multi-Arch") == "same"


_HEAD = """\
#!/bin/sh
# Configures the packages of a build stage, as dpkg does after it unpacked them.
set -e
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DEBCONF_NOWARNINGS=yes
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TERM=dumb
export DPKG_MAINTSCRIPT_DEBUG=0 DPKG_ADMINDIR=/var/lib/dpkg
cd /
for name in passwd group; do
    test -e /etc/$name || cp /usr/share/base-passwd/$name.master /etc/$name
done
script() {
    export DPKG_MAINTSCRIPT_PACKAGE="$1" DPKG_MAINTSCRIPT_ARCH="$2" DPKG_MAINTSCRIPT_NAME="$4"
    "/var/lib/dpkg/info/$3.$4" "$5" "$6"
}
"""
_TAIL = """\
rm -f /var/lib/rootlet-configure /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old
rm -f /var/log/*.log /var/log/apt/*
"""


def configuring_script(new: list[Package], packages: tuple[Package, ...] = ()) -> bytes:
    """The script that is laid at :data:`SCRIPT`; ``new`` sorted by name, ``packages``: all there will be."""
    first = {"base-passwd": 0, "base-files": 1}
    lines = [
        _HEAD,
        *(
            _call(package, "preinst", "install", "")
            for package in sorted(new, key=lambda one: (first.get(one.name, len(first)), one.name))
            if package.scripts.get("preinst")
        ),
    ]
    lines.append("dpkg --force-unsafe-io --force-confold --no-triggers --configure -a\n")
    lines.append("test ! -x /sbin/ldconfig || /sbin/ldconfig\n")
    lines += [
        _call(package, "postinst", "triggered", " ".join(triggers))
        for package in sorted(packages or new, key=lambda one: one.name)
        if package.name != "libc-bin"
        and package.scripts.get("postinst")
        and (triggers := tuple(_triggered(package, new)))
    ]
    lines.append("dpkg --force-unsafe-io --configure --pending\n")
    return "".join([*lines, _TAIL]).encode()


def _call(package: Package, name: str, action: str, argument: str) -> str:
    words = (package.name, package.architecture, _stem(package), name, action, argument)
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    return f"script {quoted}\n"


def _triggered(package: Package, packages: list[Package]) -> Iterator[str]:
    """What of a package's interests something here activates: triggers by name, and folders with files."""
    for line in package.scripts.get("triggers", "").splitlines():
        words = line.split("#")[0].split()
        if len(words) != 2 or not words[0].startswith("interest"):  # noqa: PLR2004 (directive and trigger)
            continue
        name = words[1]
        if not name.startswith("/"):
            if not _NO_NAME.search(name) and any(_activates(one, name) for one in packages):
                yield name
        elif any(node.path.startswith(f"{name}/") for one in packages for node in one.nodes):
            yield name


def _activates(package: Package, name: str) -> bool:
    return any(
        line.split()[0].startswith("activate") and line.split()[-1] == name
        for line in package.scripts.get("triggers", "").splitlines()
        if line.split() and not line.startswith("#")
    )


def checksum(payload: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(payload).hexdigest()


def has_triggers(scripts: Mapping[str, str]) -> bool:
    """Whether a package was unpacked by a version of rootlet that keeps triggers."""
    return "triggers" in scripts
